//! Whose a field is: what other tools left, what others claim, what is left to them.

use std::time::Duration;

use crds::{Conflicts, IgnoreRule, SyncSpec, Target};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use serde_json::json;
use tests::audit::{Mark, Request};
use tests::{Repo, Space, Stage, objects, run, wait};

/// Long enough for a controller that does what it must not to have done it.
const A_WHILE: Duration = Duration::from_secs(4);
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What a test stands on: a namespace, and a repository with the Repository `app` for it.
async fn begin(name: &str) -> (Space<'static>, Repo) {
    let stage = Stage::shared().await;
    let team = stage.space(name);
    let repo = stage.git.repository(team.name());
    repo.commit("Begin");
    team.repository("app", &repo).await;
    (team, repo)
}

/// What the controller wrote to one object since then.
fn writes(team: &Space<'_>, mark: Mark, name: &str) -> Vec<Request> {
    let mut requests = team.stage().cluster.audit().by_controller(mark);
    requests.retain(|request| {
        let is = request.namespace == team.name() && request.name == name && request.resource != "syncs";
        is && request.writes()
    });
    requests
}

fn mark(team: &Space<'_>) -> Mark {
    team.stage().cluster.audit().mark()
}

/// Applies an object as another tool would, by server-side apply.
fn as_manager(team: &Space<'_>, manager: &str, object: &serde_json::Value) {
    let name = format!("--field-manager={manager}");
    let arguments = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--namespace",
        team.name(),
        &name,
        "-f",
        "-",
    ];
    team.stage()
        .cluster
        .kubectl_with(arguments, &object.to_string())
        .ok();
}

fn map(name: &str, data: &serde_json::Value) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn managers(metadata: &kube::api::ObjectMeta) -> Vec<&str> {
    let entries = metadata.managed_fields.iter().flatten();
    entries.filter_map(|entry| entry.manager.as_deref()).collect()
}

fn value<'a>(map: &'a ConfigMap, key: &str) -> Option<&'a str> {
    map.data.as_ref()?.get(key).map(String::as_str)
}

#[test]
fn what_kubectl_left_is_taken_over_and_what_git_does_not_have_goes() {
    run(async {
        let (team, repo) = begin("takeover").await;
        let here = ["apply", "--namespace", team.name(), "-f", "-"];
        let secret = objects::secret(team.name(), "db", &[("password", "hunter2"), ("old", "x")]);
        for object in [map("map", &json!({"value": "one", "old": "x"})), secret] {
            team.stage().cluster.kubectl_with(here, &object.to_string()).ok();
        }
        let before: ConfigMap = team.api().get("map").await.unwrap();
        assert!(before.annotations().contains_key(LAST_APPLIED), "{before:#?}");
        repo.write("app/map.yaml", objects::config_map("map", "one"))
            .write(
                "app/db.yaml",
                team.stage()
                    .seal(&objects::secret(team.name(), "db", &[("password", "hunter2")])),
            );
        let commit = repo.commit("Bring it under Git");
        let start = mark(&team);
        team.sync("app", "app").await;
        team.applied("app", &commit).await;

        let now: ConfigMap = team.api().get("map").await.unwrap();
        assert_eq!(now.uid(), before.uid(), "it is the same object");
        assert_eq!(
            now.data.as_ref().map(std::collections::BTreeMap::len),
            Some(1),
            "{now:#?}"
        );
        assert!(!now.annotations().contains_key(LAST_APPLIED), "{now:#?}");
        assert!(
            managers(&now.metadata)
                .iter()
                .all(|name| name.starts_with("signet/")),
            "{now:#?}"
        );
        let now: Secret = team.api().get("db").await.unwrap();
        assert_eq!(now.data.as_ref().map(std::collections::BTreeMap::len), Some(1));
        assert!(
            !now.annotations().contains_key(LAST_APPLIED),
            "a plain text stayed behind"
        );
        let requests = writes(&team, start, "map");
        assert_eq!(requests.len(), 3, "apply, managedFields, apply: {requests:#?}");
    });
}

#[test]
fn what_flux_and_argo_applied_is_taken_over() {
    run(async {
        let (team, repo) = begin("migrate").await;
        for (manager, name) in [("kustomize-controller", "flux"), ("argocd-controller", "argo")] {
            as_manager(
                &team,
                manager,
                &map(name, &json!({"value": "theirs", "old": "x"})),
            );
            repo.write(&format!("app/{name}.yaml"), objects::config_map(name, "one"));
        }
        as_manager(&team, "acme", &map("flux", &json!({"acme": "x"})));
        let commit = repo.commit("Move to Signet");
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let flux: ConfigMap = team.api().get("flux").await.unwrap();
        let argo: ConfigMap = team.api().get("argo").await.unwrap();
        for map in [&flux, &argo] {
            assert_eq!(value(map, "value"), Some("one"));
            assert_eq!(value(map, "old"), None, "{map:#?}");
        }
        assert_eq!(value(&flux, "acme"), Some("x"), "what is nobody's tool stays");
    });
}

