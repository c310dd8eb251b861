//! What is known of a Secret without reading it: its metadata.

use super::record::Mark;
use apply::FieldSet;
use crds::{annotation, label};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

/// The field manager of what this room writes into Secrets. Not a Sync's: those start with `signet/`.
pub(super) const MANAGER: &str = apply::applyset::SEALED_MANAGER;

/// A Secret's metadata, as far as it decides anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) uid: Box<str>,
    /// Numeric and comparable (KEP-5504).
    pub(super) version: u64,
    /// Who controls it, by owner reference.
    pub(super) controller: Option<Controller>,
    /// Bitnami's annotations.
    pub(super) managed: bool,
    pub(super) patch: bool,
    /// What we left on it.
    pub(super) mark: Option<Mark>,
    /// What we own of it.
    pub(super) own: Option<FieldSet>,
    /// The Sync that writes it, as `namespace/name`.
    pub(super) sync: Option<Box<str>>,
    /// Whether others own keys of its data, or put them there in a way that we could not take back.
    pub(super) foreign_data: bool,
    /// Whether somebody else made it: their entry with its data and type is as old as the Secret.
    pub(super) made_by_others: bool,
    pub(super) deleting: bool,
}

/// A controlling owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Controller {
    pub(super) uid: Box<str>,
    pub(super) kind: Box<str>,
    pub(super) name: Box<str>,
}

impl Live {
    /// Reads a Secret's metadata. None where it lacks what the API server always sets.
    pub(super) fn read(metadata: &ObjectMeta) -> Option<Self> {
        let entries = metadata.managed_fields.as_deref().unwrap_or_default();
        let annotations = metadata.annotations.as_ref();
        let annotated = |key: &str| annotations.and_then(|all| all.get(key)).map(String::as_str);
        let owners = metadata.owner_references.as_deref().unwrap_or_default();
        let controller = owners.iter().find(|owner| owner.controller == Some(true));
        let in_set = metadata
            .labels
            .as_ref()
            .is_some_and(|labels| labels.contains_key(label::APPLYSET_PART_OF));
        let synced = in_set && entries.iter().any(is_syncs);
        Some(Self {
            uid: metadata.uid.as_deref()?.into(),
            version: metadata.resource_version.as_deref()?.parse().ok()?,
            controller: controller.map(|owner| Controller {
                uid: owner.uid.as_str().into(),
                kind: owner.kind.as_str().into(),
                name: owner.name.as_str().into(),
            }),
            managed: annotated(annotation::MANAGED) == Some("true"),
            patch: annotated(annotation::PATCH) == Some("true"),
            mark: annotated(annotation::UNSEALED).and_then(Mark::parse),
            own: FieldSet::of(metadata, MANAGER),
            sync: synced.then(|| {
                let source = annotated(annotation::SOURCE).unwrap_or_default();
                source.split(':').next().unwrap_or_default().into()
            }),
            foreign_data: entries
                .iter()
                .any(|entry| !is_ours(entry) && field(entry, "f:data").is_some()),
            made_by_others: entries.iter().any(|entry| {
                let made = entry.time == metadata.creation_timestamp && entry.time.is_some();
                made && !is_ours(entry)
                    && field(entry, "f:data").is_some()
                    && field(entry, "f:type").is_some()
            }),
            deleting: metadata.deletion_timestamp.is_some(),
        })
    }
}

/// Whether others made a Secret into which we have just put something: whoever creates one has its data or its type. Without
/// such a field of theirs it was made by a request of ours whose answer was lost.
pub(super) fn is_made_by_others(metadata: &ObjectMeta) -> bool {
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    let has = |entry: &ManagedFieldsEntry| {
        ["f:data", "f:type", "f:immutable"]
            .iter()
            .any(|name| field(entry, name).is_some())
    };
    entries.iter().any(|entry| !is_ours(entry) && has(entry))
}

pub(super) fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().is_none_or(str::is_empty)
}

fn is_syncs(entry: &ManagedFieldsEntry) -> bool {
    let manager = entry.manager.as_deref().unwrap_or_default();
    manager.starts_with(apply::applyset::MANAGER_PREFIX) && field(entry, "f:data").is_some()
}

fn field<'a>(entry: &'a ManagedFieldsEntry, name: &str) -> Option<&'a serde_json::Value> {
    entry.fields_v1.as_ref()?.0.get(name)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A Secret that this room wrote, changed.
    pub(crate) fn live(change: impl FnOnce(&mut Value)) -> Live {
        let mut meta = json!({
            "name": "db", "namespace": "shop", "uid": "s1", "resourceVersion": "7",
            "annotations": {"signet.dev/unsealed": "whole.aa"},
            "ownerReferences": [{"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "name": "db", "uid": "u1",
                "controller": true}],
            "managedFields": [{"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:data": {"f:password": {}}}}],
        });
        change(&mut meta);
        Live::read(&serde_json::from_value(meta).unwrap()).unwrap()
    }

    #[test]
    fn a_secret_is_known_by_its_metadata() {
        let ours = live(|_| {});
        assert_eq!(ours.controller.as_ref().map(|c| &*c.uid), Some("u1"));
        assert!(
            ours.own.is_some() && !ours.foreign_data && !ours.managed && !ours.patch && ours.sync.is_none()
        );
        let edited = live(|meta| {
            let entry = json!({"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:x": {}}}});
            meta["managedFields"].as_array_mut().unwrap().push(entry);
        });
        assert!(edited.foreign_data);
        let labelled = live(|meta| {
            let entry = json!({"manager": "kubectl-label", "operation": "Update",
                "fieldsV1": {"f:metadata": {"f:labels": {"f:x": {}}}}});
            meta["managedFields"].as_array_mut().unwrap().push(entry);
        });
        assert!(!labelled.foreign_data);
    }

    #[test]
    fn what_others_made_is_told_from_what_was_made_for_us() {
        let made = |entries: Value| {
            let ours = json!({"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}, "f:type": {}}});
            let mut all = entries.as_array().unwrap().clone();
            all.push(ours);
            is_made_by_others(&serde_json::from_value(json!({"managedFields": all})).unwrap())
        };
        let entry =
            |fields: Value| json!([{"manager": "kubectl-create", "operation": "Update", "fieldsV1": fields}]);
        assert!(made(entry(json!({"f:data": {"f:x": {}}, "f:type": {}}))));
        assert!(made(entry(json!({"f:type": {}}))), "one without data");
        // Somebody labelled ours before its answer came, or nobody did anything.
        assert!(!made(entry(json!({"f:metadata": {"f:labels": {"f:x": {}}}}))));
        assert!(!made(json!([])));
    }

    #[test]
    fn a_sync_that_writes_it_is_named() {
        let mut entry =
            json!({"manager": "signet/abc", "operation": "Apply", "fieldsV1": {"f:data": {"f:x": {}}}});
        let with = |entry: &Value, labels: Value| {
            live(|meta| {
                meta["managedFields"] = json!([entry]);
                meta["labels"] = labels;
                meta["annotations"]["signet.dev/source"] = "shop/web:db.yaml#1".into();
            })
            .sync
        };
        let labels = json!({"applyset.kubernetes.io/part-of": "applyset-abc-v1"});
        assert_eq!(with(&entry, labels.clone()).as_deref(), Some("shop/web"));
        // Neither a label nor an entry alone says that a Sync writes it.
        assert_eq!(with(&entry, json!({})), None);
        entry["fieldsV1"] = json!({"f:metadata": {}});
        assert_eq!(with(&entry, labels), None);
    }
}
