//! What is in a rotation's way: it is named, the rest goes on, and the old keys stay until it is gone.

use crds::{KeyRotation, RotationPhase, RotationStep};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::git::Mood;
use tests::{GitServer, Stage, http, objects, run};

use crate::native::published;
use crate::rotation_world::{
    HOME, ask, backup, begin, begin_on, commits, gone, keys, opened, phase, pull, rotate, said, stay, step,
    target, to, until, versions, write,
};

#[test]
fn without_a_right_to_push_a_person_runs_the_command_and_a_second_rotation_waits() {
    run(async {
        let stage = Stage::own().await;
        let (team, repo) = begin(&stage, "by-hand", 2).await;
        let old = keys(&stage).await;
        let before = versions(&team).await;
        rotate(&stage, "first", &json!({}));
        let rotation = phase(&stage, "first", RotationPhase::AwaitingCommit).await;
        let status = rotation.status.as_ref().unwrap();
        let shown = &status.repositories[0].command;
        assert!(
            shown.starts_with("signet reseal --from-key <(kubectl -n signet-system get secret "),
            "{shown}"
        );
        for (id, secret) in old.ids.iter().zip(&old.secrets) {
            let name = secret.metadata.name.as_deref().unwrap();
            assert!(
                shown.contains(&format!(" --leaving {id}")) && shown.contains(name),
                "{shown}"
            );
        }
        assert!(
            shown.ends_with(&format!(" --namespace {}", team.name())),
            "{shown}"
        );
        stay(&stage, &old).await;

        // A second one waits, and says for which.
        rotate(&stage, "second", &json!({"algorithm": {"v2": "MLKEM768X25519"}}));
        let second = phase(&stage, "second", RotationPhase::Waiting).await;
        assert!(
            said(&second, "Ready").contains("first"),
            "{}",
            said(&second, "Ready")
        );
        assert!(second.status.as_ref().unwrap().new_keys.is_empty());

        // What the status shows, run in the clone: a file in the place of the shell's <(…).
        let file = backup(&stage, &old, "old.json");
        let reseal = async |old: &[String], file: &std::path::Path| {
            let pem = stage.cluster.home().join("to.pem");
            let certificate = http::get(&stage.controller.certificate_url()).await.unwrap().body;
            std::fs::write(&pem, certificate).unwrap();
            let mut signet = tests::command::signet(stage.cluster.kubeconfig());
            signet
                .current_dir(repo.work())
                .arg("reseal")
                .arg("--from-key")
                .arg(file)
                .args(["--namespace", team.name()]);
            for id in old {
                signet.args(["--leaving", id]);
            }
            signet.arg("--to").arg(&pem);
            for recipient in to(&published(&stage).await) {
                signet.args(["--to", &recipient]);
            }
            tests::command::run(signet, b"").ok();
        };
        reseal(&old.ids, &file).await;
        let last = repo.head();
        let by_hand = repo.commit("Seal again by hand");
        let first = phase(&stage, "first", RotationPhase::Complete).await;
        // What goes back behind a person's own commit is named as well.
        let range = format!("{}..{}", &last[..12], &by_hand[..12]);
        assert!(
            said(&first, "Retired").contains(&range),
            "{}",
            said(&first, "Retired")
        );
        gone(&stage, &old).await;
        assert!(commits(&repo, "main").is_empty());
        assert_eq!(before, versions(&team).await);

        // Then the second one goes on: of format v2 only.
        let second = phase(&stage, "second", RotationPhase::AwaitingCommit).await;
        let status = second.status.as_ref().unwrap();
        assert!(
            status.new_keys.len() == 1 && status.old_keys.len() == 1,
            "{status:#?}"
        );
        let now = keys(&stage).await;
        let leaving: Vec<_> = status.old_keys.iter().map(|key| key.id.clone()).collect();
        let file = backup(&stage, &now, "now.json");
        reseal(&leaving, &file).await;
        repo.commit("And again");
        phase(&stage, "second", RotationPhase::Complete).await;
        assert_eq!(opened(&repo, team.name(), &keys(&stage).await), (6, 6));
        assert_eq!(before, versions(&team).await);
    });
}

