//! Which Sync a field manager is, and what it wants: a conflict names both sides, and an object that moves from one Sync to
//! another is handed over instead of being deleted and made anew.

use super::inputs::Inputs;
use crate::observe::Mailbox;
use crate::sealed::Claims;
pub(super) use apply::conflicts::shown;
use apply::{FieldConflict, Key, applyset};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Known Syncs by field manager. One that is gone is forgotten, and claims nothing: what it left can be taken over.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<Known>>, Claims);

#[derive(Default)]
struct Known {
    syncs: HashMap<String, Entry>,
    /// Whether all Syncs are known. Before that, every Sync's claim counts.
    complete: bool,
}

struct Entry {
    /// `namespace/name`.
    name: String,
    /// What it wanted when its inputs were last read; none before that.
    wants: Option<Arc<Inputs>>,
    /// The Repository and commit that its last pass looked at.
    looked: Option<Looked>,
    /// Whether it waits for others to look.
    waits: bool,
    mailbox: Arc<Mailbox>,
}

/// Namespace and name of a Repository, and a commit of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) repository: (String, String),
    pub(super) commit: String,
}

/// Whose a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Another Sync's, which exists.
    Sync,
    /// A Sync's that is gone, or that does not want the object any more: nobody's.
    LostSync,
    /// Another tool's, by the mark of its ApplySet.
    OtherSet,
    /// Anybody else's.
    Other,
}

impl Names {
    /// No Sync yet. `claims` are the Secrets that SealedSecret objects of the cluster make.
    pub(super) fn beside(claims: Claims) -> Self {
        Self(Arc::default(), claims)
    }

    /// Whether a SealedSecret object of the cluster makes this Secret.
    pub(super) fn is_made_in_the_cluster(&self, key: &Key) -> bool {
        let namespace = key.namespace.as_deref().unwrap_or_default();
        key.kind.is_secret() && self.1.holds(namespace, &key.name)
    }

    pub(super) fn learn(&self, manager: &str, sync: &str, mailbox: &Arc<Mailbox>) {
        let entry = Entry {
            name: sync.to_owned(),
            wants: None,
            looked: None,
            waits: false,
            mailbox: Arc::clone(mailbox),
        };
        self.known().syncs.insert(manager.to_owned(), entry);
    }

    pub(super) fn bury(&self, manager: &str) {
        self.known().syncs.remove(manager);
    }

    /// All Syncs are known now.
    pub(super) fn complete(&self) {
        self.known().complete = true;
    }

    /// What a Sync wants from now on.
    pub(super) fn wants(&self, manager: &str, inputs: &Arc<Inputs>) {
        if let Some(entry) = self.known().syncs.get_mut(manager) {
            entry.wants = Some(Arc::clone(inputs));
        }
    }

    /// A Sync has looked at this commit. Those that follow the same Repository may have waited for that.
    pub(super) fn looked(&self, manager: &str, looked: &Looked) {
        let mut known = self.known();
        let Some(entry) = known.syncs.get_mut(manager) else {
            return;
        };
        if entry.looked.as_ref() == Some(looked) {
            return;
        }
        entry.looked = Some(looked.clone());
        for (other, entry) in &mut known.syncs {
            let same = entry
                .looked
                .as_ref()
                .is_some_and(|own| own.repository == looked.repository);
            if other != manager && same && std::mem::take(&mut entry.waits) {
                entry.mailbox.wake();
            }
        }
    }

    /// The Sync other than this one that wants an object now: it is handed over, and not deleted.
    pub(super) fn wanted_by_another(&self, manager: &str, key: &Key) -> bool {
        let wants = |entry: &Entry| entry.wants.as_ref().is_some_and(|inputs| inputs.holds(key));
        self.known()
            .syncs
            .iter()
            .any(|(other, entry)| other != manager && wants(entry))
    }

    /// A Sync that follows the same Repository and has not looked at this commit yet: what it wants of it is not known. The
    /// asking Sync is woken when somebody has looked.
    pub(super) fn behind(&self, manager: &str, looked: &Looked) -> Option<String> {
        let mut known = self.known();
        let late = |entry: &Entry| {
            let own = entry.looked.as_ref();
            own.is_some_and(|own| own.repository == looked.repository && own.commit != looked.commit)
        };
        let name = known
            .syncs
            .iter()
            .find(|(other, entry)| *other != manager && late(entry))
            .map(|(_, entry)| entry.name.clone());
        if let Some(entry) = known.syncs.get_mut(manager) {
            entry.waits = name.is_some();
        }
        name
    }