/// Flagger tells Flux to leave a Deployment alone while it works; so it does whoever comes after Flux.
#[test]
fn what_is_frozen_is_left_alone_at_first_contact_as_well() {
    run(async {
        let (team, repo) = begin("migrate-frozen").await;
        // Of one what Git has differs, of the other only what Git does not have.
        let maps = [("differs", "theirs"), ("same", "one")];
        for (name, value) in maps {
            let mut theirs = map(name, &json!({"value": value, "old": "x"}));
            theirs["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/reconcile": "disabled"});
            as_manager(&team, "kustomize-controller", &theirs);
            repo.write(&format!("app/{name}.yaml"), objects::config_map(name, "one"));
        }
        let commit = repo
            .write("app/free.yaml", objects::config_map("free", "one"))
            .commit("Move to Signet");
        let start = mark(&team);
        team.sync("app", "app").await;
        let sync = team.failed("app", &commit).await;
        let failures = &sync.status.as_ref().unwrap().failures;
        let frozen = failures.iter().find(|one| one.object.ends_with("/differs"));
        let frozen = frozen.unwrap_or_else(|| panic!("nothing is said of it: {failures:#?}"));
        assert!(frozen.message.contains("froze it"), "{frozen:#?}");
        team.until("free", "its neighbour", |_: &ConfigMap| true).await;
        assert_eq!(
            writes(&team, start, "free").len(),
            1,
            "what is not there costs what it did"
        );
        wait::throughout(A_WHILE, || async {
            for (name, theirs) in maps {
                let map: ConfigMap = team.api().get(name).await.unwrap();
                if value(&map, "value") != Some(theirs) || value(&map, "old") != Some("x") {
                    return Err(format!("{map:#?}"));
                }
            }
            Ok(())
        })
        .await;
        for (name, _) in maps {
            thaw(&team, name);
        }
        team.request("app", "thawed").await;
        team.applied("app", &commit).await;
        for (name, _) in maps {
            let map: ConfigMap = team.api().get(name).await.unwrap();
            assert_eq!((value(&map, "value"), value(&map, "old")), (Some("one"), None));
        }
    });
}

/// The apply of what is the same as Git has it meets no conflict, and so it lands: from then on the object is the Sync's.
async fn frozen_and_the_same(name: &str) -> (Space<'static>, Repo) {
    let (team, repo) = begin(name).await;
    let mut theirs = map("same", &json!({"value": "one", "old": "x"}));
    theirs["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/reconcile": "disabled"});
    as_manager(&team, "kustomize-controller", &theirs);
    let commit = repo
        .write("app/same.yaml", objects::config_map("same", "one"))
        .write("app/free.yaml", objects::config_map("free", "one"))
        .commit("Move to Signet");
    team.sync_with("app", "app", |spec| spec.prune.limit = "100%".into())
        .await;
    team.applied("app", &commit).await;
    let map: ConfigMap = team.api().get("same").await.unwrap();
    assert_eq!(value(&map, "old"), Some("x"), "{map:#?}");
    (team, repo)
}

fn thaw(team: &Space<'_>, name: &str) {
    let annotation = "kustomize.toolkit.fluxcd.io/reconcile-";
    team.kubectl(["annotate", "configmap", name, annotation]).ok();
}

#[test]
fn what_was_frozen_at_first_contact_is_taken_over_once_it_thaws() {
    run(async {
        let (team, _repo) = frozen_and_the_same("thawed").await;
        thaw(&team, "same");
        team.until("same", "what Git does not have to go", |map: &ConfigMap| {
            value(map, "old").is_none()
        })
        .await;
    });
}

#[test]
fn what_was_frozen_at_first_contact_and_left_git_is_deleted_once_it_thaws() {
    run(async {
        let (team, repo) = frozen_and_the_same("thawed-late").await;
        let commit = repo.remove("app/same.yaml").commit("It leaves");
        team.applied("app", &commit).await;
        assert!(team.api::<ConfigMap>().get_opt("same").await.unwrap().is_some());
        thaw(&team, "same");
        team.gone::<ConfigMap>("same").await;
    });
}

