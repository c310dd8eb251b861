//! What somebody may try who can push to Git, or write into the cluster, and should get nowhere with it.

use std::time::Duration;

use crds::{Sync, label};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use tests::audit::{CONTROLLER, Mark, Request};
use tests::{objects, run};

use crate::world::{World, reason, status, value_of};

#[test]
fn copies_and_forgeries_of_our_objects_are_never_pruned() {
    run(async {
        let world = World::begin("forged").await;
        world
            .applied(&[("a", "one"), ("b", "one"), ("c", "one")], |_| {})
            .await;
        let map: ConfigMap = world.team.api().get("b").await.unwrap();
        let manager = map
            .managed_fields()
            .iter()
            .filter_map(|entry| entry.manager.as_deref())
            .find(|name| name.starts_with("signet"));
        let manager = format!("--field-manager={}", manager.unwrap());
        // As kubectl would copy it, and as somebody would who knows how we tell.
        let copy = |name: &str| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": map.labels(), "annotations": map.annotations()},
                "data": {"value": "copied"}})
        };
        let cluster = &world.team.stage().cluster;
        let here = ["--namespace", world.team.name(), "-f", "-"];
        cluster
            .kubectl_with(["create"].into_iter().chain(here), &copy("copy").to_string())
            .ok();
        let forge = ["apply", "--server-side", &manager];
        cluster
            .kubectl_with(forge.into_iter().chain(here), &copy("forged").to_string())
            .ok();
        // One that was deleted and made by somebody else under our manager's name, once Git does not have it.
        suspend(&world).await;
        world.team.kubectl(["delete", "configmap", "c"]).ok();
        cluster
            .kubectl_with(forge.into_iter().chain(here), &copy("c").to_string())
            .ok();
        let commit = world.drop_maps(&["b", "c"]);
        world.team.fetched("app", &commit).await;
        world
            .set("app", json!({"suspend": false, "prune": {"limit": "100%"}}))
            .await;
        world.team.applied("app", &commit).await;
        world.team.gone::<ConfigMap>("b").await;
        world
            .stays(&[
                ("copy", Some("copied")),
                ("forged", Some("copied")),
                ("c", Some("copied")),
            ])
            .await;
    });
}

/// Waits until a Sync that was suspended is.
async fn suspend(world: &World<'_>) {
    world.set("app", json!({"suspend": true})).await;
    world
        .team
        .until("app", "the Sync to be suspended", |sync: &Sync| {
            objects::is(sync, "Reconciling", "False")
                && status(sync).observed_generation == sync.metadata.generation.unwrap()
        })
        .await;
}

/// The arguments with which kubectl applies as the Sync's own field manager does, and a `ConfigMap` as a copy of `of` would be.
fn forgery(of: &ConfigMap) -> ([String; 3], impl Fn(&str, &str) -> Value) {
    let mut managers = of
        .managed_fields()
        .iter()
        .filter_map(|entry| entry.manager.as_deref());
    let manager = managers.find(|name| name.starts_with("signet")).unwrap();
    let (labels, annotations) = (of.labels().clone(), of.annotations().clone());
    let copy = move |name: &str, value: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels, "annotations": annotations},
            "data": {"value": value}})
    };
    let forge = ["apply", "--server-side", &format!("--field-manager={manager}")];
    (forge.map(ToOwned::to_owned), copy)
}

/// One that stands in the place of ours, and that our apply was refused for, is not ours either.
#[test]
fn what_our_apply_was_refused_for_is_never_pruned() {
    run(async {
        let world = World::begin("refused").await;
        world
            .applied(&[("a", "one"), ("b", "one"), ("c", "one")], |_| {})
            .await;
        let map: ConfigMap = world.team.api().get("c").await.unwrap();
        let (forge, copy) = forgery(&map);
        suspend(&world).await;
        world.team.kubectl(["delete", "configmap", "c"]).ok();
        let cluster = &world.team.stage().cluster;
        let here = ["--namespace", world.team.name(), "-f", "-"];
        let forge = forge.iter().map(String::as_str);
        cluster
            .kubectl_with(forge.chain(here), &copy("c", "copied").to_string())
            .ok();
        let odd = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"value": [1]}});
        world.repo.write("app/c.yaml", odd.to_string());
        let commit = world.repo.commit("What nobody accepts");
        world.team.fetched("app", &commit).await;
        world.set("app", json!({"suspend": false})).await;
        world
            .until("app", "ApplyFailed", |status| status.failures.len() == 1)
            .await;
        let commit = world.drop_maps(&["c"]);
        world.team.applied("app", &commit).await;
        world.stays(&[("c", Some("copied"))]).await;
        world.told("Kept", &["/c", "not what was applied"]).await;
    });
}

