//! A SealedSecret object as the cluster holds it, and a short form of it that is kept while nothing is to be done.

use super::record::Record;
use apply::checkpoint::InputDigest;
use crds::{SealedSecretStatus, annotation};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject};
use sealing::Scope;
use serde_json::{Value, json};
use std::sync::Arc;

/// Namespace and name: of a SealedSecret, and so of its Secret.
pub(crate) type Name = (Arc<str>, Arc<str>);

/// Which of the two kinds a SealedSecret is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Format {
    /// `bitnami.com`.
    V1,
    /// `signet.dev`.
    V2,
}

/// A SealedSecret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) format: Format,
    pub(super) name: Name,
}

impl Format {
    pub(super) const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// The other one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::V1 => Self::V2,
            Self::V2 => Self::V1,
        }
    }

    pub(super) fn group(self) -> &'static str {
        match self {
            Self::V1 => "bitnami.com",
            Self::V2 => "signet.dev",
        }
    }

    /// The kind, for watches.
    pub(super) fn resource(self) -> ApiResource {
        ApiResource {
            group: self.group().into(),
            version: "v1alpha1".into(),
            api_version: format!("{}/v1alpha1", self.group()),
            kind: "SealedSecret".into(),
            plural: "sealedsecrets".into(),
        }
    }
}

impl Id {
    /// The SealedSecret of the other kind that would make the same Secret.
    pub(super) fn twin(&self) -> Self {
        Self {
            format: self.format.other(),
            name: self.name.clone(),
        }
    }
}

/// A SealedSecret, whole.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) brief: Brief,
    /// As a manifest in Git would be: no status, no server-side metadata.
    pub(super) manifest: Arc<Value>,
    pub(super) status: SealedSecretStatus,
    /// Whether there is a SealedSecret of the other kind and the same name, where that is known.
    pub(super) twin: bool,
}

/// What decides whether there is anything to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Brief {
    pub(super) format: Format,
    pub(super) uid: Box<str>,
    pub(super) generation: i64,
    /// Of all that the Secret is made from.
    pub(super) digest: InputDigest,
    /// What the status says was done.
    pub(super) record: Option<Record>,
    /// The generation that the status speaks of.
    pub(super) observed: Option<i64>,
    /// Whether the status says that the Secret is there.
    pub(super) synced: bool,
    /// Whether the Secret gets no owner reference.
    pub(super) skips_owner: bool,
    /// Whether somebody froze it (`signet.dev/reconcile: disabled`).
    pub(super) frozen: bool,
    /// Where the instance's name stands for the metrics (`app.kubernetes.io/instance`).
    pub(super) instance: Option<Box<str>>,
}

/// Namespace and name of an object that lives in a namespace.
pub(super) fn name_of(metadata: &ObjectMeta) -> Option<Name> {
    let name = metadata.name.as_deref()?.into();
    Some((metadata.namespace.as_deref()?.into(), name))
}

