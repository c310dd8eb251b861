//! What cannot be used in the controller's own place: key Secrets that are none, and a Sync that an older CRD let in.
//! Cluster-wide by nature, so in a cluster of its own.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{Stage, http, objects, run, wait};

use crate::bad_support::Case;

const SYSTEM: &str = "signet-system";
const LABEL: &str = "sealedsecrets.bitnami.com/sealed-secrets-key=active";

#[test]
fn a_malformed_key_is_reported_and_left_out_and_no_path_leaves_the_repository() {
    run(async {
        let stage = Stage::own().await;
        malformed_keys(&stage).await;
        paths_that_leave(&stage).await;
    });
}

async fn malformed_keys(stage: &Stage) {
    let case = Case::on(stage, &stage.git, "key", |_| {}).await;
    let cluster = &stage.cluster;
    let before = certificate(stage).await;
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), SYSTEM);
    let good = secrets
        .list(&kube::api::ListParams::default().labels(LABEL))
        .await
        .unwrap()
        .items
        .remove(0);
    let text = |field: &str| String::from_utf8(good.data.as_ref().unwrap()[field].0.clone()).unwrap();
    let half = text("tls.key").lines().take(5).collect::<Vec<_>>().join("\n");
    for (name, fields, says) in [
        ("empty", json!({}), "it has no tls.key"),
        (
            "no-certificate",
            json!({"tls.key": text("tls.key")}),
            "it has no tls.crt",
        ),
        (
            "text",
            json!({"tls.key": "hunter2", "tls.crt": text("tls.crt")}),
            "its tls.key cannot be used",
        ),
        (
            "half",
            json!({"tls.key": half, "tls.crt": text("tls.crt")}),
            "its tls.key cannot be used",
        ),
        (
            "certificate",
            json!({"tls.key": text("tls.key"), "tls.crt": "hunter2"}),
            "its tls.crt cannot be used",
        ),
    ] {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": fields,
            "metadata": {"name": name, "namespace": SYSTEM, "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"}},
        });
        cluster
            .kubectl_with(["create", "-f", "-"], &secret.to_string())
            .ok();
        let events: Api<Event> = Api::namespaced(cluster.client(), SYSTEM);
        let event = wait::any(cluster, events, "an event about the Secret", |event: &Event| {
            event.reason.as_deref() == Some("UnusableSealingKey")
                && event.regarding.as_ref().and_then(|about| about.name.as_deref()) == Some(name)
        })
        .await;
        let note = event.note.unwrap_or_default();
        assert!(note.contains(says) && note.contains("It is left out"), "{note}");
        assert!(
            !note.contains("hunter2") && !note.contains(half.lines().nth(1).unwrap()),
            "{note}"
        );
    }
    let metrics = http::get(&format!("{}/metrics", stage.controller.metrics_url()))
        .await
        .unwrap()
        .body;
    let unusable = metrics
        .lines()
        .find(|line| line.contains("unusable") && line.ends_with(" 5"));
    assert!(unusable.is_some(), "{metrics}");
    assert!(!stage.controller.log().contains("hunter2"));

    // It goes on: the same certificate, and what is sealed for it opens.
    assert_eq!(certificate(stage).await, before);
    let secret = objects::secret(case.team.name(), "db", &[("password", "hunter2")]);
    let commit = case
        .repo
        .write("app/db.json", stage.seal(&secret))
        .commit("Seal one");
    case.team.applied("app", &commit).await;
    let _: Secret = case.team.api().get("db").await.unwrap();
}

/// A CRD without its validations is what an older or a careless installation has.
async fn paths_that_leave(stage: &Stage) {
    let case = Case::on(stage, &stage.git, "dots", |_| {}).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(stage.cluster.client());
    let pointer =
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/path/x-kubernetes-validations";
    let patch = json!([{"op": "remove", "path": pointer}]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch).unwrap());
    definitions
        .patch("syncs.signet.dev", &PatchParams::default(), &patch)
        .await
        .unwrap();
    for path in ["..", "../x", "app/../..", "/etc", "app/.git"] {
        let set = json!({"spec": {"path": path}});
        wait::poll("the API server to take the path", || async {
            let answer = case
                .team
                .api::<crds::Sync>()
                .patch("app", &PatchParams::default(), &Patch::Merge(&set))
                .await;
            answer.map_err(|error| error.to_string())
        })
        .await;
        let start = format!("Path {path} of main@");
        case.team
            .until("app", "the path to be refused", |sync: &crds::Sync| {
                let message = objects::message(sync, "Ready");
                message.starts_with(&start) && message.contains("the path leaves the repository")
            })
            .await;
        case.stands().await;
    }
    let set = json!({"spec": {"path": "app"}});
    case.team
        .api::<crds::Sync>()
        .patch("app", &PatchParams::default(), &Patch::Merge(&set))
        .await
        .unwrap();
    case.team.applied("app", &case.repo.head()).await;
}

async fn certificate(stage: &Stage) -> String {
    http::get(&stage.controller.certificate_url())
        .await
        .expect("the controller answers")
        .body
}
