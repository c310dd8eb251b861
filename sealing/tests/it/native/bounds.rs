//! What is too large, too many or of the wrong kind is refused before anything is spent on it, and never quoted.

use super::support::*;
use sealing::v2::{SealedSecret, limits};
use serde_json::{Value, json};

fn problems(object: &Value) -> String {
    match SealedSecret::parse(object) {
        Ok(_) => panic!("it could be read"),
        Err(problems) => problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    }
}

#[test]
fn counts_and_sizes_have_bounds() {
    let base = sealed();
    let many = |count: usize, item: Value| Value::Array(vec![item; count]);
    let texts = |count: usize| -> Value {
        let map: serde_json::Map<_, _> = (0..count).map(|n| (format!("k{n}"), Value::from("x"))).collect();
        map.into()
    };
    let cases: [(&str, &str, Value, &str); 9] = [
        (
            "/spec/dataKeys",
            "data keys",
            many(limits::DATA_KEYS + 1, json!({})),
            "spec.dataKeys: more than 128",
        ),
        (
            "/spec/dataKeys/0/recipients",
            "recipients",
            many(65, json!("key-")),
            "recipients: more than 64",
        ),
        (
            "/spec/dataKeys/0/age",
            "age file",
            "A".repeat(180_000).into(),
            "longer than 131072 bytes",
        ),
        (
            "/spec/values",
            "values",
            texts(limits::VALUES + 1),
            "spec.values: more than 1024",
        ),
        (
            "/spec/values/password",
            "a value",
            "A".repeat(1_500_000).into(),
            "longer than 1048576 bytes",
        ),
        (
            "/spec/template/data",
            "texts",
            texts(limits::ENTRIES + 1),
            "template.data: more than 1024",
        ),
        (
            "/spec/template/metadata/labels",
            "labels",
            texts(2000),
            "labels: more than 1024",
        ),
        (
            "/spec/template/data",
            "a text",
            json!({"a": "x".repeat(limits::TEMPLATE)}),
            "spec.template: longer than",
        ),
        (
            "/spec/template/metadata/finalizers",
            "finalizers",
            many(1025, json!("a")),
            "a list of at most 1024",
        ),
    ];
    for (path, name, value, expected) in cases {
        let mut object = base.clone();
        if path == "/spec/template/data" {
            object["spec"]["template"]["data"] = json!({});
        }
        *object.pointer_mut(path).unwrap() = value;
        let found = problems(&object);
        assert!(found.contains(expected) && found.len() < 4000, "{name}: {found}");
    }
    // Together the values are larger than a Secret.
    let mut object = base.clone();
    let text = line(&base, "password");
    let sealed = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, vec![1; 12 + 600_000 + 16]);
    for name in ["a", "b"] {
        object["spec"]["values"][name] = format!("{}.{sealed}", &text[..16]).into();
    }
    assert!(problems(&object).contains("spec.values: longer than 1048576"));
}

#[test]
fn a_rendered_secret_has_a_bound() {
    let sealed = parse(&sealed());
    let unlocked = sealed.unlock(&identities(&[CLUSTER])).ok().unwrap();
    // 256 KiB of references to 10 KiB.
    let changes = [(
        "big".to_owned(),
        Some(sealing::Plaintext::new(vec![b'x'; 10 << 10])),
    )]
    .into();
    let big = unlocked.set(&changes, &recipients(&[CLUSTER])).unwrap();
    let unlocked = big.unlock(&identities(&[CLUSTER])).ok().unwrap();
    let bomb = |count: usize| {
        let template = json!({"data": {"x": "${big}".repeat(count)}});
        unlocked.retemplate(&template, &recipients(&[CLUSTER]))
    };
    assert!(bomb(100).is_ok());
    let error = bomb(40_000).err().unwrap().to_string();
    assert!(error.starts_with("spec.template.data.x: "), "{error}");
}

/// Values of one's own can be added without a key. Whether they still fit may not tell how long another one is, to the byte.
#[test]
fn whether_it_fits_does_not_tell_a_length() {
    let fits = |secret_len: usize, mine: usize| {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "team"},
            "stringData": {"password": "x".repeat(secret_len)}});
        let sealed = sealing::v2::seal_secret(
            &secret,
            &recipients(&[CLASSICAL]),
            sealing::SealOptions::default(),
        );
        let mine = "y".repeat(mine);
        let both = sealed
            .unwrap()
            .set(&plain(&[("mine", &mine)]), &recipients(&[CLASSICAL]));
        match both {
            Ok(both) => open(&both.to_value(), &[CLASSICAL], "team").is_ok(),
            Err(_) => false,
        }
    };
    // Lengths that have one padded size have one answer, wherever the limit is met.
    for mine in [(1 << 20) - 60, (1 << 20) - 25] {
        let answer = fits(5, mine);
        assert_eq!(fits(20, mine), answer, "{mine}");
        assert_eq!(fits(28, mine), answer, "{mine}");
    }
}

