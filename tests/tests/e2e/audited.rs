//! The audit of a Repository by its controller: the same as from a clone, for who may read it, and no value in it.

use std::path::Path;

use crds::{Notes, Repository};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tests::child::Child;
use tests::command::{self, Answer};
use tests::git::Mood;
use tests::{GitServer, Repo, Space, Stage, git, objects, run, wait};

use crate::notes::push_secret;

/// Two people, a side branch, keys that are sealed again, an object that moves.
fn history(repo: &Repo, namespace: &str) {
    let sealed = |password: &str, scope: &str| {
        json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
            "metadata": {"name": "db", "namespace": namespace, "annotations": {"sealedsecrets.bitnami.com/namespace-wide": scope}},
            "spec": {"encryptedData": {"password": password, "user": "c2FtZXVzZXI="}}})
        .to_string()
    };
    repo.write("app/map.yaml", objects::config_map("map", "one"))
        .write("later/db.yaml", sealed("Zmlyc3RwYXNz", "false"))
        .commit("One");
    repo.write("later/db.yaml", sealed("c2Vjb25kcGFzcw==", "true"))
        .commit("Two\ngoes on\n\nand on");
    repo.write(
        "later/plain.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: plain}\nstringData: {word: swordfish}\n",
    )
    .commit("Three");
    repo.git(["config", "user.name", "Ada"]);
    repo.git(["config", "user.email", "ada@example.org"]);
    repo.git(["checkout", "-q", "-b", "side"]);
    repo.write("docs/page.md", "text")
        .commit_only("Four, on the side");
    repo.git(["checkout", "-q", "main"]);
    repo.git(["mv", "later/plain.yaml", "later/moved.yaml"]);
    repo.commit_only("Five");
    repo.git(["merge", "-q", "--no-ff", "-m", "Six: merge", "side"]);
    // A clock that goes wrong, and another name for Ada.
    repo.write(".mailmap", "Nobody <nobody@example.org> <ada@example.com>\n")
        .git(["add", ".mailmap"]);
    let mut back = git::git(repo.work());
    back.env("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")
        .args(["commit", "--quiet", "-m", "Long ago"]);
    command::run(back, b"").ok();
}

pub(crate) fn signet(kubeconfig: &Path, directory: &Path, arguments: &[&str]) -> Answer {
    let mut signet = command::signet(kubeconfig);
    signet.arg("audit").args(arguments).current_dir(directory);
    command::run(signet, b"")
}

fn rows(answer: &Answer) -> Vec<Value> {
    assert!(answer.code == 0, "{answer}");
    serde_json::from_str(&answer.stdout).unwrap()
}

/// As an administrator does, for one namespace.
pub(crate) fn bind(team: &Space<'_>, name: &str, account: &str) {
    team.kubectl([
        "create",
        "rolebinding",
        name,
        "--clusterrole=signet-audit",
        "--serviceaccount",
        account,
    ])
    .ok();
}

