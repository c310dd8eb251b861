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

/// What the results of a commit are, cluster by cluster, as `git log` heads them.
fn shown(repo: &Repo, commit: &str) -> String {
    told(repo, commit);
    repo.git(["log", "-1", "--notes=signet/*", commit])
}

#[test]
fn two_clusters_write_side_by_side_and_git_log_tells_what_each_made_of_a_commit() {
    run(async {
        let (stage, other) = (Stage::shared().await, Stage::own().await);
        let clusters = [
            ("east", stage.space("notes-east")),
            ("west", other.space("notes-west")),
        ];
        let repo = stage.git.repository(clusters[0].1.name());
        let mut commits = Vec::new();
        let commit = |value: &str, west: &str| {
            repo.write("east/map.yaml", objects::config_map("map", value))
                .write("west/map.yaml", west)
                .commit(value)
        };
        commits.push(commit("one", &objects::config_map("map", "one")));
        for (name, team) in &clusters {
            push_secret(team);
            team.repository_with("app", &repo, |spec| {
                spec.notes = Some(Notes {
                    cluster: (*name).into(),
                    ..notes()
                });
            })
            .await;
            team.sync("app", name).await;
        }
        let both = async |commit: &str, [east, west]: [&str; 2]| {
            let [east, west] = [(0, east), (1, west)].map(|(number, word)| {
                let (name, team) = &clusters[number];
                (
                    format!("Notes (signet/{name}):"),
                    format!(" {}/app {word}: ", team.name()),
                )
            });
            wait::poll(&format!("both to tell of {commit}"), || async {
                let text = shown(&repo, commit);
                // Each below its own heading, and once.
                let (head, tail) = text.split_once(&west.0).unwrap_or_default();
                let fits = head.contains(&east.0)
                    && head.matches(&east.1).count() == 1
                    && tail.matches(&west.1).count() == 1;
                if fits { Ok(()) } else { Err(text) }
            })
            .await;
        };
        both(&commits[0], ["Ready", "Ready"]).await;

        // The same commits at the same time: neither is in the other's way, and nothing is lost.
        for value in ["two", "three", "four"] {
            let made = commit(value, &objects::config_map("map", value));
            for (_, team) in &clusters {
                team.applied("app", &made).await;
            }
            commits.push(made);
        }
        for made in &commits {
            both(made, ["Ready", "Ready"]).await;
        }
        // What one cluster refuses another may like.
        let bad = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata: {a: {b: c}}\n";
        let mixed = commit("five", bad);
        both(&mixed, ["Ready", "Failed"]).await;

        let refs = repo.git(["ls-remote", "origin", "refs/notes/*"]);
        let mut refs: Vec<&str> = refs.lines().filter_map(|line| line.split('\t').nth(1)).collect();
        refs.sort_unstable();
        assert_eq!(refs, ["refs/notes/signet/east", "refs/notes/signet/west"]);
        let entries = audit(repo.work());
        let newest = entries[0]["results"].as_array().unwrap();
        let mut results: Vec<(&str, &str)> = newest
            .iter()
            .map(|found| {
                let word = |field: &str| found[field].as_str().unwrap();
                (word("cluster"), word("result"))
            })
            .collect();
        results.sort_unstable();
        assert_eq!(results, [("east", "Ready"), ("west", "Failed")]);
    });
}
