//! The deprecated `spec.data`: a whole Secret in one sealed value.

use crate::support::{lines, object, ring, sealed};
use sealing::{Scope, SealedSecret};
use serde_json::{Value, json};

fn legacy(inner: &str) -> Value {
    // The shipped CRD demands encryptedData, so such objects carry an empty one.
    let mut object = object(&[]);
    object["spec"]["data"] = sealed(Scope::Strict, "team", "db", inner).into();
    object
}

fn open(object: &Value) -> Result<Value, Vec<String>> {
    let parsed = SealedSecret::parse(object).map_err(|errors| lines::<(), _>(Err(errors)))?;
    match parsed.open(&ring(), "team") {
        Ok(opened) => Ok(serde_json::from_slice(&opened.write_json()).unwrap()),
        Err(errors) => Err(lines::<(), _>(Err(errors))),
    }
}

#[test]
fn the_secret_inside_comes_out_under_the_objects_name() {
    let inner = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth", "immutable": true,
        "metadata": {
            "name": "another", "namespace": "elsewhere", "uid": "x", "creationTimestamp": null,
            "labels": {"l": "1"},
            "annotations": {"a": "2", "kubectl.kubernetes.io/last-applied-configuration": "hunter2"},
        },
        "data": {"password": "aHVudGVyMg==", "both": "b2xk", "empty": null},
        "stringData": {"user": "eve", "both": "new"},
    });
    let mut object = legacy(&inner.to_string());
    // Templates are left out of account, as upstream.
    object["spec"]["template"] = json!({"type": "other", "data": {"x": "{{ .password }}"}});
    assert_eq!(
        open(&object).unwrap(),
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth", "immutable": true,
            "metadata": {"name": "db", "namespace": "team", "labels": {"l": "1"}, "annotations": {"a": "2"}},
            "data": {"password": "aHVudGVyMg==", "user": "ZXZl", "both": "bmV3", "empty": ""},
        })
    );
}

#[test]
fn it_stands_alone() {
    let mut both = legacy("{}");
    both["spec"]["encryptedData"] = json!({"x": "AgA="});
    assert_eq!(
        open(&both).unwrap_err(),
        ["spec.data: cannot use the field 'encryptedData' and the deprecated field 'data' at the same time"]
    );
    both["spec"]["data"] = Value::Null;
    assert_eq!(open(&both).unwrap_err(), ["key x: the sealed value is truncated"]);
}

#[test]
fn what_is_no_secret_is_refused_without_a_word_of_it() {
    for inner in [
        "hunter2",
        "",
        "[]",
        r#"{"kind": "ConfigMap", "data": {"x": "aHVudGVyMg=="}}"#,
        r#"{"kind": "Secret", "data": {"x": "hunter2!"}}"#,
        r#"{"kind": "Secret", "data": {"hunter2 hunter2": ""}}"#,
        r#"{"kind": "Secret", "data": {"x": 7}}"#,
        r#"{"kind": "Secret", "metadata": {"labels": "hunter2"}}"#,
    ] {
        assert_eq!(
            open(&legacy(inner)).unwrap_err(),
            ["what spec.data holds opens, but is not a Secret"],
            "{inner}"
        );
    }
    let mut moved = legacy("{}");
    moved["metadata"]["name"] = "other".into();
    assert_eq!(
        open(&moved).unwrap_err(),
        [
            "no key of this controller opens it under namespace team, name other, scope strict; is it sealed for another \
          name, namespace or scope?"
        ]
    );
}