#[test]
fn whoever_owns_a_field_wins_as_the_sync_says() {
    run(async {
        let (team, repo) = begin("claims").await;
        for name in ["over", "yield", "fail"] {
            as_manager(&team, "acme", &map(name, &json!({"value": "theirs"})));
            repo.write(&format!("{name}/map.yaml"), objects::config_map(name, "one"));
            repo.write(
                &format!("{name}/other.yaml"),
                objects::config_map(&format!("{name}-other"), "one"),
            );
        }
        let commit = repo.commit("Claim what acme has");
        let with = |conflicts| move |spec: &mut SyncSpec| spec.conflicts = conflicts;
        let start = mark(&team);
        team.sync_with("over", "over", with(Conflicts::TakeOver)).await;
        team.sync_with("yield", "yield", with(Conflicts::Yield)).await;
        team.sync_with("fail", "fail", with(Conflicts::Fail)).await;
        team.applied("over", &commit).await;
        team.applied("yield", &commit).await;
        let failed = team.failed("fail", &commit).await;
        let failures = &failed.status.as_ref().unwrap().failures;
        assert_eq!(failures.len(), 1, "{failures:#?}");
        assert!(
            failures[0]
                .message
                .contains("field .data.value belongs to field manager \"acme\""),
            "{failures:#?}"
        );
        assert!(failures[0].hint.contains("spec.conflicts"), "{failures:#?}");
        for (name, wanted) in [
            ("over", "one"),
            ("yield", "theirs"),
            ("fail", "theirs"),
            ("fail-other", "one"),
        ] {
            let map: ConfigMap = team.api().get(name).await.unwrap();
            assert_eq!(value(&map, "value"), Some(wanted), "{name}");
        }
        assert_eq!(writes(&team, start, "over").len(), 2);
        assert_eq!(
            writes(&team, start, "over-other").len(),
            1,
            "the ordinary way is one request"
        );
        assert_eq!(writes(&team, start, "yield").len(), 2);

        // What is yielded is no drift, and the rest of the object still is.
        let start = mark(&team);
        as_manager(&team, "acme", &map("yield", &json!({"value": "again"})));
        wait::throughout(A_WHILE, || async { Ok(()) }).await;
        assert_eq!(writes(&team, start, "yield").len(), 0);
        let label = format!("{}-", crds::label::APPLYSET_PART_OF);
        team.kubectl(["label", "configmap", "yield", &label]).ok();
        team.until("yield", "the label to be back", |map: &ConfigMap| {
            map.labels().contains_key(crds::label::APPLYSET_PART_OF) && value(map, "value") == Some("again")
        })
        .await;
    });
}

fn replicas(deployment: &Deployment) -> Option<i32> {
    deployment.spec.as_ref()?.replicas
}

fn image(deployment: &Deployment) -> Option<&str> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.first()?.image.as_deref()
}

#[test]
fn an_ignored_field_is_set_once_and_left_alone() {
    run(async {
        let (team, repo) = begin("ignore").await;
        let repo = repo.write("app/web.yaml", objects::deployment("web", "web:1", "db"));
        let commit = repo.commit("Begin");
        team.sync_with("app", "app", |spec| {
            let target = Target {
                kind: "Deployment".into(),
                ..Target::default()
            };
            spec.ignore = vec![IgnoreRule {
                paths: vec!["/spec/replicas".into()],
                target,
            }];
        })
        .await;
        team.applied("app", &commit).await;
        let made: Deployment = team.api().get("web").await.unwrap();
        assert_eq!(replicas(&made), Some(1), "what is made is as Git has it");

        team.kubectl(["scale", "deployment", "web", "--replicas=3"]).ok();
        wait::throughout(A_WHILE, || async {
            let now: Deployment = team.api().get("web").await.unwrap();
            if replicas(&now) == Some(3) {
                Ok(())
            } else {
                Err(format!("{:?}", replicas(&now)))
            }
        })
        .await;
        let commit = repo
            .write("app/web.yaml", objects::deployment("web", "web:2", "db"))
            .commit("Change something else");
        team.applied("app", &commit).await;
        let now: Deployment = team.api().get("web").await.unwrap();
        assert_eq!((image(&now), replicas(&now)), (Some("web:2"), Some(3)));
        let start = mark(&team);
        team.repaired(
            "web",
            &["set", "image", "deployment/web", "main=evil:1"],
            |now: &Deployment| image(now) == Some("web:2"),
        )
        .await;
        let now: Deployment = team.api().get("web").await.unwrap();
        assert_eq!(replicas(&now), Some(3), "a repair leaves it alone, too");
        assert!(writes(&team, start, "web").len() <= 3);
    });
}

