//! The Secret on its way to the request body.

use crate::support::{object, ring};
use sealing::{Opened, SealedSecret};
use serde_json::{Value, json};

fn open(object: &Value) -> Opened {
    SealedSecret::parse(object)
        .ok()
        .unwrap()
        .open(&ring(), "team")
        .ok()
        .unwrap()
}

#[test]
fn the_json_is_the_whole_secret() {
    let mut opened = open(&object(&[
        ("password", "hunter2"),
        ("empty", ""),
        ("a.b", "\u{0}\"\\"),
    ]));
    opened
        .metadata_mut()
        .insert("labels".into(), json!({"signet.dev/x": "\"y\""}));
    let json = opened.write_json();
    assert_eq!(
        json.len(),
        json.capacity(),
        "the buffer never grew, and has no room left"
    );
    let read: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        read,
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "db", "namespace": "team", "labels": {"signet.dev/x": "\"y\""}},
            "data": {"password": "aHVudGVyMg==", "empty": "", "a.b": "ACJc"},
        })
    );
    let nothing: Value = serde_json::from_slice(&open(&object(&[])).write_json()).unwrap();
    assert_eq!(nothing["data"], json!({}));
}

#[test]
fn the_keyed_digest_speaks_of_the_content() {
    let key = [7; 32];
    let base = object(&[("a", "1"), ("b", "2")]);
    let digest = open(&base).keyed_digest(&key);

    // Sealed again, labelled otherwise: the content is the same.
    let mut same = object(&[("a", "1"), ("b", "2")]);
    assert_ne!(base, same);
    same["spec"]["template"] = json!({"metadata": {"labels": {"x": "y"}}, "immutable": false});
    assert_eq!(open(&same).keyed_digest(&key), digest);

    assert_ne!(
        open(&base).keyed_digest(&[8; 32]),
        digest,
        "it depends on the key"
    );
    for other in [
        &[("a", "2"), ("b", "2")][..],
        &[("a", "1")],
        &[("a", "1"), ("c", "2")],
        &[("a", "12"), ("b", "")],
    ] {
        assert_ne!(open(&object(other)).keyed_digest(&key), digest, "{other:?}");
    }
    for template in [json!({"type": "x"}), json!({"immutable": true})] {
        let mut other = base.clone();
        other["spec"]["template"] = template;
        assert_ne!(open(&other).keyed_digest(&key), digest);
    }
}
