//! What a reading of the engine found wrong: deletes of what was never sent, and writes past the gate.

use crds::{DeletionPolicy, ForeignFields, Mode, Sync, Window, WindowKind};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;
use tests::{objects, run, wait};

use crate::order_world::{begin, gated, gates, plain};
use crate::world::{A_WHILE, World};

#[test]
fn what_a_sync_never_sent_it_never_deletes() {
    run(async {
        let (team, repo) = begin("unsent").await;
        let later: &[(&str, &str)] = &[("signet.dev/wave", "1")];
        let commit = repo.write("app/x.yaml", plain("x", later)).commit("Begin");
        team.sync_with("app", "app", gates).await;
        team.applied("app", &commit).await;
        let syncs = team.api::<Sync>();
        syncs.delete("app", &DeleteParams::default()).await.unwrap();
        team.gone::<Sync>("app").await;
        let before: ConfigMap = team.api().get("x").await.unwrap();

        // Made again under the same name, it never comes as far as x.
        repo.write("app/gate.yaml", gated("gate", &[]));
        let commit = repo.commit("A gate before it");
        team.fetched("app", &commit).await;
        team.sync_with("app", "app", |spec| {
            gates(spec);
            spec.deletion_policy = DeletionPolicy::Delete;
        })
        .await;
        team.until("app", "it to wait for the gate", |sync: &Sync| {
            objects::message(sync, "Ready").contains("gate")
        })
        .await;
        syncs.delete("app", &DeleteParams::default()).await.unwrap();
        team.gone::<Sync>("app").await;
        team.gone::<ConfigMap>("gate").await;
        let after: ConfigMap = team.api().get("x").await.unwrap();
        assert_eq!(before.uid(), after.uid());
        assert!(after.metadata.deletion_timestamp.is_none());
    });
}

#[test]
fn foreign_fields_are_not_removed_past_the_gate_nor_a_freeze_taken_away() {
    run(async {
        let world = World::begin("removal").await;
        world
            .applied(&[("a", "one")], |spec| {
                spec.foreign_fields = ForeignFields::Remove;
            })
            .await;
        let frozen = json!({"metadata": {"annotations": {"signet.dev/reconcile": "disabled"}}});
        world.edit("acme", "a", frozen).await;
        world.edit("acme", "a", json!({"data": {"extra": "x"}})).await;
        let stays = || {
            wait::throughout(A_WHILE, || async {
                let map: ConfigMap = world.team.api().get("a").await.unwrap();
                if map.data.as_ref().is_some_and(|data| data.contains_key("extra")) {
                    Ok(())
                } else {
                    Err(format!("{map:?}"))
                }
            })
        };
        stays().await;
        let map: ConfigMap = world.team.api().get("a").await.unwrap();
        assert!(map.annotations().contains_key("signet.dev/reconcile"), "{map:?}");

        world.set("app", json!({"mode": Mode::Detect})).await;
        world
            .edit(
                "acme",
                "a",
                json!({"metadata": {"annotations": {"signet.dev/reconcile": null}}}),
            )
            .await;
        stays().await;

        let always = Window {
            kind: WindowKind::Deny,
            schedule: "* * * * *".into(),
            duration: "1h".into(),
            time_zone: String::new(),
        };
        world
            .set("app", json!({"mode": Mode::Automatic, "windows": [always]}))
            .await;
        stays().await;
        world.set("app", json!({"windows": []})).await;
        world
            .team
            .until("a", "the field to go", |map: &ConfigMap| {
                map.data.as_ref().is_some_and(|data| !data.contains_key("extra"))
            })
            .await;
    });
}