/// Without its label an object is in nobody's sight, and what is recorded of it still counts.
#[test]
fn what_lost_its_label_is_pruned_all_the_same() {
    run(async {
        let world = World::begin("unlabelled").await;
        world
            .applied(&[("a", "one"), ("b", "one"), ("c", "one"), ("d", "one")], |_| {})
            .await;
        suspend(&world).await;
        let bare = format!("{}-", label::APPLYSET_PART_OF);
        world.team.kubectl(["label", "configmap", "c", &bare]).ok();
        world.team.kubectl(["delete", "configmap", "d"]).ok();
        let commit = world.drop_maps(&["c", "d"]);
        world.team.fetched("app", &commit).await;
        world.set("app", json!({"suspend": false})).await;
        world.team.applied("app", &commit).await;
        world.stays(&[("a", Some("one")), ("c", None), ("d", None)]).await;
    });
}

/// What is frozen and taken out of sight at once looks deleted.
#[test]
fn what_is_frozen_and_loses_its_label_is_left_alone() {
    run(async {
        let world = World::begin("frozen-bare").await;
        world.applied(&[("a", "one"), ("b", "one")], |_| {}).await;
        let both = json!({"metadata": {"annotations": {"signet.dev/reconcile": "disabled"},
            "labels": {label::APPLYSET_PART_OF: null}}, "data": {"value": "theirs"}});
        world.edit("somebody", "b", both).await;
        world
            .until("app", "ApplyFailed", |status| {
                status
                    .failures
                    .iter()
                    .any(|failure| failure.message.contains("froze it"))
            })
            .await;
        world.stays(&[("b", Some("theirs"))]).await;
        // Nor does a commit that changes it reach it.
        let commit = world.maps(&[("a", "two"), ("b", "two")]);
        world.value("a", "two").await;
        world.team.failed("app", &commit).await;
        world.stays(&[("b", Some("theirs"))]).await;
        let freed = json!({"metadata": {"annotations": {"signet.dev/reconcile": null}}});
        world.edit("somebody", "b", freed).await;
        world.team.request("app", "now").await;
        world.value("b", "two").await;
        world.says("app", "Applied").await;
    });
}

#[test]
fn no_value_of_an_invalid_secret_is_said() {
    run(async {
        let world = World::begin("loud").await;
        world.maps(&[("a", "one")]);
        let values = [
            "c3dvcmQtb25l_not_base64_sword-one",
            "918273645",
            "sword-three-in-a-list",
        ];
        let secret = |name: &str, data: Value| {
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})
                .to_string()
        };
        world
            .repo
            .write(
                "app/base64.yaml",
                secret("base64", json!({"password": values[0]})),
            )
            .write(
                "app/number.yaml",
                secret("number", json!({"password": 918_273_645})),
            )
            .write("app/list.yaml", secret("list", json!({"password": [values[2]]})))
            .commit("Invalid Secrets");
        world.team.sync("app", "app").await;
        let sync = world
            .until("app", "ApplyFailed", |status| status.failures.len() == 3)
            .await;
        for failure in &status(&sync).failures {
            assert!(
                failure.object.starts_with("Secret ") && !failure.source.is_empty(),
                "{failure:#?}"
            );
        }
        world.value("a", "one").await;
        world.told("ApplyFailed", &[]).await;
        let events = world.team.kubectl(["get", "events", "--output=json"]).ok();
        let all = serde_json::to_string(&sync.status).unwrap();
        let log = world.team.stage().controller.log();
        for value in values {
            for (place, text) in [("an event", &events), ("the status", &all), ("the log", &log)] {
                assert!(!text.contains(value), "{value} is in {place}");
            }
        }
    });
}

