//! A second remote while the first one fails: read from where it can be, never backwards, and never with the other's password.

use crds::{Fallback, Repository};
use tests::git::Mood;
use tests::{GitServer, Repo, Stage, command, git, objects, run, wait};

/// Copies what the remote has to the mirror.
fn mirror(repo: &Repo, to: &Repo) {
    let mut push = git::git(repo.work());
    push.args(["push", "--quiet", "--force"])
        .arg(to.bare())
        .arg("HEAD:refs/heads/main");
    command::run(push, b"").ok();
}

fn message(found: &Repository) -> String {
    let conditions = found.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    ready
        .next()
        .map(|ready| ready.message.clone())
        .unwrap_or_default()
}

#[test]
fn a_mirror_serves_while_the_remote_is_away_and_nothing_goes_backwards() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("fallbacks");
        let home = tempfile::tempdir().unwrap();
        let first = GitServer::start(&home.path().join("first")).await;
        let second = GitServer::start(&home.path().join("second")).await;
        let (repo, copy) = (first.repository("app"), second.repository("app"));
        let one = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("One");
        mirror(&repo, &copy);
        team.repository_with("app", &repo, |spec| {
            spec.fallbacks = vec![Fallback {
                url: copy.url().to_owned(),
                secret_ref: None,
            }];
        })
        .await;
        team.sync("app", "app").await;
        team.applied("app", &one).await;
        assert_eq!(
            second.requests(&copy),
            [""; 0],
            "as long as the remote answers, nobody else is asked"
        );

        // The remote goes away; the mirror lags a commit behind what is applied.
        let two = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit("Two");
        team.applied("app", &two).await;
        first.set_mood(Mood::Unavailable);
        let behind = team
            .until("app", "the mirror to be refused", |found: &Repository| {
                message(found).contains("it is behind") || message(found).contains("It is behind")
            })
            .await;
        assert!(
            message(&behind).contains("503") && message(&behind).contains("stays in use"),
            "{}",
            message(&behind)
        );
        // It catches up, and goes on.
        mirror(&repo, &copy);
        let served = team
            .until("app", "the mirror to serve", |found: &Repository| {
                message(found).contains("Read from the fall-back")
            })
            .await;
        assert!(message(&served).contains(copy.url()), "{}", message(&served));
        let said = team.event("Repository", "app", "FellBack").await;
        assert!(said.contains(copy.url()), "{said}");
        let three = repo
            .write("app/map.yaml", objects::config_map("map", "three"))
            .commit_only("Three");
        mirror(&repo, &copy);
        team.applied("app", &three).await;

        // The remote is back.
        repo.push();
        first.set_mood(Mood::Serving);
        team.event("Repository", "app", "RemoteBack").await;
        let back = team
            .until("app", "the remote to be read again", |found: &Repository| {
                !message(found).is_empty() && !message(found).contains("Read from the fall-back")
            })
            .await;
        assert_eq!(back.status.unwrap().head.unwrap().commit, three);
    });
}

#[test]
fn the_remotes_password_is_not_sent_to_its_fallback() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("fallback-login");
        let home = tempfile::tempdir().unwrap();
        let first = GitServer::start(&home.path().join("first")).await;
        let second = GitServer::start(&home.path().join("second")).await;
        let (repo, copy) = (first.repository("app"), second.repository("app"));
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("One");
        mirror(&repo, &copy);
        // The mirror would take that very password.
        second.require_login("writer", "correct horse");
        first.set_mood(Mood::Unavailable);
        crate::notes::push_secret(&team);
        team.repository_with("app", &repo, |spec| {
            spec.secret_ref = Some(crds::LocalReference { name: "push".into() });
            spec.fallbacks = vec![Fallback {
                url: copy.url().to_owned(),
                secret_ref: None,
            }];
        })
        .await;
        let refused = team
            .until("app", "the mirror to ask for a login", |found: &Repository| {
                message(found).contains("asks for credentials")
            })
            .await;
        assert!(message(&refused).contains("503"), "{}", message(&refused));
        // With a Secret of its own it serves, from the beginning.
        let patch =
            serde_json::json!({"spec": {"fallbacks": [{"url": copy.url(), "secretRef": {"name": "push"}}]}});
        let repositories: kube::Api<Repository> = team.api();
        repositories
            .patch(
                "app",
                &kube::api::PatchParams::default(),
                &kube::api::Patch::Merge(patch),
            )
            .await
            .unwrap();
        team.fetched("app", &commit).await;
    });
}

#[test]
fn a_mirror_whose_secret_comes_later_is_asked() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("fallback-late");
        let home = tempfile::tempdir().unwrap();
        let first = GitServer::start(&home.path().join("first")).await;
        let second = GitServer::start(&home.path().join("second")).await;
        let (repo, copy) = (first.repository("app"), second.repository("app"));
        let one = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("One");
        second.require_login("writer", "correct horse");
        team.repository_with("app", &repo, |spec| {
            spec.fallbacks = vec![Fallback {
                url: copy.url().to_owned(),
                secret_ref: Some(crds::LocalReference { name: "push".into() }),
            }];
        })
        .await;
        team.fetched("app", &one).await;
        let two = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit_only("Two");
        mirror(&repo, &copy);
        first.set_mood(Mood::Unavailable);
        team.until("app", "the missing Secret to be named", |found: &Repository| {
            message(found).contains("503") && message(found).contains("A fall-back is left out: ")
        })
        .await;
        crate::notes::push_secret(&team);
        team.fetched("app", &two).await;
    });
}

