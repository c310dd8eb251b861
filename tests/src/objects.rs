//! The objects that tests create, and short ways to read Signet's status.

use crds::{ConditionStatus, GitReference, RepositorySpec, Sync, SyncSpec};
use serde_json::{Value, json};

use crate::controller::{ACCOUNT, NAMESPACE};

/// The service account that a test's Syncs apply as.
pub const DEPLOYER: &str = "deployer";

/// A namespace with a service account that may do there what a team may, and which the controller may stand for.
pub fn team(namespace: &str) -> Value {
    let object = |kind: &str, group: &str, name: &str| json!({"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": namespace}});
    let rbac = "rbac.authorization.k8s.io/v1";
    let mut may = object("RoleBinding", rbac, DEPLOYER);
    may["roleRef"] = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"});
    may["subjects"] = json!([{"kind": "ServiceAccount", "name": DEPLOYER, "namespace": namespace}]);
    let mut stand_for = object("RoleBinding", rbac, "signet-impersonator");
    stand_for["roleRef"] = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "signet-impersonator"});
    stand_for["subjects"] = json!([{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]);
    list(&[
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        object("ServiceAccount", "v1", DEPLOYER),
        may,
        stand_for,
    ])
}

/// Every right for a namespace's deployer.
pub fn platform(namespace: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": format!("platform-{namespace}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": DEPLOYER, "namespace": namespace}],
    })
}

/// A `List`, which kubectl takes apart.
pub fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// A Secret as somebody would write it before sealing it.
pub fn secret(namespace: &str, name: &str, values: &[(&str, &str)]) -> Value {
    let values: serde_json::Map<_, _> = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "stringData": values,
    })
}

/// A Deployment of one replica, in YAML, whose container takes its environment from a Secret.
pub fn deployment(name: &str, image: &str, secret: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: 1
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      containers:
      - name: main
        image: {image}
        envFrom:
        - secretRef: {{name: {secret}}}
"
    )
}

/// A ConfigMap of one value, in YAML.
pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: {value:?}\n")
}

pub(crate) fn repository_spec(url: &str) -> RepositorySpec {
    RepositorySpec {
        url: url.to_owned(),
        reference: GitReference::default(),
        interval: "1s".into(),
        timeout: "20s".into(),
        secret_ref: None,
        proxy_secret_ref: None,
        deploy_key: None,
        sparse_paths: Vec::new(),
        submodules: None,
        webhook: None,
        verify: None,
        notes: None,
        fallbacks: Vec::new(),
        suspend: false,
    }
}

pub(crate) fn sync_spec(repository: &str, path: &str) -> SyncSpec {
    SyncSpec::new(repository, path, DEPLOYER)
}

/// The id of the commit that a Sync applied last; empty if none.
pub fn applied(sync: &Sync) -> &str {
    let revision = sync
        .status
        .as_ref()
        .and_then(|status| status.last_applied_revision.as_ref());
    revision.map_or("", |revision| &revision.commit)
}

/// The id of the commit that a Sync tried last; empty if none.
pub fn attempted(sync: &Sync) -> &str {
    let revision = sync
        .status
        .as_ref()
        .and_then(|status| status.last_attempted_revision.as_ref());
    revision.map_or("", |revision| &revision.commit)
}

/// Whether a condition of the Sync has a status, and speaks of the Sync as it is.
pub fn is(sync: &Sync, condition: &str, status: &str) -> bool {
    let wanted = match status {
        "True" => ConditionStatus::True,
        "False" => ConditionStatus::False,
        _ => ConditionStatus::Unknown,
    };
    sync.status.as_ref().is_some_and(|known| {
        known.conditions.iter().any(|c| {
            c.type_ == condition
                && c.status == wanted
                && Some(c.observed_generation) == sync.metadata.generation
        })
    })
}

/// The message of a condition; empty if it is not there.
pub fn message<'a>(sync: &'a Sync, condition: &str) -> &'a str {
    let conditions = sync
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions[..]);
    conditions
        .iter()
        .find(|known| known.type_ == condition)
        .map_or("", |known| &known.message)
}
