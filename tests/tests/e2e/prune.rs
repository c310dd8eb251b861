//! What is deleted, and above all what is not.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::ListParams;
use tests::fault_proxy::Fault;
use tests::{Space, Stage, objects, run, wait};

use crate::faults::behind_faults;
use crate::world::{World, plan};

/// Long enough for a Repository that is asked every second to be read and acted upon more than once.
const A_WHILE: Duration = Duration::from_secs(4);

#[test]
fn an_emptied_path_is_pruned_only_where_that_is_allowed() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("emptied");
        let repo = stage.git.repository(team.name());
        for path in ["careful", "allowed"] {
            repo.write(&format!("{path}/a.yaml"), objects::config_map(path, "one"));
        }
        let first = repo.commit("Begin");
        team.repository("app", &repo).await;
        team.sync("careful", "careful").await;
        team.sync_with("allowed", "allowed", |spec| spec.prune.allow_empty = true)
            .await;
        team.applied("careful", &first).await;
        team.applied("allowed", &first).await;

        for path in ["careful", "allowed"] {
            repo.remove(&format!("{path}/a.yaml"));
            repo.write(&format!("{path}/README.md"), "nothing here any more\n");
        }
        let second = repo.commit("Empty both");
        team.applied("allowed", &second).await;
        team.gone::<ConfigMap>("allowed").await;
        let sync = team.failed("careful", &second).await;
        let failures = &sync.status.as_ref().unwrap().failures;
        let says_what_to_do = failures.iter().any(|failure| failure.hint.contains("allowEmpty"));
        assert!(says_what_to_do, "{failures:#?}");
        lasts(&team, "careful").await;

        // Saying so afterwards is enough.
        team.kubectl([
            "patch",
            "sync",
            "careful",
            "--type=merge",
            "--patch",
            r#"{"spec":{"prune":{"allowEmpty":true}}}"#,
        ])
        .ok();
        team.gone::<ConfigMap>("careful").await;
        team.applied("careful", &second).await;
    });
}

/// What is frozen is no part of what would be deleted: the rest is not "half of the Sync" for that.
#[test]
fn an_emptied_path_keeps_everything_while_something_is_frozen() {
    run(async {
        let world = World::begin("emptied-frozen").await;
        world.applied(&[("a", "one"), ("b", "one")], |_| {}).await;
        world
            .team
            .kubectl(["annotate", "configmap", "b", "signet.dev/reconcile=disabled"])
            .ok();
        world
            .team
            .until("app", "the frozen one to be seen", |sync: &crds::Sync| {
                sync.status
                    .as_ref()
                    .is_some_and(|status| status.frozen.len() == 1)
            })
            .await;
        world.drop_maps(&["a", "b"]);
        let sync = world.says("app", "PruneRefused").await;
        let message = objects::message(&sync, "Ready");
        assert!(message.contains("All 2 objects left Git"), "{message}");
        world.stays(&[("a", Some("one")), ("b", Some("one"))]).await;
    });
}

/// What somebody froze may stay for ever: what came after it left Git is a part of the Sync like any other.
#[test]
fn what_is_frozen_and_left_makes_nobody_ask_for_what_comes_later() {
    run(async {
        let world = World::begin("leftover-frozen").await;
        world.applied(&[("a", "one"), ("b", "one")], |_| {}).await;
        let frozen = serde_json::json!({"metadata": {"annotations": {"signet.dev/reconcile": "disabled"}}});
        world.edit("somebody", "a", frozen).await;
        world
            .team
            .until("app", "the frozen one to be seen", |sync: &crds::Sync| {
                let status = sync.status.as_ref();
                status.is_some_and(|status| status.frozen.len() == 1)
            })
            .await;
        let commit = world.drop_maps(&["a"]);
        world.team.applied("app", &commit).await;
        let later = ["c", "d", "e", "f"];
        let commit = world.maps(&later.map(|name| (name, "one")));
        world.team.applied("app", &commit).await;
        // Half of the six that are there.
        let commit = world.drop_maps(&["c", "d", "e"]);
        world.team.applied("app", &commit).await;
        let one = Some("one");
        world
            .stays(&[("a", one), ("b", one), ("c", None), ("e", None), ("f", one)])
            .await;
    });
}