impl Object {
    /// Reads an object. None where it lacks what the API server always sets.
    pub(super) fn read(format: Format, object: DynamicObject, digest_key: &[u8; 32]) -> Option<Self> {
        let DynamicObject { metadata, data, .. } = object;
        let (namespace, name) = name_of(&metadata)?;
        let uid: Box<str> = metadata.uid.as_deref()?.into();
        let annotations = json!(metadata.annotations);
        let is = |key: &str, value: &str| annotations.get(key).and_then(Value::as_str) == Some(value);
        let skips = data.pointer("/spec/template/metadata/annotations");
        let skips_owner = skips.and_then(|all| all.get(annotation::SKIP_OWNER)) == Some(&json!("true"));
        // A status that cannot be read says nothing.
        let status: SealedSecretStatus =
            serde_json::from_value(data.get("status").cloned().unwrap_or(Value::Null)).unwrap_or_default();
        let spec = data.get("spec").cloned().unwrap_or(Value::Null);
        let scope = Scope::from_annotations(Some(&annotations));
        let digest = InputDigest::keyed(
            digest_key,
            &[
                b"sealed object",
                namespace.as_bytes(),
                name.as_bytes(),
                uid.as_bytes(),
                scope.as_str().as_bytes(),
                &sealing::sealed_digest(&spec),
            ],
        );
        let resource = format.resource();
        let manifest = json!({
            "apiVersion": resource.api_version, "kind": resource.kind,
            "metadata": {"name": &*name, "namespace": &*namespace, "annotations": annotations},
            "spec": spec,
        });
        let conditions = status.conditions.as_deref().unwrap_or_default();
        Some(Self {
            brief: Brief {
                format,
                uid,
                generation: metadata.generation.unwrap_or_default(),
                digest,
                record: status.inputs.as_deref().and_then(Record::parse),
                observed: status.observed_generation,
                synced: conditions
                    .iter()
                    .any(|known| known.type_ == "Synced" && known.status == "True"),
                skips_owner,
                // One that is going away is left alone too: `--cascade=orphan` takes the owner reference from the Secret, and
                // put back it would have the garbage collector take the Secret.
                frozen: is(annotation::RECONCILE, "disabled") || metadata.deletion_timestamp.is_some(),
                instance: metadata
                    .labels
                    .as_ref()
                    .and_then(|labels| labels.get("app.kubernetes.io/instance"))
                    .map(|name| name.as_str().into()),
            },
            manifest: Arc::new(manifest),
            status,
            twin: false,
        })
    }
}

impl Brief {
    /// Whether both would be made into the same Secret in the same way.
    pub(super) fn asks_the_same(&self, other: &Self) -> bool {
        (&self.uid, self.generation, self.digest, self.frozen)
            == (&other.uid, other.generation, other.digest, other.frozen)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

    pub(crate) fn object(change: impl FnOnce(&mut Value)) -> Object {
        let mut value = json!({
            "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
            "metadata": {"name": "db", "namespace": "shop", "uid": "u1", "generation": 1},
            "spec": {"encryptedData": {"password": "AgA="}},
        });
        change(&mut value);
        Object::read(Format::V1, serde_json::from_value(value).unwrap(), KEY).unwrap()
    }

    #[test]
    fn the_digest_is_of_what_the_secret_is_made_from() {
        let plain = object(|_| {}).brief.digest;
        for (what, same, change) in [
            ("labels", true, json!({"metadata": {"labels": {"a": "b"}}})),
            ("status", true, json!({"status": {"observedGeneration": 1}})),
            (
                "other annotations",
                true,
                json!({"metadata": {"annotations": {"a": "b"}}}),
            ),
            (
                "a value",
                false,
                json!({"spec": {"encryptedData": {"password": "AgB="}}}),
            ),
            ("another uid", false, json!({"metadata": {"uid": "u2"}})),
            (
                "a scope",
                false,
                json!({"metadata": {"annotations": {"sealedsecrets.bitnami.com/cluster-wide": "true"}}}),
            ),
            (
                "the template",
                false,
                json!({"spec": {"template": {"type": "x"}}}),
            ),
        ] {
            let changed = object(|value| merge(value, &change)).brief.digest;
            assert_eq!(changed == plain, same, "{what}");
        }
    }

    #[test]
    fn what_stands_in_annotations_and_status_is_read() {
        let brief = object(|value| {
            merge(
                value,
                &json!({
                    "metadata": {"annotations": {"signet.dev/reconcile": "disabled"}},
                    "spec": {"template": {"metadata": {"annotations":
                        {"sealedsecrets.bitnami.com/skip-set-owner-references": "true"}}}},
                    "status": {"observedGeneration": 1, "conditions": [{"type": "Synced", "status": "True"}]},
                }),
            );
        })
        .brief;
        assert!(brief.frozen && brief.skips_owner && brief.synced);
        assert_eq!(brief.observed, Some(1));
        // Somebody else's status.
        let odd = object(|value| value["status"] = json!({"conditions": "none"})).brief;
        assert!(!odd.synced && odd.record.is_none());
    }

    fn merge(into: &mut Value, change: &Value) {
        match (into, change) {
            (Value::Object(into), Value::Object(change)) => {
                for (key, value) in change {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
            (into, change) => *into = change.clone(),
        }
    }
}
