use super::*;
use proptest::prelude::*;
use serde_json::json;

/// An Apply entry as API server 1.36 wrote it.
fn deployment() -> Value {
    json!({"f:metadata":{"f:annotations":{"f:example.com/x":{}},"f:labels":{"f:app":{}}},"f:spec":{"f:replicas":{},"f:selector":{},
        "f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:args":{},"f:image":{},"f:name":{},
        "f:ports":{"k:{\"containerPort\":53,\"protocol\":\"UDP\"}":{".":{},"f:containerPort":{},"f:protocol":{}},
        "k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}},"f:nodeSelector":{}}}}})
}

fn tree(value: &Value) -> FieldTree {
    FieldTree::parse(value).unwrap()
}

fn texts(tree: &FieldTree) -> Vec<String> {
    tree.leaves().iter().map(ToString::to_string).collect()
}

#[test]
fn leaves_are_what_is_owned() {
    let container = ".spec.template.spec.containers[name=\"app\"]";
    assert_eq!(
        texts(&tree(&deployment())),
        [
            ".metadata.annotations.example.com/x".to_owned(),
            ".metadata.labels.app".to_owned(),
            ".spec.replicas".to_owned(),
            ".spec.selector".to_owned(),
            format!("{container}.args"),
            format!("{container}.image"),
            format!("{container}.name"),
            format!("{container}.ports[containerPort=53,protocol=\"UDP\"].containerPort"),
            format!("{container}.ports[containerPort=53,protocol=\"UDP\"].protocol"),
            format!("{container}.ports[containerPort=80,protocol=\"TCP\"].containerPort"),
            ".spec.template.spec.nodeSelector".to_owned(),
        ]
    );
}

#[test]
fn membership_knows_atomic_parents_and_items() {
    let tree = tree(&deployment());
    let path = |text: &str| {
        let object = json!({"spec": {"replicas": 1, "paused": 1, "selector": {"matchLabels": {"app": 1}}, "template": {"spec": {
            "containers": [{"name": "app", "args": ["a"], "ports": [{"containerPort": 80}]}, {"name": "b"}]}}}});
        FieldPath::resolve(text, &object).unwrap()
    };
    for (text, contains, touches) in [
        (".spec.replicas", true, true),
        (".spec.paused", false, false),
        (".spec.selector.matchLabels.app", true, true),
        (".spec.template", false, true),
        (".spec.template.spec.containers", false, true),
        (".spec.template.spec.containers[name=\"app\"]", true, true),
        (".spec.template.spec.containers[name=\"b\"]", false, false),
        (".spec.template.spec.containers[name=\"app\"].args[0]", true, true),
        (
            ".spec.template.spec.containers[name=\"app\"].ports[containerPort=80,protocol=\"TCP\"]",
            true,
            true,
        ),
    ] {
        assert_eq!(tree.contains(&path(text)), contains, "{text}");
        assert_eq!(tree.touches(&path(text)), touches, "{text}");
    }
    assert!(!tree.contains(&FieldPath::default()));
    assert!(tree.touches(&FieldPath::default()));
}

#[test]
fn sets_are_joined_and_subtracted() {
    let a = tree(&json!({"f:a": {".": {}, "f:x": {}}, "f:b": {}}));
    let b = tree(&json!({"f:a": {"f:x": {}, "f:y": {}}, "f:c": {}}));
    assert_eq!(
        a.union(&b).to_fields_v1(),
        json!({"f:a": {".": {}, "f:x": {}, "f:y": {}}, "f:b": {}, "f:c": {}})
    );
    assert_eq!(a.minus(&b).to_fields_v1(), json!({"f:a": {}, "f:b": {}}));
    assert_eq!(b.minus(&a).to_fields_v1(), json!({"f:a": {"f:y": {}}, "f:c": {}}));
    assert!(a.minus(&a).is_empty());
    assert!(!a.is_empty());
    assert!(tree(&json!({})).is_empty());
    assert!(tree(&json!({".": {}})).is_empty());
}

#[test]
fn what_is_not_understood_is_left_out() {
    let odd =
        json!({"f:a": 7, "x:b": {}, "k:[1]": {}, "k:{": {}, "v:": {}, "i:-1": {}, "nocolon": {}, "": {}});
    assert_eq!(tree(&odd).to_fields_v1(), json!({"f:a": {}}));
    for odd in [json!(null), json!([1]), json!("x")] {
        assert!(tree(&odd).is_empty());
    }
    let spellings = json!({"k:{\"port\":80}": {"f:a": {}}, "k:{\"port\":80.0}": {"f:b": {}}});
    assert_eq!(tree(&spellings).leaves().len(), 2);
}

#[test]
fn depth_and_number_are_bounded() {
    let mut deep = json!({});
    for _ in 0..MAX_DEPTH {
        deep = json!({"f:a": deep});
    }
    assert!(FieldTree::parse(&deep).is_ok());
    assert_eq!(FieldTree::parse(&json!({"f:a": deep})), Err(TooLarge));
    let wide = |n: usize| Value::Object((0..n).map(|i| (format!("f:{i}"), json!({}))).collect());
    assert!(FieldTree::parse(&wide(MAX_PATHS)).is_ok());
    assert_eq!(FieldTree::parse(&wide(MAX_PATHS + 1)), Err(TooLarge));
}

#[test]
fn debug_shows_no_value() {
    let set = tree(&json!({"f:hosts": {"v:\"hunter2\"": {}}}));
    assert_eq!(format!("{set:?}"), "FieldTree(1 paths)");
}

/// Any JSON, keys of `fieldsV1` among them.
pub(in crate::fields) fn any_fields() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        "f:[a-c.]{0,3}",
        "k:\\{\"name\":\"[a-b]\"\\}",
        "k:\\{\"port\":[0-9]\\}",
        "v:\"[a-b]\"",
        "i:[0-3]",
        Just(".".to_owned()),
        "[fkvix]:?.{0,4}",
    ];
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!(1)),
        Just(json!(null)),
        Just(json!([{}]))
    ];
    leaf.prop_recursive(6, 60, 5, move |inner| {
        prop::collection::btree_map(key.clone(), inner, 0..5)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    })
}

proptest! {
    #[test]
    fn parsing_never_panics_and_its_result_is_canonical(fields in any_fields()) {
        let once = tree(&fields).to_fields_v1();
        prop_assert_eq!(tree(&once).to_fields_v1(), once);
    }

    #[test]
    fn union_and_minus_agree(a in any_fields(), b in any_fields()) {
        let (a, b) = (tree(&a), tree(&b));
        let both = a.union(&b);
        prop_assert!(a.minus(&both).is_empty());
        prop_assert_eq!(&a.union(&a), &a);
        prop_assert_eq!(a.minus(&b).union(&b), both.clone());
        for leaf in a.leaves() {
            prop_assert!(both.touches(&leaf));
            prop_assert!(a.contains(&leaf));
        }
    }
}

#[test]
fn canonical_sets_stay_as_they_are() {
    for fields in [
        deployment(),
        json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"example.com/f\"": {}}}}),
        json!({"f:status": {"f:conditions": {".": {}, "k:{\"type\":\"Ready\"}": {".": {}, "f:status": {}}}}}),
        json!({"f:spec": {"f:list": {"i:0": {}, "i:12": {}}}}),
    ] {
        assert_eq!(tree(&fields).to_fields_v1(), fields);
    }
}
