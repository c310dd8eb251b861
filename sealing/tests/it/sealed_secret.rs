//! Reading and opening SealedSecrets: what is refused, and in which words.

use crate::support::{lines, object, other_key, public, ring, sealed, vector_key};
use sealing::{CLUSTER_WIDE, ItemProblem, KeyRing, NAMESPACE_WIDE, Scope, SealedSecret, sealed_digest, v1};
use serde_json::{Value, json};

fn parse(object: &Value) -> SealedSecret {
    SealedSecret::parse(object).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn errors(object: &Value, ring: &KeyRing, namespace: &str) -> Vec<String> {
    lines(parse(object).open(ring, namespace))
}

#[test]
fn opens_into_a_secret() {
    let mut object = object(&[("password", "hunter2"), ("user", "")]);
    object["spec"]["template"] = json!({
        "type": "example.com/login",
        "immutable": true,
        "metadata": {
            "name": "other", "namespace": "elsewhere", "generateName": "x-", "uid": "1", "resourceVersion": "7",
            "creationTimestamp": null, "ownerReferences": [{"name": "owner"}], "managedFields": [{}],
            "labels": {"app": "db", "gone": null},
            "annotations": {"note": "kept", CLUSTER_WIDE: "true", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            "finalizers": ["example.com/wait"],
        },
    });
    let ring = ring();
    let opened = parse(&object).open(&ring, "team").ok().unwrap();
    assert_eq!(ring.private_operations(), 2, "one a value");
    assert_eq!(
        opened.skeleton(),
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "example.com/login", "immutable": true,
            "metadata": {
                "name": "db", "namespace": "team", "labels": {"app": "db"}, "annotations": {"note": "kept"},
                "finalizers": ["example.com/wait"],
            },
        })
    );
    let data: Vec<_> = opened
        .data()
        .iter()
        .map(|(key, value)| (key.as_str(), value.expose()))
        .collect();
    assert_eq!(data, [("password", b"hunter2".as_slice()), ("user", b"")]);
    let newest = ring.newest().unwrap().fingerprint();
    assert!(opened.opened_by().values().all(|by| by == newest) && opened.opened_by().len() == 2);
}

#[test]
fn scopes_decide_where_it_opens() {
    for (scope, annotation, opens_in) in [
        (Scope::Strict, None, "team"),
        (Scope::Namespace, Some(NAMESPACE_WIDE), "team"),
        (Scope::Cluster, Some(CLUSTER_WIDE), "elsewhere"),
    ] {
        let mut object = object(&[]);
        object["spec"]["encryptedData"] = json!({"k": sealed(scope, "team", "db", "v")});
        if let Some(annotation) = annotation {
            object["metadata"]["annotations"] = json!({annotation: "true"});
            object["metadata"]["name"] = "renamed".into();
        }
        assert_eq!(parse(&object).scope(), scope);
        assert_eq!(errors(&object, &ring(), opens_in), [""; 0], "{scope}");
    }
}

#[test]
fn every_value_that_does_not_open_is_reported() {
    let mut object = object(&[("fine", "v")]);
    let good = sealed(Scope::Strict, "team", "db", "v");
    object["spec"]["encryptedData"]["a"] = "hunter2, in plain text".into();
    object["spec"]["encryptedData"]["b"] = "AQBi".into();
    object["spec"]["encryptedData"]["c"] = sealed(Scope::Strict, "team", "other", "v").into();
    object["spec"]["encryptedData"]["d"] = format!("AgA{}", &good[3..]).into();
    let elsewhere = "no key of this controller opens it under namespace team, name db, scope strict; is it sealed for \
                     another name, namespace or scope?";
    assert_eq!(
        errors(&object, &ring(), "team"),
        [
            "key a: the sealed value is not base64".to_owned(),
            "key b: the sealed value is truncated".to_owned(),
            format!("key c: {elsewhere}"),
            "key d: the sealed value is truncated".to_owned(),
        ]
    );
}