/// What comes beside it makes what left no smaller a part of what was there.
#[test]
fn a_path_that_is_exchanged_for_another_is_pruned_with_an_approval_only() {
    run(async {
        let mut stage = Stage::own().await;
        let old = ["o1", "o2", "o3", "o4"];
        let (space, repo) = {
            let world = World::on(&stage, "exchanged").await;
            let maps: Vec<_> = old.iter().map(|name| (*name, "one")).collect();
            world
                .applied(&maps, |spec| spec.prune.limit = "100%".into())
                .await;
            for name in ["n1", "n2", "n3", "n4", "n5"] {
                let file = format!("other/{name}.yaml");
                world.repo.write(&file, objects::config_map(name, "one"));
            }
            let commit = world.repo.commit("Another path");
            world.team.fetched("app", &commit).await;
            world.set("app", serde_json::json!({"path": "other"})).await;
            let sync = world.says("app", "PruneRefused").await;
            let message = objects::message(&sync, "Ready");
            assert!(message.contains("All 4 objects left Git"), "{message}");
            world.value("n5", "one").await;
            // Nor is it less of them when some are kept back.
            let frozen =
                serde_json::json!({"metadata": {"annotations": {"signet.dev/reconcile": "disabled"}}});
            for name in ["o1", "o2"] {
                world.edit("somebody", name, frozen.clone()).await;
            }
            // Another commit makes them no fewer.
            world
                .repo
                .write("other/n6.yaml", objects::config_map("n6", "one"));
            world.repo.commit("One more");
            world.value("n6", "one").await;
            world.says("app", "PruneRefused").await;
            world.stays(&old.map(|name| (name, Some("one")))).await;
            (world.team.keep(), world.repo)
        };
        // Nor does a restart.
        assert!(stage.controller.stop().success());
        repo.write("other/n7.yaml", objects::config_map("n7", "one"));
        let commit = repo.commit("And one more");
        stage.controller.start_again().await;
        let world = World {
            team: stage.space_of(&space),
            repo,
        };
        world.value("n7", "one").await;
        let free = serde_json::json!({"metadata": {"annotations": {"signet.dev/reconcile": null}}});
        for name in ["o1", "o2"] {
            world.edit("somebody", name, free.clone()).await;
        }
        let sync = world
            .until("app", "PruneRefused", |status| {
                let seen = status.last_attempted_revision.as_ref();
                seen.is_some_and(|seen| seen.commit == commit)
                    && status.plan.as_ref().is_some_and(|plan| plan.delete == 4)
            })
            .await;
        world.stays(&old.map(|name| (name, Some("one")))).await;
        world.approve("exchange", "app", &plan(&sync).digest).await;
        world.team.applied("app", &commit).await;
        world.stays(&old.map(|name| (name, None))).await;
        // From here on what is there counts.
        for name in ["n1", "n2"] {
            world.repo.remove(&format!("other/{name}.yaml"));
        }
        let commit = world.repo.commit("Two of seven");
        world.team.applied("app", &commit).await;
        world
            .stays(&[("n1", None), ("n2", None), ("n3", Some("one"))])
            .await;
    });
}

#[test]
fn a_single_claim_is_not_exchanged_without_an_approval() {
    run(async {
        let world = World::begin("exchanged-claim").await;
        let claim = serde_json::json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        world.repo.write("app/data.yaml", claim.to_string());
        let commit = world.repo.commit("One claim");
        // It is bound when somebody uses it: nobody does here.
        world
            .team
            .sync_with("app", "app", |spec| {
                spec.health_checks = vec![crds::HealthCheck {
                    kind: "PersistentVolumeClaim".into(),
                    current: "true".into(),
                    ..crds::HealthCheck::default()
                }];
            })
            .await;
        world.team.applied("app", &commit).await;
        world
            .repo
            .write("other/map.yaml", objects::config_map("map", "one"));
        let commit = world.repo.commit("Another path");
        world.team.fetched("app", &commit).await;
        world.set("app", serde_json::json!({"path": "other"})).await;
        let sync = world.says("app", "PruneRefused").await;
        let message = objects::message(&sync, "Ready");
        assert!(message.contains("The only object left Git"), "{message}");
        world.value("map", "one").await;
        let claims = world
            .team
            .api::<k8s_openapi::api::core::v1::PersistentVolumeClaim>();
        let claim = claims.get("data").await.unwrap();
        assert!(claim.metadata.deletion_timestamp.is_none());
    });
}