async fn noted(team: &Space<'_>, repo: &Repo, commit: &str) {
    wait::poll(&format!("{} to be told of {commit}", team.name()), || async {
        let mut fetch = git::git(repo.work());
        fetch.args(["fetch", "--quiet", "origin", "+refs/notes/*:refs/notes/*"]);
        command::run(fetch, b"").ok();
        let text = repo.git(["log", "-1", "--format=%N", "--notes=signet/*", commit]);
        if text.contains(" Ready: ") {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
}

#[test]
fn the_controller_tells_what_a_clone_tells_to_whom_may_ask() {
    run(async {
        let stage = Stage::shared().await;
        stage.controller.expose(&stage.cluster);
        let team = stage.space("audited");
        let repo = stage.git.repository(team.name());
        history(&repo, team.name());
        team.repository("app", &repo).await;
        push_secret(&team);
        let notes = Notes {
            cluster: "prod".into(),
            push_secret_ref: crds::LocalReference { name: "push".into() },
        };
        let repositories: Api<Repository> = team.api();
        repositories
            .patch(
                "app",
                &PatchParams::default(),
                &Patch::Merge(json!({"spec": {"notes": notes}})),
            )
            .await
            .unwrap();
        team.sync("app", "app").await;
        let last = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit("Seven");
        team.applied("app", &last).await;
        noted(&team, &repo, &last).await;

        let admin = stage.cluster.kubeconfig();
        let name = format!("{}/app", team.name());
        let secret = format!("{}/db", team.name());
        let since = repo.git(["rev-parse", "HEAD~3"]);
        let url = format!("--controller-url={}", stage.controller.api_url());
        // Who may have secrets verified everywhere may read no history, until an administrator says where.
        let refused = signet(admin, Path::new("/"), &["--repository", &name]);
        assert!(
            refused.code != 0 && refused.stderr.contains("You may not read the audit"),
            "{refused}"
        );
        bind(&team, "clients-read", "signet-system:signet-client");
        wait::poll("signet-client to be bound", || async {
            let answer = signet(admin, Path::new("/"), &["--repository", &name]);
            if answer.code == 0 {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
        for (number, filter) in [
            &[][..],
            &["--author", "Ada"],
            &["--secret", &secret],
            &["--path", "later"],
            &["--since", since.trim()],
            &["--since", "2001-01-02"],
            &["--since", "2001-01-02T03:04:05+06:00"],
            &["--limit", "2"],
        ]
        .into_iter()
        .enumerate()
        {
            let ours = [&["-o", "json"], filter].concat();
            let here = rows(&signet(Path::new("/dev/null"), repo.work(), &ours));
            let asked = [&["--repository", &name][..], &ours].concat();
            let there = signet(admin, Path::new("/"), &asked);
            assert_eq!(rows(&there), here, "{filter:?}");
            assert!(!here.is_empty() && there.stderr.is_empty(), "{filter:?}: {there}");
            for value in [
                "Zmlyc3RwYXNz",
                "c2Vjb25kcGFzcw",
                "c2FtZXVzZXI",
                "swordfish",
                "eyJ",
            ] {
                assert!(!there.to_string().contains(value), "{value} is told");
            }
            if filter.last().is_some_and(|last| last.starts_with("2001")) {
                let mut told = here.iter().map(|row| &row["subject"]);
                assert!(told.any(|subject| subject == "One"), "{here:#?}");
                assert_ne!(here[1]["subject"], "Long ago");
            }
            if number == 0 {
                let direct = signet(admin, Path::new("/"), &[&asked[..], &[&url]].concat());
                assert_eq!(rows(&direct), here);
                assert!(
                    here.iter().any(|row| row["results"][0]["cluster"] == "prod"),
                    "{here:#?}"
                );
            }
        }
        // A Sync's path is what the cluster says.
        let of_sync = rows(&signet(
            admin,
            Path::new("/"),
            &["--repository", &name, "--sync", "app", "-o", "json"],
        ));
        let subjects: Vec<&str> = of_sync
            .iter()
            .map(|row| row["subject"].as_str().unwrap())
            .collect();
        assert_eq!(subjects, ["Seven", "One"]);
        let table = signet(admin, Path::new("/"), &["--repository", &name]).ok();
        assert!(
            table.contains("changed SealedSecret") && table.contains("Ready in prod"),
            "{table}"
        );

        // What is not there, what cannot be meant.
        let nowhere = format!("{}/nowhere", team.name());
        let missing = format!("There is no Repository {nowhere}");
        for (arguments, words) in [
            (vec!["--repository", &nowhere], &*missing),
            (
                vec!["--repository", &name, "--sync", "other"],
                "has no Sync of this name",
            ),
            (
                vec!["--repository", &name, "--since", "last tuesday"],
                "since is to be a full commit id",
            ),
            (vec!["--repository", "app"], "NAMESPACE/NAME"),
        ] {
            let refused = signet(admin, Path::new("/"), &arguments);
            assert!(refused.code != 0 && refused.stderr.contains(words), "{refused}");
        }

        // Who asks as somebody without the right is refused, whatever there is; with it, in its own namespace alone.
        let account = format!("--controller-account={}/{}", team.name(), objects::DEPLOYER);
        let ask = |name: &str| {
            signet(
                admin,
                Path::new("/"),
                &["--repository", name, &account, "-o", "json"],
            )
        };
        for name in [&*name, "nowhere/app"] {
            let refused = ask(name);
            assert!(
                refused.code != 0 && refused.stderr.contains("You may not read the audit"),
                "{refused}"
            );
        }
        let who = format!("{}:{}", team.name(), objects::DEPLOYER);
        bind(&team, "reads", &who);
        wait::poll("the right to be known", || async {
            let answer = ask(&name);
            if answer.code == 0 {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
        let elsewhere = ask("signet-system/app");
        assert!(
            elsewhere.stderr.contains("You may not read the audit"),
            "{elsewhere}"
        );
    });
}

#[test]
fn who_hangs_up_keeps_nobody_of_the_namespace_waiting() {
    run(async {
        let stage = Stage::shared().await;
        stage.controller.expose(&stage.cluster);
        let team = stage.space("hung-up");
        let far = GitServer::start(&stage.cluster.home().join("hung-up")).await;
        for (name, server) in [("near", &stage.git), ("far", &far)] {
            let repo = server.repository(&format!("{}-{name}", team.name()));
            let commit = repo.write("a.txt", name).commit("One");
            team.repository(name, &repo).await;
            team.fetched(name, &commit).await;
        }
        bind(&team, "clients-read", "signet-system:signet-client");
        let admin = stage.cluster.kubeconfig();
        let url = format!("--controller-url={}", stage.controller.api_url());
        let of = |name: &str| format!("--repository={}/{name}", team.name());
        let near = || signet(admin, Path::new("/"), &[&of("near"), &url]);
        wait::poll("signet-client to be bound", || async {
            let answer = near();
            (answer.code == 0).then_some(()).ok_or(answer.to_string())
        })
        .await;
        // A question whose answer does not come has the namespace's one place.
        far.set_mood(Mood::Stalled);
        let mut asks = command::signet(admin);
        asks.arg("audit").args([of("far"), url.clone()]);
        let asks = Child::start(&asks, &stage.cluster.home().join("hung-up/asks.log"));
        wait::poll("it to be asked", || async {
            let answer = near();
            let is_full = answer.stderr.contains("Too much is asked at once");
            is_full.then_some(()).ok_or(answer.to_string())
        })
        .await;
        asks.kill();
        let answer = near();
        assert!(answer.code == 0, "{answer}");
        far.set_mood(Mood::Serving);
    });
}
