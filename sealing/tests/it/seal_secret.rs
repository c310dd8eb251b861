//! From Secrets to SealedSecrets, with kubeseal's layout.

use crate::support::{certificate, failure, public, ring};
use sealing::{CLUSTER_WIDE, NAMESPACE_WIDE, Scope, SealOptions, SealedSecret, seal_secret};
use serde_json::{Value, json};

fn seal(secret: &Value, options: SealOptions) -> Result<Value, sealing::SealError> {
    seal_secret(secret, public(&certificate()), options)
}

fn secret() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "db", "namespace": "team"},
        "data": {"a": "MQ==", "both": "b2xk", "nothing": null},
        "stringData": {"both": "new", "text": "hunter2"},
    })
}

#[test]
fn data_and_string_data_come_back() {
    let sealed = seal(&secret(), SealOptions::default()).unwrap();
    let opened = SealedSecret::parse(&sealed)
        .ok()
        .unwrap()
        .open(&ring(), "team")
        .ok()
        .unwrap();
    let data: Vec<_> = opened
        .data()
        .iter()
        .map(|(key, value)| (key.as_str(), value.expose()))
        .collect();
    assert_eq!(
        data,
        [
            ("a", &b"1"[..]),
            ("both", b"new"),
            ("nothing", b""),
            ("text", b"hunter2")
        ]
    );
}

#[test]
fn the_layout_is_kubeseals() {
    let mut secret = secret();
    secret["immutable"] = true.into();
    secret["metadata"]["labels"] = json!({"app": "db"});
    secret["metadata"]["annotations"] = json!({"note": "kept", "kubectl.kubernetes.io/last-applied-configuration": "{\"stringData\":\"hunter2\"}"});
    for field in [
        "creationTimestamp",
        "uid",
        "resourceVersion",
        "managedFields",
        "ownerReferences",
        "selfLink",
    ] {
        secret["metadata"][field] = json!("server side");
    }
    secret["metadata"]["generation"] = 3.into();
    secret["metadata"]["finalizers"] = json!(["kept"]);
    let mut sealed = seal(&secret, SealOptions::default()).unwrap();
    for value in sealed["spec"]["encryptedData"]
        .as_object_mut()
        .unwrap()
        .values_mut()
    {
        assert!(value.as_str().unwrap().starts_with("AQ"));
        *value = "sealed".into();
    }
    assert_eq!(
        sealed,
        json!({
            "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
            "metadata": {"name": "db", "namespace": "team"},
            "spec": {
                "encryptedData": {"a": "sealed", "both": "sealed", "nothing": "sealed", "text": "sealed"},
                "template": {
                    "type": "Opaque", "immutable": true,
                    "metadata": {
                        "name": "db", "namespace": "team", "labels": {"app": "db"},
                        "annotations": {"note": "kept"}, "finalizers": ["kept"],
                    },
                },
            },
        })
    );
}

#[test]
fn the_scope_goes_to_both_places() {
    let options = |scope| SealOptions {
        scope,
        ..SealOptions::default()
    };
    let mut annotated = secret();
    annotated["metadata"]["annotations"] = json!({NAMESPACE_WIDE: "true"});
    for (secret, asked, annotation, scope) in [
        (secret(), Some(Scope::Namespace), NAMESPACE_WIDE, Scope::Namespace),
        (secret(), Some(Scope::Cluster), CLUSTER_WIDE, Scope::Cluster),
        (annotated.clone(), None, NAMESPACE_WIDE, Scope::Namespace),
        (
            annotated.clone(),
            Some(Scope::Cluster),
            CLUSTER_WIDE,
            Scope::Cluster,
        ),
    ] {
        let sealed = seal(&secret, options(asked)).unwrap();
        let expected = json!({annotation: "true"});
        assert_eq!(sealed["metadata"]["annotations"], expected);
        assert_eq!(sealed["spec"]["template"]["metadata"]["annotations"], expected);
        let parsed = SealedSecret::parse(&sealed).ok().unwrap();
        assert_eq!(parsed.scope(), scope);
        assert!(parsed.open(&ring(), "team").is_ok());
    }
    // Narrower than the Secret says of itself: one of the two is a mistake.
    assert_eq!(
        failure(seal(&annotated, options(Some(Scope::Strict)))),
        "metadata.annotations: the Secret's annotation asks for scope namespace-wide, but scope strict was asked for"
    );
    // Cluster-wide needs no namespace, and gets none.
    let mut nowhere = secret();
    nowhere["metadata"]["namespace"] = json!(null);
    let sealed = seal(&nowhere, options(Some(Scope::Cluster))).unwrap();
    assert!(sealed["metadata"].get("namespace").is_none());
    assert!(sealed["spec"]["template"]["metadata"].get("namespace").is_none());
}

