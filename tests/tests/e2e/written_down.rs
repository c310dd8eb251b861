//! What is written down of a Sync, where it counts: objects that were made anew, a journal that is lost, and a stop in the
//! middle of an apply.

use std::time::{Duration, Instant};

use crds::{DeletionPolicy, Immutable, Sync};
use futures::future::join_all;
use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tests::fault_proxy::Fault;
use tests::{Stage, checkpoint, objects, run, wait};

use crate::faults::behind_faults;
use crate::order_world;
use crate::world::{World, reason};

/// Killed as soon as it says that it restored an object, the controller knows it for its own when it runs again.
#[test]
fn an_object_that_is_made_anew_is_written_down_before_it_is_told() {
    run(async {
        let mut stage = Stage::own().await;
        let (space, repo) = {
            let World { team, repo } = World::on(&stage, "anew").await;
            for name in ["a", "b", "c"] {
                repo.write(&format!("app/{name}.yaml"), objects::config_map(name, "one"));
            }
            let commit = repo.commit("Write maps");
            team.sync("app", "app").await;
            team.applied("app", &commit).await;
            wait::poll("their uids to be written down", || async {
                let records = checkpoint::of(&stage.cluster, &format!("{}/app", team.name())).await;
                let known = records.values().filter(|record| record.uid.is_some()).count();
                if known == 3 {
                    Ok(())
                } else {
                    Err(format!("{known}"))
                }
            })
            .await;
            let maps = team.api::<ConfigMap>();
            maps.delete("a", &DeleteParams::default()).await.unwrap();
            let world = World { team, repo };
            world.told("Restored", &["/a", "which somebody deleted"]).await;
            (world.team.keep(), world.repo)
        };
        stage.controller.kill();
        let commit = repo.remove("app/a.yaml").commit("Do without it");
        stage.controller.start_again().await;
        let syncs: Api<Sync> = Api::namespaced(stage.cluster.client(), &space);
        let applied = |sync: &Sync| objects::applied(sync) == commit && objects::is(sync, "Ready", "True");
        wait::until(&stage.cluster, syncs, "app", "it to be applied", applied).await;
        let maps: Api<ConfigMap> = Api::namespaced(stage.cluster.client(), &space);
        assert!(
            maps.get_opt("a").await.unwrap().is_none(),
            "it is left over, and nobody's"
        );
    });
}

/// A Sync that has written nothing down yet has lost nothing, wherever it is stopped.
#[test]
fn a_sync_that_could_not_write_its_first_record_has_lost_nothing() {
    run(async {
        let (mut stage, faults) = behind_faults().await;
        faults.set(|asked| {
            let first = asked.method == Method::POST && asked.path.ends_with("/secrets");
            first.then_some(Fault::CutRequest)
        });
        let (space, commit) = {
            let World { team, repo } = World::on(&stage, "unwritten").await;
            let commit = repo
                .write("app/a.yaml", objects::config_map("a", "one"))
                .commit("One map");
            team.sync("app", "app").await;
            let failed = |sync: &Sync| reason(sync) == "CheckpointFailed";
            team.until("app", "it to say that it cannot", failed).await;
            (team.keep(), commit)
        };
        stage.controller.kill();
        faults.clear();
        stage.controller.start_again().await;
        let team = stage.space_of(&space);
        team.applied("app", &commit).await;
        let told = team.kubectl(["get", "events", "--output=json"]).ok();
        assert!(!told.contains("RecordsLost"), "{told}");
        let maps = team.api::<ConfigMap>();
        assert!(maps.get_opt("a").await.unwrap().is_some());
    });
}

/// What was deleted while the controller was down is made anew; killed in the middle of that, and with another commit before it runs
/// again, the controller knows what it made for its own.
#[test]
fn what_takes_the_place_of_a_recorded_object_is_written_down_before_it_is_made() {
    run(made_anew_and_killed("place", Anew::WhileDown));
}

/// The same of what is deleted while it runs.
#[test]
fn what_is_restored_is_written_down_before_it_is_made() {
    run(made_anew_and_killed("restored", Anew::Restored));
}

/// The same of what a commit has replaced, since it cannot be changed.
#[test]
fn what_is_replaced_is_written_down_before_it_is_deleted() {
    run(made_anew_and_killed("immutable", Anew::Replaced));
}

/// The same of what somebody made impossible to change back.
#[test]
fn what_a_repair_replaces_is_written_down_before_it_is_deleted() {
    run(made_anew_and_killed("unchangeable", Anew::Unchangeable));
}

