//! Objects that several tests use.

use serde_json::{Value, json};

/// A Secret with everything in its place.
pub(crate) const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: shop
  labels: {app: db}
stringData:
  password: hunter2
";

/// A Sync `shop/web` that applied a commit.
pub(crate) fn sync(commit: &str, ready: &str) -> Value {
    json!({
        "apiVersion": "signet.dev/v1alpha1", "kind": "Sync",
        "metadata": {"name": "web", "namespace": "shop", "generation": 2, "annotations": {}},
        "spec": {"sourceRef": {"name": "apps"}, "path": "apps/web", "serviceAccountName": "sync"},
        "status": {
            "observedGeneration": 2,
            "conditions": [{
                "type": "Ready", "status": ready, "observedGeneration": 2, "reason": "Applied",
                "lastTransitionTime": "2026-01-01T00:00:00Z", "message": "3 objects are as Git has them",
            }],
            "revision": format!("main@{}", commit.get(..12).unwrap_or(commit)),
            "lastAppliedRevision": {
                "commit": commit, "branch": "main", "author": "Eve <eve@example.com>", "subject": "web: more\u{1b}[2J",
                "time": "2026-01-01T00:00:00Z",
            },
            "counts": {"objects": 3, "created": 0, "changed": 1, "unchanged": 2, "pruned": 0, "failed": 0},
        },
    })
}

/// The Repository `shop/apps`.
pub(crate) fn repository() -> Value {
    json!({
        "apiVersion": "signet.dev/v1alpha1", "kind": "Repository",
        "metadata": {"name": "apps", "namespace": "shop", "annotations": {}},
        "spec": {"url": "https://git.example.com/apps.git"},
        "status": {"conditions": []},
    })
}

/// What a plan says, as it stands in a Sync's status.
pub(crate) fn plan(digest: &str) -> Value {
    json!({
        "digest": digest, "revision": "main@fedcba987654", "reason": "it needs an approval",
        "create": 1, "update": 2, "delete": 1,
        "actions": ["delete Secret shop/old", "create ConfigMap shop/new", "update Deployment shop/web\u{1b}"],
    })
}
