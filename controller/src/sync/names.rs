//! Which Sync a field manager is, for people: a conflict names both sides.

use apply::{FieldConflict, applyset};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// `namespace/name` by field manager. A Sync that is gone stays known: what it applied may still be there.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<HashMap<String, String>>>);

impl Names {
    pub(super) fn learn(&self, manager: &str, sync: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(manager.to_owned(), sync.to_owned());
    }

    /// What to say of fields that another Sync claims, if one does.
    pub(super) fn claim(&self, conflicts: &[FieldConflict]) -> Option<String> {
        let first = conflicts
            .iter()
            .find(|conflict| conflict.manager.starts_with(applyset::MANAGER_PREFIX))?;
        let count = conflicts
            .iter()
            .filter(|conflict| conflict.manager == first.manager)
            .count();
        let fields = match count {
            1 => format!("field {} belongs", first.field),
            _ => format!("field {} and {} more belong", first.field, count - 1),
        };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match known.get(&first.manager) {
            Some(sync) => format!("{fields} to Sync {sync}"),
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
}
