//! What leaves Git, and what becomes of objects when their Sync goes.

use std::time::{Duration, Instant};

use crds::{DeletionPolicy, PrunePolicy, Sync};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use tests::{Stage, objects, run, wait};

use crate::gates::deny_now;
use crate::world::{World, plan, status};

const FOUR: [(&str, &str); 4] = [("a", "one"), ("b", "one"), ("c", "one"), ("d", "one")];

#[test]
fn more_than_half_is_deleted_only_after_an_approval() {
    run(async {
        let world = World::begin("half").await;
        world.applied(&FOUR, |_| {}).await;
        world.repo.write("app/a.yaml", objects::config_map("a", "two"));
        world.drop_maps(&["b", "c", "d"]);
        let sync = world.says("app", "PruneRefused").await;
        let report = plan(&sync).clone();
        // What is not held back is done, and is no part of what waits.
        world.value("a", "two").await;
        assert_eq!(
            (report.create, report.update, report.delete),
            (0, 0, 3),
            "{report:#?}"
        );
        let of = |name: &str| format!("delete ConfigMap {}/{name}", world.team.name());
        assert_eq!(report.actions, ["b", "c", "d"].map(of));
        assert!(report.reason.contains("3 of 4 objects left Git"), "{report:#?}");
        assert!(
            objects::message(&sync, "Ready").contains("3 of 4 objects left Git"),
            "{sync:#?}"
        );
        world
            .stays(&[("b", Some("one")), ("c", Some("one")), ("d", Some("one"))])
            .await;

        // One of them back: another plan.
        let third = world.maps(&[("b", "one")]);
        let sync = world.team.applied("app", &third).await;
        assert!(status(&sync).plan.is_none(), "half of them may go: {sync:#?}");
        world.team.gone::<ConfigMap>("c").await;
        world.team.gone::<ConfigMap>("d").await;

        world.maps(&[("c", "one"), ("d", "one")]);
        world.value("d", "one").await;
        world.says("app", "Applied").await;
        let last = world.drop_maps(&["b", "c", "d"]);
        let sync = world.says("app", "PruneRefused").await;
        assert_ne!(plan(&sync).digest, report.digest);
        world.approve("old", "app", &report.digest).await;
        world.stays(&[("b", Some("one"))]).await;
        world.approve("new", "app", &plan(&sync).digest).await;
        let sync = world.team.applied("app", &last).await;
        assert!(
            status(&sync).plan.is_none() && status(&sync).failures.is_empty(),
            "{sync:#?}"
        );
        for name in ["b", "c", "d"] {
            world.team.gone::<ConfigMap>(name).await;
        }
        world.value("a", "two").await;
    });
}

#[test]
fn a_sync_confirms_or_orphans_where_it_says_so() {
    run(async {
        let world = World::begin("confirm").await;
        world
            .applied(&FOUR, |spec| spec.prune.policy = PrunePolicy::Confirm)
            .await;
        world.drop_maps(&["a"]);
        let sync = world.says("app", "PruneRefused").await;
        assert_eq!(plan(&sync).delete, 1);
        assert!(objects::message(&sync, "Ready").contains("Confirm"), "{sync:#?}");
        world.stays(&[("a", Some("one"))]).await;
        world.approve("yes", "app", &plan(&sync).digest).await;
        world.team.gone::<ConfigMap>("a").await;
        world.says("app", "Applied").await;

        world.set("app", json!({"prune": {"policy": "Orphan"}})).await;
        let dropped = world.drop_maps(&["b"]);
        world.team.applied("app", &dropped).await;
        world.set("app", json!({"prune": {"policy": "Delete"}})).await;
        world.says("app", "Applied").await;
        world.stays(&[("b", Some("one"))]).await;
    });
}

