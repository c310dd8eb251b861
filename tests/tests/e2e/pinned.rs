//! A Sync that is pinned to an earlier commit for a while.

use std::path::Path;

use crds::{Condition, Sync};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::command::Answer;
use tests::{command, objects, run};

use crate::world::{World, status};

fn pinned(sync: &Sync) -> Option<&Condition> {
    let conditions = &sync.status.as_ref()?.conditions;
    conditions.iter().find(|known| known.type_ == "Pinned")
}

fn signet(kubeconfig: &Path, dir: &Path, arguments: &[&str]) -> Answer {
    let mut signet = command::signet(kubeconfig);
    signet.current_dir(dir).args(arguments);
    command::run(signet, b"")
}

#[test]
fn an_earlier_commit_is_applied_until_the_pin_is_taken_away() {
    run(async {
        let world = World::begin("pinned").await;
        let (team, kubeconfig) = (&world.team, world.team.kubeconfig().await);
        let first = world.maps(&[("a", "one"), ("keep", "one")]);
        team.sync("app", "app").await;
        team.applied("app", &first).await;
        // Far enough away that the store, which holds one commit, has to fetch it.
        for value in ["two", "three", "four"] {
            world.maps(&[("a", value)]);
        }
        let newest = world.maps(&[("a", "five"), ("new", "one")]);
        team.applied("app", &newest).await;

        let elsewhere = tempfile::tempdir().unwrap();
        let pin = [
            "rollback",
            "app",
            "--pin",
            "--for=2h",
            "--reason=incident 4711",
            "-o=json",
            "--to",
            &first,
        ];
        let said = signet(&kubeconfig, elsewhere.path(), &pin);
        let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said}"));
        assert_eq!(json["pin"]["commit"], first, "{said}");
        assert!(said.stderr.contains("Pinned"), "{said}");
        let sync = team.applied("app", &first).await;
        world.value("a", "one").await;
        let condition = pinned(&sync).expect("it says so");
        assert!(
            condition
                .message
                .starts_with(&format!("Pinned to {} until ", &first[..12]))
                && condition.message.ends_with(": incident 4711."),
            "{condition:?}"
        );
        assert!(status(&sync).revision.ends_with(&first[..12]), "{sync:#?}");
        world.told("Pinned", &[&first[..12], "incident 4711"]).await;
        // What came after it is pruned.
        team.gone::<k8s_openapi::api::core::v1::ConfigMap>("new").await;
        let shown = signet(&kubeconfig, elsewhere.path(), &["status", "app"]).ok();
        assert!(shown.contains("Pinned to"), "{shown}");

        // The branch moves on, and nothing happens; drift is put back to what is pinned.
        let later = world.maps(&[("a", "six")]);
        team.fetched("app", &later).await;
        world.stays(&[("a", Some("one")), ("new", None)]).await;
        world
            .edit("jana", "a", json!({"data": {"value": "edited"}}))
            .await;
        world.value("a", "one").await;
        let waits = signet(
            &kubeconfig,
            world.repo.work(),
            &["wait", "app", "--revision=HEAD", "--timeout=30s"],
        );
        assert!(waits.code != 0 && waits.stderr.contains("Pinned to"), "{waits}");

        signet(&kubeconfig, elsewhere.path(), &["rollback", "app", "--unpin"]).ok();
        let sync = team.applied("app", &later).await;
        world.value("a", "six").await;
        world.value("new", "one").await;
        assert!(pinned(&sync).is_none() && sync.spec.pin.is_none(), "{sync:#?}");
        world.told("PinEnded", &["newest commit"]).await;

        // In the clone, without --to: the commit before.
        signet(
            &kubeconfig,
            world.repo.work(),
            &["rollback", "app", "--pin", "--for=2h"],
        )
        .ok();
        team.applied("app", &newest).await;
        world.value("a", "five").await;
    });
}

#[test]
fn a_pin_ends_by_itself() {
    run(async {
        let world = World::begin("pin-ends").await;
        let first = world.maps(&[("a", "one")]);
        let team = &world.team;
        team.sync("app", "app").await;
        team.applied("app", &first).await;
        let second = world.maps(&[("a", "two")]);
        team.applied("app", &second).await;
        let until = Timestamp::now() + SignedDuration::from_secs(15);
        world
            .set(
                "app",
                json!({"pin": {"commit": first, "until": until.to_string()}}),
            )
            .await;
        world.value("a", "one").await;
        // No commit, and nobody who asks: the time does it.
        let sync = team.applied("app", &second).await;
        world.value("a", "two").await;
        assert!(pinned(&sync).is_none(), "{sync:#?}");
        assert!(Timestamp::now() >= until, "it ended too early");
        world.told("PinEnded", &[]).await;

        // One that is over from the start is none.
        world
            .set(
                "app",
                json!({"pin": {"commit": first, "until": "2020-01-01T00:00:00Z"}}),
            )
            .await;
        world.until("app", "Applied", |_| true).await;
        world.stays(&[("a", Some("two"))]).await;
    });
}

#[test]
fn a_commit_that_is_not_the_branchs_is_refused_and_nothing_moves() {
    run(async {
        let world = World::begin("pin-foreign").await;
        let team = &world.team;
        let first = world.maps(&[("a", "one")]);
        // As somebody's pull request has it: the host serves it, and the branch does not hold it.
        world.repo.git(["checkout", "-q", "-b", "other"]);
        world.repo.write("app/a.yaml", objects::config_map("a", "evil"));
        let foreign = world.repo.commit_only("Not reviewed");
        world.repo.git(["push", "-q", "origin", "other"]);
        world.repo.git(["checkout", "-q", "main"]);
        team.sync("app", "app").await;
        team.applied("app", &first).await;

        let until = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
        for commit in [&foreign, &"a".repeat(40)] {
            world
                .set("app", json!({"pin": {"commit": commit, "until": until}}))
                .await;
            let sync = world.says("app", "PinUnavailable").await;
            let message = objects::message(&sync, "Ready");
            assert!(
                message.contains(&commit[..12]) && message.contains("is not among the last 500 commits"),
                "{message}"
            );
        }
        world.stays(&[("a", Some("one"))]).await;
        world.set("app", json!({"pin": null})).await;
        world.says("app", "Applied").await;
    });
}