/// Why objects are made anew.
#[derive(PartialEq)]
enum Anew {
    /// They were deleted while the controller was down.
    WhileDown,
    /// They are deleted while it runs.
    Restored,
    /// Git changes them, and the API server does not allow that.
    Replaced,
    /// Somebody changes them so that they cannot be changed any more.
    Unchangeable,
}

fn immutable(name: &str, value: &str) -> String {
    format!("{}immutable: true\n", objects::config_map(name, value))
}

async fn made_anew_and_killed(name: &str, why: Anew) {
    let mut stage = Stage::own().await;
    let names: Vec<String> = (10..70).map(|n| format!("m{n}")).collect();
    let (space, repo) = {
        let World { team, repo } = World::on(&stage, name).await;
        for name in names.iter().map(String::as_str).chain(["keep"]) {
            let map = match why {
                Anew::Unchangeable => objects::config_map(name, "one"),
                _ => immutable(name, "one"),
            };
            repo.write(&format!("app/{name}.yaml"), map);
        }
        let commit = repo.commit("Write maps");
        team.sync_with("app", "app", |spec| {
            spec.prune.limit = "100%".into();
            spec.immutable = Immutable::Replace;
        })
        .await;
        team.applied("app", &commit).await;
        (team.keep(), repo)
    };
    if why == Anew::WhileDown {
        assert!(stage.controller.stop().success());
    }
    let maps: Api<ConfigMap> = Api::namespaced(stage.cluster.client(), &space);
    let mut tail = stage.cluster.audit().tail(stage.cluster.audit().mark());
    let delete = async {
        let at_once = DeleteParams::default();
        let deletes = names.iter().map(|name| maps.delete(name, &at_once));
        for answer in join_all(deletes).await {
            answer.unwrap();
        }
    };
    let by_deletion = matches!(why, Anew::Replaced | Anew::Unchangeable);
    let killed = async {
        let mut made = 0;
        while made < 20 {
            let asked = tail.by_controller();
            made += asked
                .iter()
                .filter(|request| request.resource == "configmaps" && request.namespace == space)
                .filter(|request| request.writes() && (!by_deletion || request.verb == "delete"))
                .count();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    match why {
        Anew::WhileDown => {
            delete.await;
            let start = stage.controller.start_again();
            // It may be ready before that or after.
            tokio::select! {
                () = killed => {}
                () = async { start.await; std::future::pending::<()>().await } => {}
            }
        }
        Anew::Restored => {
            tokio::join!(delete, killed);
        }
        Anew::Unchangeable => {
            let spoilt = Patch::Merge(json!({"immutable": true, "data": {"value": "spoilt"}}));
            let somebody = PatchParams {
                field_manager: Some("somebody".into()),
                ..PatchParams::default()
            };
            let spoil = async {
                let edits = names.iter().map(|name| maps.patch(name, &somebody, &spoilt));
                for answer in join_all(edits).await {
                    answer.unwrap();
                }
            };
            tokio::join!(spoil, killed);
        }
        Anew::Replaced => {
            for name in &names {
                repo.write(&format!("app/{name}.yaml"), immutable(name, "two"));
            }
            repo.commit("Change them");
            killed.await;
        }
    }
    stage.controller.kill();
    for name in &names {
        repo.remove(&format!("app/{name}.yaml"));
    }
    let commit = repo.commit("Do without them");
    stage.controller.start_again().await;
    let syncs: Api<Sync> = Api::namespaced(stage.cluster.client(), &space);
    let applied = |sync: &Sync| objects::applied(sync) == commit && objects::is(sync, "Ready", "True");
    wait::until(&stage.cluster, syncs, "app", "it to be applied", applied).await;
    let left = maps.list(&ListParams::default()).await.unwrap().items;
    let left: Vec<_> = left
        .iter()
        .map(ResourceExt::name_any)
        .filter(|name| name != "kube-root-ca.crt")
        .collect();
    assert_eq!(left, ["keep"], "the others are left over, and nobody's");
}

/// Without its journal, a Sync that has hooks for its deletion looks for them in Git, at once after a restart or later.
#[test]
fn hooks_of_a_deletion_outlive_their_journal() {
    run(async {
        let mut stage = Stage::own().await;
        let mut spaces = Vec::new();
        for (name, hook) in [("gone", "PreDelete"), ("spoilt", "PreDelete"), ("plain", "")] {
            let team = stage.space(name);
            let repo = stage.git.repository(team.name());
            repo.write("app/a.yaml", order_world::plain("a", &[]));
            if !hook.is_empty() {
                let backup = order_world::job("backup", true, &[("signet.dev/hook", hook)]);
                repo.write("app/backup.yaml", backup);
            }
            let commit = repo.commit("Begin");
            team.repository("app", &repo).await;
            team.sync_with("app", "app", |spec| spec.deletion_policy = DeletionPolicy::Delete)
                .await;
            team.applied("app", &commit).await;
            spaces.push(team.keep());
        }
        assert!(stage.controller.stop().success());
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), "signet-system");
        let mut journals = 0;
        let ours = ListParams::default().labels(crds::label::CHECKPOINT);
        for secret in secrets.list(&ours).await.unwrap() {
            let (name, of) = (secret.name_any(), secret.annotations()["signet.dev/sync"].clone());
            if !name.starts_with("signet-journal-") {
                continue;
            }
            journals += 1;
            if of == format!("{}/app", spaces[0]) {
                secrets.delete(&name, &DeleteParams::default()).await.unwrap();
            } else {
                let spoilt = Patch::Merge(json!({"data": {"records": "AAAA"}}));
                secrets
                    .patch(&name, &PatchParams::default(), &spoilt)
                    .await
                    .unwrap();
            }
        }
        assert_eq!(journals, 2, "only who has hooks has a journal");
        let syncs = |space: &str| Api::<Sync>::namespaced(stage.cluster.client(), space);
        for space in &spaces {
            syncs(space)
                .delete("app", &DeleteParams::default())
                .await
                .unwrap();
        }
        stage.controller.start_again().await;
        wait::gone(&stage.cluster, syncs(&spaces[2]), "app").await;
        for space in &spaces[..2] {
            let waits = |sync: &Sync| order_world::hook_is(sync, &format!("Job {space}/backup"), "Running");
            wait::until(&stage.cluster, syncs(space), "app", "the hook to run", waits).await;
            let maps: Api<ConfigMap> = Api::namespaced(stage.cluster.client(), space);
            assert!(maps.get_opt("a").await.unwrap().is_some(), "the hook needs it");
        }
    });
}