#[test]
fn what_a_team_may_not_do_git_may_not_either() {
    run(async {
        let world = World::begin("tenant").await;
        let other = world.team.stage().space("neighbour");
        let map = |extra: Value| {
            let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"value": "x"}});
            for (key, value) in extra.as_object().unwrap() {
                map["metadata"][key] = value.clone();
            }
            map.to_string()
        };
        let rbac = "rbac.authorization.k8s.io";
        let binding = json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "take-all"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": world.team.name()}]});
        let own = json!({"apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": {"name": "take-more"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": world.team.name()}]});
        let controller = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "signet-controller", "namespace": "signet-system"},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "evil"}]}}}});
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "syncs.signet.dev"},
            "spec": {"group": "signet.dev", "scope": "Namespaced", "names": {"plural": "syncs", "kind": "Sync"}, "versions": []}});
        let key = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "evil", "namespace": "signet-system", "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"}}, "stringData": {"tls.key": "x"}});
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nested", "namespace": other.name()}}]}]});
        world
            .repo
            .write("app/good.yaml", objects::config_map("good", "one"))
            .write("app/other.yaml", map(json!({"namespace": other.name()})))
            .write(
                "app/nameless.yaml",
                map(json!({"name": null, "generateName": "x-"})),
            )
            .write("app/binding.yaml", binding.to_string())
            .write("app/own.yaml", own.to_string())
            .write("app/controller.yaml", controller.to_string())
            .write("app/definition.yaml", definition.to_string())
            .write("app/key.yaml", key.to_string())
            .write("app/list.yaml", list.to_string())
            .commit("Reach for everything");
        world.team.sync("app", "app").await;
        let sync = world
            .until("app", "ApplyFailed", |status| status.failures.len() >= 8)
            .await;
        let failures = &status(&sync).failures;
        for source in [
            "other",
            "nameless",
            "binding",
            "own",
            "controller",
            "definition",
            "key",
            "list",
        ] {
            let start = format!("app/{source}.yaml");
            let failure = failures.iter().find(|failure| failure.source.starts_with(&start));
            let failure = failure.unwrap_or_else(|| panic!("nothing is said of {source}: {failures:#?}"));
            eprintln!("{source}: {}", failure.message);
        }
        world.value("good", "one").await;
        let maps = other
            .api::<ConfigMap>()
            .list(&ListParams::default())
            .await
            .unwrap();
        assert!(
            maps.iter().all(|map| map.name_any() == "kube-root-ca.crt"),
            "{maps:#?}"
        );
    });
}

/// Even an account that may do everything brings no key of its own to the controller.
#[test]
fn the_controllers_own_secrets_do_not_come_from_git() {
    run(async {
        let world = World::begin("own-secrets").await;
        world.team.make_platform();
        let planted = |name: &str, labels: Value| {
            json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
                "metadata": {"name": name, "namespace": "signet-system", "labels": labels},
                "stringData": {"tls.key": "x", "tls.crt": "x"}})
            .to_string()
        };
        world
            .repo
            .write("app/good.yaml", objects::config_map("good", "one"))
            .write(
                "app/key.yaml",
                planted("evil", json!({label::SEALING_KEY: "active"})),
            )
            .write(
                "app/checkpoint.yaml",
                planted("evil-2", json!({label::CHECKPOINT: "x"})),
            )
            .write("app/digest.yaml", planted("signet-digest-key", json!({})))
            .commit("Plant keys");
        world.team.sync("app", "app").await;
        let sync = world
            .until("app", "ApplyFailed", |status| status.failures.len() == 3)
            .await;
        for failure in &status(&sync).failures {
            assert!(failure.message.contains("the controller's own"), "{failure:#?}");
        }
        world.value("good", "one").await;
        let cluster = &world.team.stage().cluster;
        for name in ["evil", "evil-2"] {
            let get = ["get", "secret", name, "--namespace", "signet-system"];
            assert!(
                cluster.kubectl(get).refused().contains("NotFound"),
                "{name} is there"
            );
        }
    });
}

/// A ConfigMap that another one owns.
fn owned(name: &str, owner: &str, uid: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"value": "one"}, "metadata": {"name": name, "ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid}]}})
    .to_string()
}

