//! Which fields are ours, read from `metadata.managedFields`, and who else wrote.
//!
//! The `fieldsV1` of our own Apply entry changes exactly when somebody changes or removes a field that we own, and does
//! not for status updates or for fields that others add. So its hash, with the entry's time (another writer that uses
//! our manager's name moves it), finds drift without reading the object.
//!
//! The API server moves an entry's time only when the set of its fields changes, and times have whole seconds. So the
//! newest entry is a poor guess at who wrote last: [`Prints`] tells which entries changed between two versions.

use crate::applyset::MANAGER_PREFIX;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, Time};
use sha2::{Digest, Sha256};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A hash over the fields that one manager owns by server-side apply, and when it last changed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldSet(pub [u8; 16]);

impl FieldSet {
    /// What `manager` owns by server-side apply, if anything.
    #[must_use]
    pub fn of(metadata: &ObjectMeta, manager: &str) -> Option<Self> {
        let entry = own_entry(metadata.managed_fields.as_deref().unwrap_or_default(), manager)?;
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

/// The entry of what `manager` owns by server-side apply.
#[must_use]
pub fn own_entry<'a>(entries: &'a [ManagedFieldsEntry], manager: &str) -> Option<&'a ManagedFieldsEntry> {
    entries.iter().find(|entry| is_own(entry, manager))
}

/// Short marks of the entries that others have on one version of an object, status aside: they tell which of them are new
/// in the next version. Eight bytes; an object with more than four writers is not remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prints([u16; 4]);

impl Prints {
    /// More entries than there is room for.
    const MANY: Self = Self([u16::MAX; 4]);
    /// The mark of no entry where all entries are known: told from "no version has been seen".
    const NONE: u16 = 1;

    /// The marks of all entries but `manager`'s own.
    #[must_use]
    pub fn of(entries: &[ManagedFieldsEntry], manager: &str) -> Self {
        let mut prints = [Self::NONE; 4];
        let mut others = others(entries, manager);
        for (print, entry) in prints.iter_mut().zip(&mut others) {
            *print = mark(entry);
        }
        if others.next().is_some() {
            return Self::MANY;
        }
        Self(prints)
    }

    /// Whether it is known which entries there were.
    #[must_use]
    pub fn is_known(self) -> bool {
        self != Self::default() && self != Self::MANY
    }

    fn has(self, entry: &ManagedFieldsEntry) -> bool {
        self.0.contains(&mark(entry))
    }
}

/// Who is likely to have made this version of an object of the one that `before` is of: of the entries that changed the
/// newest, rather one whose manager is not `trusted`. Where it is not known what changed, the newest of all. Never
/// `manager` itself. None: nothing tells; who only removes fields leaves no mark.
#[must_use]
pub fn likely_author<'a>(
    entries: &'a [ManagedFieldsEntry],
    manager: &str,
    before: Prints,
    trusted: impl Fn(&str) -> bool,
) -> Option<&'a ManagedFieldsEntry> {
    let rank = |entry: &&ManagedFieldsEntry| {
        let stranger = entry.manager.as_deref().is_some_and(|name| !trusted(name));
        (stranger, entry.time.as_ref().map(|time| time.0))
    };
    others(entries, manager)
        .filter(|entry| !before.is_known() || !before.has(entry))
        .filter(|entry| entry.manager.as_deref().is_some_and(|name| name != manager))
        .max_by_key(rank)
}

/// Whether an apply by `manager` could take fields from somebody whom it should not take them from unasked: another Sync, or
/// a manager that is `trusted`; or whether the object is not `manager`'s at all.
#[must_use]
pub fn is_contested(entries: &[ManagedFieldsEntry], manager: &str, trusted: impl Fn(&str) -> bool) -> bool {
    let rival = |entry: &ManagedFieldsEntry| {
        let name = entry.manager.as_deref().unwrap_or_default();
        name != manager && (name.starts_with(MANAGER_PREFIX) || trusted(name))
    };
    own_entry(entries, manager).is_none() || others(entries, manager).any(rival)
}

/// The managers that have entries besides `manager`, other Syncs and those that are `trusted`: each once.
#[must_use]
pub fn strangers<'a>(
    entries: &'a [ManagedFieldsEntry],
    manager: &str,
    trusted: impl Fn(&str) -> bool,
) -> Vec<&'a str> {
    let mut names: Vec<_> = others(entries, manager)
        .map(|entry| entry.manager.as_deref().unwrap_or_default())
        .filter(|name| *name != manager && !name.starts_with(MANAGER_PREFIX) && !trusted(name))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Entries over the object itself that are not `manager`'s own apply.
fn others<'a>(
    entries: &'a [ManagedFieldsEntry],
    manager: &str,
) -> impl Iterator<Item = &'a ManagedFieldsEntry> {
    entries
        .iter()
        .filter(move |entry| entry.subresource.as_deref() != Some("status") && !is_own(entry, manager))
}