/// What goes slowly may need what goes after it: a custom resource its operator. And an approval is for all of a plan.
#[test]
fn what_comes_first_is_gone_before_what_comes_after_it_goes() {
    run(async {
        let world = World::begin("reverse").await;
        world
            .repo
            .write("app/slow.yaml", annotated("slow", "signet.dev/wave: \"1\""))
            .write("app/needed.yaml", annotated("needed", "signet.dev/wave: \"0\""));
        world
            .applied(&[("a", "one"), ("b", "one")], |spec| {
                spec.prune.policy = crds::PrunePolicy::Confirm;
            })
            .await;
        world.edit("somebody", "slow", held(true)).await;
        world.repo.remove("app/slow.yaml").remove("app/needed.yaml");
        let commit = world.repo.commit("Both leave");
        let sync = world.says("app", "PruneRefused").await;
        world.approve("both", "app", &plan(&sync).digest).await;
        waits_for_slow(&world, 1).await;
        let one = Some("one");
        world.stays(&[("needed", one), ("a", one), ("b", one)]).await;
        world.edit("somebody", "slow", held(false)).await;
        world.team.applied("app", &commit).await;
        world
            .stays(&[("slow", None), ("needed", None), ("a", one), ("b", one)])
            .await;
    });
}

/// What is shown can be approved, however slowly something else of the plan went.
#[test]
fn what_waits_for_a_person_beside_what_goes_slowly_is_approved_as_it_is_shown() {
    run(async {
        let world = World::begin("slow-beside").await;
        let asks = "signet.dev/wave: \"1\", signet.dev/prune: confirm";
        world
            .repo
            .write("app/slow.yaml", annotated("slow", "signet.dev/wave: \"1\""))
            .write("app/asks.yaml", annotated("asks", asks))
            .write("app/later.yaml", annotated("later", "signet.dev/wave: \"0\""));
        let stay = ["a", "b", "c", "d"].map(|name| (name, "one"));
        world.applied(&stay, |_| {}).await;
        world.edit("somebody", "slow", held(true)).await;
        for name in ["slow", "asks", "later"] {
            world.repo.remove(&format!("app/{name}.yaml"));
        }
        let commit = world.repo.commit("All three leave");
        waits_for_slow(&world, 1).await;
        world.edit("somebody", "slow", held(false)).await;
        let delete = format!("delete ConfigMap {}/asks", world.team.name());
        let sync = world
            .until("app", "PruneRefused", |status| {
                let plan = status.plan.as_ref();
                plan.is_some_and(|plan| plan.actions == [delete.as_str()])
            })
            .await;
        let one = Some("one");
        world
            .stays(&[("slow", None), ("later", None), ("asks", one), ("a", one)])
            .await;
        world.approve("as-shown", "app", &plan(&sync).digest).await;
        world.team.applied("app", &commit).await;
        world.stays(&[("asks", None), ("a", one), ("d", one)]).await;
    });
}

#[test]
fn a_newer_commit_stops_pruning_in_the_middle() {
    run(async {
        let (stage, faults) = behind_faults().await;
        let team = stage.space("superseded");
        let repo = stage.git.repository(team.name());
        let names: Vec<String> = (10..30).map(|n| format!("m{n}")).collect();
        let write = |subject: &str| {
            for name in names.iter().map(String::as_str).chain(["keep"]) {
                repo.write(&format!("app/{name}.yaml"), objects::config_map(name, "one"));
            }
            repo.commit(subject)
        };
        let commit = write("Begin");
        team.repository("app", &repo).await;
        team.sync_with("app", "app", |spec| spec.prune.limit = "100%".into())
            .await;
        team.applied("app", &commit).await;
        let uids = || async {
            let maps = team
                .api::<ConfigMap>()
                .list(&ListParams::default())
                .await
                .unwrap();
            let uid = |map: &ConfigMap| (map.name_any(), map.uid().unwrap_or_default());
            maps.iter().map(uid).collect::<BTreeMap<_, _>>()
        };
        let before = uids().await;

        let mark = stage.cluster.audit().mark();
        let deletes = || {
            let requests = stage.cluster.audit().by_controller(mark).into_iter();
            requests.filter(|request| request.verb == "delete").count()
        };
        faults.set(|asked| {
            let delete = asked.method == Method::DELETE && asked.path.contains("/configmaps/");
            delete.then_some(Fault::Delay(Duration::from_millis(700)))
        });
        for name in &names {
            repo.remove(&format!("app/{name}.yaml"));
        }
        repo.commit("Drop all but one");
        team.gone::<ConfigMap>(&names[0]).await;
        let commit = write("They are wanted after all");
        team.fetched("app", &commit).await;
        let begun = deletes();
        team.applied("app", &commit).await;
        let sent = deletes();
        eprintln!(
            "{begun} of {} deletes were sent when the newer commit came, {sent} in all",
            names.len()
        );
        assert!(sent <= begun + 1, "it went on: {sent}, {begun} before");
        assert!(sent < names.len(), "all were deleted before it came");
        // The others are the objects that they were.
        let after = uids().await;
        let same = before.iter().filter(|(name, uid)| after.get(*name) == Some(*uid));
        assert_eq!(same.count(), before.len() - sent);
        assert_eq!(after.len(), before.len());
        team.keep();
    });
}

