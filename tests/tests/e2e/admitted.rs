//! By which spec drift is put back: the one that was let in, and no other that waits, before a restart and after it.

use std::time::Duration;

use crds::{Mode, Sync};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tests::audit::{CONTROLLER, Mark};
use tests::{Space, Stage, run, wait};

use crate::world::{World, plan, reason, status, value_of};

/// An account with the rights of the team's.
fn second_account(team: &Space<'_>) {
    team.kubectl(["create", "serviceaccount", "second"]).ok();
    let account = format!("--serviceaccount={}:second", team.name());
    team.kubectl(["create", "rolebinding", "second", "--clusterrole=admin", &account])
        .ok();
}

/// As which accounts this ConfigMap was written since then.
fn written_as(stage: &Stage, namespace: &str, map: &str, mark: Mark) -> Vec<String> {
    let answered = stage.cluster.audit().answered(mark, CONTROLLER).into_iter();
    let writes = answered.filter(|(request, code)| {
        let it = (&*request.resource, &*request.namespace, &*request.name);
        request.writes() && it == ("configmaps", namespace, map) && (200..300).contains(code)
    });
    let of = format!("system:serviceaccount:{namespace}:");
    let accounts = writes.map(|(request, _)| request.impersonated.unwrap_or_default());
    accounts.map(|account| account.replace(&of, "")).collect()
}

/// The one account as which it was written since then. The log has an answer a moment after the object is there.
async fn written_by(stage: &Stage, namespace: &str, map: &str, mark: Mark) -> String {
    wait::poll("the write to be in the log", || async {
        match written_as(stage, namespace, map, mark).as_slice() {
            [] => Err("it is not".to_owned()),
            [first, rest @ ..] if rest.iter().all(|other| other == first) => Ok(first.clone()),
            several => panic!("{map} was written as {several:?}"),
        }
    })
    .await
}

#[test]
fn drift_is_put_back_by_the_spec_that_was_approved_and_another_one_asks() {
    run(async {
        let world = World::begin("admitted").await;
        let (team, stage) = (&world.team, world.team.stage());
        second_account(team);
        world.maps(&[("a", "one"), ("b", "one")]);
        team.sync_with("app", "app", |spec| spec.mode = Mode::Approval)
            .await;
        let sync = world.says("app", "AwaitingApproval").await;
        world.approve("first", "app", &plan(&sync).digest).await;
        world.says("app", "Applied").await;

        // Another account, though nothing is to be applied: what drifts would be put back as it.
        world.set("app", json!({"serviceAccountName": "second"})).await;
        let sync = world.says("app", "AwaitingApproval").await;
        let report = plan(&sync).clone();
        assert_eq!(
            (report.create, report.update, report.delete),
            (0, 0, 0),
            "{report:#?}"
        );
        let mark = world.mark();
        let edit = json!({"data": {"value": "edited"}});
        world.edit("acme", "b", edit.clone()).await;
        world.value("b", "one").await;
        assert_eq!(written_by(stage, team.name(), "b", mark).await, "deployer");

        // With something new that waits as well.
        world.maps(&[("a", "two")]);
        let sync = world
            .until("app", "AwaitingApproval", |status| {
                status.plan.as_ref().is_some_and(|plan| plan.update == 1)
            })
            .await;
        let mark = world.mark();
        world.edit("acme", "b", edit.clone()).await;
        world.value("b", "one").await;
        world.stays(&[("a", Some("one"))]).await;
        assert_eq!(written_by(stage, team.name(), "b", mark).await, "deployer");

        world.approve("second", "app", &plan(&sync).digest).await;
        world.value("a", "two").await;
        world.says("app", "Applied").await;
        assert_eq!(written_by(stage, team.name(), "a", mark).await, "second");
        let mark = world.mark();
        world.edit("acme", "b", edit).await;
        world.value("b", "one").await;
        assert_eq!(written_by(stage, team.name(), "b", mark).await, "second");
    });
}

