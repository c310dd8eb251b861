//! Aggregated discovery of a small cluster.

use super::Response;
use serde_json::{Value, json};

/// What `/api` and `/apis` answer for kinds given as `(group, version, kind, plural, namespaced)`; none for another path.
pub(crate) fn discovery(path: &str, kinds: &[(&str, &str, &str, &str, bool)]) -> Option<Response> {
    let core = match path {
        "/api" => true,
        "/apis" => false,
        _ => return None,
    };
    let items: Vec<Value> = kinds
        .iter()
        .filter(|(group, ..)| group.is_empty() == core)
        .map(|(group, version, kind, plural, namespaced)| {
            let scope = if *namespaced { "Namespaced" } else { "Cluster" };
            json!({"metadata": {"name": group}, "versions": [{"version": version, "resources": [{
                "resource": plural, "scope": scope, "verbs": ["get", "list", "watch", "patch"],
                "responseKind": {"group": group, "version": version, "kind": kind},
            }]}]})
        })
        .collect();
    Some(Response::json(
        &json!({"apiVersion": "apidiscovery.k8s.io/v2", "kind": "APIGroupDiscoveryList", "items": items}),
    ))
}

/// A list of metadata, as the API server answers who asks for no more.
pub(crate) fn metadata_list(items: &[Value]) -> Response {
    Response::json(&json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": {"resourceVersion": "7"},
        "items": items,
    }))
}

/// One object's metadata.
pub(crate) fn metadata(namespace: Option<&str>, name: &str) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}"),
                     "creationTimestamp": "2026-01-01T00:00:00Z"},
    })
}