    /// Whose a field of an object is that a conflict names.
    pub(super) fn owner(&self, conflict: &FieldConflict, key: &Key) -> Owner {
        let known = self.known();
        let manager = &conflict.manager;
        if !manager.starts_with(applyset::MANAGER_PREFIX) {
            let set = conflict.field.ends_with(crds::label::APPLYSET_PART_OF);
            return if set { Owner::OtherSet } else { Owner::Other };
        }
        match known.syncs.get(manager) {
            Some(sync) => match &sync.wants {
                Some(inputs) if !inputs.holds(key) => Owner::LostSync,
                _ => Owner::Sync,
            },
            None if known.complete => Owner::LostSync,
            // It may be one that is not known yet.
            None => Owner::Sync,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to say of fields that may not be taken over: those of another Sync that exists, and the membership in another
    /// tool's ApplySet (KEP-3659 forbids adopting it).
    pub(super) fn claim(&self, conflicts: &[FieldConflict], key: &Key) -> Option<String> {
        let (first, owner) = conflicts
            .iter()
            .map(|conflict| (conflict, self.owner(conflict, key)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use apply::GroupKind;

    fn key() -> Key {
        Key {
            kind: Arc::new(GroupKind::new("", "ConfigMap")),
            namespace: Some("n".into()),
            name: "a".into(),
        }
    }

    #[test]
    fn what_a_sync_does_not_want_any_more_is_nobodys() {
        let names = Names::default();
        names.learn("signet/a", "shop/web", &Arc::default());
        names.complete();
        let conflict = FieldConflict {
            manager: "signet/a".into(),
            field: ".data.x".into(),
        };
        assert_eq!(names.owner(&conflict, &key()), Owner::Sync);
        names.wants("signet/a", &Arc::default());
        assert_eq!(names.owner(&conflict, &key()), Owner::LostSync);
        assert!(!names.wanted_by_another("signet/b", &key()));
    }

    #[tokio::test]
    async fn one_that_has_not_looked_is_named_and_its_look_wakes_who_asked() {
        let names = Names::default();
        let (mine, looked) = (Arc::new(Mailbox::default()), |commit: &str| Looked {
            repository: ("n".into(), "r".into()),
            commit: commit.into(),
        });
        names.learn("signet/a", "n/a", &mine);
        names.learn("signet/b", "n/b", &Arc::default());
        names.looked("signet/b", &looked("old"));
        names.looked("signet/a", &looked("new"));
        assert_eq!(names.behind("signet/a", &looked("new")).as_deref(), Some("n/b"));
        assert!(mine.take(Some(std::time::Duration::ZERO)).await.is_none());
        names.looked("signet/b", &looked("new"));
        assert!(mine.take(Some(std::time::Duration::ZERO)).await.is_some());
        assert_eq!(names.behind("signet/a", &looked("new")), None);
    }

    #[test]
    fn the_other_sync_is_named() {
        let names = Names::default();
        names.learn("signet/a", "shop/web", &Arc::default());
        let conflict = |manager: &str, field: &str| FieldConflict {
            manager: manager.into(),
            field: field.into(),
        };
        assert_eq!(names.claim(&[conflict("kubectl", ".spec")], &key()), None);
        let all = [
            conflict("kubectl", ".x"),
            conflict("signet/a", ".y"),
            conflict("signet/a", ".z"),
        ];
        assert_eq!(
            names.claim(&all, &key()).unwrap(),
            "field .y and 1 more belong to Sync shop/web"
        );
        assert_eq!(
            names.claim(&[conflict("signet/b", ".y")], &key()).unwrap(),
            "field .y belongs to another Sync, field manager \"signet/b\""
        );
    }

    #[test]
    fn a_sync_that_is_gone_claims_nothing_and_another_tools_set_is_its_own() {
        let names = Names::default();
        names.learn("signet/a", "shop/web", &Arc::default());
        let conflict = |manager: &str, field: &str| {
            [FieldConflict {
                manager: manager.into(),
                field: field.into(),
            }]
        };
        names.complete();
        assert!(names.claim(&conflict("signet/a", ".y"), &key()).is_some());
        assert_eq!(names.claim(&conflict("signet/unknown", ".y"), &key()), None);
        names.bury("signet/a");
        assert_eq!(names.claim(&conflict("signet/a", ".y"), &key()), None);
        let label = ".metadata.labels.applyset.kubernetes.io/part-of";
        assert!(
            names
                .claim(&conflict("kubectl-applyset", label), &key())
                .unwrap()
                .contains("another tool")
        );
    }
}
