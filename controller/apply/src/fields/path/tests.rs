use super::*;
use serde_json::json;

fn object() -> Value {
    json!({
        "metadata": {"annotations": {"example.com/x": "1", "a": "1", "a.b": "1", "a[b": "1"}, "finalizers": ["x.io/f"]},
        "data": {"a": {"b": {"c": 1}}, "a.b": {"d": 1}},
        "spec": {
            "replicas": 1,
            "template": {"spec": {"containers": [
                {"name": "app", "image": "x", "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]},
                {"name": "si\"de", "image": "y"},
            ]}},
            "hosts": ["a", "b"],
        },
    })
}

#[test]
fn conflicts_are_found_in_the_object_and_shown_as_the_api_server_shows_them() {
    for text in [
        ".spec.replicas",
        ".spec.template.spec.containers[name=\"app\"].image",
        ".spec.template.spec.containers[name=\"si\\\"de\"].image",
        ".spec.template.spec.containers[name=\"app\"].ports[containerPort=80,protocol=\"TCP\"]",
        ".spec.template.spec.containers[name=\"app\"].ports[containerPort=53,protocol=\"UDP\"].protocol",
        ".spec.template.spec.containers[1].image",
        ".metadata.annotations.example.com/x",
        ".metadata.annotations.a.b",
        ".metadata.annotations.a[b",
        ".metadata.finalizers[=\"x.io/f\"]",
        ".data.a.b.c",
        ".data.a.b.d",
    ] {
        let path = FieldPath::resolve(text, &object()).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(path.to_string(), text);
        assert_eq!(format!("{path:?}"), text);
    }
    let path = FieldPath::resolve(".metadata.annotations.a.b", &object()).unwrap();
    assert_eq!(path, FieldPath::of_names(&["metadata", "annotations", "a.b"]));
    let path = FieldPath::resolve(".data.a.b", &object()).unwrap();
    assert_eq!(
        path,
        FieldPath::of_names(&["data", "a.b"]),
        "of several the longest name"
    );
    let path = FieldPath::resolve(".data.a.b.c", &object()).unwrap();
    assert_eq!(path, FieldPath::of_names(&["data", "a", "b", "c"]));
}

#[test]
fn what_the_object_does_not_have_is_not_found() {
    for text in [
        "",
        ".",
        "spec",
        ".spec.",
        ".spec.replicas.x",
        ".spec.replicas[0]",
        ".spec.hosts[2]",
        ".spec.hosts[-1]",
        ".spec.hosts[99999999999999999999999]",
        ".spec.hosts[=\"c\"]",
        ".spec.hosts[=\"a\"",
        ".spec.hosts[",
        ".spec.hosts[]",
        ".spec.template.spec.containers[name=\"none\"]",
        ".spec.template.spec.containers[name=]",
        ".metadata.annotations.example.com",
    ] {
        assert_eq!(FieldPath::resolve(text, &object()), None, "{text}");
    }
}

#[test]
fn set_elements_are_values_and_are_not_shown_but_for_finalizers() {
    let path = FieldPath::resolve(".spec.hosts[=\"b\"]", &object()).unwrap();
    assert_eq!(path.to_string(), ".spec.hosts[=…]");
}

#[test]
fn a_text_that_fits_in_many_ways_is_given_up() {
    let mut object = json!({});
    for _ in 0..60 {
        object = json!({"a": object, "a.a": object["a"].clone()});
        if object.to_string().len() > 100_000 {
            break;
        }
    }
    assert_eq!(FieldPath::resolve(&".a".repeat(50_000), &object), None);
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({"a": deep});
    }
    assert!(FieldPath::resolve(&".a".repeat(MAX_DEPTH), &deep).is_some());
    assert_eq!(FieldPath::resolve(&".a".repeat(MAX_DEPTH + 1), &deep), None);
}

#[test]
fn long_names_are_cut() {
    let path = FieldPath::of_names(&[&"n".repeat(4000), "b\nc"]);
    assert_eq!(path.to_string().len(), 1 + 320 + '…'.len_utf8() + 4);
    assert!(path.to_string().ends_with(".b c"));
}

proptest::proptest! {
    #[test]
    fn resolve_never_panics(text in ".{0,80}", tail in "(\\.(spec|hosts|replicas|a|b)|\\[(=|name=|)(\"?.{0,3}\"?)\\]?){0,6}") {
        let object = object();
        let _ = FieldPath::resolve(&text, &object);
        let _ = FieldPath::resolve(&format!(".spec{tail}"), &object);
    }
}
