//! Which fields are ours, read from `metadata.managedFields`.
//!
//! The `fieldsV1` of our own Apply entry changes exactly when somebody changes or removes a field that we own, and does
//! not for status updates or for fields that others add. So its hash, with the entry's time (another writer that uses
//! our manager's name moves it), finds drift without reading the object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use sha2::{Digest, Sha256};

/// A hash over the fields that one manager owns by server-side apply, and when it last changed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldSet(pub [u8; 16]);

impl FieldSet {
    /// What `manager` owns by server-side apply, if anything.
    #[must_use]
    pub fn of(metadata: &ObjectMeta, manager: &str) -> Option<Self> {
        let entry = metadata
            .managed_fields
            .iter()
            .flatten()
            .find(|entry| is_own(entry, manager))?;
        let mut hash = Sha256::new();
        if let Some(fields) = &entry.fields_v1 {
            hash.update(serde_json::to_vec(&fields.0).unwrap_or_default());
        }
        if let Some(time) = &entry.time {
            hash.update(time.0.to_string());
        }
        let full: [u8; 32] = hash.finalize().into();
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        Some(Self(short))
    }
}

/// The manager other than `manager` that wrote last: the likely author of a drift.
#[must_use]
pub fn newest_other_manager(metadata: &ObjectMeta, manager: &str) -> Option<String> {
    metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| {
            entry.manager.as_deref() != Some(manager) && entry.subresource.as_deref() != Some("status")
        })
        .max_by_key(|entry| entry.time.as_ref().map(|time| time.0))
        .and_then(|entry| entry.manager.clone())
}

fn is_own(entry: &ManagedFieldsEntry, manager: &str) -> bool {
    entry.manager.as_deref() == Some(manager)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().is_none_or(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn meta(entries: &serde_json::Value) -> ObjectMeta {
        serde_json::from_value(json!({"managedFields": entries})).unwrap()
    }

    #[test]
    fn the_hash_follows_our_own_apply_entry_only() {
        let ours = json!({"manager": "signet/a", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}, "time": "2026-01-01T00:00:00Z"});
        let status =
            json!({"manager": "signet/a", "operation": "Apply", "subresource": "status", "fieldsV1": {}});
        let other = json!({"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:x": {}}, "time": "2026-01-02T00:00:00Z"});
        let alone = FieldSet::of(&meta(&json!([ours])), "signet/a").unwrap();
        let m = meta(&json!([status, other, ours]));
        assert_eq!(FieldSet::of(&m, "signet/a"), Some(alone));
        assert_eq!(FieldSet::of(&m, "signet/b"), None);
        assert_eq!(
            newest_other_manager(&m, "signet/a").as_deref(),
            Some("kubectl-edit")
        );

        let mut later = ours.clone();
        later["time"] = json!("2026-01-01T00:00:01Z");
        assert_ne!(FieldSet::of(&meta(&json!([later])), "signet/a"), Some(alone));
        let mut fewer = ours;
        fewer["fieldsV1"] = json!({"f:spec": {}});
        assert_ne!(FieldSet::of(&meta(&json!([fewer])), "signet/a"), Some(alone));
    }
}
