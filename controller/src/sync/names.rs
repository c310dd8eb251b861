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

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to say of fields that may not be taken over: those of another Sync that exists, and the membership in another
    /// tool's ApplySet (KEP-3659 forbids adopting it).
    pub(super) fn claim(&self, conflicts: &[FieldConflict]) -> Option<String> {
        let known = self.known();
        let is_sync = |manager: &str| manager.starts_with(applyset::MANAGER_PREFIX);
        let is_claim = |conflict: &&FieldConflict| {
            if is_sync(&conflict.manager) {
                let alive = known.syncs.get(&conflict.manager).is_some_and(|sync| sync.alive);
                alive || !known.complete
            } else {
                conflict.field.ends_with(crds::label::APPLYSET_PART_OF)
            }
        };
        let first = conflicts.iter().find(is_claim)?;
        if !is_sync(&first.manager) {
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
            1 => format!("field {} belongs", first.field),
            _ => format!("field {} and {} more belong", first.field, count - 1),
        };
        Some(match known.syncs.get(&first.manager) {
            Some(sync) => format!("{fields} to Sync {}", sync.name),
            None => format!("{fields} to another Sync, field manager {:?}", first.manager),
        })
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
