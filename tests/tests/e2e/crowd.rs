//! A namespace that asks for too much of the controller, and another one beside it.

use std::path::Path;

use crds::{LocalReference, Notes, Repository, VerifyMode};
use tests::git::Mood;
use tests::random::Random;
use tests::{Cluster, ClusterRef, ControllerOptions, GitServer, Repo, Stage, objects, run, wait};

use crate::audited::{bind, signet};
use crate::notes::push_secret;
use crate::signed::{People, verify};
use crate::world::A_WHILE;

async fn stage(argument: &str) -> Stage {
    let cluster = Cluster::own().await;
    let mut options = ControllerOptions::for_tests(&cluster);
    options.arguments.push(argument.into());
    Stage::on(ClusterRef::Own(Box::new(cluster)), options).await
}

#[test]
fn a_namespace_whose_remotes_are_silent_leaves_room_for_others() {
    run(async {
        let stage = stage("--concurrency=2").await;
        let (crowd, shop) = (stage.space("crowd"), stage.space("shop"));
        let home = tempfile::tempdir().unwrap();
        let silent = GitServer::start(home.path()).await;
        silent.set_mood(Mood::Stalled);
        let remotes = ["one", "two", "three"].map(|name| silent.repository(name));
        for (name, repo) in ["one", "two", "three"].iter().zip(&remotes) {
            crowd.repository(name, repo).await;
        }
        let asked = || {
            remotes
                .iter()
                .map(|repo| silent.requests(repo).len())
                .sum::<usize>()
        };
        wait::poll("a question to the silent server", async || {
            if asked() > 0 {
                Ok(())
            } else {
                Err("none".to_owned())
            }
        })
        .await;
        let repo = stage.git.repository(shop.name());
        let one = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("One");
        shop.repository("app", &repo).await;
        shop.fetched("app", &one).await;
        assert_eq!(asked(), 1, "one of two places is left to others");
    });
}

#[test]
fn a_verification_ends_with_its_repository() {
    run(async {
        let stage = stage("--concurrency=2").await;
        let team = stage.space("verified");
        let home = tempfile::tempdir().unwrap();
        let people = People::new(home.path(), &["ada"]);
        people.trust(&team, &["ada"], &[]);
        let server = GitServer::start(home.path()).await;
        let repo = server.repository("signed");
        people.sign(&repo, Some("ada"));
        let first = repo.write("map", "one").commit("First");
        team.repository_with("signed", &repo, |spec| {
            spec.timeout = "30m".into();
            spec.verify = Some(verify(VerifyMode::Range));
        })
        .await;
        team.fetched("signed", &first).await;

        // The new commit comes at once, and what lies before it does not.
        server.set_mood(Mood::Dripping);
        repo.write("map", "two").commit("Second");
        let deep = || server.dripped(&repo);
        wait::poll("the history to be asked for", async || {
            if deep() > 0 {
                Ok(())
            } else {
                Err("nobody asks".to_owned())
            }
        })
        .await;
        // The one place of this namespace is taken.
        let other = stage.git.repository(team.name());
        let head = other.write("map", "one").commit("One");
        team.repository("other", &other).await;
        wait::throughout(A_WHILE, || async {
            let asked = stage.git.requests(&other);
            if asked.is_empty() {
                Ok(())
            } else {
                Err(format!("{asked:?}"))
            }
        })
        .await;
        team.kubectl(["delete", "repository", "signed"]).ok();
        team.fetched("other", &head).await;
        assert_eq!(deep(), 1);
    });
}

/// So many bytes that do not shrink.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let noise = std::iter::repeat_with(|| random.number().to_le_bytes()).flatten();
    noise.take(bytes).collect()
}

/// A commit of so many bytes.
fn fill(repo: &Repo, bytes: usize) -> String {
    repo.write("noise", noise(7, bytes))
        .write("app/map.yaml", objects::config_map("map", "one"))
        .commit("Noise")
}

#[test]
fn a_namespace_that_fills_the_disk_leaves_room_for_others() {
    run(async {
        let stage = stage("--data-limit=2Mi").await;
        let (crowd, shop) = (stage.space("crowd"), stage.space("shop"));
        let repos = ["one", "two"].map(|name| stage.git.repository(&format!("crowd-{name}")));
        let heads = repos.each_ref().map(|repo| fill(repo, 1_400_000));
        crowd.repository("one", &repos[0]).await;
        crowd.fetched("one", &heads[0]).await;
        crowd.repository("two", &repos[1]).await;
        let refused = crowd
            .until("two", "the disk to be full", |found: &Repository| {
                let conditions = found.status.iter().flat_map(|status| &status.conditions);
                let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
                ready.any(|ready| ready.reason == "NoRoom" && ready.message.contains("--data-limit"))
            })
            .await;
        assert!(refused.status.unwrap().head.is_none());

        let repo = stage.git.repository("shop");
        let head = fill(&repo, 900_000);
        shop.repository("app", &repo).await;
        shop.fetched("app", &head).await;

        // What is removed makes room.
        shop.kubectl(["delete", "repository", "app"]).ok();
        crowd.kubectl(["delete", "repository", "one"]).ok();
        crowd.fetched("two", &heads[1]).await;
    });
}

#[test]
fn notes_and_histories_have_the_room_that_there_is() {
    run(async {
        let stage = stage("--data-limit=2Mi").await;
        stage.controller.expose(&stage.cluster);
        let team = stage.space("shop");
        push_secret(&team);
        bind(&team, "clients-read", "signet-system:signet-client");
        // The head is small; with what was before it, or beside notes of that size, it is too much.
        let repo = stage.git.repository(team.name());
        repo.write("noise", noise(1, 1_600_000)).commit("Large");
        let file = repo.work().join("noise").display().to_string();
        repo.git(["notes", "--ref=refs/notes/signet/prod", "add", "-C", &{
            repo.git(["hash-object", "-w", &file])
        }]);
        repo.git(["push", "--quiet", "origin", "refs/notes/signet/prod"]);
        let before = repo.git(["ls-remote", "origin", "refs/notes/signet/prod"]);
        let head = fill(&repo, 700_000);
        team.repository_with("app", &repo, |spec| {
            spec.notes = Some(Notes {
                cluster: "prod".into(),
                push_secret_ref: LocalReference { name: "push".into() },
            });
        })
        .await;
        team.sync("app", "app").await;
        team.applied("app", &head).await;
        let said = team.event("Repository", "app", "NotesNotWritten").await;
        assert!(said.contains("--data-limit"), "{said}");
        assert_eq!(
            repo.git(["ls-remote", "origin", "refs/notes/signet/prod"]),
            before
        );

        let name = format!("{}/app", team.name());
        wait::poll("the history to be refused", || async {
            let answer = signet(
                stage.cluster.kubeconfig(),
                Path::new("/"),
                &["--repository", &name],
            );
            if answer.code != 0 && answer.stderr.contains("--data-limit") {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
    });
}
