//! The commands that look after Syncs, beside a real cluster: suspend, resume, wait, events, tree, plan, approve.

use std::path::Path;

use crds::{Approval, Sync};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tests::command::Answer;
use tests::{Stage, command, objects, run};

#[test]
fn a_suspended_sync_stands_still_and_one_that_is_resumed_catches_up() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("suspend");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        let first = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        signet(&kubeconfig, repo.work(), &["wait", "app", "--revision", &first]).ok();

        let said = signet(
            &kubeconfig,
            repo.work(),
            &["suspend", "app", "--reason=an incident"],
        );
        assert!(said.stderr.contains("Suspended"), "{said}");
        let sync: Sync = team.api().get("app").await.unwrap();
        assert!(sync.spec.suspend);
        assert_eq!(
            sync.metadata.annotations.unwrap_or_default()["signet.dev/suspend-reason"],
            "an incident"
        );
        let second = repo
            .write("app/a.yaml", objects::config_map("a", "two"))
            .commit("Say two");
        team.fetched("app", &second).await;
        let answer = signet(
            &kubeconfig,
            repo.work(),
            &["wait", "app", "--revision=HEAD", "--timeout=30s"],
        );
        assert_eq!(answer.code, 1, "{answer}");
        assert!(answer.stderr.contains("it is suspended"), "{answer}");

        signet(&kubeconfig, repo.work(), &["resume", "--all"]).ok();
        let sync: Sync = team.api().get("app").await.unwrap();
        assert!(
            !sync
                .metadata
                .annotations
                .unwrap_or_default()
                .contains_key("signet.dev/suspend-reason")
        );
        signet(&kubeconfig, repo.work(), &["wait", "app", "--revision=HEAD"]).ok();
        let sync: Sync = team.api().get("app").await.unwrap();
        assert_eq!(objects::applied(&sync), second);
    });
}

#[test]
fn wait_knows_what_a_commit_means_for_a_sync() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("waiting");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        let elsewhere = tempfile::tempdir().unwrap();
        repo.write("app/a.yaml", objects::config_map("a", "one"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        signet(&kubeconfig, elsewhere.path(), &["wait", "--all"]).ok();

        // It changes nothing under the path, so no status will name it.
        let aside = repo.write("readme.txt", "hello").commit("Something else");
        signet(&kubeconfig, repo.work(), &["wait", "app", "--revision=HEAD"]).ok();
        signet(
            &kubeconfig,
            elsewhere.path(),
            &["wait", "app", "--revision", &aside],
        )
        .ok();
        let unknown = "f".repeat(40);
        let answer = signet(
            &kubeconfig,
            elsewhere.path(),
            &["wait", "app", "--timeout=2s", "--revision", &unknown],
        );
        assert_eq!(answer.code, 3, "{answer}");

        repo.write(
            "app/b.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: B_}\n",
        )
        .commit("A bad name");
        let answer = signet(
            &kubeconfig,
            repo.work(),
            &["wait", "app", "--revision=HEAD", "--timeout=5s", "-o=json"],
        );
        assert_ne!(answer.code, 0, "{answer}");
        let rows: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert_ne!(rows[0]["state"], "done", "{answer}");
    });
}

#[test]
fn events_tell_what_happened_to_one_sync_and_no_other() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("events");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        repo.write("app/a.yaml", objects::config_map("a", "one"))
            .write("other/b.yaml", objects::config_map("b", "one"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.sync("other", "other").await;
        team.sync("lost", "nowhere").await;
        team.event("Sync", "app", "Applied").await;
        team.event("Sync", "other", "Applied").await;

        let events = |arguments: &[&str]| -> Vec<Value> {
            let all: Vec<_> = ["events", "-o=json"]
                .into_iter()
                .chain(arguments.iter().copied())
                .collect();
            serde_json::from_str(&signet(&kubeconfig, repo.work(), &all).ok()).unwrap()
        };
        let of_app = events(&["app"]);
        assert!(
            !of_app.is_empty() && of_app.iter().all(|event| event["name"] == "app"),
            "{of_app:?}"
        );
        let all = events(&[]);
        assert!(all.iter().any(|event| event["name"] == "other"), "{all:?}");
        assert!(
            all.iter().all(|event| event["namespace"] == team.name()),
            "{all:?}"
        );
        let warnings = events(&["--warnings"]);
        assert!(
            warnings.iter().all(|event| event["type"] == "Warning"),
            "{warnings:?}"
        );
        let times: Vec<_> = all.iter().map(|event| event["time"].as_str().unwrap()).collect();
        assert!(times.is_sorted(), "{times:?}");
    });
}

