//! When something may be applied: windows, and Syncs that come after others.

use std::time::{Duration, Instant, SystemTime};

use crds::{Dependency, Sync, Window, WindowKind};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{objects, run, wait};

use crate::order_world;
use crate::world::{A_WHILE, World, plan, status};

/// A window that began a few minutes ago.
pub(crate) fn deny_now() -> Window {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let began = now.as_secs() / 60 - 3;
    Window {
        kind: WindowKind::Deny,
        schedule: format!("{} {} * * *", began % 60, began / 60 % 24),
        duration: "1h".into(),
        time_zone: String::new(),
    }
}

#[test]
fn inside_of_a_deny_nothing_is_written_and_it_goes_on_afterwards() {
    run(async {
        let world = World::begin("window").await;
        world.applied(&[("a", "one"), ("b", "one")], |_| {}).await;
        world.set("app", json!({"windows": [deny_now()]})).await;
        let second = world.maps(&[("a", "two")]);
        let mark = world.mark();
        let sync = world.says("app", "WindowClosed").await;
        let message = objects::message(&sync, "Ready");
        assert!(
            message.contains("inside the window Deny") && message.contains("at the earliest until"),
            "{message}"
        );
        assert_eq!(plan(&sync).update, 1, "{sync:#?}");
        world
            .edit("acme", "b", json!({"data": {"value": "edited"}}))
            .await;
        let sync = world
            .until("app", "WindowClosed", |status| status.drift.len() == 1)
            .await;
        let drift = &status(&sync).drift[0];
        assert_eq!(
            (drift.manager.as_str(), drift.change.as_str()),
            ("acme", "Changed")
        );
        assert!(drift.message.contains("window"), "{drift:#?}");
        world.stays(&[("a", Some("one")), ("b", Some("edited"))]).await;
        let writes = world.writes(mark);
        assert!(writes.is_empty(), "{writes:#?}");

        world.set("app", json!({"windows": []})).await;
        let sync = world.team.applied("app", &second).await;
        world.value("a", "two").await;
        world.value("b", "one").await;
        assert!(status(&sync).plan.is_none(), "{sync:#?}");
        world
            .until("app", "Applied", |status| status.drift.is_empty())
            .await;
    });
}

#[test]
fn drift_alone_is_held_back_by_a_window_too() {
    run(async {
        let world = World::begin("window-drift").await;
        world
            .applied(&[("a", "one")], |spec| spec.drift_timeout = "1s".into())
            .await;
        world.set("app", json!({"windows": [deny_now()]})).await;
        world
            .team
            .until("app", "the change to be seen", |sync: &Sync| {
                sync.status
                    .as_ref()
                    .is_some_and(|status| Some(status.observed_generation) == sync.metadata.generation)
            })
            .await;
        world.team.kubectl(["delete", "configmap", "a"]).ok();
        let sync = world
            .until("app", "WindowClosed", |status| status.drift.len() == 1)
            .await;
        assert_eq!(status(&sync).drift[0].change, "Deleted");
        world.stays(&[("a", None)]).await;
        world
            .team
            .until("app", "the drift to count as unresolved", |sync: &Sync| {
                objects::is(sync, "DriftUnresolved", "True")
            })
            .await;
        world.set("app", json!({"windows": []})).await;
        world.value("a", "one").await;
        world
            .team
            .until("app", "the drift to be resolved", |sync: &Sync| {
                objects::message(sync, "DriftUnresolved").is_empty() && objects::is(sync, "Ready", "True")
            })
            .await;
    });
}

/// Where nothing is left to be applied, a gate holds hooks back all the same, as long as their operation is not over.
#[test]
fn a_hook_that_is_still_to_come_waits_for_the_window() {
    run(async {
        let (team, repo) = order_world::begin("window-hook").await;
        let start = team.stage().cluster.audit().mark();
        repo.write("app/a.yaml", order_world::gated("a", &[])).write(
            "app/post.yaml",
            order_world::job("post", true, &[("signet.dev/hook", "Post")]),
        );
        let commit = repo.commit("Begin");
        team.sync_with("app", "app", order_world::gates).await;
        team.until("app", "the map to be waited for", |sync: &Sync| {
            order_world::reason(sync, "Ready") == "Progressing"
        })
        .await;
        let set = |windows: serde_json::Value| {
            let patch = Patch::Merge(json!({"spec": {"windows": windows}}));
            let syncs = team.api::<Sync>();
            async move { syncs.patch("app", &PatchParams::default(), &patch).await.unwrap() }
        };
        set(json!([deny_now()])).await;
        let closed = |sync: &Sync| order_world::reason(sync, "Ready") == "WindowClosed";
        team.until("app", "the window to be closed", closed).await;
        order_world::tell(&team, "a", "good").await;
        wait::throughout(A_WHILE, || async {
            let made = order_world::jobs_made(&team, start);
            if made.is_empty() {
                Ok(())
            } else {
                Err(format!("{made:?}"))
            }
        })
        .await;
        let sync: Sync = team.api().get("app").await.unwrap();
        assert!(closed(&sync), "{sync:#?}");
        set(json!([])).await;
        order_world::end(&team, "post", "Succeeded").await;
        team.applied("app", &commit).await;
        // What is over is not begun anew, and a closed window is no matter then.
        set(json!([deny_now()])).await;
        team.until("app", "the new spec to be seen", |sync: &Sync| {
            Some(order_world::status(sync).observed_generation) == sync.metadata.generation
        })
        .await;
        assert_eq!(order_world::jobs_made(&team, start), ["post"]);
    });
}

