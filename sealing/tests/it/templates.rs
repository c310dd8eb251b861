//! `spec.template.data` with real values.

use crate::support::{lines, object, ring};
use sealing::SealedSecret;
use serde_json::{Value, json};

fn opened(object: &Value) -> Vec<(String, String)> {
    let opened = SealedSecret::parse(object)
        .ok()
        .unwrap()
        .open(&ring(), "team")
        .ok()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    opened
        .data()
        .iter()
        .map(|(key, value)| (key.clone(), text(value.expose())))
        .collect()
}

fn with_template(data: &Value) -> Value {
    let mut object = object(&[("pw", "hunter2"), ("user", "eve")]);
    object["spec"]["template"] = json!({"data": data});
    object
}

#[test]
fn values_go_into_text_and_null_leaves_a_key_out() {
    let data = opened(&with_template(&json!({
        "url": "pg://{{ .user }}:{{ index . \"pw\" }}@db/{{ .name }}",
        "name": "app",
        "pw": null,
        "user": "a sealed value wins over {{ .this }}",
    })));
    let expected = [
        ("name", "app"),
        ("url", "pg://eve:hunter2@db/app"),
        ("user", "eve"),
    ];
    assert_eq!(
        data,
        expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
}

#[test]
fn a_refused_template_is_refused_before_anything_is_opened() {
    for template in [
        "{{ fail .pw }}",
        "{{ .pw | mustToDate \"x\" }}",
        "{{ .missing }}",
        "{{ .pw",
    ] {
        let errors = lines(SealedSecret::parse(&with_template(&json!({"x": template}))));
        assert_eq!(errors.len(), 1);
        assert!(
            errors[0].starts_with("spec.template.data.x: line 1: "),
            "{errors:?}"
        );
        assert!(
            !errors[0].contains("hunter2") && !errors[0].contains("pw"),
            "{errors:?}"
        );
    }
}

#[test]
fn a_template_cannot_blow_up() {
    let bomb = "{{ .pw }}".repeat(200_000);
    let parsed = SealedSecret::parse(&with_template(&json!({"x": bomb})))
        .ok()
        .unwrap();
    assert_eq!(
        lines(parsed.open(&ring(), "team")),
        ["key x: the Secret would be larger than 1 MiB, the most that Kubernetes takes"]
    );
    let half = "x".repeat(600 * 1024);
    let parsed = SealedSecret::parse(&with_template(&json!({"x": half, "y": "{{ .x }}"})))
        .ok()
        .unwrap();
    assert_eq!(lines(parsed.open(&ring(), "team")).len(), 1);
}
