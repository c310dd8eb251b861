use super::*;
use crate::fields::set::tests::any_fields;
use proptest::prelude::*;
use serde_json::json;

fn body() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web", "app.kubernetes.io/name": "web"},
            "annotations": {"example.com/x": "1"}},
        "spec": {"replicas": 2, "paused": null, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"nodeSelector": {"a": "b"}, "imagePullSecrets": [], "containers": [{
                "name": "app", "image": "nginx:1", "args": ["a", "b"], "resources": {"limits": {"cpu": "1"}},
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]}],
                "volumes": [{"name": "tmp", "emptyDir": {}}]}}},
        "status": {"replicas": 1}})
}

/// What API server 1.36 recorded of an apply of `body`.
fn applied() -> Value {
    json!({"f:metadata":{"f:annotations":{"f:example.com/x":{}},"f:labels":{"f:app":{},"f:app.kubernetes.io/name":{}}},"f:spec":{
        "f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:containers":{
        "k:{\"name\":\"app\"}":{".":{},"f:args":{},"f:env":{"k:{\"name\":\"A\"}":{".":{},"f:name":{},"f:value":{}},
        "k:{\"name\":\"B\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},"f:name":{},"f:ports":{
        "k:{\"containerPort\":53,\"protocol\":\"UDP\"}":{".":{},"f:containerPort":{},"f:protocol":{}},
        "k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}},"f:resources":{"f:limits":{"f:cpu":{}}}}},
        "f:nodeSelector":{},"f:volumes":{"k:{\"name\":\"tmp\"}":{".":{},"f:emptyDir":{},"f:name":{}}}}}}})
}

/// What the same API server recorded after `kubectl scale`, an edit that set an image, a node selector and a finalizer and
/// added a container, and a JSON patch that removed an annotation and a variable and replaced the arguments.
fn disturbed() -> Vec<ManagedFieldsEntry> {
    serde_json::from_value(json!([
        {"manager":"signet/a","operation":"Apply","apiVersion":"apps/v1","time":"2026-11-21T05:51:54Z","fieldsType":"FieldsV1","fieldsV1":
            {"f:metadata":{"f:labels":{"f:app":{},"f:app.kubernetes.io/name":{}}},"f:spec":{"f:selector":{},"f:template":{"f:metadata":{
            "f:labels":{"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:env":{"k:{\"name\":\"A\"}":{".":{},
            "f:name":{},"f:value":{}}},"f:name":{},"f:ports":{"k:{\"containerPort\":53,\"protocol\":\"UDP\"}":{".":{},
            "f:containerPort":{},"f:protocol":{}},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}},
            "f:resources":{"f:limits":{"f:cpu":{}}}}},"f:volumes":{"k:{\"name\":\"tmp\"}":{".":{},"f:emptyDir":{},"f:name":{}}}}}}}},
        {"manager":"kubectl","operation":"Update","subresource":"scale","apiVersion":"apps/v1","fieldsType":"FieldsV1",
            "fieldsV1":{"f:spec":{"f:replicas":{}}}},
        {"manager":"evil","operation":"Update","apiVersion":"apps/v1","time":"2026-11-21T05:51:55Z","fieldsType":"FieldsV1","fieldsV1":
            {"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{"f:args":{}}}}}}}},
        {"manager":"kubectl-edit","operation":"Update","apiVersion":"apps/v1","time":"2026-11-21T05:51:55Z","fieldsType":"FieldsV1",
            "fieldsV1":{"f:metadata":{"f:finalizers":{".":{},"v:\"example.com/f\"":{}}},"f:spec":{"f:template":{"f:spec":{"f:containers":{
            "k:{\"name\":\"app\"}":{"f:image":{}},"k:{\"name\":\"sidecar\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},
            "f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:nodeSelector":{}}}}}},
    ]))
    .unwrap()
}

fn texts(paths: &[FieldPath]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_is_lost_right_after_an_apply() {
    assert_eq!(texts(&lost(&body(), Some(&applied()))), Vec::<String>::new());
}

#[test]
fn lost_fields_and_who_has_them() {
    let entries = disturbed();
    let own = entries[0].fields_v1.as_ref().map(|fields| &fields.0);
    let lost = lost(&body(), own);
    let takers: Vec<_> = taken_by(&lost, &entries, "signet/a")
        .into_iter()
        .map(|(path, taker)| {
            (
                path.to_string(),
                taker.map(|taker| (taker.manager, taker.subresource)),
            )
        })
        .collect();
    let by = |name: &str| Some((name.to_owned(), None));
    let container = ".spec.template.spec.containers[name=\"app\"]";
    assert_eq!(
        takers,
        [
            (".metadata.annotations.example.com/x".to_owned(), None),
            (
                ".spec.replicas".to_owned(),
                Some(("kubectl".to_owned(), Some("scale".to_owned())))
            ),
            (format!("{container}.args"), by("evil")),
            (format!("{container}.env[name=\"B\"]"), None),
            (format!("{container}.image"), by("kubectl-edit")),
            (".spec.template.spec.nodeSelector".to_owned(), by("kubectl-edit")),
        ]
    );
}

#[test]
fn without_an_entry_everything_is_lost_and_lists_are_one_path() {
    let small = json!({"kind": "X", "metadata": {"name": "a", "labels": {"b": "c"}}, "spec": {"list": [{"name": "x"}], "n": 1, "e": {}}});
    assert_eq!(
        texts(&lost(&small, None)),
        [".metadata.labels.b", ".spec.list", ".spec.n"]
    );
}

#[test]
fn an_empty_map_of_somebody_else_is_not_taken_for_something_atomic() {
    let other = json!({"manager": "x", "operation": "Apply", "fieldsV1": {"f:data": {}, "f:metadata": {"f:labels": {}}, "f:spec": {"f:s": {}}}});
    let own = json!({"manager": "signet/a", "operation": "Apply", "fieldsV1": {"f:data": {"f:b": {}}}});
    let entries: Vec<_> = serde_json::from_value(json!([other, own])).unwrap();
    let lost = [
        FieldPath::of_names(&["data", "a"]),
        FieldPath::of_names(&["metadata", "labels", "a"]),
        FieldPath::of_names(&["spec", "s", "a"]),
        FieldPath::of_names(&["spec", "s", "b"]),
    ];
    let taken: Vec<_> = taken_by(&lost, &entries, "signet/a")
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(texts(&taken), [".data.a", ".metadata.labels.a", ".spec.s"]);
}

#[test]
fn shapes_that_do_not_fit() {
    for (value, own, expected) in [
        (json!({"a": 1}), json!({"f:a": {"f:b": {}}}), vec![".a"]),
        (json!({"a": [1, 2]}), json!({"f:a": {"v:1": {}}}), vec![".a[=…]"]),
        (
            json!({"a": [{"x": 1}]}),
            json!({"f:a": {"k:{\"name\":\"n\"}": {".": {}}}}),
            vec![".a[0]"],
        ),
        (
            json!({"a": [{"name": "m"}]}),
            json!({"f:a": {"k:{\"name\":\"n\"}": {".": {}}}}),
            vec![".a[name=\"m\"]"],
        ),
        (
            json!({"a": ["x", "y"]}),
            json!({"f:a": {"i:1": {}}}),
            vec![".a[0]"],
        ),
        (json!({"a": {"b": 1}}), json!({"f:a": {}}), vec![]),
        (json!({"a": {"b": 1}}), json!(7), vec![".a.b"]),
    ] {
        assert_eq!(texts(&lost(&value, Some(&own))), expected, "{value} {own}");
    }
}

#[test]
fn bounds() {
    let wide: Value = Value::Object((0..=MAX_PATHS).map(|i| (format!("k{i}"), json!(1))).collect());
    assert_eq!(lost(&json!({"data": wide}), None).len(), MAX_PATHS);
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({"a": deep});
    }
    assert_eq!(lost(&deep, None)[0].0.len(), MAX_DEPTH);
    let own = Value::Object((0..=MAX_PATHS).map(|i| (format!("f:{i}"), json!({}))).collect());
    assert_eq!(
        lost(&json!({"a": 1}), Some(&own)),
        [],
        "an entry beyond the bounds proves nothing"
    );
}

/// The set of a body as the API server makes it, with every list keyed by `name` where all items have one.
fn own_set(value: &Value) -> Value {
    let fields = match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (format!("f:{name}"), own_set(value)))
            .collect(),
        Value::Array(items) if items.iter().all(|item| item["name"].is_string()) => items
            .iter()
            .map(|item| {
                let mut set = own_set(item);
                set["."] = json!({});
                (format!("k:{}", json!({"name": item["name"]})), set)
            })
            .collect(),
        _ => serde_json::Map::new(),
    };
    Value::Object(fields)
}

