//! Entries of `managedFields`: whose they are.

use super::go;
use super::set::{FieldTree, TooLarge};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

/// How many entries are looked at where every field is compared with every entry.
pub(super) const MAX_ENTRIES: usize = 100;
/// The longest manager's name that the API server takes, in bytes.
const NAME: usize = 128;

/// Whether this is what `ours` owns by server-side apply.
pub(super) fn is_own(entry: &ManagedFieldsEntry, ours: &str) -> bool {
    entry.manager.as_deref() == Some(ours)
        && entry.operation.as_deref() == Some("Apply")
        && subresource(entry).is_none()
}

pub(super) fn subresource(entry: &ManagedFieldsEntry) -> Option<&str> {
    entry.subresource.as_deref().filter(|name| !name.is_empty())
}

/// The fields of an entry.
pub(super) fn tree(entry: &ManagedFieldsEntry) -> Result<FieldTree, TooLarge> {
    match &entry.fields_v1 {
        Some(fields) => FieldTree::parse(&fields.0),
        None => Ok(FieldTree::default()),
    }
}

/// What `ours` owns by server-side apply; nothing where that exceeds the bounds.
pub(super) fn tree_of(entries: &[ManagedFieldsEntry], ours: &str) -> FieldTree {
    let own = entries.iter().find(|entry| is_own(entry, ours));
    own.and_then(|entry| tree(entry).ok()).unwrap_or_default()
}

/// The manager's name, fit for people.
pub(super) fn name(entry: &ManagedFieldsEntry) -> String {
    go::bounded(entry.manager.as_deref().unwrap_or_default(), NAME)
}
