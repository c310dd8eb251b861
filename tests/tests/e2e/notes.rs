//! Results of commits as Git notes in the remote: opt-in, read by plain git and by `signet audit`, and never in the way of an apply.

use std::path::Path;

use crds::{LocalReference, Notes, Repository};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tests::{Repo, Space, Stage, command, git, objects, run, wait};

const REF: &str = "refs/notes/signet/prod";

/// Writes the Secret that may push, and the right to read it.
pub(crate) fn push_secret(team: &Space<'_>) {
    let namespace = team.name();
    let objects = objects::list(&[
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "push", "namespace": namespace},
            "stringData": {"username": "writer", "password": "correct horse"}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "push", "namespace": namespace},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["push"], "verbs": ["get"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "push", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "push"},
            "subjects": [{"kind": "ServiceAccount", "name": "signet-controller", "namespace": "signet-system"}]}),
    ]);
    let arguments = ["apply", "--server-side", "-f", "-"];
    team.stage()
        .cluster
        .kubectl_with(arguments, &objects.to_string())
        .ok();
}

fn notes() -> Notes {
    Notes {
        cluster: "prod".into(),
        push_secret_ref: LocalReference { name: "push".into() },
    }
}

/// What plain git says of a commit, once it has the notes.
fn told(repo: &Repo, commit: &str) -> String {
    let mut fetch = git::git(repo.work());
    fetch.args(["fetch", "--quiet", "origin", "+refs/notes/*:refs/notes/*"]);
    command::run(fetch, b"").ok();
    repo.git(["log", "-1", "--format=%N", "--notes=signet/*", commit])
}

async fn noted(repo: &Repo, commit: &str, word: &str) -> String {
    let wanted = format!(" {word}: ");
    wait::poll(&format!("{word} in the notes of {commit}"), || async {
        let text = told(repo, commit);
        if text.contains(&wanted) {
            Ok(text)
        } else {
            Err(text)
        }
    })
    .await
}

fn audit(directory: &Path) -> Vec<Value> {
    let mut signet = command::signet(Path::new("/dev/null"));
    signet.args(["audit", "--output", "json"]).current_dir(directory);
    let all = command::run(signet, b"").ok();
    serde_json::from_str(&all).unwrap()
}

#[test]
fn git_log_says_which_cluster_applied_a_commit_with_what_result() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("notes");
        let repo = stage.git.repository(team.name());
        let one = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("One");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &one).await;

        // Nobody asked: nothing is written. From now on somebody does.
        push_secret(&team);
        let patch = json!({"spec": {"notes": notes()}});
        let repositories: kube::Api<Repository> = team.api();
        repositories
            .patch("app", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        let two = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit("Two");
        let text = noted(&repo, &two, "Ready").await;
        let expected = format!(" {}/app Ready: 1 objects, 1 changed", team.name());
        assert!(text.trim_end().ends_with(&expected), "{text}");
        assert_eq!(told(&repo, &one), "", "what was before is not told");

        let bad = repo
            .write(
                "app/bad.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndata: {a: {b: hunter2}}\n",
            )
            .commit("A mistake");
        let text = noted(&repo, &bad, "Failed").await;
        assert!(
            text.contains("Failed: 1 of 2 objects") && !text.contains("hunter2"),
            "{text}"
        );
        let mended = repo.remove("app/bad.yaml").commit("No mistake");
        noted(&repo, &mended, "Ready").await;
        assert_eq!(
            repo.git(["ls-remote", "origin", "refs/heads/*"]).lines().count(),
            1
        );
        assert_eq!(repo.git(["log", "-1", "--format=%an", REF]), "signet (prod)");

        let entries = audit(repo.work());
        let results: Vec<(&str, usize)> = entries
            .iter()
            .map(|entry| {
                (
                    entry["subject"].as_str().unwrap(),
                    entry["results"].as_array().unwrap().len(),
                )
            })
            .collect();
        assert_eq!(results[3], ("One", 0));
        assert_eq!(entries[1]["results"][0]["result"], "Failed");
        assert_eq!(
            (
                entries[2]["results"][0]["cluster"].as_str(),
                entries[2]["results"][0]["sync"].as_str()
            ),
            (Some("prod"), Some(&*format!("{}/app", team.name())))
        );
    });
}

#[test]
fn a_remote_that_takes_no_notes_delays_nothing_and_gets_them_later() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("notes-late");
        let repo = stage.git.repository(team.name());
        push_secret(&team);
        let setting = |value: &str| {
            let mut config = git::git(repo.bare());
            config.args(["config", "http.receivepack", value]);
            command::run(config, b"").ok();
        };
        setting("false");
        let one = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("One");
        team.repository_with("app", &repo, |spec| spec.notes = Some(notes()))
            .await;
        team.sync("app", "app").await;
        team.applied("app", &one).await;
        let said = team.event("Repository", "app", "NotesNotWritten").await;
        assert!(said.contains(REF) && said.contains("forbids"), "{said}");
        let two = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit("Two");
        team.applied("app", &two).await;
        assert_eq!(repo.git(["ls-remote", "origin", "refs/notes/*"]), "");
        setting("true");
        for commit in [&one, &two] {
            noted(&repo, commit, "Ready").await;
        }
        assert_eq!(told(&repo, &one).lines().count(), 1, "each result is there once");
        let ready = team.fetched("app", &two).await;
        assert!(!serde_json::to_string(&ready).unwrap().contains("correct horse"));
    });
}