#[test]
fn a_missing_path_prunes_nothing_whatever_is_allowed() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("missing");
        let repo = stage.git.repository(team.name());
        let first = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync_with("app", "app", |spec| spec.prune.allow_empty = true)
            .await;
        team.applied("app", &first).await;

        repo.git(["mv", "app", "moved"]);
        let second = repo.commit("Move the directory away");
        let sync = team.failed("app", &second).await;
        let message = objects::message(&sync, "Ready");
        assert!(message.contains("app"), "it names the path: {message}");
        lasts(&team, "a").await;

        let third = repo.revert();
        team.applied("app", &third).await;
    });
}

#[test]
fn nothing_is_pruned_where_pruning_is_off() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("keeping");
        let repo = stage.git.repository(team.name());
        repo.write("app/a.yaml", objects::config_map("a", "one"));
        let first = repo
            .write("app/b.yaml", objects::config_map("b", "one"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync_with("app", "app", |spec| spec.prune.enabled = false)
            .await;
        team.applied("app", &first).await;
        let second = repo.remove("app/b.yaml").commit("Drop one");
        team.applied("app", &second).await;
        lasts(&team, "b").await;
    });
}

#[test]
fn what_is_not_ours_is_not_deleted() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("foreign");
        let repo = stage.git.repository(team.name());
        repo.write("app/a.yaml", objects::config_map("a", "one"));
        let first = repo
            .write("app/b.yaml", objects::config_map("b", "one"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &first).await;

        // Somebody else's object that carries our label, as anybody may write it.
        let a = team
            .kubectl(["get", "configmap", "a", "--output=jsonpath={.metadata.labels}"])
            .ok();
        let labels: serde_json::Map<_, _> = serde_json::from_str(&a).unwrap();
        team.kubectl(["create", "configmap", "stranger"]).ok();
        for (name, value) in labels {
            let label = format!("{name}={}", value.as_str().unwrap());
            team.kubectl(["label", "configmap", "stranger", &label]).ok();
        }
        let second = repo.remove("app/b.yaml").commit("Drop one");
        team.applied("app", &second).await;
        team.gone::<ConfigMap>("b").await;
        lasts(&team, "stranger").await;
    });
}

/// A ConfigMap with annotations, in YAML's flow style.
fn annotated(name: &str, annotations: &str) -> String {
    let metadata = format!("metadata:\n  annotations: {{{annotations}}}\n");
    objects::config_map(name, "one").replacen("metadata:\n", &metadata, 1)
}

/// Has an object wait for somebody before it goes, or not any more.
fn held(held: bool) -> serde_json::Value {
    let finalizers = held.then_some(["example.com/hold"]);
    serde_json::json!({"metadata": {"finalizers": finalizers}})
}

/// Waits until the Sync says that it waits for `slow` to be gone, and how many come after it.
async fn waits_for_slow(world: &World<'_>, after: usize) {
    let waits = format!("/slow to be gone, which left Git; {after} object");
    world
        .until("app", "Progressing", |status| {
            let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
            ready.is_some_and(|ready| ready.message.contains(&waits))
        })
        .await;
}

/// The ConfigMap is there, and still is after a while.
async fn lasts(team: &Space<'_>, name: &str) {
    wait::throughout(A_WHILE, || async {
        match team.api::<ConfigMap>().get(name).await {
            Ok(map) if map.metadata.deletion_timestamp.is_none() => Ok(()),
            Ok(_) => Err(format!("ConfigMap {name} is being deleted")),
            Err(error) => Err(format!("ConfigMap {name}: {error}")),
        }
    })
    .await;
}