#[test]
fn what_cannot_be_opened_pushed_to_or_reached_is_named_and_the_rest_goes_on() {
    run(async {
        let stage = Stage::own().await;
        let (good, good_repo) = begin(&stage, "trouble-good", 1).await;
        let (read_only, read_only_repo) = begin(&stage, "trouble-read-only", 1).await;
        let far = GitServer::start(&stage.cluster.home().join("far")).await;
        let (away, _away_repo) = begin_on(&stage, &far, "trouble-away").await;
        let old = keys(&stage).await;

        far.set_mood(Mood::Unavailable);
        let mut config = tests::git::git(read_only_repo.bare());
        config.args(["config", "http.receivepack", "false"]);
        tests::command::run(config, b"").ok();
        // A value of no key: the file's other values are sealed again.
        let broken = objects::secret(good.name(), "broken", &[("a", "b")]);
        let broken = stage.seal(&broken).replace("\"broken\"", "\"moved\"");
        good_repo.write("app/broken.yaml", broken);
        let commit = good_repo.commit("A value that does not open");
        good.failed("app", &commit).await;

        let reseal: Vec<_> = [&good, &read_only, &away]
            .map(|team| target(&stage, team.name(), "app"))
            .into();
        rotate(&stage, "spring", &json!({"reseal": reseal}));
        let rotation = until(&stage, "spring", "to have named all three", |rotation| {
            let status = rotation.status.as_ref().unwrap();
            step(rotation, good.name()) == Some(RotationStep::Blocked)
                && step(rotation, read_only.name()) == Some(RotationStep::AwaitingCommit)
                && step(rotation, away.name()) == Some(RotationStep::Unknown)
                && status.blocked == 2
        })
        .await;
        let status = rotation.status.as_ref().unwrap();
        assert_eq!(commits(&good_repo, "main").len(), 1, "the rest goes on");
        assert_eq!(
            status.blockers[0].object,
            format!("{}/moved key a", good.name()),
            "{:#?}",
            status.blockers
        );
        assert!(status.blockers[0].place.contains("app/broken.yaml document 1"));
        // A Sync that fails goes by the commit before.
        assert_eq!(status.blockers[1].place, format!("Sync {}/app", good.name()));
        let of = |namespace: &str| {
            status
                .repositories
                .iter()
                .find(|one| one.namespace == namespace)
                .unwrap()
        };
        assert!(
            of(away.name()).message.contains("cannot be followed"),
            "{:#?}",
            of(away.name())
        );
        assert!(
            of(read_only.name()).message.contains("cannot be pushed to"),
            "{:#?}",
            of(read_only.name())
        );
        assert!(of(read_only.name()).command.starts_with("signet reseal"));
        stay(&stage, &old).await;

        // One after the other is mended.
        far.set_mood(Mood::Serving);
        until(
            &stage,
            "spring",
            "to have reached the one that was away",
            |rotation| step(rotation, away.name()) == Some(RotationStep::Clean),
        )
        .await;
        let mut config = tests::git::git(read_only_repo.bare());
        config.args(["config", "http.receivepack", "true"]);
        tests::command::run(config, b"").ok();
        ask(&stage, "spring", "again").await;
        until(&stage, "spring", "to have pushed", |rotation| {
            step(rotation, read_only.name()) == Some(RotationStep::Clean)
        })
        .await;
        phase(&stage, "spring", RotationPhase::Applying).await;
        stay(&stage, &old).await;
        pull(&good_repo);
        let commit = good_repo.remove("app/broken.yaml").commit("Without it");
        good.applied("app", &commit).await;
        phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
    });
}

