//! Which Secrets the pods of a workload mount or read, and when a Job goes by itself.

use serde_json::Value;
use std::collections::BTreeSet;

/// Names kept of one workload. A pod that reads more is refused by nobody, but none is known.
const MAX_NAMES: usize = 256;

/// The names of the Secrets that are mounted in, or read as variables by, the pods of a workload whose pods are replaced when its
/// template changes; sorted, each once. None for any other object.
///
/// Credentials for pulling images are not among them: the kubelet reads those anew at each pull.
pub(crate) fn secrets(object: &Value) -> Vec<Box<str>> {
    if !rolls(object) {
        return Vec::new();
    }
    let Some(pod) = object.pointer("/spec/template/spec") else {
        return Vec::new();
    };
    let mut names = BTreeSet::new();
    for volume in list(pod, "/volumes") {
        names.extend(text(volume, "/secret/secretName"));
        for source in list(volume, "/projected/sources") {
            names.extend(text(source, "/secret/name"));
        }
    }
    for containers in ["/containers", "/initContainers"] {
        for container in list(pod, containers) {
            for variable in list(container, "/env") {
                names.extend(text(variable, "/valueFrom/secretKeyRef/name"));
            }
            for source in list(container, "/envFrom") {
                names.extend(text(source, "/secretRef/name"));
            }
        }
    }
    names.into_iter().take(MAX_NAMES).map(Into::into).collect()
}

/// After how many seconds a Job goes by itself once it has ended; none for one that stays, and for any other object.
pub(crate) fn ttl(object: &Value) -> Option<u32> {
    let group = text(object, "/apiVersion").and_then(|version| version.split_once('/'));
    let is_job = group.is_some_and(|(group, _)| group == "batch") && text(object, "/kind") == Some("Job");
    let ttl = object.pointer("/spec/ttlSecondsAfterFinished").filter(|_| is_job);
    ttl?.as_u64()?.try_into().ok()
}

/// Whether new pods take the place of the old ones when the template changes.
fn rolls(object: &Value) -> bool {
    let group = text(object, "/apiVersion").and_then(|version| version.split_once('/'));
    let group = group.map_or("", |(group, _)| group);
    match (group, text(object, "/kind").unwrap_or_default()) {
        ("apps", kind) => matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet"),
        ("argoproj.io", "Rollout") => true,
        _ => false,
    }
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workload(kind: &str, pod: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": kind, "spec": {"template": {"spec": pod}}})
    }

    #[test]
    fn every_way_to_read_a_secret_is_known() {
        let pod = json!({
            "imagePullSecrets": [{"name": "pull"}],
            "volumes": [
                {"name": "a", "secret": {"secretName": "mounted"}},
                {"name": "b", "projected": {"sources": [
                    {"secret": {"name": "projected"}}, {"configMap": {"name": "map"}}]}},
                {"name": "c", "configMap": {"name": "map"}},
            ],
            "containers": [{
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "one", "key": "k"}}},
                    {"name": "B", "value": "plain"},
                ],
                "envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "map"}}],
            }],
            "initContainers": [{"envFrom": [{"secretRef": {"name": "all"}}, {"secretRef": {"name": "first"}}]}],
        });
        for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
            let names = secrets(&workload(kind, &pod));
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            assert_eq!(names, ["all", "first", "mounted", "one", "projected"], "{kind}");
        }
        // A Job's template cannot be changed, and a ReplicaSet replaces no pods.
        for kind in ["Job", "ReplicaSet"] {
            assert!(secrets(&workload(kind, &pod)).is_empty(), "{kind}");
        }
    }

    #[test]
    fn a_job_may_go_by_itself() {
        let of =
            |kind: &str, spec: Value| ttl(&json!({"apiVersion": "batch/v1", "kind": kind, "spec": spec}));
        assert_eq!(of("Job", json!({"ttlSecondsAfterFinished": 0})), Some(0));
        assert_eq!(of("Job", json!({"ttlSecondsAfterFinished": 600})), Some(600));
        for spec in [
            json!({}),
            json!(null),
            json!({"ttlSecondsAfterFinished": -1}),
            json!({"ttlSecondsAfterFinished": "1"}),
        ] {
            assert_eq!(of("Job", spec.clone()), None, "{spec}");
        }
        assert_eq!(of("CronJob", json!({"ttlSecondsAfterFinished": 0})), None);
    }

    #[test]
    fn what_is_no_workload_reads_nothing() {
        for object in [
            json!(null),
            json!({"apiVersion": "apps/v1", "kind": "Deployment"}),
            workload("Deployment", &json!(7)),
            workload(
                "Deployment",
                &json!({"volumes": {"secret": 1}, "containers": [null, 7, {"env": [[]]}]}),
            ),
            workload(
                "Deployment",
                &json!({"volumes": [{"secret": {"secretName": ""}}]}),
            ),
        ] {
            assert!(secrets(&object).is_empty(), "{object}");
        }
    }
}