#[test]
fn a_tree_has_what_the_sync_applied() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("tree");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        let sealed = stage.seal(&objects::secret(team.name(), "db", &[("password", "swordfish")]));
        let commit = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .write("app/db.yaml", sealed)
            .write("app/web.yaml", objects::deployment("web", "nginx", "db"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;

        let said = signet(&kubeconfig, repo.work(), &["tree", "app", "-o=json"]).ok();
        let tree: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(tree["unread"], json!([]), "{said}");
        let members: Vec<_> = tree["objects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|object| {
                format!("{} {} {}", object["kind"], object["name"], object["source"]).replace('"', "")
            })
            .collect();
        assert_eq!(
            members,
            [
                "ConfigMap a app/a.yaml#1",
                "Secret db app/db.yaml#1",
                "Deployment web app/web.yaml#1"
            ]
        );
        assert!(
            !said.contains("swordfish") && !said.contains("c3dvcmRmaXNo"),
            "{said}"
        );
        let table = signet(&kubeconfig, repo.work(), &["tree", "app", "--source"]).ok();
        assert!(table.contains("`- Deployment"), "{table}");
    });
}

#[test]
fn an_approval_is_made_by_whoever_may() {
    const DIGEST: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("approve");
        let kubeconfig = team.kubeconfig().await;
        let here = tempfile::tempdir().unwrap();
        // Suspended, so that the plan stays as it is written here.
        team.sync_with("app", "app", |spec| spec.suspend = true).await;
        let status = json!({"status": {"observedGeneration": 1, "conditions": [], "plan": {
            "digest": DIGEST, "revision": "main@0123456789ab", "create": 1, "actions": ["create ConfigMap x/a"],
        }}});
        let syncs: Api<Sync> = team.api();
        syncs
            .patch_status("app", &PatchParams::default(), &Patch::Merge(status))
            .await
            .unwrap();

        let answer = signet(&kubeconfig, here.path(), &["plan", "app"]);
        assert_eq!(answer.code, 1, "{answer}");
        assert!(answer.stdout.contains("  create ConfigMap x/a\n"), "{answer}");
        let answer = signet(&kubeconfig, here.path(), &["approve", "app", "--yes"]);
        assert_eq!(answer.code, 1, "who may edit a Sync may not approve: {answer}");
        assert!(answer.stderr.contains("cannot create the Approval"), "{answer}");

        let admin = stage.cluster.kubeconfig();
        let arguments = [
            "approve",
            "app",
            "--digest",
            DIGEST,
            "--expires=1h",
            "-n",
            team.name(),
        ];
        let said = signet(admin, here.path(), &arguments).ok();
        assert_eq!(said, "app-0f1e2d3c4b5a\n");
        let approval: Approval = team.api().get("app-0f1e2d3c4b5a").await.unwrap();
        assert_eq!(approval.spec.digest, DIGEST);
        assert!(approval.spec.expires.is_some());
        assert!(!approval.metadata.annotations.unwrap_or_default()["signet.dev/approved-by"].is_empty());
        signet(admin, here.path(), &arguments).ok();
    });
}

fn signet(kubeconfig: &Path, dir: &Path, arguments: &[&str]) -> Answer {
    let mut signet = command::signet(kubeconfig);
    signet.current_dir(dir).args(arguments);
    command::run(signet, b"")
}
