//! What is said of drift, of fields that others add, of fights, and of what cannot be repaired.

use std::time::{Duration, Instant};

use crds::{ForeignFields, Sync};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use tests::{objects, run, wait};

use crate::world::{World, status, value_of};

#[test]
fn who_changed_what_is_said_and_put_back() {
    run(async {
        let world = World::begin("who").await;
        let team = &world.team;
        world
            .repo
            .write("app/web.yaml", objects::deployment("web", "web:1", "db"));
        let labelled = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map\n  labels: {team: shop}\n  annotations: {note: ours}\ndata: {value: one}\n";
        world.repo.write("app/map.yaml", labelled);
        let commit = world.repo.commit("Begin");
        team.sync("app", "app").await;
        team.sent("app", &commit).await;
        let image = |now: &Deployment| {
            let pod = now.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
            pod.containers[0].image.as_deref() == Some("web:1")
        };
        let replicas = |now: &Deployment| now.spec.as_ref().unwrap().replicas == Some(1);
        let whole = |now: &ConfigMap| {
            value_of(now) == Some("one")
                && now.labels().get("team").is_some_and(|team| team == "shop")
                && now.annotations().get("note").is_some_and(|note| note == "ours")
        };
        team.repaired("web", &["set", "image", "deployment/web", "main=evil:1"], image)
            .await;
        world
            .told(
                "Restored",
                &[
                    "Deployment",
                    "/web, in which kubectl-set changed",
                    "containers[",
                    ".image",
                ],
            )
            .await;
        team.repaired("web", &["scale", "deployment", "web", "--replicas=3"], replicas)
            .await;
        world
            .told("Restored", &["/web, in which kubectl changed .spec.replicas"])
            .await;
        team.repaired(
            "map",
            &["label", "--overwrite", "configmap", "map", "team=evil"],
            whole,
        )
        .await;
        world
            .told(
                "Restored",
                &["in which kubectl-label changed .metadata.labels", "team"],
            )
            .await;
        team.repaired(
            "map",
            &["annotate", "--overwrite", "configmap", "map", "note=theirs"],
            whole,
        )
        .await;
        world
            .told(
                "Restored",
                &["in which kubectl-annotate changed .metadata.annotations", "note"],
            )
            .await;
        // The editor of all kubectl calls here writes another value.
        team.repaired("map", &["edit", "configmap", "map"], whole).await;
        world
            .told(
                "Restored",
                &[&format!(
                    "Restored ConfigMap {}/map, in which kubectl-edit changed .data.value.",
                    team.name()
                )],
            )
            .await;
        // Five are named in a while: another Sync names its own.
        let other = World::begin("who-deleted").await;
        other.applied(&[("map", "one")], |_| {}).await;
        let back = |now: &ConfigMap| value_of(now) == Some("one");
        let delete = ["delete", "configmap", "map"];
        other.team.repaired("map", &delete, back).await;
        other.told("Restored", &["/map, which somebody deleted."]).await;
    });
}

#[test]
fn a_storm_of_repairs_is_told_of_in_a_few_names_and_one_number() {
    run(async {
        let world = World::begin("storm").await;
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        world.applied(&names.map(|name| (name, "one")), |_| {}).await;
        let mut delete = vec!["delete", "configmap", "--wait=false"];
        delete.extend(names);
        world.team.kubectl(delete).ok();
        for name in names {
            world.value(name, "one").await;
        }
        world.told("Restored", &["Restored 4 more objects."]).await;
        let events = world.team.api::<Event>().list(&ListParams::default()).await;
        let told: Vec<String> = events
            .unwrap()
            .into_iter()
            .filter(|event| event.reason.as_deref() == Some("Restored"))
            .filter_map(|event| event.note)
            .collect();
        let named = told.iter().filter(|note| note.contains("which somebody deleted"));
        assert_eq!((named.count(), told.len()), (5, 6), "{told:#?}");
    });
}