#[test]
fn an_object_says_itself_whether_it_is_deleted() {
    run(async {
        let world = World::begin("own-word").await;
        let names = [
            "disabled", "orphan", "confirm", "argo", "helm", "flux", "odd", "plain",
        ];
        let stay = (0..8).map(|n| format!("stays-{n}")).collect::<Vec<_>>();
        let all: Vec<_> = names
            .iter()
            .copied()
            .chain(stay.iter().map(String::as_str))
            .map(|name| (name, "one"))
            .collect();
        world.applied(&all, |_| {}).await;
        for (name, key, value) in [
            ("disabled", "signet.dev/prune", "disabled"),
            ("orphan", "signet.dev/prune", "orphan"),
            ("confirm", "signet.dev/prune", "confirm"),
            (
                "argo",
                "argocd.argoproj.io/sync-options",
                "Validate=true,Prune=false",
            ),
            ("helm", "helm.sh/resource-policy", "keep"),
            ("odd", "signet.dev/prune", "no idea"),
        ] {
            world
                .edit("jana", name, json!({"metadata": {"annotations": {key: value}}}))
                .await;
        }
        let label = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}});
        world.edit("jana", "flux", label).await;
        world.drop_maps(&names);
        world.team.gone::<ConfigMap>("plain").await;
        let of = format!("delete ConfigMap {}/confirm", world.team.name());
        let sync = world
            .until("app", "PruneRefused", |status| {
                status
                    .plan
                    .as_ref()
                    .is_some_and(|plan| plan.actions == [of.as_str()])
            })
            .await;
        let failures = &status(&sync).failures;
        assert_eq!(failures.len(), 1, "{failures:#?}");
        assert!(
            failures[0].message.contains("once the plan is approved"),
            "{failures:#?}"
        );
        let kept = ["disabled", "orphan", "argo", "helm", "flux", "odd"].map(|name| (name, Some("one")));
        world.stays(&kept).await;
        world.stays(&[("confirm", Some("one"))]).await;
        world.approve("yes", "app", &plan(&sync).digest).await;
        world.team.gone::<ConfigMap>("confirm").await;
        world.says("app", "Applied").await;
        // Who takes the word back has it deleted, where it stayed the Sync's.
        world.stays(&kept).await;
        world
            .edit(
                "jana",
                "disabled",
                json!({"metadata": {"annotations": {"signet.dev/prune": null}}}),
            )
            .await;
        world.team.request("app", "now").await;
        world.team.gone::<ConfigMap>("disabled").await;
        world
            .stays(&[("orphan", Some("one")), ("argo", Some("one"))])
            .await;
    });
}

#[test]
fn the_last_object_is_not_deleted_and_neither_is_anything_without_its_account() {
    run(async {
        let world = World::begin("last").await;
        world.applied(&[("a", "one"), ("b", "one")], |_| {}).await;
        world.team.kubectl(["delete", "serviceaccount", "deployer"]).ok();
        world.drop_maps(&["b"]);
        world.says("app", "ServiceAccountMissing").await;
        world.stays(&[("b", Some("one"))]).await;
        world.team.kubectl(["create", "serviceaccount", "deployer"]).ok();
        world.team.request("app", "again").await;
        world.team.gone::<ConfigMap>("b").await;
        world.says("app", "Applied").await;
        world.drop_maps(&["a"]);
        let sync = world.says("app", "PruneRefused").await;
        assert!(
            objects::message(&sync, "Ready").contains("The only object left Git"),
            "{sync:#?}"
        );
        world.stays(&[("a", Some("one"))]).await;
    });
}

async fn delete(world: &World<'_>) {
    let syncs: Api<Sync> = world.team.api();
    syncs.delete("app", &DeleteParams::default()).await.unwrap();
}

#[test]
fn a_sync_that_goes_leaves_its_objects() {
    run(async {
        let world = World::begin("leaves").await;
        world.applied(&FOUR, |_| {}).await;
        delete(&world).await;
        world.team.gone::<Sync>("app").await;
        world.stays(&FOUR.map(|(name, value)| (name, Some(value)))).await;
        // Nobody puts anything back any more.
        world
            .edit("acme", "a", json!({"data": {"value": "edited"}}))
            .await;
        world.stays(&[("a", Some("edited"))]).await;
    });
}

#[test]
fn a_sync_that_takes_its_objects_along_goes_after_them() {
    run(async {
        let world = World::begin("takes").await;
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}], selector: {app: web}}\n";
        world
            .repo
            .write("app/web.yaml", service)
            .write("app/e.yaml", objects::config_map("e", "one"));
        world
            .applied(&FOUR, |spec| spec.deletion_policy = DeletionPolicy::Delete)
            .await;
        let held: Sync = world.team.api().get("app").await.unwrap();
        assert_eq!(held.metadata.finalizers, Some(vec![crds::FINALIZER.to_owned()]));
        world
            .edit(
                "acme",
                "b",
                json!({"metadata": {"finalizers": ["acme.example/wait"]}}),
            )
            .await;
        world
            .edit(
                "acme",
                "c",
                json!({"metadata": {"annotations": {"signet.dev/prune": "disabled"}}}),
            )
            .await;
        // A label freezes as well.
        world
            .edit(
                "acme",
                "e",
                json!({"metadata": {"labels": {"signet.dev/reconcile": "disabled"}}}),
            )
            .await;
        let mark = world.mark();
        delete(&world).await;
        for name in ["a", "d"] {
            world.team.gone::<ConfigMap>(name).await;
        }
        world.team.gone::<Service>("web").await;
        let held = format!("waits for ConfigMap {}/b", world.team.name());
        world
            .team
            .until("app", "the Sync to name what it waits for", |sync: &Sync| {
                objects::message(sync, "Ready").contains(&held)
            })
            .await;
        wait::throughout(crate::world::A_WHILE, || async {
            let there = world.team.api::<Sync>().get_opt("app").await.unwrap().is_some();
            there
                .then_some(())
                .ok_or_else(|| "the Sync is gone before its object".to_owned())
        })
        .await;
        world
            .edit("acme", "b", json!({"metadata": {"finalizers": null}}))
            .await;
        world.team.gone::<ConfigMap>("b").await;
        let freed = Instant::now();
        world.team.gone::<Sync>("app").await;
        eprintln!(
            "the Sync follows its last object after {} ms",
            freed.elapsed().as_millis()
        );
        world
            .stays(&[("c", Some("one")), ("e", Some("one")), ("b", None)])
            .await;
        let deletes: Vec<_> = world
            .writes(mark)
            .into_iter()
            .filter(|request| request.verb == "delete")
            .map(|request| request.resource)
            .collect();
        assert_eq!(deletes[0], "services", "{deletes:#?}");
        assert!(deletes.len() <= 6, "{deletes:#?}");
    });
}