#[test]
fn what_is_refused_and_never_quoted() {
    let change = |path: &str, value: Value| {
        let mut secret = secret();
        *secret.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
        failure(seal(&secret, SealOptions::default()))
    };
    assert_eq!(change("/kind", json!("ConfigMap")), "kind: not a Secret of v1");
    assert_eq!(change("/apiVersion", json!("v2")), "kind: not a Secret of v1");
    assert_eq!(change("/metadata/name", json!("")), "metadata.name: missing");
    assert_eq!(
        change("/metadata/name", json!("a/b")),
        "metadata.name: not a name that Kubernetes accepts"
    );
    assert_eq!(
        change("/metadata/name", json!(7)),
        "metadata.name: must be a string"
    );
    assert_eq!(
        change("/metadata/namespace", json!(null)),
        "metadata.namespace: missing"
    );
    assert_eq!(change("/data", json!("hunter2")), "data: must be an object");
    assert_eq!(
        change("/data/a", json!("hunter2")),
        "data.a: not base64; put plain text into stringData"
    );
    assert_eq!(
        change("/stringData/text", json!(7)),
        "stringData.text: must be a string; quote it"
    );
    assert_eq!(change("/type", json!(7)), "type: must be a string");
    assert_eq!(change("", json!([])), "the document: must be an object");

    let with = |path: &str, key: &str, value: Value| {
        let mut secret = secret();
        secret.pointer_mut(path).unwrap()[key] = value;
        failure(seal(&secret, SealOptions::default()))
    };
    assert_eq!(
        with("", "stringdata", json!({"a": "hunter2"})),
        "stringdata: a Secret has no such field"
    );
    assert_eq!(
        with("", "strnigData", json!({"a": "hunter2"})),
        "strnigData: a Secret has no such field"
    );
    // A line of a value that lost its indentation.
    assert_eq!(
        with("", "hunter2", json!(null)),
        "a field at the top: a Secret has no such field"
    );
    assert_eq!(
        with("/metadata", "hunter2", json!("x")),
        "a field of metadata: a Secret has no such field"
    );
    assert_eq!(
        with("/metadata", "stringData", json!({"a": "hunter2"})),
        "metadata.stringData: a Secret has no such field"
    );
    assert_eq!(
        with("/metadata", "finalizers", json!("hunter2")),
        "metadata.finalizers: must be a list of strings"
    );
    assert_eq!(
        with("", "immutable", json!("yes")),
        "immutable: must be true or false"
    );
    assert_eq!(
        with("/metadata", "labels", json!({"a": 1})),
        "metadata.labels.a: must be a string; quote it"
    );
    assert!(with("/data", "a b", json!("")).starts_with("data: a key holds only letters"));

    let empty = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "b"}});
    assert_eq!(
        failure(seal(&empty, SealOptions::default())),
        "data: there is nothing to seal in it"
    );
    assert!(
        seal(
            &empty,
            SealOptions {
                allow_empty: true,
                scope: None
            }
        )
        .is_ok()
    );
}
