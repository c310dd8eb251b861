//! Somebody who changes an object as often as it is restored: slowed down, named, and no endless loop.

use std::time::{Duration, Instant};

use crds::{ForeignFields, Sync};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{objects, run, wait};

use crate::world::{World, status, value_of};

#[test]
fn a_fight_is_slowed_down_and_named() {
    run(async {
        let world = World::begin("fight").await;
        world.applied(&[("a", "one"), ("b", "one")], |_| {}).await;
        let mark = world.mark();
        let begun = Instant::now();
        let mut edits = 0;
        // Somebody who changes it back each time.
        let maps = world.team.api::<ConfigMap>();
        let params = PatchParams {
            field_manager: Some("acme".into()),
            ..PatchParams::default()
        };
        while begun.elapsed() < Duration::from_secs(10) {
            let now = maps.get("a").await.unwrap();
            if value_of(&now) == Some("one") {
                let patch = json!({"data": {"value": "acme"}});
                maps.patch("a", &params, &Patch::Merge(patch)).await.unwrap();
                edits += 1;
            } else {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let writes: Vec<_> = world
            .writes(mark)
            .into_iter()
            .filter(|request| request.name == "a")
            .collect();
        eprintln!("{edits} edits, {} repairs in 10 s", writes.len());
        assert!(edits >= 6, "there was no fight: {edits}");
        assert!((5..=11).contains(&writes.len()), "{writes:#?}");
        world
            .told(
                "Fight",
                &[
                    "ConfigMap",
                    "/a is changed again each time it is restored",
                    "acme",
                ],
            )
            .await;
        let sync = world
            .team
            .until("app", "the fight to be told", |sync: &Sync| {
                sync.status.as_ref().is_some_and(|status| status.drift.len() == 1)
            })
            .await;
        let drift = &status(&sync).drift[0];
        assert_eq!(drift.manager, "acme", "{drift:#?}");
        assert!(
            drift.object.ends_with("/a") && drift.message.contains("each time it is restored"),
            "{drift:#?}"
        );
        let fought = |status: &crds::SyncStatus| {
            let mut warnings = status.warnings.iter();
            warnings
                .any(|told| told.object.ends_with("/a") && told.message.contains("it is restored by acme"))
        };
        world
            .team
            .until("app", "the status to name who fights", |sync: &Sync| {
                sync.status.as_ref().is_some_and(fought)
            })
            .await;
        // Others are repaired at once meanwhile.
        let other = Instant::now();
        world
            .edit("acme", "b", json!({"data": {"value": "edited"}}))
            .await;
        world.value("b", "one").await;
        assert!(other.elapsed() < Duration::from_secs(5));
        // When the other one gives up, it ends well.
        world.value("a", "one").await;
        world
            .until("app", "Applied", |status| status.drift.is_empty())
            .await;
    });
}

#[test]
fn a_field_that_is_added_again_and_again_is_removed_ever_more_slowly() {
    run(async {
        let world = World::begin("adds").await;
        world
            .applied(&[("a", "one")], |spec| {
                spec.foreign_fields = ForeignFields::Remove;
            })
            .await;
        let mark = world.mark();
        let (begun, mut edits) = (Instant::now(), 0);
        let maps = world.team.api::<ConfigMap>();
        let extra = |map: &ConfigMap| map.data.as_ref().unwrap().contains_key("extra");
        while begun.elapsed() < Duration::from_secs(20) {
            if extra(&maps.get("a").await.unwrap()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            } else {
                world.edit("acme", "a", json!({"data": {"extra": "x"}})).await;
                edits += 1;
            }
        }
        let writes = world.writes(mark);
        eprintln!("{edits} edits, {} removals in 20 s", writes.len());
        assert!(edits >= 5, "there was no fight: {edits}");
        assert!(writes.len() <= 11, "{writes:#?}");
        world.told("Fight", &["/a", "acme"]).await;
        world
            .team
            .until("a", "the field to go in the end", |map: &ConfigMap| !extra(map))
            .await;
    });
}

#[test]
fn what_admission_changes_on_every_write_is_no_fight() {
    run(async {
        let world = World::begin("mutated").await;
        let (team, stage) = (&world.team, world.team.stage());
        let name = team.name();
        let policy = objects::list(&[
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
                "spec": {"failurePolicy": "Fail", "reinvocationPolicy": "Never",
                    "matchConstraints": {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}]},
                    "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{spec: Object.spec{replicas: 2}}"}}]}}),
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
                "spec": {"policyName": name,
                    "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}}}),
        ]);
        stage
            .cluster
            .kubectl_with(["create", "-f", "-"], &policy.to_string())
            .ok();
        let probe = objects::deployment("probe", "web:1", "db");
        wait::poll("the policy to be in force", async || {
            let arguments = [
                "create",
                "--dry-run=server",
                "--output=jsonpath={.spec.replicas}",
                "--namespace",
                name,
                "-f",
                "-",
            ];
            let answer = stage.cluster.kubectl_with(arguments, &probe);
            if answer.stdout == "2" {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
        let mark = world.mark();
        world
            .repo
            .write("app/web.yaml", objects::deployment("web", "web:1", "db"));
        let commit = world.repo.commit("Begin");
        team.sync("app", "app").await;
        team.sent("app", &commit).await;
        team.kubectl(["annotate", "deployment", "web", "acme=1"]).ok();
        team.kubectl(["set", "image", "deployment", "web", "main=evil:1"])
            .ok();
        team.until("web", "the image to be back", |now: &Deployment| {
            let pod = now.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
            pod.containers[0].image.as_deref() == Some("web:1")
        })
        .await;
        wait::throughout(Duration::from_secs(6), || async { Ok(()) }).await;
        let writes: Vec<_> = world
            .writes(mark)
            .into_iter()
            .filter(|request| request.resource == "deployments")
            .collect();
        eprintln!("{} writes to the Deployment", writes.len());
        assert!(writes.len() <= 6, "{writes:#?}");
        stage
            .cluster
            .kubectl([
                "delete",
                "mutatingadmissionpolicybinding,mutatingadmissionpolicy",
                name,
            ])
            .ok();
    });
}
