use super::*;
use serde_json::json;

const OURS: &str = "signet/a";

fn entries(value: &Value) -> Vec<ManagedFieldsEntry> {
    serde_json::from_value(value.clone()).unwrap()
}

fn shown(value: &Value) -> Vec<(String, Vec<String>, usize)> {
    let trusted = |manager: &str| manager == "kube-controller-manager";
    foreign(&entries(value), OURS, &trusted)
        .into_iter()
        .map(|one| {
            (
                one.manager,
                one.fields.iter().map(ToString::to_string).collect(),
                one.more,
            )
        })
        .collect()
}

/// What API server 1.36 recorded of an edit that set an image and added a container and a finalizer.
fn edit() -> Value {
    json!({"f:metadata":{"f:finalizers":{".":{},"v:\"example.com/f\"":{}}},"f:spec":{"f:template":{"f:spec":{"f:containers":{
        "k:{\"name\":\"app\"}":{"f:image":{}},"k:{\"name\":\"sidecar\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},
        "f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:nodeSelector":{}}}}})
}

#[test]
fn what_others_added() {
    let own = json!({"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {"f:spec": {
        "f:nodeSelector": {}, "f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:name": {}}}}}}});
    let all = json!([
        {"manager": OURS, "operation": "Apply", "fieldsV1": own},
        {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": edit()},
        {"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": {"f:metadata": {"f:annotations": {"f:rev": {}}}}},
        {"manager": "x", "operation": "Update", "subresource": "status", "fieldsV1": {"f:metadata": {"f:annotations": {"f:s": {}}}}},
        {"manager": "x", "operation": "Update", "fieldsV1": {"f:status": {"f:phase": {}}, "f:spec": {"f:replicas": {}}}},
        {"manager": "x", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:paused": {}}}},
        {"manager": "y", "operation": "Update", "fieldsV1": {"f:spec": {"f:template": {}}}},
        {"manager": "z", "operation": "Update", "fieldsV1": {"f:metadata": {"f:annotations": {".": {}, "f:rev": {}, "f:z": {}}}}},
        {"manager": "signet/b", "operation": "Apply", "fieldsV1": {"f:spec": {"f:b": {}}}},
        {"manager": "empty", "operation": "Update"},
    ]);
    let container = ".spec.template.spec.containers[name=\"app\"].image".to_owned();
    let sidecar = ".spec.template.spec.containers[name=\"sidecar\"]".to_owned();
    assert_eq!(
        shown(&all),
        [
            (
                "kubectl-edit".to_owned(),
                vec![
                    ".metadata.finalizers[=\"example.com/f\"]".to_owned(),
                    container,
                    sidecar
                ],
                0
            ),
            ("x".to_owned(), vec![".spec.paused".to_owned()], 0),
            ("z".to_owned(), vec![".metadata.annotations.z".to_owned()], 0),
        ]
    );
}

#[test]
fn many_fields_are_counted() {
    let fields = |n: usize| Value::Object((0..n).map(|i| (format!("f:{i:05}"), json!({}))).collect());
    let all = json!([
        {"manager": "a", "operation": "Update", "fieldsV1": {"f:data": fields(15)}},
        {"manager": "a", "operation": "Apply", "fieldsV1": {"f:more": fields(15)}},
        {"manager": "b", "operation": "Update", "fieldsV1": {"f:data": fields(MAX_PATHS)}},
    ]);
    let shown = shown(&all);
    assert_eq!((shown[0].1.len(), shown[0].2), (20, 10));
    assert_eq!((shown[1].1.len(), shown[1].2), (0, MAX_PATHS));
}

fn live() -> Value {
    json!({"metadata": {"name": "web", "labels": {"a/b~c": "1", "applyset.kubernetes.io/part-of": "x"}, "annotations": {"z": "1"},
            "finalizers": ["f"], "ownerReferences": [{"uid": "u"}]},
        "spec": {"hostNetwork": true, "hosts": ["a", "b", "c"], "atomic": [1, 2], "containers": [
            {"name": "app", "image": "x", "env": [{"name": "A"}, {"name": "B"}]},
            {"name": "sidecar", "image": "y"}, {"name": "last", "image": "z"}]},
        "status": {"phase": "x"}})
}

fn removal_of(texts: &[&str]) -> Vec<String> {
    let paths: Vec<_> = texts
        .iter()
        .map(|text| FieldPath::resolve(text, &live()).unwrap())
        .collect();
    let patch = removal(&paths, &live());
    let line = |op: &Value| match op["op"].as_str() {
        Some("test") => format!("test {} {}", op["path"].as_str().unwrap(), op["value"]),
        _ => format!("{} {}", op["op"].as_str().unwrap(), op["path"].as_str().unwrap()),
    };
    patch.as_array().unwrap().iter().map(line).collect()
}

#[test]
fn fields_are_removed_from_the_end_and_items_are_tested() {
    assert_eq!(
        removal_of(&[
            ".metadata.labels.a/b~c",
            ".spec.containers[name=\"app\"].env[name=\"A\"]",
            ".spec.containers[name=\"app\"].env[name=\"B\"]",
            ".spec.containers[name=\"app\"].image",
            ".spec.containers[name=\"last\"].image",
            ".spec.containers[name=\"last\"]",
            ".spec.containers[name=\"sidecar\"]",
            ".spec.containers[name=\"sidecar\"]",
            ".spec.hosts[=\"b\"]",
            ".spec.hostNetwork",
        ]),
        [
            "test /spec/hosts/1 \"b\"",
            "remove /spec/hosts/1",
            "remove /spec/hostNetwork",
            "test /spec/containers/2/name \"last\"",
            "remove /spec/containers/2",
            "test /spec/containers/1/name \"sidecar\"",
            "remove /spec/containers/1",
            "test /spec/containers/0/name \"app\"",
            "remove /spec/containers/0/image",
            "test /spec/containers/0/name \"app\"",
            "test /spec/containers/0/env/1/name \"B\"",
            "remove /spec/containers/0/env/1",
            "test /spec/containers/0/name \"app\"",
            "test /spec/containers/0/env/0/name \"A\"",
            "remove /spec/containers/0/env/0",
            "remove /metadata/labels/a~1b~0c",
        ]
    );
}

#[test]
fn what_is_never_removed() {
    for text in [
        ".metadata",
        ".metadata.name",
        ".metadata.labels",
        ".metadata.annotations",
        ".metadata.labels.applyset.kubernetes.io/part-of",
        ".metadata.finalizers",
        ".metadata.finalizers[=\"f\"]",
        ".metadata.ownerReferences",
        ".metadata.ownerReferences[uid=\"u\"]",
        ".spec",
        ".spec.containers[name=\"app\"].name",
        ".spec.atomic[1]",
        ".status.phase",
    ] {
        assert_eq!(removal_of(&[text]), Vec::<String>::new(), "{text}");
    }
    let gone = FieldPath::of_names(&["spec", "gone"]);
    assert_eq!(removal(&[gone, FieldPath::default()], &live()), json!([]));
}

proptest::proptest! {
    #[test]
    fn any_entry_is_survived(fields in crate::fields::set::tests::any_fields()) {
        let all = json!([{"manager": "x", "operation": "Update", "fieldsV1": {"f:spec": fields}}]);
        for one in foreign(&entries(&all), OURS, &|_| false) {
            let _ = removal(&one.fields, &live());
        }
    }
}