#[test]
fn fields_of_others_are_told_removed_or_left_in_silence() {
    run(async {
        let world = World::begin("others").await;
        world.applied(&[("a", "one")], |_| {}).await;
        world
            .edit(
                "acme",
                "a",
                json!({"data": {"extra": "x"}, "metadata": {"annotations": {"acme.example/seen": "1"}}}),
            )
            .await;
        let sync = world
            .until("app", "Applied", |status| status.foreign.len() == 1)
            .await;
        let foreign = &status(&sync).foreign[0];
        assert_eq!(foreign.manager, "acme");
        assert!(foreign.object.ends_with("/a"), "{foreign:#?}");
        assert!(foreign.fields.contains(&".data.extra".to_owned()), "{foreign:#?}");
        assert_eq!(foreign.fields.len(), 2, "{foreign:#?}");
        let extra = |map: &ConfigMap| map.data.as_ref().unwrap().contains_key("extra");
        let map: ConfigMap = world.team.api().get("a").await.unwrap();
        assert!(extra(&map));

        world.set("app", json!({"foreignFields": "Allow"})).await;
        world
            .until("app", "Applied", |status| status.foreign.is_empty())
            .await;
        let map: ConfigMap = world.team.api().get("a").await.unwrap();
        assert!(extra(&map));

        world.set("app", json!({"foreignFields": "Remove"})).await;
        world
            .team
            .until("a", "the foreign fields to go", |map: &ConfigMap| {
                !extra(map)
                    && !map.annotations().contains_key("acme.example/seen")
                    && value_of(map) == Some("one")
            })
            .await;
        world.told("ForeignRemoved", &["acme", ".data.extra"]).await;
        world
            .until("app", "Applied", |status| status.foreign.is_empty())
            .await;
        // And whatever comes later, without another commit.
        world.edit("acme", "a", json!({"data": {"extra": "y"}})).await;
        world
            .team
            .until("a", "the foreign field to go", |map: &ConfigMap| !extra(map))
            .await;
        assert_eq!(
            world
                .team
                .api::<Sync>()
                .get("app")
                .await
                .unwrap()
                .spec
                .foreign_fields,
            ForeignFields::Remove
        );
    });
}

/// What the Sync's account may not do now is told once, and done as soon as it may.
#[test]
fn fields_of_others_that_cannot_be_removed_are_told_and_removed_later() {
    run(async {
        let world = World::begin("unremoved").await;
        world
            .applied(&[("a", "one")], |spec| {
                spec.foreign_fields = ForeignFields::Remove;
            })
            .await;
        hands_off(&world).await;
        world.edit("acme", "a", json!({"data": {"extra": "x"}})).await;
        world.told("ForeignKept", &["acme", "/a"]).await;
        hands_on(&world).await;
        world
            .team
            .until("a", "the foreign field to go", |map: &ConfigMap| {
                !map.data.as_ref().unwrap().contains_key("extra")
            })
            .await;
    });
}

/// Forbids the Sync's account to change ConfigMaps.
async fn hands_off(world: &World<'_>) {
    let name = world.team.name();
    let user = format!("system:serviceaccount:{name}:deployer");
    let policy = objects::list(&[
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {"failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}]},
                "validations": [{"expression": format!("request.userInfo.username != '{user}'"), "message": "hands off"}]}}),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}}}),
    ]);
    let cluster = &world.team.stage().cluster;
    cluster
        .kubectl_with(["create", "-f", "-"], &policy.to_string())
        .ok();
    wait::poll("the policy to be in force", async || {
        let answer = probe(world);
        if answer.stderr.contains("hands off") {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    })
    .await;
}

