//! Several Repositories of one remote: one of them fetches, and each keeps what it needs to go on alone.

use crds::{LocalReference, Repository, annotation};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{GitServer, Repo, Space, Stage, git, objects, run};

const NAMES: [&str; 3] = ["one", "two", "three"];

async fn follow(team: &Space<'_>, name: &str, repo: &Repo, secret: Option<&str>) {
    team.repository_with(name, repo, |spec| {
        spec.interval = "1h".into();
        spec.secret_ref = secret.map(|name| LocalReference { name: name.into() });
    })
    .await;
}

/// Asks for a look at the remote by each, at once, and waits until each has found the commit.
async fn look(teams: &[&Space<'_>], commit: &str) {
    for team in teams {
        for name in NAMES {
            let patch = json!({"metadata": {"annotations": {annotation::REQUESTED_AT: commit}}});
            let repositories: Api<Repository> = team.api();
            let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
            repositories.patch(name, &params, &patch).await.unwrap();
        }
    }
    for team in teams {
        for name in NAMES {
            team.fetched(name, commit).await;
        }
    }
}

/// Whether a Repository has a store in which Git finds all of the commit.
fn holds(stage: &Stage, repository: &Repository, commit: &str) -> bool {
    let uid = repository.metadata.uid.clone().unwrap();
    let dir = stage.controller.data_dir().join("repositories").join(uid);
    let generations = std::fs::read_dir(dir).unwrap().flatten();
    let mut generations = generations.filter(|entry| entry.file_name().to_string_lossy().starts_with("gen-"));
    generations.any(|generation| {
        let mut archive = git::git(&generation.path());
        archive.args(["--git-dir", ".", "archive", "--output", "/dev/null", commit]);
        archive.output().unwrap().status.success()
    })
}

#[test]
fn repositories_of_one_remote_and_login_fetch_each_commit_once() {
    run(async {
        let stage = Stage::shared().await;
        let (near, far) = (stage.space("shared-near"), stage.space("shared-far"));
        let stranger = stage.space("shared-stranger");
        let home = tempfile::tempdir().unwrap();
        let server = GitServer::start(home.path()).await;
        let repo = server.repository("mono");
        let one = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("One");
        server.require_login("writer", "correct horse");
        let teams = [&near, &far];
        for team in teams {
            crate::notes::push_secret(team);
            for name in NAMES {
                follow(team, name, &repo, Some("push")).await;
            }
        }
        follow(&stranger, "app", &repo, None).await;
        for team in teams {
            for name in NAMES {
                team.fetched(name, &one).await;
            }
        }
        assert_eq!(server.packs(&repo), 1, "{:?}", server.requests(&repo));

        let two = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit("Two");
        look(&teams, &two).await;
        assert_eq!(server.packs(&repo), 2);

        // Several commits at once.
        for text in ["three", "four", "five"] {
            repo.write("app/map.yaml", objects::config_map("map", text))
                .commit_only(text);
        }
        repo.push();
        look(&teams, &repo.head()).await;
        assert_eq!(server.packs(&repo), 3);

        // Whoever takes over what another has fetched is told the same of it, and has all of it.
        repo.git(["commit", "--quiet", "--amend", "--message", "Another"]);
        repo.force_push();
        look(&teams, &repo.head()).await;
        assert_eq!(server.packs(&repo), 4);
        for team in teams {
            for name in NAMES {
                let rewritten = team.event("Repository", name, "BranchRewritten").await;
                assert!(rewritten.contains("no longer part of it"), "{rewritten}");
                let repositories: Api<Repository> = team.api();
                let repository = repositories.get(name).await.unwrap();
                assert!(holds(stage, &repository, &repo.head()), "{name}");
            }
        }

        // Who has no login learns nothing from those who have one.
        let refused = stranger
            .until("app", "the remote to refuse", |found: &Repository| {
                let conditions = found.status.iter().flat_map(|status| &status.conditions);
                let mut messages = conditions.map(|condition| &condition.message);
                messages.any(|message| message.contains("asks for credentials"))
            })
            .await;
        assert!(refused.status.unwrap().head.is_none());
    });
}
