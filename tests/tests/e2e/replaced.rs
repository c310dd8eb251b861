//! What cannot be changed in place, what is made once, and namespaces that nobody made.

use std::time::Duration;

use crds::{Immutable, Sync};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Service};
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use tests::{Repo, Space, Stage, objects, run, wait};

/// Long enough for a controller that does what it must not to have done it.
const A_WHILE: Duration = Duration::from_secs(4);

async fn begin(name: &str) -> (Space<'static>, Repo) {
    let stage = Stage::shared().await;
    let team = stage.space(name);
    let repo = stage.git.repository(team.name());
    repo.commit("Begin");
    team.repository("app", &repo).await;
    (team, repo)
}

fn immutable(value: &str, annotations: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map\n  annotations: {{{annotations}}}\nimmutable: true\ndata:\n  \
         value: {value:?}\n"
    )
}

fn job(container: &str, image: &str) -> String {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": container, "image": image}]}}}})
    .to_string()
}

fn service(headless: bool) -> String {
    let mut spec = json!({"ports": [{"port": 80}], "selector": {"app": "web"}});
    if headless {
        spec["clusterIP"] = "None".into();
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}).to_string()
}

fn claim(mode: &str) -> String {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {
        "storageClassName": "none", "accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}})
    .to_string()
}

/// The only failure: what is said and what to do.
fn failure(sync: &Sync) -> (&str, &str) {
    let failures = &sync.status.as_ref().unwrap().failures;
    assert_eq!(failures.len(), 1, "{failures:#?}");
    (&failures[0].message, &failures[0].hint)
}

#[test]
fn an_immutable_object_fails_until_it_may_be_replaced() {
    run(async {
        let (team, repo) = begin("immutable").await;
        let commit = repo.write("app/map.yaml", immutable("one", "")).commit("Begin");
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let before: ConfigMap = team.api().get("map").await.unwrap();

        let commit = repo
            .write("app/map.yaml", immutable("two", ""))
            .commit("Change it");
        let sync = team.failed("app", &commit).await;
        let (message, hint) = failure(&sync);
        assert!(message.contains("field is immutable"), "{message}");
        assert!(
            hint.contains("signet.dev/replace: enabled") && hint.contains("spec.immutable: Replace"),
            "{hint}"
        );
        let now: ConfigMap = team.api().get("map").await.unwrap();
        assert_eq!(now.uid(), before.uid());

        let text = immutable("two", "signet.dev/replace: enabled");
        let commit = repo.write("app/map.yaml", text).commit("Let it be replaced");
        team.applied("app", &commit).await;
        let now: ConfigMap = team.api().get("map").await.unwrap();
        assert_ne!(now.uid(), before.uid());
        assert_eq!(now.data.unwrap()["value"], "two");
    });
}

#[test]
fn jobs_and_services_are_replaced_and_what_would_be_refused_leaves_the_old_one() {
    run(async {
        let (team, repo) = begin("replace").await;
        let commit = repo
            .write("app/job.yaml", job("main", "job:1"))
            .write("app/service.yaml", service(false))
            .write("app/map.yaml", immutable("one", "signet.dev/replace: disabled"))
            .commit("Begin");
        team.sync_with("app", "app", |spec| spec.immutable = Immutable::Replace)
            .await;
        team.applied("app", &commit).await;
        let (one, web): (Job, Service) = (
            team.api().get("job").await.unwrap(),
            team.api().get("web").await.unwrap(),
        );

        let commit = repo
            .write("app/job.yaml", job("main", "job:2"))
            .write("app/service.yaml", service(true))
            .commit("Change what cannot be changed");
        team.applied("app", &commit).await;
        let two: Job = team.api().get("job").await.unwrap();
        assert_ne!(two.uid(), one.uid());
        let now: Service = team.api().get("web").await.unwrap();
        assert_ne!(now.uid(), web.uid());
        assert_eq!(now.spec.unwrap().cluster_ip.as_deref(), Some("None"));

        let mark = team.stage().cluster.audit().mark();
        let commit = repo
            .write("app/job.yaml", job("Not A Name", "job:3"))
            .commit("A Job that nobody would accept");
        let sync = team.failed("app", &commit).await;
        let (message, _) = failure(&sync);
        assert!(message.contains("the new one would be refused"), "{message}");
        let mut requests = team.stage().cluster.audit().by_controller(mark);
        requests.retain(|request| request.verb == "delete" && request.namespace == team.name());
        assert!(requests.is_empty(), "{requests:#?}");
        let three: Job = team.api().get("job").await.unwrap();
        assert_eq!(three.uid(), two.uid(), "the old one stays");

        // The object's own word counts before the Sync's.
        let commit = repo
            .write("app/job.yaml", job("main", "job:2"))
            .write("app/map.yaml", immutable("two", "signet.dev/replace: disabled"))
            .commit("Change what may not be replaced");
        let sync = team.failed("app", &commit).await;
        assert!(failure(&sync).0.contains("field is immutable"));
    });
}

#[test]
fn what_goes_slowly_is_made_anew_when_it_has_gone() {
    run(async {
        let (team, repo) = begin("slowly").await;
        let commit = repo.write("app/map.yaml", immutable("one", "")).commit("Begin");
        team.sync_with("app", "app", |spec| spec.immutable = Immutable::Replace)
            .await;
        team.applied("app", &commit).await;
        let hold = r#"{"metadata":{"finalizers":["example.com/hold"]}}"#;
        team.kubectl(["patch", "configmap", "map", "--type=merge", "--patch", hold])
            .ok();
        let commit = repo
            .write("app/map.yaml", immutable("two", ""))
            .commit("Change it");
        let sync = team.failed("app", &commit).await;
        let (message, hint) = failure(&sync);
        assert!(message.contains("it is being replaced"), "{message}");
        assert!(hint.contains("finalizers"), "{hint}");
        let release = r#"{"metadata":{"finalizers":null}}"#;
        team.kubectl(["patch", "configmap", "map", "--type=merge", "--patch", release])
            .ok();
        team.until("map", "the new ConfigMap", |map: &ConfigMap| {
            map.data.as_ref().is_some_and(|data| data["value"] == "two")
        })
        .await;
        team.applied("app", &commit).await;
    });
}

/// What stands in the place of ours, under our manager's name, is not deleted to be made anew.
#[test]
fn what_is_not_recorded_is_never_replaced() {
    run(async {
        let (team, repo) = begin("forgedplace").await;
        let commit = repo.write("app/map.yaml", immutable("one", "")).commit("Begin");
        team.sync_with("app", "app", |spec| spec.immutable = Immutable::Replace)
            .await;
        team.applied("app", &commit).await;
        let before: ConfigMap = team.api().get("map").await.unwrap();
        let manager = before.managed_fields()[0].manager.clone().unwrap();
        let patch = r#"{"spec":{"suspend":true}}"#;
        team.kubectl(["patch", "sync", "app", "--type=merge", "--patch", patch])
            .ok();
        team.until("app", "the Sync to be suspended", |sync: &Sync| {
            let seen = sync.status.as_ref().map(|status| status.observed_generation);
            objects::is(sync, "Reconciling", "False") && seen == sync.metadata.generation
        })
        .await;
        team.kubectl(["delete", "configmap", "map"]).ok();
        let copy = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map", "labels": before.labels(),
            "annotations": before.annotations()}, "immutable": true, "data": {"value": "theirs"}});
        let manager = format!("--field-manager={manager}");
        let forge = [
            "apply",
            "--server-side",
            &manager,
            "--namespace",
            team.name(),
            "-f",
            "-",
        ];
        team.stage().cluster.kubectl_with(forge, &copy.to_string()).ok();
        let theirs: ConfigMap = team.api().get("map").await.unwrap();
        let commit = repo
            .write("app/map.yaml", immutable("two", ""))
            .commit("Change it");
        team.fetched("app", &commit).await;
        let patch = r#"{"spec":{"suspend":false}}"#;
        team.kubectl(["patch", "sync", "app", "--type=merge", "--patch", patch])
            .ok();
        let sync = team.failed("app", &commit).await;
        let (message, _) = failure(&sync);
        assert!(message.contains("is not this Sync's"), "{message}");
        let now: ConfigMap = team.api().get("map").await.unwrap();
        assert_eq!(now.uid(), theirs.uid());
    });
}