#[test]
fn a_mirror_serves_submodules_that_lie_beside_it_and_those_of_the_remote_that_are_held() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("fallback-submodules");
        let home = tempfile::tempdir().unwrap();
        let first = GitServer::start(&home.path().join("first")).await;
        let second = GitServer::start(&home.path().join("second")).await;
        let (repo, copy) = (first.repository("app"), second.repository("app"));
        let (near, far) = (first.repository("near"), first.repository("far"));
        near.write("map.yaml", objects::config_map("near", "one"))
            .commit("One");
        far.write("map.yaml", objects::config_map("far", "one"))
            .commit("One");
        // By another name than the mirror has: only the remote's own host is allowed.
        let by_name = |url: &str| url.replace("127.0.0.1", "localhost");
        let name = |repo: &Repo| repo.bare().file_name().unwrap().to_str().unwrap().to_owned();
        let list =
            |path: &str, url: &str| format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
        let link = |path: &str, to: &Repo| {
            std::fs::create_dir_all(repo.work().join(path)).unwrap();
            let entry = format!("160000,{},{path}", to.head());
            repo.git(["update-index", "--add", "--cacheinfo", &entry]);
        };
        repo.write("app/map.yaml", objects::config_map("map", "one"))
            .write(
                ".gitmodules",
                list("app/near", &format!("../{}", name(&near))) + &list("app/far", &by_name(far.url())),
            );
        link("app/near", &near);
        link("app/far", &far);
        let one = repo.commit("One");
        mirror(&repo, &copy);
        team.repository_with("app", &repo, |spec| {
            spec.url = by_name(repo.url());
            spec.submodules = Some(crds::Submodules::default());
            spec.fallbacks = vec![Fallback {
                url: copy.url().to_owned(),
                secret_ref: None,
            }];
        })
        .await;
        team.sync("app", "app").await;
        team.applied("app", &one).await;

        // Everything of the remote is away. What was fetched is held.
        first.set_mood(Mood::Unavailable);
        let two = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit_only("Two");
        mirror(&repo, &copy);
        team.applied("app", &two).await;

        // What moves is looked for beside the mirror, which has it once it has it.
        near.write("map.yaml", objects::config_map("near", "two"))
            .commit_only("Two");
        link("app/near", &near);
        let three = repo.commit_only("Three");
        mirror(&repo, &copy);
        team.until("app", "the submodule to be missed", |found: &Repository| {
            message(found).contains("app/near")
        })
        .await;
        let copied = second.repository("near");
        mirror(&near, &copied);
        team.applied("app", &three).await;
    });
}

#[test]
fn a_mirror_that_lags_is_not_followed_after_a_restart_either() {
    run(async {
        let mut stage = Stage::own().await;
        let home = tempfile::tempdir().unwrap();
        let first = GitServer::start(&home.path().join("first")).await;
        let second = GitServer::start(&home.path().join("second")).await;
        let (repo, copy) = (first.repository("app"), second.repository("app"));
        let text = |value: &str| objects::config_map("map", value);
        let one = repo.write("app/map.yaml", text("one")).commit("One");
        mirror(&repo, &copy);
        let (space, two) = {
            let team = stage.space("fallback-restart");
            team.repository_with("app", &repo, |spec| {
                spec.fallbacks = vec![Fallback {
                    url: copy.url().to_owned(),
                    secret_ref: None,
                }];
            })
            .await;
            team.sync("app", "app").await;
            team.applied("app", &one).await;
            // What is applied has come from the mirror, and the remote never told of it.
            first.set_mood(Mood::Unavailable);
            let two = repo.write("app/map.yaml", text("two")).commit_only("Two");
            mirror(&repo, &copy);
            team.applied("app", &two).await;
            (team.keep(), two)
        };
        assert!(stage.controller.stop().success());
        // Meanwhile the mirror is put back from a copy of yesterday, and somebody edits the Repository.
        let mut back = git::git(repo.work());
        back.args(["push", "--quiet", "--force"])
            .arg(copy.bare())
            .arg(format!("{one}:refs/heads/main"));
        command::run(back, b"").ok();
        let repositories: kube::Api<Repository> = kube::Api::namespaced(stage.cluster.client(), &space);
        let patch = kube::api::Patch::Merge(serde_json::json!({"spec": {"timeout": "20s"}}));
        let params = kube::api::PatchParams::default();
        repositories.patch("app", &params, &patch).await.unwrap();
        stage.controller.start_again().await;
        let until = async |what: &str, seen: &(dyn Fn(&Repository) -> bool + std::marker::Sync)| {
            wait::until(
                &stage.cluster,
                repositories.clone(),
                "app",
                what,
                |found: &Repository| seen(found),
            )
            .await
        };
        let refused = until("the mirror to be refused", &|found| {
            message(found).contains("t is behind")
        })
        .await;
        assert_eq!(refused.status.unwrap().head.unwrap().commit, two);
        let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
            kube::Api::namespaced(stage.cluster.client(), &space);
        let map = maps.get("map").await.unwrap();
        assert!(
            serde_json::to_string(&map).unwrap().contains("two"),
            "it went backwards"
        );
        mirror(&repo, &copy);
        until("the mirror to serve", &|found| {
            message(found).contains("Read from the fall-back")
        })
        .await;
    });
}