/// Allows it again.
async fn hands_on(world: &World<'_>) {
    let kinds = "validatingadmissionpolicybinding,validatingadmissionpolicy";
    let cluster = &world.team.stage().cluster;
    cluster.kubectl(["delete", kinds, world.team.name()]).ok();
    wait::poll("the policy to be gone", async || {
        let answer = probe(world);
        if answer.code == 0 {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    })
    .await;
}

/// Whether the Sync's account may change the ConfigMap `a`.
fn probe(world: &World<'_>) -> tests::command::Answer {
    let user = format!("--as=system:serviceaccount:{}:deployer", world.team.name());
    let probe = [
        "annotate",
        "configmap",
        "a",
        "probe=1",
        "--dry-run=server",
        "--overwrite",
    ];
    world.team.kubectl(probe.into_iter().chain([user.as_str()]))
}

#[test]
fn drift_that_cannot_be_repaired_becomes_a_condition_and_goes_away() {
    run(async {
        let world = World::begin("unrepaired").await;
        let team = &world.team;
        world
            .applied(&[("a", "one")], |spec| spec.drift_timeout = "2s".into())
            .await;
        hands_off(&world).await;
        world
            .edit("acme", "a", json!({"data": {"value": "edited"}}))
            .await;
        let begun = Instant::now();
        let sync = team
            .until("app", "the drift to count as unresolved", |sync: &Sync| {
                objects::is(sync, "DriftUnresolved", "True")
            })
            .await;
        eprintln!("unresolved after {:.1} s", begun.elapsed().as_secs_f64());
        assert!(begun.elapsed() >= Duration::from_secs(2));
        let message = objects::message(&sync, "DriftUnresolved");
        assert!(
            message.contains("by acme") && message.contains("hands off") && message.contains("/a"),
            "{message}"
        );
        let drift = &status(&sync).drift;
        assert_eq!(
            (drift.len(), drift[0].fields.as_slice()),
            (1, &[".data.value".to_owned()][..]),
            "{drift:#?}"
        );
        // As the API server noted it, in whole seconds.
        let map: ConfigMap = team.api().get("a").await.unwrap();
        let entries = map.metadata.managed_fields.unwrap();
        let theirs = entries
            .iter()
            .find(|entry| entry.manager.as_deref() == Some("acme"));
        let wrote = theirs.and_then(|entry| entry.time.as_ref()).unwrap();
        assert_eq!(drift[0].changed_at, wrote.0.to_string());
        world.told("DriftUnresolved", &["acme"]).await;
        hands_on(&world).await;
        team.request("app", "now").await;
        world.value("a", "one").await;
        team.until("app", "the drift to be resolved", |sync: &Sync| {
            objects::message(sync, "DriftUnresolved").is_empty()
                && objects::is(sync, "Ready", "True")
                && status(sync).drift.is_empty()
        })
        .await;
    });
}

#[test]
fn a_frozen_object_is_left_alone_and_caught_up_with() {
    run(async {
        let world = World::begin("frozen").await;
        let maps = [
            ("ours", "one"),
            ("flux", "one"),
            ("gone", "one"),
            ("d", "one"),
            ("e", "one"),
            ("f", "one"),
        ];
        world.applied(&maps, |_| {}).await;
        let annotations = [
            ("ours", crds::annotation::RECONCILE),
            ("flux", crds::annotation::FLUX_RECONCILE),
            ("gone", crds::annotation::RECONCILE),
        ];
        for (name, key) in annotations {
            world
                .edit(
                    "jana",
                    name,
                    json!({"metadata": {"annotations": {key: "disabled"}}, "data": {"value": "edited"}}),
                )
                .await;
        }
        let edited = annotations.map(|(name, _)| (name, Some("edited")));
        world.stays(&edited).await;
        let of = |name: &str| format!("ConfigMap {}/{name}", world.team.name());
        world
            .until("app", "Applied", |status| {
                status.frozen == ["flux", "gone", "ours"].map(of)
            })
            .await;
        let second = world.maps(&[("ours", "two"), ("d", "two")]);
        world.value("d", "two").await;
        world.team.applied("app", &second).await;
        let third = world.drop_maps(&["gone"]);
        world.team.applied("app", &third).await;
        world.stays(&edited).await;
        for (name, key) in annotations {
            world
                .edit("jana", name, json!({"metadata": {"annotations": {key: null}}}))
                .await;
        }
        world.value("ours", "two").await;
        world.value("flux", "one").await;
        world.team.gone::<ConfigMap>("gone").await;
        world
            .until("app", "Applied", |status| status.frozen.is_empty())
            .await;

        // Frozen with nothing edited: what Git changes meanwhile is applied when it thaws, with no other event.
        world
            .edit(
                "jana",
                "e",
                json!({"metadata": {"annotations": {annotations[0].1: "disabled"}}}),
            )
            .await;
        wait::until(
            &world.team.stage().cluster,
            world.team.api::<ConfigMap>(),
            "e",
            "the annotation",
            |map: &ConfigMap| !map.annotations().is_empty(),
        )
        .await;
        world.stays(&[("e", Some("one"))]).await;
        let last = world.maps(&[("e", "two")]);
        world.team.applied("app", &last).await;
        world.stays(&[("e", Some("one"))]).await;
        world
            .edit(
                "jana",
                "e",
                json!({"metadata": {"annotations": {annotations[0].1: null}}}),
            )
            .await;
        world.value("e", "two").await;
    });
}