/// Two entries have the same mark by chance once in 65,000.
fn mark(entry: &ManagedFieldsEntry) -> u16 {
    let mut hash = DefaultHasher::new();
    entry.manager.hash(&mut hash);
    entry.operation.hash(&mut hash);
    entry.subresource.hash(&mut hash);
    entry.time.as_ref().map(|time| time.0).hash(&mut hash);
    entry.fields_v1.as_ref().map(|fields| &fields.0).hash(&mut hash);
    let [a, b, ..] = hash.finish().to_le_bytes();
    // 0 and 1 have a meaning of their own, and so has the greatest.
    u16::from_le_bytes([a, b]).clamp(2, u16::MAX - 1)
}

/// When `manager` last changed the object by an apply.
pub(crate) fn own_time<'a>(metadata: &'a ObjectMeta, manager: &str) -> Option<&'a Time> {
    let mut entries = metadata.managed_fields.iter().flatten();
    entries.find(|entry| is_own(entry, manager))?.time.as_ref()
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

    fn entry(manager: &str, operation: &str, field: &str, second: u8) -> serde_json::Value {
        json!({"manager": manager, "operation": operation, "fieldsV1": {field: {}},
            "time": format!("2026-01-01T00:00:{second:02}Z")})
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

        let mut later = ours.clone();
        later["time"] = json!("2026-01-01T00:00:01Z");
        assert_ne!(FieldSet::of(&meta(&json!([later])), "signet/a"), Some(alone));
        let mut fewer = ours;
        fewer["fieldsV1"] = json!({"f:spec": {}});
        assert_ne!(FieldSet::of(&meta(&json!([fewer])), "signet/a"), Some(alone));
    }

    #[test]
    fn the_author_is_whose_entry_changed_and_rather_a_stranger() {
        let ours = entry("signet/a", "Apply", "f:a", 1);
        let newest = entry("kubectl-edit", "Update", "f:b", 30);
        let hpa = entry("kube-controller-manager", "Update", "f:r", 20);
        let patch = entry("kubectl-patch", "Update", "f:a", 20);
        let before = meta(&json!([ours, newest])).managed_fields.unwrap();
        let after = meta(&json!([ours, newest, hpa, patch])).managed_fields.unwrap();
        let author = |prints| {
            likely_author(&after, "signet/a", prints, |name| {
                name == "kube-controller-manager"
            })
            .and_then(|entry| entry.manager.as_deref())
        };
        for (prints, want) in [
            (Prints::of(&before, "signet/a"), Some("kubectl-patch")),
            (Prints::default(), Some("kubectl-edit")),
            (Prints::MANY, Some("kubectl-edit")),
            (Prints::of(&after, "signet/a"), None),
        ] {
            assert_eq!(author(prints), want, "{prints:?}");
        }
        assert!(!Prints::default().is_known() && Prints::of(&[], "signet/a").is_known());
        let many: Vec<_> = (0..5)
            .map(|n| entry(&format!("m{n}"), "Update", "f:x", 1))
            .collect();
        let many = meta(&json!(many)).managed_fields.unwrap();
        assert_eq!(Prints::of(&many, "signet/a"), Prints::MANY);
        assert!(Prints::of(&many[1..], "signet/a").is_known());
        // An update under our own manager's name has no other to name.
        let own = meta(&json!([ours, entry("signet/a", "Update", "f:a", 40)]))
            .managed_fields
            .unwrap();
        assert_eq!(
            likely_author(&own, "signet/a", Prints::default(), |_| false),
            None
        );
    }

    #[test]
    fn strangers_are_named_once() {
        let ours = entry("signet/a", "Apply", "f:a", 1);
        let entries = json!([
            ours,
            entry("signet/a", "Update", "f:b", 1),
            entry("signet/b", "Apply", "f:b", 1),
            entry("kubectl", "Update", "f:b", 1),
            entry("kubectl", "Apply", "f:b", 1),
            entry("kubelet", "Update", "f:b", 1),
        ]);
        let entries = meta(&entries).managed_fields.unwrap();
        assert_eq!(
            strangers(&entries, "signet/a", |name| name == "kubelet"),
            ["kubectl"]
        );
    }

    #[test]
    fn rivals_are_other_syncs_and_those_that_are_trusted() {
        let ours = entry("signet/a", "Apply", "f:a", 1);
        let mut status = entry("kube-controller-manager", "Update", "f:status", 1);
        status["subresource"] = json!("status");
        for (entries, want) in [
            (json!([ours]), false),
            (json!([ours, entry("kubectl", "Update", "f:b", 2), status]), false),
            (json!([ours, entry("signet/b", "Apply", "f:b", 2)]), true),
            (
                json!([ours, entry("kube-controller-manager", "Update", "f:b", 2)]),
                true,
            ),
            (json!([entry("kubectl", "Apply", "f:b", 2)]), true),
            (json!([]), true),
        ] {
            let entries = meta(&entries).managed_fields.unwrap_or_default();
            let trusted = |name: &str| name == "kube-controller-manager";
            assert_eq!(is_contested(&entries, "signet/a", trusted), want, "{entries:?}");
        }
    }
}