#[test]
fn a_sync_without_its_account_goes_and_says_so_and_a_suspended_one_waits() {
    run(async {
        let world = World::begin("stuck").await;
        world
            .applied(&FOUR, |spec| spec.deletion_policy = DeletionPolicy::Delete)
            .await;
        world.set("app", json!({"suspend": true})).await;
        delete(&world).await;
        let sync = world.says("app", "DeletionWaits").await;
        assert!(
            objects::message(&sync, "Ready").contains("suspended"),
            "{sync:#?}"
        );
        world.stays(&[("a", Some("one"))]).await;
        world.team.kubectl(["delete", "serviceaccount", "deployer"]).ok();
        world.set("app", json!({"suspend": false})).await;
        world.team.gone::<Sync>("app").await;
        world.told("Released", &["no service account deployer"]).await;
        world.stays(&FOUR.map(|(name, value)| (name, Some(value)))).await;
    });
}

#[test]
fn a_suspended_sync_is_let_go_by_a_change_of_policy() {
    run(async {
        let world = World::begin("let-go").await;
        world
            .applied(&FOUR, |spec| spec.deletion_policy = DeletionPolicy::Delete)
            .await;
        world.set("app", json!({"suspend": true})).await;
        delete(&world).await;
        world.says("app", "DeletionWaits").await;
        world.set("app", json!({"deletionPolicy": "Orphan"})).await;
        world.team.gone::<Sync>("app").await;
        world.stays(&[("a", Some("one"))]).await;
    });
}

#[test]
fn a_closed_window_holds_a_deletion_as_well() {
    run(async {
        let world = World::begin("shut").await;
        world
            .applied(&FOUR, |spec| spec.deletion_policy = DeletionPolicy::Delete)
            .await;
        world.set("app", json!({"windows": [deny_now()]})).await;
        delete(&world).await;
        let sync = world.says("app", "DeletionWaits").await;
        let message = objects::message(&sync, "Ready");
        assert!(
            message.contains("inside the window Deny") && message.contains("spec.deletionPolicy to Orphan"),
            "{message}"
        );
        world.stays(&FOUR.map(|(name, value)| (name, Some(value)))).await;
        world.set("app", json!({"windows": []})).await;
        world.team.gone::<Sync>("app").await;
        world.stays(&FOUR.map(|(name, _)| (name, None))).await;
    });
}

#[test]
fn a_namespace_goes_with_a_sync_inside() {
    run(async {
        let stage = Stage::shared().await;
        let world = World::on(stage, "whole").await;
        world
            .applied(&FOUR, |spec| spec.deletion_policy = DeletionPolicy::Delete)
            .await;
        let mark = world.mark();
        let namespaces: Api<Namespace> = Api::all(stage.cluster.client());
        namespaces
            .delete(world.team.name(), &DeleteParams::default())
            .await
            .unwrap();
        let begun = Instant::now();
        wait::gone(&stage.cluster, namespaces, world.team.name()).await;
        eprintln!(
            "the namespace is gone after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        assert!(begun.elapsed() < Duration::from_mins(1));
        let writes = world.writes(mark);
        let patches = writes
            .iter()
            .filter(|request| request.resource == "configmaps" && request.verb == "patch")
            .count();
        assert!(patches <= 20, "{writes:#?}");
    });
}

#[test]
fn a_sync_that_may_not_delete_says_so_and_waits() {
    run(async {
        let world = World::begin("powerless").await;
        world
            .applied(&FOUR, |spec| spec.deletion_policy = DeletionPolicy::Delete)
            .await;
        let role = world
            .team
            .kubectl(["get", "rolebinding", "deployer", "--output=json"])
            .ok();
        world.team.kubectl(["delete", "rolebinding", "deployer"]).ok();
        delete(&world).await;
        let sync = world.says("app", "DeletionFailed").await;
        let message = objects::message(&sync, "Ready");
        assert!(message.contains("cannot be deleted"), "{message}");
        world.stays(&FOUR.map(|(name, value)| (name, Some(value)))).await;
        let mut role: serde_json::Value = serde_json::from_str(&role).unwrap();
        role["metadata"] = json!({"name": "deployer", "namespace": world.team.name()});
        let cluster = &world.team.stage().cluster;
        cluster
            .kubectl_with(["create", "-f", "-"], &role.to_string())
            .ok();
        world.team.request("app", "now").await;
        world.team.gone::<Sync>("app").await;
        world.stays(&[("a", None), ("d", None)]).await;
    });
}
