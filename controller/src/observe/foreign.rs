//! Fields of our objects that somebody else owns: not drift, but worth knowing.

use crate::text;
use apply::fields;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

/// Of so many managers of one object is kept what they own.
const MANAGERS: usize = 16;
/// The longest path that is kept, in bytes.
const PATH: usize = 256;

/// What one field manager owns of an object besides us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignOf {
    /// The field manager.
    pub manager: Box<str>,
    /// The first of its fields, as paths; at most 20.
    pub paths: Box<[Box<str>]>,
    /// How many more there are.
    pub more: u32,
}

/// What managers own that are neither trusted nor `manager` nor other Syncs.
pub(super) fn of(entries: &[ManagedFieldsEntry], manager: &str) -> Vec<ForeignOf> {
    // Most objects have nobody else, and then no set of fields is read.
    if apply::strangers(entries, manager, is_trusted).is_empty() {
        return Vec::new();
    }
    fields::foreign(entries, manager, &is_trusted)
        .into_iter()
        .take(MANAGERS)
        .map(|foreign| ForeignOf {
            manager: foreign.manager.into(),
            paths: foreign
                .fields
                .iter()
                .map(|path| text::bounded(&path.to_string(), PATH).into())
                .collect(),
            more: foreign.more.try_into().unwrap_or(u32::MAX),
        })
        .collect()
}

/// Whether a manager is trusted with any object, whatever a Sync says.
pub(super) fn is_trusted(manager: &str) -> bool {
    fields::is_trusted(manager, &[])
}