/// What the garbage collector takes again and again is written ever more rarely, and its neighbours are repaired meanwhile.
async fn is_no_endless_loop(world: &World<'_>, mark: Mark, name: &str) {
    tests::wait::throughout(Duration::from_secs(10), || async { Ok(()) }).await;
    let writes: Vec<_> = world
        .writes(mark)
        .into_iter()
        .filter(|request| request.name == name)
        .collect();
    eprintln!("{} writes in 10 s", writes.len());
    assert!((1..=12).contains(&writes.len()), "{writes:#?}");
    world
        .edit("acme", "a", json!({"data": {"value": "edited"}}))
        .await;
    world.value("a", "one").await;
}

#[test]
fn an_object_that_the_garbage_collector_takes_is_no_endless_loop() {
    run(async {
        let world = World::begin("collected").await;
        let dead = "00000000-0000-0000-0000-00000000dead";
        world
            .repo
            .write("app/doomed.yaml", owned("doomed", "nobody", dead));
        world.maps(&[("a", "one")]);
        let mark = world.mark();
        world.team.sync("app", "app").await;
        world.value("a", "one").await;
        is_no_endless_loop(&world, mark, "doomed").await;
    });
}

/// An owner who is alive changes nothing while he is; when he goes, the object goes with him, and is one whose owner is dead.
#[test]
fn an_object_that_git_gives_to_somebody_elses_stays_as_long_as_that() {
    run(async {
        let world = World::begin("owned").await;
        world.team.kubectl(["create", "configmap", "owner"]).ok();
        let owner: ConfigMap = world.team.api().get("owner").await.unwrap();
        let uid = owner.uid().unwrap();
        world
            .repo
            .write("app/theirs.yaml", owned("theirs", "owner", &uid));
        world.applied(&[("a", "one")], |_| {}).await;
        let mark = world.mark();
        world.stays(&[("theirs", Some("one"))]).await;
        let mut writes = world.writes(mark);
        writes.retain(|request| request.name == "theirs");
        assert!(writes.is_empty(), "{writes:#?}");
        // It is repaired like any other.
        world
            .edit("acme", "theirs", json!({"data": {"value": "edited"}}))
            .await;
        world.value("theirs", "one").await;
        let before: ConfigMap = world.team.api().get("theirs").await.unwrap();

        let mark = world.mark();
        world.team.kubectl(["delete", "configmap", "owner"]).ok();
        world
            .team
            .until("theirs", "it to be made anew", |map: &ConfigMap| {
                map.uid() != before.uid()
            })
            .await;
        is_no_endless_loop(&world, mark, "theirs").await;
        // Git takes the owner away: it stays.
        let commit = world.maps(&[("theirs", "one")]);
        world.team.applied("app", &commit).await;
        world.stays(&[("theirs", Some("one")), ("a", Some("one"))]).await;
    });
}

/// How many objects are on their way when a Sync is changed: the machine may be busy, and there have to be some left then.
const ON_THEIR_WAY: usize = 800;

/// A Sync that is changed while objects are on their way. Of those that were left then, at most half may still be written as
/// the account that it began with: what is under way already cannot be taken back, and a change takes a moment to be seen.
async fn late(name: &str, spec: Value, wanted: impl Fn(&Sync) -> bool) {
    let world = World::begin(name).await;
    world.team.kubectl(["create", "serviceaccount", "nobody"]).ok();
    for n in 0..ON_THEIR_WAY {
        let map = objects::config_map(&format!("map-{n}"), &"x".repeat(2000));
        world.repo.write(&format!("app/{n}.yaml"), map);
    }
    world.repo.commit("Many");
    let mark = world.mark();
    let deployer = format!("system:serviceaccount:{}:deployer", world.team.name());
    // Whose rights a request had is known once it is answered.
    let count = |mark| {
        let audit = world.team.stage().cluster.audit();
        let is_write = |(request, code): &(Request, u16)| {
            request.resource == "configmaps"
                && request.namespace == world.team.name()
                && request.impersonated.as_deref() == Some(deployer.as_str())
                && request.writes()
                && !request.uri.contains("dryRun=All")
                && *code < 300
        };
        audit
            .answered(mark, CONTROLLER)
            .iter()
            .filter(|request| is_write(request))
            .count()
    };
    world.team.sync("app", "app").await;
    let first = |map: &ConfigMap| map.name_any().starts_with("map-");
    tests::wait::any(
        &world.team.stage().cluster,
        world.team.api(),
        "the first object",
        first,
    )
    .await;
    world.set("app", spec).await;
    let changed = world.mark();
    world
        .team
        .until("app", "the change to be seen", |sync: &Sync| {
            sync.metadata.generation == Some(2) && status(sync).observed_generation == 2 && wanted(sync)
        })
        .await;
    let (all, late) = (count(mark), count(changed));
    let left = ON_THEIR_WAY - (all - late);
    eprintln!("{name}: {left} were left when it was changed, {late} of them were written after that");
    assert!(late * 2 <= left, "{name}: {late} of {left} were written");
}