/// What is written down of a Sync is removed, or a part of it, while the controller is down, and something leaves Git meanwhile: that is
/// named, and not deleted; and the Sync does not go and leave it behind.
#[test]
fn what_was_lost_is_told_and_what_it_was_about_is_named() {
    run(async {
        let mut stage = Stage::own().await;
        let (space, repo) = {
            let world = World::on(&stage, "lost").await;
            world
                .applied(&[("a", "one"), ("b", "one"), ("c", "one")], |spec| {
                    spec.deletion_policy = DeletionPolicy::Delete;
                })
                .await;
            (world.team.keep(), world.repo)
        };
        assert!(stage.controller.stop().success());
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), "signet-system");
        let ours = ListParams::default().labels(crds::label::CHECKPOINT);
        secrets
            .delete_collection(&DeleteParams::default(), &ours)
            .await
            .unwrap();
        let commit = repo.remove("app/c.yaml").commit("Do without c");
        stage.controller.start_again().await;
        {
            let world = World {
                team: stage.space_of(&space),
                repo: repo.clone(),
            };
            let sync = world.team.applied("app", &commit).await;
            let named = |sync: &Sync| {
                let warnings = &sync.status.as_ref().unwrap().warnings;
                let c = format!("ConfigMap {space}/c");
                warnings.iter().any(|warning| warning.object == c) && warnings.len() == 2
            };
            assert!(named(&sync), "{sync:#?}");
            world.told("RecordsLost", &["/c"]).await;
            world.stays(&[("a", Some("one")), ("c", Some("one"))]).await;
            world.team.keep();
        }
        // It is not over with a restart; nor does the Sync go as if it had nothing.
        assert!(stage.controller.stop().success());
        let syncs: Api<Sync> = Api::namespaced(stage.cluster.client(), &space);
        syncs.delete("app", &DeleteParams::default()).await.unwrap();
        stage.controller.start_again().await;
        let world = World {
            team: stage.space_of(&space),
            repo,
        };
        let sync = world.says("app", "DeletionWaits").await;
        let message = objects::message(&sync, "Ready");
        assert!(message.contains(&format!("ConfigMap {space}/c")), "{message}");
        world.stays(&[("a", Some("one")), ("c", Some("one"))]).await;
        world.team.kubectl(["delete", "configmap", "c"]).ok();
        world.team.gone::<Sync>("app").await;
        world.stays(&[("a", None), ("b", None), ("c", None)]).await;
        world.team.keep();
    });
}