#[test]
fn what_holds_data_is_never_replaced() {
    run(async {
        let (team, repo) = begin("claim").await;
        let commit = repo
            .write("app/claim.yaml", claim("ReadWriteOnce"))
            .commit("Begin");
        team.sync_with("app", "app", |spec| spec.immutable = Immutable::Replace)
            .await;
        // Nobody provides volumes here: the claim is never bound.
        team.sent("app", &commit).await;
        let before: PersistentVolumeClaim = team.api().get("data").await.unwrap();
        let commit = repo
            .write("app/claim.yaml", claim("ReadWriteMany"))
            .commit("Change it");
        let sync = team
            .until("app", "the Sync to say what failed", |sync: &Sync| {
                sync.status
                    .as_ref()
                    .is_some_and(|status| status.counts.failed == 1)
            })
            .await;
        assert_eq!(objects::attempted(&sync), commit);
        let (message, hint) = failure(&sync);
        assert!(message.contains("its data could go with it"), "{message}");
        assert!(!hint.contains("Replace"), "{hint}");
        let now: PersistentVolumeClaim = team.api().get("data").await.unwrap();
        assert_eq!(now.uid(), before.uid());
        assert!(now.metadata.deletion_timestamp.is_none());
    });
}

/// A StatefulSet that is to take its claims along, and their data, is not deleted to be made anew.
#[test]
fn a_set_whose_claims_go_with_it_is_never_replaced() {
    run(async {
        let (team, repo) = begin("claims").await;
        let set = |kept: &str, service: &str| {
            format!(
                "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec:\n  replicas: 0\n  serviceName: {service}\n  \
                 persistentVolumeClaimRetentionPolicy: {{whenDeleted: {kept}}}\n  selector: {{matchLabels: {{app: db}}}}\n  \
                 template: {{metadata: {{labels: {{app: db}}}}, spec: {{containers: [{{name: main, image: \"db:1\"}}]}}}}\n"
            )
        };
        let commit = repo.write("app/db.yaml", set("Delete", "one")).commit("Begin");
        team.sync_with("app", "app", |spec| spec.immutable = Immutable::Replace)
            .await;
        team.applied("app", &commit).await;
        let before: StatefulSet = team.api().get("db").await.unwrap();
        let commit = repo
            .write("app/db.yaml", set("Delete", "two"))
            .commit("Change it");
        let sync = team.failed("app", &commit).await;
        let (message, _) = failure(&sync);
        assert!(
            message.contains("its volume claims would be deleted with it"),
            "{message}"
        );
        let now: StatefulSet = team.api().get("db").await.unwrap();
        assert_eq!(now.uid(), before.uid());
        // Once they stay, it is.
        let commit = repo
            .write("app/db.yaml", set("Retain", "one"))
            .commit("Keep them");
        team.applied("app", &commit).await;
        let commit = repo
            .write("app/db.yaml", set("Retain", "two"))
            .commit("Change it");
        team.applied("app", &commit).await;
        let now: StatefulSet = team.api().get("db").await.unwrap();
        assert_ne!(now.uid(), before.uid());
    });
}