#[test]
fn a_lost_or_wrong_annotation_is_named() {
    let all = [
        (Scope::Strict, None),
        (Scope::Namespace, Some(NAMESPACE_WIDE)),
        (Scope::Cluster, Some(CLUSTER_WIDE)),
    ];
    let mut said = Vec::new();
    for (sealed_as, _) in all {
        for (annotated, annotation) in all {
            let mut object = object(&[]);
            object["spec"]["encryptedData"] = json!({"k": sealed(sealed_as, "team", "db", "v")});
            if let Some(annotation) = annotation {
                object["metadata"]["annotations"] = json!({annotation: "true"});
            }
            let errors = errors(&object, &ring(), "team");
            assert_eq!(errors.is_empty(), sealed_as == annotated);
            said.extend(errors);
        }
    }
    let lacks = |sealed: &str, which: &str| {
        format!("key k: it was sealed {sealed}, but the object lacks the annotation {which}: \"true\"")
    };
    let strict = |which: &str| {
        format!(
            "key k: it was sealed for this name and namespace only, but the object carries the annotation {which}; \
             remove it"
        )
    };
    assert_eq!(
        said,
        [
            strict(NAMESPACE_WIDE),
            strict(CLUSTER_WIDE),
            lacks("namespace-wide", NAMESPACE_WIDE),
            format!(
                "key k: it was sealed namespace-wide, but the object carries the annotation {CLUSTER_WIDE}; remove it \
                 and set {NAMESPACE_WIDE}: \"true\""
            ),
            lacks("cluster-wide", CLUSTER_WIDE),
            lacks("cluster-wide", CLUSTER_WIDE),
        ]
    );
}

#[test]
fn finding_the_reason_is_bounded() {
    // Ten values that nothing opens, two keys: ten times two, and the first value with two more scopes.
    let mut object = object(&[]);
    for key in 0..10 {
        object["spec"]["encryptedData"][format!("k{key}")] = sealed(Scope::Strict, "x", "y", "v").into();
    }
    let ring = KeyRing::new([crate::support::vector_key(), other_key(0)]);
    assert_eq!(errors(&object, &ring, "team").len(), 10);
    assert_eq!(ring.private_operations(), 10 * 2 + 2 * 2);

    // Ten cluster-wide values without the annotation: the probe finds it at its second scope with the first key, and
    // each further value is tried with that alone.
    for key in 0..10 {
        object["spec"]["encryptedData"][format!("k{key}")] = sealed(Scope::Cluster, "x", "y", "v").into();
    }
    let ring = KeyRing::new([crate::support::vector_key(), other_key(0)]);
    let errors = errors(&object, &ring, "team");
    assert!(
        errors
            .iter()
            .all(|line| line.contains("it was sealed cluster-wide")),
        "{errors:?}"
    );
    assert_eq!(ring.private_operations(), 10 * 2 + (2 + 1) + 9);

    // The first of them was found to be cluster-wide, the others are not: each costs one more try, not one a key.
    for key in 1..10 {
        object["spec"]["encryptedData"][format!("k{key}")] = sealed(Scope::Strict, "x", "y", "v").into();
    }
    let ring = KeyRing::new([crate::support::vector_key(), other_key(0)]);
    let errors = lines(parse(&object).open(&ring, "team"));
    assert_eq!(
        errors
            .iter()
            .filter(|line| line.contains("was sealed cluster-wide"))
            .count(),
        1
    );
    assert_eq!(ring.private_operations(), 10 * 2 + (2 + 1) + 9);
}

#[test]
fn without_a_fitting_key_it_says_so() {
    let object = object(&[("k", "v")]);
    assert_eq!(
        errors(&object, &KeyRing::new([]), "team"),
        ["key k: this controller has no sealing keys yet"]
    );
    assert_eq!(
        errors(&object, &KeyRing::new([other_key(2)]), "team"),
        [
            "key k: it is sealed for a key of 2048 bits, which this controller does not have; is it sealed for another \
          cluster?"
        ]
    );
    for namespace in ["", "a/b", "Team"] {
        assert_eq!(
            errors(&object, &ring(), namespace),
            ["the namespace is not a name that Kubernetes accepts"],
            "{namespace}"
        );
    }
}

#[test]
fn every_wrong_field_is_named_and_no_content() {
    let object = json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
        "metadata": {"name": "a/b", "namespace": "T"},
        "spec": {
            "encryptedData": {"number": 7, "list": ["hunter2"], "bad\u{1b}key": "x"},
            "template": {
                "type": 3, "immutable": "hunter2",
                "metadata": {"labels": {"l": true}, "annotations": "hunter2", "finalizers": [1]},
                "data": {"t": "a\n{{ fail .password }}", "n": 1},
            },
        },
    });
    let mut said = lines(SealedSecret::parse(&object));
    said.sort();
    assert_eq!(
        said,
        [
            "metadata.name: not a name that Kubernetes accepts (an RFC 1123 subdomain)",
            "metadata.namespace: not a name that Kubernetes accepts for a namespace (an RFC 1123 label)",
            "spec.encryptedData.list: must be a string, is a list",
            "spec.encryptedData.number: must be a string, is a number",
            "spec.encryptedData: a key holds only letters, digits, `-`, `_` and `.`, at most 253 of them",
            "spec.template.data.n: must be a string, is a number",
            "spec.template.data.t: line 2: `fail` is not run: it can fail, and its failure would tell something about a \
             value",
            "spec.template.immutable: must be true or false, is a string",
            "spec.template.metadata.annotations: must be an object, is a string",
            "spec.template.metadata.finalizers: must be a list of strings, is something else",
            "spec.template.metadata.labels.l: must be a string, is true or false",
            "spec.template.type: must be a string, is a number",
        ]
    );
    let said = |object| lines(SealedSecret::parse(&object));
    assert_eq!(said(json!([])), ["the document: must be an object, is a list"]);
    assert_eq!(
        said(json!({})),
        [
            "kind: not a SealedSecret of bitnami.com/v1alpha1",
            "spec: missing",
            "metadata.name: missing"
        ]
    );
}