fn any_body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(1)),
        Just(json!("s")),
        Just(json!(null)),
        Just(json!([])),
        Just(json!({}))
    ];
    leaf.prop_recursive(5, 60, 5, |inner| {
        let map = prop::collection::btree_map("[a-d.]{1,3}", inner.clone(), 0..4);
        let items = prop::collection::btree_map("[a-c]", map.clone(), 0..4);
        prop_oneof![
            map.prop_map(|map| Value::Object(map.into_iter().collect())),
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            items.prop_map(|items| {
                let item = |(name, map): (String, std::collections::BTreeMap<String, Value>)| {
                    let mut item = Value::Object(map.into_iter().collect());
                    item["name"] = json!(name);
                    item
                };
                Value::Array(items.into_iter().map(item).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_is_lost_of_what_is_owned(body in any_body()) {
        prop_assume!(body.is_object());
        prop_assert_eq!(lost(&body, Some(&own_set(&body))), []);
    }

    #[test]
    fn any_entry_is_survived(body in any_body(), fields in any_fields()) {
        let lost = lost(&body, Some(&fields));
        let entry = serde_json::from_value(json!({"manager": "x", "fieldsV1": fields})).unwrap();
        prop_assert!(taken_by(&lost, &[entry], "signet/a").len() <= lost.len());
    }
}