#[test]
fn a_change_of_a_sync_takes_effect_in_the_middle_of_a_pass() {
    run(async {
        let account = json!({"serviceAccountName": "nobody"});
        late("race-account", account, |sync| reason(sync) == "ApplyFailed").await;
        let suspend = json!({"suspend": true});
        let suspended = |sync: &Sync| objects::is(sync, "Reconciling", "False");
        late("race-suspend", suspend, suspended).await;
        let detect = json!({"mode": "Detect"});
        late("race-detect", detect, |sync| reason(sync) == "Differs").await;
    });
}

#[test]
fn a_sync_that_is_pointed_elsewhere_stops_what_it_was_at() {
    run(async {
        let path = json!({"path": "elsewhere"});
        late("race-path", path, |sync| reason(sync) == "PathUnreadable").await;
        let source = json!({"sourceRef": {"name": "another"}});
        late("race-source", source, |sync| reason(sync) == "SourceMissing").await;
    });
}

#[test]
fn odd_times_are_refused_where_they_are_written() {
    run(async {
        let world = World::begin("times").await;
        world.applied(&[("a", "one")], |_| {}).await;
        let patch = |kind: &str, field: &str, value: &str| {
            let patch = json!({"spec": {field: value}}).to_string();
            world.team.kubectl([
                "patch",
                kind,
                "app",
                "--type=merge",
                "--dry-run=server",
                "--patch",
                &patch,
            ])
        };
        for value in ["-1s", "", "soon", "0x1s", "1d", "NaN"] {
            for (kind, field) in [
                ("repository", "interval"),
                ("repository", "timeout"),
                ("sync", "timeout"),
                ("sync", "driftTimeout"),
            ] {
                let answer = patch(kind, field, value);
                assert_ne!(answer.code, 0, "{kind} {field} {value:?} is accepted");
            }
        }
        assert_eq!(patch("sync", "timeout", "10m").code, 0);
        // What has the form of a time and is no sensible one is said, and does no harm.
        let mark = world.mark();
        let set = |kind: &str, spec: Value| {
            let patch = json!({"spec": spec}).to_string();
            world
                .team
                .kubectl(["patch", kind, "app", "--type=merge", "--patch", &patch])
        };
        for field in ["timeout", "driftTimeout"] {
            let was = if field == "timeout" { "5m" } else { "2m" };
            set("sync", json!({field: "9999999999999999999999h"})).ok();
            let sync = world.says("app", "InvalidSpec").await;
            let message = objects::message(&sync, "Ready");
            assert!(message.starts_with(&format!("spec.{field}: ")), "{message}");
            set("sync", json!({field: was})).ok();
            world.says("app", "Applied").await;
        }
        set("sync", json!({"timeout": "0s", "driftTimeout": "0s"})).ok();
        world.says("app", "Applied").await;
        for interval in ["999999h", "9999999999999999999999h"] {
            set("repository", json!({"interval": interval})).ok();
        }
        let _ = set("repository", json!({"interval": "0s"}));
        let asked = world.team.stage().git.requests(&world.repo).len();
        tests::wait::throughout(Duration::from_secs(3), || async { Ok(()) }).await;
        let asked = world.team.stage().git.requests(&world.repo).len() - asked;
        eprintln!("{asked} requests to Git in 3 s");
        assert!(asked <= 20, "{asked}");
        assert!(world.writes(mark).len() <= 3);
        let sync: Sync = world.team.api().get("app").await.unwrap();
        assert!(
            objects::message(&sync, "Ready").contains("1 object is")
                && value_of(&world.team.api().get("a").await.unwrap()) == Some("one")
        );
    });
}