/// A part of a checkpoint that held nothing is lost as well, and found again: then nothing speaks of it any more.
#[test]
fn a_loss_that_cost_nothing_is_over_at_once() {
    run(async {
        let mut stage = Stage::own().await;
        let space = {
            let world = World::on(&stage, "spoilt").await;
            world.applied(&[("a", "one")], |_| {}).await;
            world.team.keep()
        };
        assert!(stage.controller.stop().success());
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), "signet-system");
        let ours = ListParams::default().labels(crds::label::CHECKPOINT);
        let shard = secrets.list(&ours).await.unwrap().items.remove(0);
        // As if their number were about to grow.
        let name = shard.name_any().replace("-1-0", "-2-1");
        let spoilt = json!({"apiVersion": "v1", "kind": "Secret", "type": "signet.dev/checkpoint", "metadata": {
            "name": name, "labels": shard.labels(), "annotations": shard.annotations()}});
        let spoilt: Secret = serde_json::from_value(spoilt).unwrap();
        secrets.create(&PostParams::default(), &spoilt).await.unwrap();
        stage.controller.start_again().await;
        let sync = format!("{space}/app");
        wait::poll("every shard to be whole again", || async {
            let shards = secrets.list(&ours).await.unwrap().items;
            let whole = |shard: &Secret| {
                shard.name_any().contains("-2-")
                    && !shard.annotations().contains_key("signet.dev/records-lost")
            };
            let whole = shards.iter().all(whole)
                && shards.len() == 2
                && shards.iter().all(|shard| shard.data.is_some());
            whole.then_some(()).ok_or_else(|| format!("{shards:#?}"))
        })
        .await;
        assert_eq!(checkpoint::of(&stage.cluster, &sync).await.len(), 1);
        let syncs: Api<Sync> = Api::namespaced(stage.cluster.client(), &space);
        let found = syncs.get("app").await.unwrap();
        assert_eq!(found.status.unwrap().warnings, []);
    });
}

/// More commits than a store keeps packs.
const COMMITS: usize = 54;

/// A Sync that nothing changes for reads from the newest snapshot all the same: the store of an older one can go.
#[test]
fn a_settled_sync_holds_on_to_no_old_store() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("stores");
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let repository: crds::Repository = team.api().get("app").await.unwrap();
        let store = stage
            .controller
            .data_dir()
            .join("repositories")
            .join(repository.uid().unwrap());
        let stores = || {
            let names = std::fs::read_dir(&store).unwrap();
            let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.starts_with("gen-")).collect::<Vec<_>>()
        };
        let first = stores();
        assert_eq!(first.len(), 1, "{first:?}");
        for n in 0..COMMITS {
            let commit = repo
                .write("elsewhere/n.txt", format!("{n}\n"))
                .commit(&format!("Commit {n}"));
            team.fetched("app", &commit).await;
        }
        wait::poll("only a newer store to be there", || async {
            let now = stores();
            if now.len() == 1 && now != first {
                Ok(())
            } else {
                Err(format!("{first:?}, then {now:?}"))
            }
        })
        .await;
    });
}

/// How many objects are applied while the controller is told to stop.
const MANY: usize = 400;

#[test]
fn a_stop_in_the_middle_of_an_apply_is_no_failure() {
    run(async {
        let mut stage = Stage::own().await;
        let team = stage.space("stopped");
        let repo = stage.git.repository(team.name());
        for n in 0..MANY {
            repo.write(
                &format!("app/{n}.yaml"),
                objects::config_map(&format!("m{n}"), "one"),
            );
        }
        let commit = repo.commit("Begin");
        team.repository("app", &repo).await;
        let mark = stage.cluster.audit().mark();
        team.sync("app", "app").await;
        let space = team.keep();
        let mut tail = stage.cluster.audit().tail(mark);
        let (mut made, begun) = (0, Instant::now());
        while made < 20 {
            assert!(begun.elapsed() < Duration::from_mins(1), "nothing is applied");
            let requests = tail.by_controller();
            made += requests
                .iter()
                .filter(|request| request.resource == "configmaps" && request.writes())
                .count();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(stage.controller.stop().success());
        let syncs: Api<Sync> = Api::namespaced(stage.cluster.client(), &space);
        let sync = syncs.get("app").await.unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(stage.cluster.client(), &space);
        let there = maps
            .list_metadata(&ListParams::default())
            .await
            .unwrap()
            .items
            .len();
        assert!(there < MANY, "it was not in the middle any more");
        assert_ne!(reason(&sync), "ApplyFailed", "{sync:#?}");
        stage.controller.start_again().await;
        let applied = |sync: &Sync| objects::applied(sync) == commit && objects::is(sync, "Ready", "True");
        wait::until(&stage.cluster, syncs, "app", "it to be applied", applied).await;
    });
}