#[test]
fn a_commit_that_is_taken_back_is_not_pushed_again_and_still_opens() {
    run(async {
        let stage = Stage::own().await;
        let (team, repo) = begin(&stage, "taken-back", 2).await;
        let old = keys(&stage).await;
        let before = versions(&team).await;
        let reseal = [target(&stage, team.name(), "app")];
        rotate(
            &stage,
            "spring",
            &json!({"reseal": reseal, "retire": {"then": "Destroy", "grace": "1s", "when": "Confirmed"}}),
        );
        let rotation = phase(&stage, "spring", RotationPhase::AwaitingConfirmation).await;
        for id in &old.ids {
            assert!(
                said(&rotation, "Ready").contains(id.as_str()),
                "{}",
                said(&rotation, "Ready")
            );
        }
        pull(&repo);
        let reverted = repo.revert();
        let rotation = until(&stage, "spring", "to say that it was taken back", |rotation| {
            step(rotation, team.name()) == Some(RotationStep::RolledBack)
        })
        .await;
        assert!(rotation.status.as_ref().unwrap().unused_since.is_none());
        // The old keys open what is there again.
        team.applied("app", &reverted).await;
        assert_eq!(opened(&repo, team.name(), &old), (6, 6));
        assert_eq!(before, versions(&team).await);
        assert_eq!(
            commits(&repo, "main").len(),
            1,
            "it is not pushed again by itself"
        );

        ask(&stage, "spring", "once more").await;
        phase(&stage, "spring", RotationPhase::AwaitingConfirmation).await;
        assert_eq!(commits(&repo, "main").len(), 2);
        let api: Api<KeyRotation> = Api::namespaced(stage.cluster.client(), HOME);
        let patch = json!({"spec": {"retire": {"confirmed": old.ids}}});
        api.patch("spring", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        let rotation = phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
        assert_eq!(before, versions(&team).await);
        // What was reverted to does not open any more, and that is said.
        let ours = commits(&repo, "main");
        assert!(
            said(&rotation, "Ready").contains(&ours[0][..12]),
            "{}",
            said(&rotation, "Ready")
        );
    });
}

#[test]
fn what_was_asked_for_is_done_in_each_repository_for_itself() {
    run(async {
        let stage = Stage::own().await;
        let (team, repo) = begin(&stage, "asked-done", 1).await;
        let (stuck, stuck_repo) = begin(&stage, "asked-stuck", 1).await;
        let old = keys(&stage).await;
        let mut unsigned = target(&stage, stuck.name(), "app");
        unsigned["signingSecretRef"] = json!({"name": "not-there"});
        let reseal = [target(&stage, team.name(), "app"), unsigned];
        rotate(&stage, "spring", &json!({"reseal": reseal}));
        let of = |rotation: &KeyRotation, namespace: &str| {
            let all = &rotation.status.as_ref().unwrap().repositories;
            all.iter().find(|one| one.namespace == namespace).unwrap().clone()
        };
        until(&stage, "spring", "to have pushed to one", |rotation| {
            step(rotation, team.name()) == Some(RotationStep::Clean)
        })
        .await;
        ask(&stage, "spring", "go on").await;
        let rotation = until(&stage, "spring", "to have gone on there", |rotation| {
            of(rotation, team.name()).last_handled_request == "go on"
        })
        .await;
        assert_eq!(of(&rotation, stuck.name()).last_handled_request, "");
        pull(&repo);
        repo.revert();
        until(&stage, "spring", "to say that it was taken back", |rotation| {
            step(rotation, team.name()) == Some(RotationStep::RolledBack)
        })
        .await;
        assert_eq!(
            (commits(&repo, "main").len(), commits(&stuck_repo, "main").len()),
            (1, 0)
        );
        stay(&stage, &old).await;
    });
}

#[test]
fn a_branch_of_its_own_waits_to_be_merged() {
    run(async {
        let stage = Stage::own().await;
        let (team, repo) = begin(&stage, "own-branch", 2).await;
        let old = keys(&stage).await;
        let mut reseal = target(&stage, team.name(), "app");
        reseal["branch"] = "signet/rotation".into();
        rotate(&stage, "spring", &json!({"reseal": [reseal]}));
        phase(&stage, "spring", RotationPhase::AwaitingMerge).await;
        assert!(commits(&repo, "main").is_empty());
        assert_eq!(commits(&repo, "signet/rotation").len(), 1);
        // Another commit beside it changes nothing about that.
        repo.write("notes.txt", "one").commit("A note");
        // One that changes the same file does: the branch could not be merged any more.
        write(&stage, &repo, team.name(), 0).await;
        let before = repo.commit("Sealed anew, for the old key's certificate is not asked for any more");
        team.applied("app", &before).await;
        stay(&stage, &old).await;
        repo.git(["fetch", "--quiet", "origin"]);
        repo.git([
            "merge",
            "--quiet",
            "--no-edit",
            "--strategy-option=ours",
            "origin/signet/rotation",
        ]);
        repo.push();
        phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
        assert_eq!(opened(&repo, team.name(), &keys(&stage).await), (6, 6));
    });
}

#[test]
fn what_is_pinned_to_a_commit_or_follows_a_tag_holds_the_old_keys() {
    run(async {
        let stage = Stage::own().await;
        let (team, repo) = begin(&stage, "fixed", 1).await;
        let first = repo.head();
        repo.git(["tag", "v1.0.0"]);
        repo.git(["push", "--quiet", "origin", "v1.0.0"]);
        let tagged = stage.space("fixed-tag");
        let tagged_repo = stage.git.repository(tagged.name());
        write(&stage, &tagged_repo, tagged.name(), 0).await;
        let commit = tagged_repo.commit("Begin");
        tagged_repo.git(["tag", "v1"]);
        tagged_repo.git(["push", "--quiet", "origin", "v1"]);
        tagged
            .repository_with("app", &tagged_repo, |spec| {
                spec.reference = serde_json::from_value(json!({"tag": "v1"})).unwrap();
            })
            .await;
        tagged.sync("app", "app").await;
        tagged.applied("app", &commit).await;
        let pin = json!({"spec": {"pin": {"commit": first, "until": "2099-01-01T00:00:00Z"}}});
        team.api::<crds::Sync>()
            .patch("app", &PatchParams::default(), &Patch::Merge(pin))
            .await
            .unwrap();
        let old = keys(&stage).await;
        let reseal = [
            target(&stage, team.name(), "app"),
            target(&stage, tagged.name(), "app"),
        ];
        rotate(&stage, "spring", &json!({"reseal": reseal}));
        let rotation = until(&stage, "spring", "to name both", |rotation| {
            let status = rotation.status.as_ref().unwrap();
            status.blocked == 3 && step(rotation, team.name()) == Some(RotationStep::Clean)
        })
        .await;
        let blockers = serde_json::to_string(&rotation.status.as_ref().unwrap().blockers).unwrap();
        assert!(
            blockers.contains("v1@") && blockers.contains(&format!("Sync {}/app", team.name())),
            "{blockers}"
        );
        stay(&stage, &old).await;

        // A newer tag, and no pin.
        for number in 0..1 {
            write(&stage, &tagged_repo, tagged.name(), number).await;
        }
        tagged_repo.commit("Sealed for the new key");
        tagged_repo.git(["tag", "v2"]);
        tagged_repo.git(["push", "--quiet", "origin", "v2"]);
        let follow = json!({"spec": {"ref": {"tag": "v2"}}});
        tagged
            .api::<crds::Repository>()
            .patch("app", &PatchParams::default(), &Patch::Merge(follow))
            .await
            .unwrap();
        let unpin = json!({"spec": {"pin": null}});
        team.api::<crds::Sync>()
            .patch("app", &PatchParams::default(), &Patch::Merge(unpin))
            .await
            .unwrap();
        phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
    });
}

#[test]
fn objects_of_the_cluster_are_sealed_again_where_they_are() {
    run(async {
        let stage = Stage::own_drop_in().await;
        let team = stage.space("objects");
        let mut wanted = Vec::new();
        for (name, sealed) in [
            (
                "by-kubectl",
                stage.seal(&objects::secret(
                    team.name(),
                    "by-kubectl",
                    &[("a", "one"), ("b", "two")],
                )),
            ),
            (
                "native",
                crate::native::seal(
                    &objects::secret(team.name(), "native", &[("a", "three")]),
                    &published(&stage).await,
                    sealing::Scope::Strict,
                )
                .to_string(),
            ),
        ] {
            stage.cluster.kubectl_with(["create", "-f", "-"], &sealed).ok();
            team.until(name, "to be opened", |secret: &Secret| secret.data.is_some())
                .await;
            wanted.push(name);
        }
        let (before, old) = (versions(&team).await, keys(&stage).await);
        rotate(&stage, "spring", &json!({}));
        let rotation = phase(&stage, "spring", RotationPhase::Complete).await;
        let count = rotation.status.as_ref().unwrap().objects.unwrap();
        assert_eq!((count.total, count.resealed, count.left), (2, 2, 0));
        gone(&stage, &old).await;
        assert_eq!(before, versions(&team).await, "no Secret was written");
        // They open: deleted, the Secrets come back.
        for name in wanted {
            team.kubectl(["delete", "secret", name]).ok();
            team.until(name, "to be made again", |secret: &Secret| secret.data.is_some())
                .await;
        }
    });
}