#[test]
fn a_large_template_is_refused_before_its_texts_are_read() {
    let mut object = sealed();
    // References by the hundred thousand, each on a line of its own, and one of them wrong.
    let text = "${password}\n".repeat(200_000) + "${nothing}";
    object["spec"]["template"]["data"] = json!({"x": text});
    let found = problems(&object);
    assert!(found.contains("spec.template: longer than 262144"), "{found}");
    assert!(!found.contains("spec.template.data.x"), "{found}");
}

#[test]
fn a_stanza_has_a_short_body() {
    use base64::Engine as _;
    let engine = base64::prelude::BASE64_STANDARD;
    let mut object = sealed_for(sealing::Scope::Strict, &[CLASSICAL]);
    let file = engine
        .decode(object["spec"]["dataKeys"][0]["age"].as_str().unwrap())
        .unwrap();
    let at = file.windows(5).position(|at| at == b"\n--- ").unwrap() + 1;
    let line = format!("{}\n", "A".repeat(64));
    let long = [&file[..at], line.repeat(1000).as_bytes(), &file[at..]].concat();
    object["spec"]["dataKeys"][0]["age"] = engine.encode(long).into();
    assert!(problems(&object).contains("not a whole age file"));
}

#[test]
fn a_key_that_cannot_be_one_is_not_quoted() {
    for (path, named) in [
        ("/spec/values", "spec.values: a key holds only"),
        ("/spec/template/data", "spec.template.data: a key holds only"),
    ] {
        let mut object = sealed();
        object["spec"]["template"]["data"] = json!({});
        object.pointer_mut(path).unwrap()["hunter2 swordfish"] = "x".into();
        let found = problems(&object);
        assert!(found.contains(named) && !found.contains("swordfish"), "{found}");
    }
}

#[test]
fn metadata_that_an_api_server_adds_are_read() {
    let mut object = sealed();
    object["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}]);
    object["metadata"]["deletionGracePeriodSeconds"] = 0.into();
    assert!(SealedSecret::parse(&object).is_ok());
}

#[test]
fn wrong_kinds_are_named_by_path() {
    for (path, value, expected) in [
        ("/spec", json!([]), "spec: must be an object, is a list"),
        (
            "/spec/scope",
            json!("strict"),
            "spec.scope: must be Strict, Namespace or Cluster",
        ),
        ("/spec/scope", json!(null), "spec.scope: missing"),
        (
            "/spec/sealedFor",
            json!({"namespace": "team", "name": "A"}),
            "sealedFor.name: not a name",
        ),
        ("/spec/dataKeys", json!({}), "spec.dataKeys: must be a list"),
        (
            "/spec/dataKeys/0",
            json!("x"),
            "spec.dataKeys[0]: must be an object",
        ),
        (
            "/spec/dataKeys/0/id",
            json!("XYZ"),
            "spec.dataKeys[0].id: an id is 16",
        ),
        ("/spec/dataKeys/0/id", json!(null), "spec.dataKeys[0].id: missing"),
        ("/spec/dataKeys/0/recipients", json!([]), "recipients: missing"),
        (
            "/spec/dataKeys/0/recipients",
            json!(["hunter2"]),
            "recipients[0]: a key's id is",
        ),
        (
            "/spec/dataKeys/0/age",
            json!("hunter2"),
            "spec.dataKeys[0].age: must be base64",
        ),
        (
            "/spec/dataKeys/0/age",
            json!("aHVudGVyMg=="),
            "not a whole age file",
        ),
        (
            "/spec/values/password",
            json!("hunter2"),
            "spec.values.password: must be the id of a data key",
        ),
        (
            "/spec/values/password",
            json!(null),
            "spec.values.password: missing",
        ),
        (
            "/spec/values/password",
            json!(7),
            "spec.values.password: must be a string",
        ),
        (
            "/spec/template/type",
            json!(""),
            "spec.template.type: must not be empty",
        ),
        (
            "/spec/template/immutable",
            json!("yes"),
            "spec.template.immutable: must be true or false",
        ),
        ("/metadata/name", json!("A/B"), "metadata.name: not a name"),
    ] {
        let mut object = sealed();
        *object.pointer_mut(path).unwrap() = value;
        let found = problems(&object);
        assert!(found.contains(expected), "{path}: {found}");
        assert!(!found.contains("hunter2"), "{path}: {found}");
    }
    for (data, expected) in [
        (
            json!({"password": "x"}),
            "spec.template.data.password: this key has a sealed value too",
        ),
        (
            json!({"a": "${nothing}"}),
            "spec.template.data.a: line 1: it refers to a key",
        ),
        (
            json!({"a": "\n${password"}),
            "spec.template.data.a: line 2: `${` is not closed",
        ),
        (json!({"a b": "x"}), "a key holds only letters"),
    ] {
        let mut object = sealed();
        object["spec"]["template"]["data"] = data;
        let found = problems(&object);
        assert!(found.contains(expected), "{found}");
    }
    let mut object = sealed();
    object["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
        "{}".into();
    assert!(problems(&object).contains("kubectl's copy"));
}

#[test]
fn an_unknown_field_that_may_be_a_value_is_not_quoted() {
    let mut object = sealed();
    object["spec"]["hunter2-is-the-password"] = "x".into();
    assert_eq!(
        problems(&object),
        "spec.(a field): there is no such field in this format; correct its name or its place, or remove it"
    );
}
