//! What a reading of the engine found wrong: deletes of what was never sent, and writes past the gate.

use crds::{DeletionPolicy, ForeignFields, Mode, Sync, Window, WindowKind};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;
use tests::{objects, run, wait};

use crate::order_world::{begin, gated, gates, plain};
use crate::world::{A_WHILE, World, status};

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
        let words = ["signet.dev/reconcile", "client.lifecycle.config.k8s.io/deletion"];
        let said = json!({(words[0]): "disabled", (words[1]): "detach"});
        world
            .edit("acme", "a", json!({"metadata": {"annotations": said}}))
            .await;
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
        assert!(map.annotations().contains_key(words[0]), "{map:?}");

        // One watch shows the Sync, another the object: which is first is not said.
        let seen = |sync: &Sync| sync.metadata.generation == Some(status(sync).observed_generation);
        world.set("app", json!({"mode": Mode::Detect})).await;
        world.team.until("app", "the mode to be seen", seen).await;
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
        world.team.until("app", "the window to be seen", seen).await;
        stays().await;
        world.set("app", json!({"windows": []})).await;
        world
            .team
            .until("a", "the field to go", |map: &ConfigMap| {
                map.data.as_ref().is_some_and(|data| !data.contains_key("extra"))
            })
            .await;
        let map: ConfigMap = world.team.api().get("a").await.unwrap();
        assert!(map.annotations().contains_key(words[1]), "{map:?}");
    });
}

/// An API server that does not serve a kind for a moment says nothing about its objects.
#[test]
fn objects_of_a_kind_that_is_not_served_for_a_moment_are_neither_lost_nor_forgotten() {
    run(async {
        let world = World::begin("unserved").await;
        let team = &world.team;
        team.make_platform();
        let group = format!("{}.example.com", team.name());
        let plural = format!("cups.{group}");
        let cluster = &team.stage().cluster;
        let role = format!("observe-{}", team.name());
        let put = |object: serde_json::Value| {
            let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
            cluster.kubectl_with(apply, &object.to_string()).ok();
        };
        put(
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": role, "labels": {"signet.dev/aggregate-to-observe": "true"}},
            "rules": [{"apiGroups": [group], "resources": ["*"], "verbs": ["get", "list", "watch"]}]}),
        );
        let definition = |served: bool| {
            let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
            put(json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": plural},
                "spec": {"group": group, "scope": "Namespaced",
                    "names": {"kind": "Cup", "plural": "cups", "singular": "cup"},
                    "versions": [{"name": "v1", "served": served, "storage": true,
                        "schema": {"openAPIV3Schema": any}}]}}));
        };
        definition(true);
        cluster
            .kubectl(["wait", &format!("crd/{plural}"), "--for=condition=Established"])
            .ok();
        let cup = |name: &str| {
            json!({"apiVersion": format!("{group}/v1"), "kind": "Cup", "metadata": {"name": name}})
                .to_string()
        };
        world
            .repo
            .write("app/keep.yaml", cup("keep"))
            .write("app/goes.yaml", cup("goes"));
        world
            .applied(&[("a", "one"), ("b", "one"), ("c", "one")], |_| {})
            .await;
        let uid = |name: &str| {
            let found = team.kubectl(["get", &plural, name, "--output=jsonpath={.metadata.uid}"]);
            found.ok()
        };
        let before = (uid("keep"), uid("goes"));

        definition(false);
        wait::poll("the kind not to be served", || async {
            let answer = team.kubectl(["get", &plural]);
            if answer.code == 0 {
                Err(answer.to_string())
            } else {
                Ok(())
            }
        })
        .await;
        let last = world
            .repo
            .remove("app/goes.yaml")
            .write("app/a.yaml", plain("a", &[("x/y", "z")]));
        let commit = last.commit("Without one of them");
        // What is of other kinds goes on.
        team.until("a", "the commit to be applied", |map: &ConfigMap| {
            map.annotations().contains_key("x/y")
        })
        .await;
        team.failed("app", &commit).await;
        definition(true);
        team.applied("app", &commit).await;
        wait::poll("what left Git to be deleted", || async {
            let answer = team.kubectl(["get", &plural, "goes"]);
            if answer.stderr.contains("NotFound") {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
        assert_eq!(uid("keep"), before.0, "it is the same object");
        cluster
            .kubectl(["delete", &format!("crd/{plural}"), &format!("clusterrole/{role}")])
            .ok();
    });
}