#[test]
fn an_object_that_is_only_created_is_never_changed() {
    run(async {
        let (team, repo) = begin("once").await;
        let once = |value: &str| {
            objects::config_map("map", value).replace(
                "metadata:\n",
                "metadata:\n  annotations: {signet.dev/apply: create-only}\n",
            )
        };
        let commit = repo.write("app/map.yaml", once("one")).commit("Begin");
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let before: ConfigMap = team.api().get("map").await.unwrap();
        let patch = r#"{"data":{"value":"theirs"}}"#;
        team.kubectl(["patch", "configmap", "map", "--patch", patch]).ok();
        let commit = repo.write("app/map.yaml", once("two")).commit("Change it");
        team.applied("app", &commit).await;
        wait::throughout(A_WHILE, || async {
            let now: ConfigMap = team.api().get("map").await.unwrap();
            let data = now.data.clone().unwrap_or_default();
            if now.uid() == before.uid() && data["value"] == "theirs" {
                Ok(())
            } else {
                Err(format!("{now:#?}"))
            }
        })
        .await;
        team.kubectl(["delete", "configmap", "map"]).ok();
        team.until("map", "it to be made again", |map: &ConfigMap| {
            map.data.as_ref().is_some_and(|data| data["value"] == "two")
        })
        .await;
    });
}

#[test]
fn namespaces_are_made_on_demand_and_only_then() {
    run(async {
        let (team, repo) = begin("demand").await;
        let other = format!("{}-made", team.name());
        for n in 0..5 {
            let map = objects::config_map(&format!("map-{n}"), "one")
                .replace("metadata:\n", &format!("metadata:\n  namespace: {other}\n"));
            repo.write(&format!("app/{n}.yaml"), map);
        }
        let commit = repo.commit("Into a namespace that is not there");
        let edit = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("edit-{}", team.name())},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"kind": "ServiceAccount", "name": objects::DEPLOYER, "namespace": team.name()}]});
        let cluster = &team.stage().cluster;
        cluster
            .kubectl_with(["apply", "--server-side", "-f", "-"], &edit.to_string())
            .ok();
        team.sync("app", "app").await;
        let sync = team.failed("app", &commit).await;
        let failures = &sync.status.as_ref().unwrap().failures;
        assert!(
            failures
                .iter()
                .all(|failure| failure.hint.contains("spec.createNamespaces")),
            "{failures:#?}"
        );

        let create = r#"{"spec":{"createNamespaces":true}}"#;
        team.kubectl(["patch", "sync", "app", "--type=merge", "--patch", create])
            .ok();
        team.until("app", "the missing right to be named", |sync: &Sync| {
            sync.status.as_ref().is_some_and(|status| {
                status.failures.iter().any(|failure| {
                    failure.message.contains("may not be created")
                        && failure.hint.contains("create namespaces")
                })
            })
        })
        .await;
        let namespaces: Api<Namespace> = Api::all(cluster.client());
        assert!(namespaces.get_opt(&other).await.unwrap().is_none());

        team.make_platform();
        let mark = cluster.audit().mark();
        team.request("app", "now").await;
        team.applied("app", &commit).await;
        let made = namespaces.get(&other).await.unwrap();
        assert_eq!(made.labels()["app.kubernetes.io/managed-by"], "signet");
        assert!(
            !made.labels().contains_key(crds::label::APPLYSET_PART_OF),
            "it must never be pruned"
        );
        let mut requests = cluster.audit().by_controller(mark);
        // The log has no name of what is created. No other test makes the controller create one.
        requests.retain(|request| request.verb == "create" && request.resource == "namespaces");
        assert_eq!(requests.len(), 1, "{requests:#?}");
        let _ = namespaces.delete(&other, &DeleteParams::background()).await;
    });
}