#[test]
fn after_a_restart_drift_waits_with_the_spec_that_waits_and_keeps_its_age() {
    run(async {
        let mut stage = Stage::own().await;
        let name = {
            let world = World::on(&stage, "admitted").await;
            second_account(&world.team);
            world.maps(&[("a", "one"), ("b", "one"), ("c", "one")]);
            let spec = |spec: &mut crds::SyncSpec| spec.mode = Mode::Approval;
            world.team.sync_with("app", "app", spec).await;
            let sync = world.says("app", "AwaitingApproval").await;
            world.approve("first", "app", &plan(&sync).digest).await;
            world.says("app", "Applied").await;
            world.maps(&[("a", "two")]);
            world.set("app", json!({"serviceAccountName": "second"})).await;
            world
                .until("app", "AwaitingApproval", |status| {
                    status.plan.as_ref().is_some_and(|plan| plan.update == 1)
                })
                .await;
            world.team.keep()
        };
        let mark = stage.cluster.audit().mark();
        // In order, so that all is written down: what is not known to be intact would only be looked at anew.
        assert!(stage.controller.stop().success());
        edit(&stage, &name, "b").await;
        stage.controller.start_again().await;
        let since = {
            let team = stage.space_of(&name);
            let sync = team
                .until("app", "the drift to be told", |sync: &Sync| {
                    drifted(sync) == ["b"]
                })
                .await;
            assert_eq!(reason(&sync), "AwaitingApproval", "{sync:#?}");
            let since = status(&sync).drift[0].since.clone();
            stays_edited(&team, &["b"]).await;
            team.keep();
            since
        };

        // How long it has been there is known after another restart, and what comes later is younger.
        let later: Timestamp = since.parse().unwrap();
        wait::poll("its time to be past", || async {
            if Timestamp::now().duration_since(later).as_secs() >= 2 {
                Ok(())
            } else {
                Err(since.clone())
            }
        })
        .await;
        stage.controller.kill();
        edit(&stage, &name, "c").await;
        stage.controller.start_again().await;
        let team = stage.space_of(&name);
        let sync = team
            .until("app", "both to be told", |sync: &Sync| {
                drifted(sync) == ["b", "c"]
            })
            .await;
        let drift = &status(&sync).drift;
        assert_eq!(drift[0].since, since, "{drift:#?}");
        assert!(drift[1].since > since, "{drift:#?}");
        stays_edited(&team, &["b", "c"]).await;
        for map in ["a", "b", "c"] {
            assert_eq!(written_as(&stage, &name, map, mark), [""; 0], "{map}");
        }

        // Approved, it is put back, by the spec that was approved.
        let approval = json!({"apiVersion": "signet.dev/v1alpha1", "kind": "Approval", "metadata": {"name": "second",
            "namespace": name, "annotations": {"signet.dev/approved-by": "signet-cluster-admin"}},
            "spec": {"syncRef": {"name": "app"}, "digest": plan(&sync).digest}});
        let create = ["create", "-f", "-"];
        stage.cluster.kubectl_with(create, &approval.to_string()).ok();
        for (map, value) in [("a", "two"), ("b", "one"), ("c", "one")] {
            team.until(map, value, |map: &ConfigMap| value_of(map) == Some(value))
                .await;
            assert_eq!(written_by(&stage, &name, map, mark).await, "second");
        }
        team.until("app", "the drift to be over", |sync: &Sync| {
            reason(sync) == "Applied" && drifted(sync).is_empty()
        })
        .await;
        team.keep();
    });
}

async fn edit(stage: &Stage, namespace: &str, map: &str) {
    let team = stage.space_of(namespace);
    let params = PatchParams {
        field_manager: Some("acme".into()),
        ..PatchParams::default()
    };
    let patch: Value = json!({"data": {"value": "edited"}});
    let maps = team.api::<ConfigMap>();
    maps.patch(map, &params, &Patch::Merge(patch)).await.unwrap();
    team.keep();
}

/// The names of what has drifted, as the status says.
fn drifted(sync: &Sync) -> Vec<&str> {
    let reports = sync.status.iter().flat_map(|status| &status.drift);
    let names = reports.filter_map(|report| report.object.rsplit('/').next());
    names.collect()
}

async fn stays_edited(team: &Space<'_>, maps: &[&str]) {
    wait::throughout(Duration::from_secs(3), || async {
        for name in maps {
            let map: ConfigMap = team.api().get(name).await.unwrap();
            if value_of(&map) != Some("edited") {
                return Err(format!("{map:?}"));
            }
        }
        Ok(())
    })
    .await;
}