#[test]
fn a_window_that_cannot_be_read_stalls_the_sync() {
    run(async {
        let world = World::begin("window-bad").await;
        world.maps(&[("a", "one")]);
        world
            .team
            .sync_with("app", "app", |spec| {
                spec.windows = vec![Window {
                    schedule: "61 * * * *".into(),
                    ..deny_now()
                }];
            })
            .await;
        let sync = world.says("app", "InvalidSpec").await;
        assert!(objects::is(&sync, "Stalled", "True"), "{sync:#?}");
        let message = objects::message(&sync, "Ready");
        assert!(message.contains("spec.windows[0].schedule"), "{message}");
        world.stays(&[("a", None)]).await;
        world.set("app", json!({"windows": []})).await;
        world.value("a", "one").await;
        world.says("app", "Applied").await;
    });
}

fn after(names: &[&str]) -> Vec<Dependency> {
    names
        .iter()
        .map(|name| Dependency { name: (*name).into() })
        .collect()
}

#[test]
fn a_sync_waits_for_those_before_it_and_goes_on_when_they_are_ready() {
    run(async {
        let world = World::begin("after").await;
        let (team, repo) = (&world.team, &world.repo);
        let broken = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {value: [1]}\n";
        repo.write("a/a.yaml", broken)
            .write("b/b.yaml", objects::config_map("b", "one"))
            .commit("Begin badly");
        team.sync_with("second", "b", |spec| spec.depends_on = after(&["first"]))
            .await;
        let sync = world.says("second", "DependencyNotReady").await;
        let missing = format!("There is no Sync first in namespace {}.", team.name());
        assert_eq!(objects::message(&sync, "Ready"), missing);

        team.sync_with("first", "a", |spec| spec.source_ref.name = "nowhere".into())
            .await;
        let not_ready = |message: &'static str| move |sync: &Sync| objects::message(sync, "Ready") == message;
        team.until(
            "second",
            "it to know of the other",
            not_ready("Sync first is not ready."),
        )
        .await;
        world.set("first", json!({"sourceRef": {"name": "app"}})).await;
        world.says("first", "ApplyFailed").await;
        world.stays(&[("b", None)]).await;

        repo.write("a/a.yaml", objects::config_map("a", "one"))
            .commit("Mend it");
        team.until("first", "the first to be ready", |sync: &Sync| {
            objects::is(sync, "Ready", "True")
        })
        .await;
        let ready = Instant::now();
        world.value("b", "one").await;
        eprintln!("the second follows after {} ms", ready.elapsed().as_millis());
        assert!(ready.elapsed() < Duration::from_secs(5));
        world.says("second", "Applied").await;

        // One commit that changes both goes through in order.
        let mark = world.mark();
        let both = repo
            .write("a/a.yaml", objects::config_map("a", "two"))
            .write("b/b.yaml", objects::config_map("b", "two"))
            .commit("Change both");
        team.applied("second", &both).await;
        team.applied("first", &both).await;
        let order: Vec<_> = world
            .writes(mark)
            .into_iter()
            .filter(|request| request.resource == "configmaps")
            .map(|request| request.name)
            .collect();
        assert_eq!(order, ["a", "b"]);

        // One that changes the second alone does not have to wait for long.
        let alone = repo
            .write("b/b.yaml", objects::config_map("b", "three"))
            .commit("Change the second");
        team.applied("second", &alone).await;
    });
}

#[test]
fn circles_are_named() {
    run(async {
        let world = World::begin("circle").await;
        world.maps(&[("a", "one")]);
        let (team, path) = (&world.team, "app");
        for (name, other) in [("x", "y"), ("y", "z"), ("z", "x"), ("own", "own"), ("led", "x")] {
            team.sync_with(name, path, |spec| spec.depends_on = after(&[other]))
                .await;
        }
        for (name, words) in [
            ("x", "x \u{2192} y \u{2192} z \u{2192} x"),
            ("z", "z \u{2192} x \u{2192} y \u{2192} z"),
        ] {
            team.until(name, "the circle to be named", |sync: &Sync| {
                let message = objects::message(sync, "Ready");
                message.contains(words) && message.contains("spec.dependsOn")
            })
            .await;
        }
        team.until("own", "itself to be named", |sync: &Sync| {
            objects::message(sync, "Ready").contains("depends on itself")
        })
        .await;
        team.until("led", "what it waits for", |sync: &Sync| {
            objects::message(sync, "Ready") == "Sync x is not ready."
        })
        .await;
        world.stays(&[("a", None)]).await;
        world.set("x", json!({"dependsOn": []})).await;
        world.value("a", "one").await;
        world.says("x", "Applied").await;
    });
}

#[test]
fn a_sync_that_only_detects_counts_once_nothing_differs() {
    run(async {
        let world = World::begin("after-detect").await;
        let (team, repo) = (&world.team, &world.repo);
        repo.write("b/b.yaml", objects::config_map("b", "one"));
        world.applied(&[("a", "one")], |_| {}).await;
        world.set("app", json!({"mode": "Detect"})).await;
        world.says("app", "Same").await;
        team.sync_with("second", "b", |spec| spec.depends_on = after(&["app"]))
            .await;
        world.value("b", "one").await;
        let commit = repo
            .write("app/a.yaml", objects::config_map("a", "two"))
            .write("b/b.yaml", objects::config_map("b", "two"))
            .commit("Change both");
        team.fetched("app", &commit).await;
        world.says("app", "Differs").await;
        world.says("second", "DependencyNotReady").await;
        world.stays(&[("b", Some("one"))]).await;
    });
}