#[test]
fn a_pointer_that_cannot_be_followed_stops_the_sync() {
    run(async {
        let (team, repo) = begin("pointer").await;
        repo.write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        team.sync_with("app", "app", |spec| {
            spec.ignore = vec![IgnoreRule {
                paths: vec!["/metadata/name".into()],
                target: Target::default(),
            }];
        })
        .await;
        let sync = team
            .until("app", "the Sync to be stalled", |sync| {
                objects::is(sync, "Stalled", "True")
            })
            .await;
        let said = objects::message(&sync, "Ready");
        assert!(said.contains("spec.ignore[0].paths[0]"), "{said}");
        assert!(team.api::<ConfigMap>().get_opt("map").await.unwrap().is_none());
    });
}

/// The HPA controller of kube-controller-manager itself: without metrics it still keeps to the least and the most.
#[test]
fn a_real_autoscaler_and_git_settle_without_a_fight() {
    run(async {
        let (team, repo) = begin("hpa").await;
        let autoscaler = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
            "spec": {"minReplicas": 3, "maxReplicas": 5,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 80}}}]},
        });
        let start = mark(&team);
        repo.write("app/web.yaml", objects::deployment("web", "web:1", "db"))
            .write("app/hpa.yaml", autoscaler.to_string())
            .commit("Begin");
        team.sync("app", "app").await;
        let scaled = |now: &Deployment| replicas(now) == Some(3);
        let now = team.until("web", "the autoscaler to scale", scaled).await;
        let scaler = now.metadata.managed_fields.iter().flatten().find(|entry| {
            entry.subresource.as_deref() == Some("scale")
                && entry.manager.as_deref() == Some("kube-controller-manager")
        });
        assert!(
            scaler.is_some(),
            "by its own hand: {:#?}",
            now.metadata.managed_fields
        );
        // Both have had several turns by then.
        let stays = |wanted: i32| {
            let team = &team;
            wait::throughout(3 * A_WHILE, move || async move {
                let now: Deployment = team.api().get("web").await.unwrap();
                if replicas(&now) == Some(wanted) {
                    Ok(())
                } else {
                    Err(format!("{:?}", replicas(&now)))
                }
            })
        };
        stays(3).await;
        let requests = writes(&team, start, "web");
        eprintln!("{} writes to Deployment and autoscaler", requests.len());
        assert!(requests.len() <= 5, "asked, and yielded: {requests:#?}");

        // Git changes what is not the autoscaler's, and even the number: that stays where the autoscaler has it.
        let text = objects::deployment("web", "web:2", "db").replace("replicas: 1", "replicas: 2");
        repo.write("app/web.yaml", text).commit("Change it");
        team.until("web", "the new image", |now: &Deployment| {
            image(now) == Some("web:2")
        })
        .await;
        stays(3).await;

        // Its own limits are Git's, and it follows them.
        let fewer = autoscaler
            .to_string()
            .replace("\"minReplicas\":3", "\"minReplicas\":4");
        repo.write("app/hpa.yaml", fewer).commit("Four at least");
        team.until("web", "four", |now: &Deployment| replicas(now) == Some(4))
            .await;
        stays(4).await;
    });
}

#[test]
fn an_autoscaler_and_git_settle_without_a_fight() {
    run(async {
        let (team, repo) = begin("autoscaled").await;
        let commit = repo
            .write("app/web.yaml", objects::deployment("web", "web:1", "db"))
            .commit("Begin");
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let start = mark(&team);
        let scale = |replicas: i32| {
            let patch = json!({"spec": {"replicas": replicas}}).to_string();
            let arguments = [
                "patch",
                "deployment",
                "web",
                "--subresource=scale",
                "--field-manager=kube-controller-manager",
                "--type=merge",
                "--patch",
            ];
            team.kubectl(arguments.into_iter().chain([patch.as_str()])).ok();
        };
        scale(3);
        let stays = |wanted: i32| {
            let team = &team;
            wait::throughout(A_WHILE, move || async move {
                let now: Deployment = team.api().get("web").await.unwrap();
                if replicas(&now) == Some(wanted) {
                    Ok(())
                } else {
                    Err(format!("{:?}", replicas(&now)))
                }
            })
        };
        stays(3).await;
        let requests = writes(&team, start, "web");
        assert!(requests.len() <= 2, "asked, and yielded: {requests:#?}");
        let start = mark(&team);
        scale(4);
        stays(4).await;
        assert_eq!(writes(&team, start, "web").len(), 0, "it is not ours any more");

        let commit = repo
            .write("app/web.yaml", objects::deployment("web", "web:2", "db"))
            .commit("Change something else");
        team.applied("app", &commit).await;
        let now: Deployment = team.api().get("web").await.unwrap();
        assert_eq!((image(&now), replicas(&now)), (Some("web:2"), Some(4)));

        // Anybody else's hand on it is drift.
        team.repaired(
            "web",
            &["set", "image", "deployment/web", "main=evil:1"],
            |now: &Deployment| image(now) == Some("web:2") && replicas(now) == Some(4),
        )
        .await;
    });
}