#[test]
fn meaningless_fields_are_named() {
    let mut object = object(&[("k", "v")]);
    object["spec"]["template"] = json!({"stringData": {"a": "b"}});
    object["spec"]["Template"] = json!({});
    object["spec"]["hunter2"] = json!("a line that lost its indentation");
    object["status"] = json!({});
    assert_eq!(
        parse(&object).ignored_fields(),
        ["spec.(a field)", "spec.Template", "spec.template.stringData"]
    );
    assert_eq!(errors(&object, &ring(), "team"), [""; 0]);
}

#[test]
fn nulls_are_absent() {
    let mut object = object(&[("k", "v")]);
    object["spec"]["encryptedData"]["gone"] = Value::Null;
    object["spec"]["data"] = Value::Null;
    object["spec"]["template"] = json!({"metadata": null, "data": null, "type": null, "immutable": null});
    let parsed = parse(&object);
    assert_eq!(parsed.keys().collect::<Vec<_>>(), ["k"]);
    assert_eq!(errors(&object, &ring(), "team"), [""; 0]);
}

#[test]
fn a_changed_value_changes_the_sealed_digest() {
    let one = object(&[("k", "v")]);
    let mut two = one.clone();
    assert_eq!(sealed_digest(&one), sealed_digest(&two));
    two["spec"]["encryptedData"]["k"] = sealed(Scope::Strict, "team", "db", "v").into();
    assert_ne!(sealed_digest(&one), sealed_digest(&two));
}

/// Whoever writes an object chooses how many values it has and which keys they are for. Private operations are what costs.
#[test]
fn an_object_does_not_choose_what_it_costs() {
    let keys = || [other_key(1), vector_key(), other_key(0)];
    // 1,000 are taken by pairs of tries, and each value has one for nothing.
    let (values, tries) = (600_u64, 1_000);
    let object_of = |text: &dyn Fn(u64) -> String| {
        let mut object = object(&[]);
        for index in 0..values {
            object["spec"]["encryptedData"][format!("k{index:04}")] = text(index).into();
        }
        SealedSecret::parse(&object).unwrap()
    };
    let elsewhere = sealed(Scope::Strict, "team", "other", "x");
    let ring = KeyRing::new(keys());
    let errors = object_of(&|_| elsewhere.clone())
        .open(&ring, "team")
        .err()
        .unwrap();
    assert_eq!(ring.private_operations(), values + tries + 2 * 3);
    assert_eq!(errors.len() as u64, values);
    let spent = errors
        .iter()
        .filter(|error| error.problem == ItemProblem::TriesSpent);
    assert_eq!(spent.count() as u64, values - tries / 2);
    assert!(
        errors[0]
            .to_string()
            .contains("no key of this controller opens it")
    );
    assert!(
        errors[599]
            .to_string()
            .contains("not every key of this controller was tried")
    );

    // Nor where all of them open, each with another key than the one before it.
    let label = Scope::Strict.label("team", "db");
    let [newest, _, oldest] = keys();
    let each = [&newest, &oldest].map(|key| v1::seal(public(key.certificate()), &label, b"x").unwrap());
    let ring = KeyRing::new(keys());
    let errors = object_of(&|index| each[usize::from(index % 2 == 0)].clone())
        .open(&ring, "team")
        .err()
        .unwrap();
    assert!(
        errors
            .iter()
            .all(|error| error.problem == ItemProblem::TriesSpent)
    );
    assert!(
        ring.private_operations() <= values + tries,
        "{}",
        ring.private_operations()
    );

    // What is sealed for one key opens, however many there are.
    let ring = KeyRing::new(keys());
    assert!(object_of(&|_| each[1].clone()).open(&ring, "team").is_ok());
    assert_eq!(ring.private_operations(), values + 2);
}
