//! The command line beside a real cluster: certificate, sync, status, history.

use std::path::Path;

use serde_json::Value;
use tests::command::Answer;
use tests::{Repo, Stage, command, http, objects, run};

#[test]
fn a_team_seals_with_the_certificate_that_the_api_server_passes_on() {
    run(async {
        let stage = Stage::shared().await;
        stage.controller.expose(&stage.cluster);
        let team = stage.space("certificate");
        let kubeconfig = team.kubeconfig().await;
        let here = tempfile::tempdir().unwrap();

        let served = signet(&kubeconfig, here.path(), &["cert"], "").ok();
        let direct = http::get(&stage.controller.certificate_url()).await.unwrap();
        assert_eq!(served.trim(), direct.body.trim());

        let secret = objects::secret(team.name(), "db", &[("password", "swordfish")]).to_string();
        let sealed = signet(&kubeconfig, here.path(), &["seal"], &secret).ok();
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/db.yaml", sealed)
            .commit("Seal it as anybody would");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
    });
}

#[test]
fn sync_asks_now_and_status_says_how_it_is() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("asking");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        let first = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .commit("Begin");
        // Nobody asks the remote by himself before this test is long over.
        team.repository_with("app", &repo, |spec| spec.interval = "1h".into())
            .await;
        team.sync("app", "app").await;
        team.applied("app", &first).await;

        let second = repo
            .write("app/b.yaml", objects::config_map("b", "one"))
            .commit("Add a map");
        let said = signet(&kubeconfig, repo.work(), &["sync", "app"], "").ok();
        assert!(
            said.contains(&second[..12]) && said.contains("Add a map"),
            "{said}"
        );
        team.applied("app", &second).await;

        repo.remove("app").commit("Take the path away");
        let answer = signet(&kubeconfig, repo.work(), &["sync", "app"], "");
        assert_eq!(answer.code, 3, "{answer}");
        let answer = signet(&kubeconfig, repo.work(), &["status", "app"], "");
        assert_eq!(answer.code, 3, "{answer}");
        assert!(answer.stdout.contains("app"), "{answer}");

        let third = repo.revert();
        signet(&kubeconfig, repo.work(), &["sync", "app"], "").ok();
        let said = signet(&kubeconfig, repo.work(), &["status", "--output=json"], "").ok();
        let syncs: Value = serde_json::from_str(&said).unwrap();
        assert!(said.contains(&third), "{said}");
        assert_eq!(syncs.as_array().map(Vec::len), Some(1), "{said}");
    });
}

#[test]
fn history_is_the_git_log_with_what_is_applied() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("history");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        let first = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .commit("Begin");
        let elsewhere = repo.write("readme.txt", "hello").commit("Something else");
        let second = repo
            .write("app/a.yaml", objects::config_map("a", "two"))
            .commit("Say two");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &second).await;

        let namespace = format!("--namespace={}", team.name());
        let by_path = history(
            &kubeconfig,
            &repo,
            &["history", "app", "--output=json", &namespace],
        );
        let by_sync = history(
            &kubeconfig,
            &repo,
            &["history", "--sync=app", "--output=json", &namespace],
        );
        assert_eq!(by_path, by_sync);
        let commits = by_path.as_array().unwrap();
        let ids: Vec<_> = commits
            .iter()
            .map(|commit| commit["commit"].as_str().unwrap())
            .collect();
        assert_eq!(ids, [&second, &first], "newest first, and nothing of {elsewhere}");
        assert_eq!(commits[0]["appliedBy"][0], format!("{}/app", team.name()));
        assert_eq!(commits[1]["appliedBy"], Value::Array(Vec::new()));
        assert_eq!(commits[0]["author"], "Ada Example <ada@example.com>");
        assert_eq!(commits[0]["subject"], "Say two");
    });
}

fn history(kubeconfig: &Path, repo: &Repo, arguments: &[&str]) -> Value {
    serde_json::from_str(&signet(kubeconfig, repo.work(), arguments, "").ok()).unwrap()
}

fn signet(kubeconfig: &Path, dir: &Path, arguments: &[&str], input: &str) -> Answer {
    let mut signet = command::signet(kubeconfig);
    signet.current_dir(dir).args(arguments);
    command::run(signet, input.as_bytes())
}
