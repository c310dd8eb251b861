//! What Sealed Secrets' own tests of its public interface say of an object, as tables of ours. What they say of the command
//! line stands with the tests of `signet`, and what they say of templates in `peer`, where both run.

use crate::support::{lines, object, ring, sealed};
use sealing::{CLUSTER_WIDE, NAMESPACE_WIDE, Scope, SealedSecret};
use serde_json::{Value, json};

fn parse(object: &Value) -> SealedSecret {
    SealedSecret::parse(object).ok().unwrap()
}

fn data(object: &Value) -> Value {
    let opened = parse(object).open(&ring(), "team").ok().unwrap();
    let secret: Value = serde_json::from_slice(&opened.write_json()).unwrap();
    secret["data"].clone()
}

/// Only the object's own annotations count, only the word "true", and cluster-wide wins.
#[test]
fn scopes_of_annotations() {
    for (annotations, scope) in [
        (json!(null), Scope::Strict),
        (json!({}), Scope::Strict),
        (json!({CLUSTER_WIDE: "true"}), Scope::Cluster),
        (json!({NAMESPACE_WIDE: "true"}), Scope::Namespace),
        (
            json!({CLUSTER_WIDE: "true", NAMESPACE_WIDE: "true"}),
            Scope::Cluster,
        ),
        (
            json!({CLUSTER_WIDE: "false", NAMESPACE_WIDE: "true"}),
            Scope::Namespace,
        ),
        (json!({CLUSTER_WIDE: "false"}), Scope::Strict),
        (json!({CLUSTER_WIDE: "True"}), Scope::Strict),
        (json!({CLUSTER_WIDE: "1", NAMESPACE_WIDE: "yes"}), Scope::Strict),
        (json!({CLUSTER_WIDE: ""}), Scope::Strict),
        (
            json!({"sealedsecrets.bitnami.com/scope": "cluster-wide"}),
            Scope::Strict,
        ),
    ] {
        let mut object = object(&[]);
        object["metadata"]["annotations"] = annotations.clone();
        object["spec"]["template"] = json!({"metadata": {"annotations": {CLUSTER_WIDE: "true"}}});
        assert_eq!(parse(&object).scope(), scope, "{annotations}");
    }
}

#[test]
fn labels_of_scopes() {
    for (scope, label) in [
        (Scope::Strict, "myns/myname"),
        (Scope::Namespace, "myns"),
        (Scope::Cluster, ""),
    ] {
        assert_eq!(scope.label("myns", "myname"), label.as_bytes());
    }
}

/// Sealed with one scope, annotated with another: it does not open, and which scope it was sealed with is said.
#[test]
fn scopes_that_do_not_match() {
    for sealed_with in Scope::ALL {
        for annotated in Scope::ALL {
            let mut object = object(&[]);
            object["spec"]["encryptedData"] = json!({"foo": sealed(sealed_with, "team", "db", "bar")});
            if let Some(annotation) = annotated.annotation() {
                object["metadata"]["annotations"] = json!({annotation: "true"});
            }
            let errors = lines(parse(&object).open(&ring(), "team"));
            if sealed_with == annotated {
                assert_eq!(errors.len(), 0, "{sealed_with}");
            } else {
                let place = if sealed_with == Scope::Strict {
                    "this name and namespace"
                } else {
                    "wide"
                };
                assert!(
                    errors[0].contains("it was sealed") && errors[0].contains(place),
                    "{errors:?}"
                );
            }
        }
    }
}

#[test]
fn templates_beside_and_without_sealed_values() {
    let mut mixed = object(&[("password", "h\"unter2")]);
    mixed["spec"]["template"] = json!({"data": {
        "username": "alice",
        "config.json": r#"{"user": {{ toJson .username }}, "password": {{ toJson .password }}}"#,
        "password": "plain text never wins",
    }});
    assert_eq!(
        data(&mixed),
        json!({
            "username": "YWxpY2U=",
            "password": "aCJ1bnRlcjI=",
            "config.json": "eyJ1c2VyIjogImFsaWNlIiwgInBhc3N3b3JkIjogImhcInVudGVyMiJ9",
        })
    );
    for nothing in [json!({}), Value::Null] {
        let mut object = object(&[]);
        object["spec"]["encryptedData"] = nothing;
        object["spec"]["template"] = json!({"data": {"a": "1", "b": "{{ .a }}2"}});
        assert_eq!(data(&object), json!({"a": "MQ==", "b": "MTI="}));
    }
}

/// Base64 may be folded, as editors and YAML do; what is not base64 is named by its key, and nobody speaks of opening.
#[test]
fn base64_as_go_reads_it() {
    let value = sealed(Scope::Strict, "team", "db", "bar");
    let folded: Vec<_> = value
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    for text in [
        folded.join("\n"),
        folded.join("\r\n"),
        format!("{value}\n"),
        format!("\r\n{value}"),
    ] {
        let mut object = object(&[]);
        object["spec"]["encryptedData"] = json!({"foo": text});
        assert_eq!(data(&object), json!({"foo": "YmFy"}));
    }
    for text in [
        folded.join(" "),
        format!("{value} "),
        value.replace('+', "-").replace('/', "_") + "-",
        "NOTVALID!".into(),
    ] {
        let mut object = object(&[]);
        object["spec"]["encryptedData"] = json!({"foo": text});
        assert_eq!(
            lines(parse(&object).open(&ring(), "team")),
            ["key foo: the sealed value is not base64"]
        );
    }
}
