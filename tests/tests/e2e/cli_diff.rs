//! `signet diff` against a real API server: its defaults, its admission, its field management.

use std::path::Path;

use serde_json::Value;
use tests::command::Answer;
use tests::{Stage, command, objects, run};

#[test]
fn a_diff_says_what_the_next_commit_would_do_and_no_more() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("diff");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        let seal =
            |password: &str| stage.seal(&objects::secret(team.name(), "db", &[("password", password)]));
        let plain =
            |password: &str| objects::secret(team.name(), "plain", &[("password", password)]).to_string();
        let commit = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .write("app/old.yaml", objects::config_map("old", "one"))
            .write("app/db.yaml", seal("swordfish"))
            .write("app/plain.yaml", plain("swordfish"))
            .write("app/web.yaml", objects::deployment("web", "nginx:1", "db"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;

        let diff = |arguments: &[&str]| {
            let all: Vec<_> = ["diff", "--sync=app"]
                .into_iter()
                .chain(arguments.iter().copied())
                .collect();
            signet(&kubeconfig, repo.work(), &all)
        };
        let answer = diff(&[]);
        assert_eq!(answer.code, 0, "what is applied differs in nothing: {answer}");

        repo.write("app/a.yaml", objects::config_map("a", "two"))
            .write("app/b.yaml", objects::config_map("b", "one"))
            .write("app/db.yaml", seal("mackerel"))
            .write("app/plain.yaml", plain("mackerel"))
            .write("app/web.yaml", objects::deployment("web", "nginx:2", "db"));
        std::fs::remove_file(repo.work().join("app/old.yaml")).unwrap();
        assert_eq!(diff(&[]).code, 0, "nothing is committed yet");
        let answer = diff(&["--worktree"]);
        assert_eq!(answer.code, 1, "{answer}");
        let ns = team.name();
        let expected = format!(
            "delete ConfigMap {ns}/old\n\
             create ConfigMap {ns}/b\n\
             update ConfigMap {ns}/a\n\
             \x20 - .data.value: \"one\"\n\
             \x20 + .data.value: \"two\"\n\
             update Secret {ns}/db: re-sealed\n\
             \x20 ! .data.password: its value changes\n\
             update Secret {ns}/plain\n\
             \x20 ! .data.password: its value changes\n\
             update Deployment {ns}/web\n\
             \x20 - .spec.template.spec.containers[name=main].image: \"nginx:1\"\n\
             \x20 + .spec.template.spec.containers[name=main].image: \"nginx:2\"\n\
             {ns}/app with the working tree: 1 to create, 4 to change, 1 to delete, 0 unchanged\n"
        );
        assert_eq!(answer.stdout, expected, "{answer}");

        repo.write(
            "app/web.yaml",
            objects::deployment("web", "nginx:2", "db").replace("replicas: 1", "replicas: -1"),
        );
        let answer = diff(&["--worktree", "-o=json"]);
        assert_eq!(answer.code, 2, "the API server would refuse it: {answer}");
        let said: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert_eq!(said["objects"][0]["action"], "refused", "{answer}");
        assert!(
            said["objects"][0]["note"]
                .as_str()
                .unwrap()
                .contains("spec.replicas"),
            "{answer}"
        );
    });
}

fn signet(kubeconfig: &Path, dir: &Path, arguments: &[&str]) -> Answer {
    let mut signet = command::signet(kubeconfig);
    signet.current_dir(dir).args(arguments);
    command::run(signet, b"")
}
