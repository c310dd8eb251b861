use super::*;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::time::Instant;

/// An object of a usual size, written again and again by others: what one event costs. Printed, not asserted.
#[test]
fn an_event_of_others_is_cheap() {
    let fields = |names: std::ops::Range<u32>| {
        let fields = names.map(|n| (format!("f:field{n}"), json!({"f:a": {}, "f:b": {"f:c": {}}})));
        json!({"f:spec": fields.collect::<serde_json::Map<_, _>>()})
    };
    let time = "2026-01-01T00:00:01Z";
    let metadata = |version: u64, others: &[&str]| -> ObjectMeta {
        let mut entries =
            vec![json!({"manager": US, "operation": "Apply", "time": time, "fieldsV1": fields(0..40)})];
        entries.push(
            json!({"manager": "kube-controller-manager", "operation": "Update", "time": time,
            "subresource": "status", "fieldsV1": fields(0..20)}),
        );
        entries.extend(others.iter().map(|name| {
            json!({"manager": name, "operation": "Update", "time": time,
                "fieldsV1": fields(50..60 + u32::try_from(version % 2).unwrap())})
        }));
        serde_json::from_value(
            json!({"uid": "0f2c7b1e-93aa-4b6f-8f0d-00ff17e2a9bc", "generation": 1,
            "resourceVersion": version.to_string(), "managedFields": entries}),
        )
        .unwrap()
    };
    for (what, others) in [
        ("status only", &[][..]),
        ("a trusted manager's", &["kubelet"]),
        ("a stranger's", &["kubectl-edit"]),
    ] {
        let mut bench = Bench::listed();
        let all: Vec<_> = (1..200).map(|version| metadata(version, others)).collect();
        let start = Instant::now();
        for metadata in &all {
            bench.show(Sight::read(metadata, US, None).unwrap());
        }
        let each = start.elapsed() / u32::try_from(all.len()).unwrap();
        println!("an event, {what}: {each:?}");
        assert_eq!(bench.objects.foreign(&key()).is_some(), what == "a stranger's");
    }
}

/// Bytes for every object for as long as it is watched: more is a decision, and not an accident.
#[test]
fn what_is_kept_of_an_object_is_small() {
    assert_eq!((size_of::<Key>(), size_of::<Entry>()), (40, 168));
    // One word of it for the keys that its values were opened with.
    assert_eq!(size_of::<apply::checkpoint::Record>(), 88);
}
