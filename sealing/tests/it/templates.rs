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
        "{{ htpasswd .user .pw }}",
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
    let most = "the Secret could be larger than 1 MiB, the most that Kubernetes takes";
    let bomb = "{{ .pw }}".repeat(200_000);
    assert_eq!(
        lines(SealedSecret::parse(&with_template(&json!({"x": bomb})))),
        [
            "spec.template.data.x: line 1: with values of these lengths the result could be larger than 1 MiB, the most \
          that Kubernetes takes"
        ]
    );
    let half = "x".repeat(600 * 1024);
    assert_eq!(
        lines(SealedSecret::parse(&with_template(
            &json!({"x": half, "y": "{{ .x }}"})
        ))),
        [format!("spec.template.data: {most}")]
    );
    // Its own size, and that of what is made of it.
    let fits = "x".repeat(500 * 1024);
    let data = opened(&with_template(&json!({"x": fits, "y": "{{ .x }}"})));
    assert_eq!(data.len(), 4);
}

/// A template that fails for one value and not for another would tell values, bit by bit, to whoever can edit it and
/// read a status: so whether an object opens depends on nothing that is secret.
#[test]
fn no_value_decides_whether_a_template_is_run() {
    let templates = [
        "{{ b64dec .pw }}",
        "{{ if eq .pw \"hunter2\" }}{{ b64dec \"!\" }}{{ end }}",
        "{{ if hasPrefix \"h\" .pw }}{{ repeat 200000 \"x\" }}{{ end }}",
        "{{ trunc 100 .pw }}{{ substr 0 100 .pw }}{{ first (splitList \"x\" .pw) }}{{ atoi .pw }}",
        "{{ toJson .pw }}{{ .pw | indent 3 }}{{ upper .pw }}",
    ];
    for template in templates {
        for value in ["", "hunter2", "aGk=", "\u{ff}\n\n\n", "99999999999999999999999"] {
            let mut object = object(&[("pw", value), ("user", "eve")]);
            object["spec"]["template"] = json!({"data": {"x": template}});
            assert_eq!(opened(&object).len(), 3, "{template}");
        }
    }
}
