//! Which Sync a field manager is, for people: a conflict names both sides.

use apply::{FieldConflict, applyset};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Known Syncs by field manager. One that is gone stays known, but claims nothing: what it left can be taken over.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    syncs: HashMap<String, Entry>,
    /// Whether all Syncs are known. Before that, every Sync's claim counts.
    complete: bool,
}

struct Entry {
    /// `namespace/name`.
    name: String,
    alive: bool,
}

/// Whose a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Another Sync's, which exists.
    Sync,
    /// A Sync's that is gone: nobody's.
    LostSync,
    /// Another tool's, by the mark of its ApplySet.
    OtherSet,
    /// Anybody else's.
    Other,
}

impl Names {
    pub(super) fn learn(&self, manager: &str, sync: &str) {
        let entry = Entry {
            name: sync.to_owned(),
            alive: true,
        };
        self.known().syncs.insert(manager.to_owned(), entry);
    }

    pub(super) fn bury(&self, manager: &str) {
        if let Some(entry) = self.known().syncs.get_mut(manager) {
            entry.alive = false;
        }
    }

    /// All Syncs are known now.
    pub(super) fn complete(&self) {
        self.known().complete = true;
    }

    /// Whose a field is that a conflict names.
    pub(super) fn owner(&self, conflict: &FieldConflict) -> Owner {
        let known = self.known();
        let manager = &conflict.manager;
        if !manager.starts_with(applyset::MANAGER_PREFIX) {
            let set = conflict.field.ends_with(crds::label::APPLYSET_PART_OF);
            return if set { Owner::OtherSet } else { Owner::Other };
        }
        match known.syncs.get(manager) {
            Some(sync) if sync.alive => Owner::Sync,
            _ if known.complete => Owner::LostSync,
            // It may be one that is not known yet.
            _ => Owner::Sync,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to say of fields that may not be taken over: those of another Sync that exists, and the membership in another
    /// tool's ApplySet (KEP-3659 forbids adopting it).
    pub(super) fn claim(&self, conflicts: &[FieldConflict]) -> Option<String> {
        let (first, owner) = conflicts
            .iter()
            .map(|conflict| (conflict, self.owner(conflict)))
            .find(|(_, owner)| matches!(owner, Owner::Sync | Owner::OtherSet))?;
        if owner == Owner::OtherSet {
            return Some(format!(
                "the object is a member of another tool's ApplySet, field manager {:?}",
                first.manager
            ));
        }
        let count = conflicts
            .iter()
            .filter(|conflict| conflict.manager == first.manager)
            .count();
        let fields = match count {
            1 => format!("field {} belongs", shown(&first.field)),
            _ => format!("field {} and {} more belong", shown(&first.field), count - 1),
        };
        Some(match self.known().syncs.get(&first.manager) {
            Some(sync) => format!("{fields} to Sync {}", sync.name),
            None => format!("{fields} to another Sync, field manager {:?}", first.manager),
        })
    }
}

/// A field's path as a conflict names it, at a length for people. An element of a set is a value: it is not shown.
pub(super) fn shown(field: &str) -> String {
    match field.split_once("[=") {
        Some((set, _)) => format!("{}[=…]", crate::text::bounded_bytes(set, 256)),
        None => crate::text::bounded_bytes(field, 256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_sync_is_named() {
        let names = Names::default();
        names.learn("signet/a", "shop/web");
        let conflict = |manager: &str, field: &str| FieldConflict {
            manager: manager.into(),
            field: field.into(),
        };
        assert_eq!(names.claim(&[conflict("kubectl", ".spec")]), None);
        let all = [
            conflict("kubectl", ".x"),
            conflict("signet/a", ".y"),
            conflict("signet/a", ".z"),
        ];
        assert_eq!(
            names.claim(&all).unwrap(),
            "field .y and 1 more belong to Sync shop/web"
        );
        assert_eq!(
            names.claim(&[conflict("signet/b", ".y")]).unwrap(),
            "field .y belongs to another Sync, field manager \"signet/b\""
        );
    }

    #[test]
    fn the_elements_of_a_set_are_not_shown() {
        assert_eq!(shown(".spec.list[=\"hunter2\"]"), ".spec.list[=…]");
        assert_eq!(shown(".spec.list[name=\"a\"].b"), ".spec.list[name=\"a\"].b");
        assert!(shown(&".x".repeat(500)).len() <= 256);
    }

    #[test]
    fn a_sync_that_is_gone_claims_nothing_and_another_tools_set_is_its_own() {
        let names = Names::default();
        names.learn("signet/a", "shop/web");
        let conflict = |manager: &str, field: &str| {
            [FieldConflict {
                manager: manager.into(),
                field: field.into(),
            }]
        };
        names.complete();
        assert!(names.claim(&conflict("signet/a", ".y")).is_some());
        assert_eq!(names.claim(&conflict("signet/unknown", ".y")), None);
        names.bury("signet/a");
        assert_eq!(names.claim(&conflict("signet/a", ".y")), None);
        let label = ".metadata.labels.applyset.kubernetes.io/part-of";
        assert!(
            names
                .claim(&conflict("kubectl-applyset", label))
                .unwrap()
                .contains("another tool")
        );
    }
}
