//! Which Sync a field manager is, and what it wants: a conflict names both sides, and an object that moves from one Sync to
//! another is handed over instead of being deleted and made anew.

use super::inputs::Inputs;
use super::inside::{Inside, Places};
use crate::observe::Mailbox;
use crate::sealed::Claims;
pub(super) use apply::conflicts::shown;
use apply::{FieldConflict, Key, applyset};
use std::collections::{HashMap, HashSet};
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
    /// Whether it applies what it wants: it is neither suspended nor deleted, and does not only look.
    applies: bool,
    /// What it was refused because another Sync has it. It may write that: the API server asks who may before it looks whose
    /// the fields are.
    refused: HashSet<Key>,
    /// What it did not want any more and another Sync has taken over, until it knows.
    taken: HashSet<Key>,
    /// Where it has objects, as is written down of it.
    places: Places,
    /// Whether it waits for others to want something else.
    holds_back: bool,
    /// The Repository that it follows.
    repository: (String, String),
    /// What its last pass looked at.
    looked: Option<Looked>,
    /// Whether it waits for others to look.
    waits: bool,
    mailbox: Arc<Mailbox>,
}

/// What a pass looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Looked {
    /// Namespace and name.
    pub(super) repository: (String, String),
    pub(super) commit: String,
    pub(super) path: String,
    /// Whether all that the Sync wants of this commit is known. It is not where the Sync is suspended or pinned to another
    /// commit, nor where a file could not be read.
    pub(super) whole: bool,
}

impl Looked {
    fn same_commit(&self, other: &Self) -> bool {
        (&self.repository, &self.commit) == (&other.repository, &other.commit)
    }
}

/// A Sync that may want objects of which it is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsure {
    /// `namespace/name`.
    pub(super) name: String,
    /// Where its manifests stand.
    pub(super) path: String,
}

/// Who has objects that would go with another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lodger {
    Nobody,
    /// `namespace/name` of each, sorted.
    Syncs(Vec<String>),
    /// Not all Syncs are known yet.
    Unknown,
}

/// Syncs, for a sentence.
pub(super) fn syncs(names: &[String]) -> String {
    const NAMED: usize = 3;
    let named = names
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() {
        1 => format!("Sync {named}"),
        count if count <= NAMED => format!("Syncs {named}"),
        count => format!("Syncs {named} and {} more", count - NAMED),
    }
}

/// A Sync that is to have what another one does not want any more, by `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Heir {
    /// It applies it.
    Takes(String),
    /// It is told to leave it as it is.
    LeavesAlone(String),
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

    /// Whether a SealedSecret object of the cluster makes this Secret. Right after a start that is not known at once, and is
    /// waited for a little.
    pub(super) async fn is_made_in_the_cluster(&self, key: &Key) -> bool {
        if !key.kind.is_secret() {
            return false;
        }
        let namespace = key.namespace.as_deref().unwrap_or_default();
        self.1.known(namespace).await;
        self.1.holds(namespace, &key.name)
    }

    /// There is this Sync. `repository`: which one it follows, namespace and name.
    pub(super) fn learn(
        &self,
        manager: &str,
        sync: &str,
        repository: (String, String),
        mailbox: &Arc<Mailbox>,
    ) {
        let entry = Entry {
            name: sync.to_owned(),
            repository,
            wants: None,
            applies: false,
            refused: HashSet::new(),
            taken: HashSet::new(),
            places: Places::default(),
            holds_back: false,
            looked: None,
            waits: false,
            mailbox: Arc::clone(mailbox),
        };
        self.known().syncs.insert(manager.to_owned(), entry);
    }

    /// Where a Sync has objects, as is written down of it.
    pub(super) fn has(&self, manager: &str, places: Places) {
        let mut known = self.known();
        let Some(entry) = known.syncs.get_mut(manager) else {
            return;
        };
        if entry.places != places {
            entry.places = places;
            known.wake_who_holds_back();
        }
    }

    pub(super) fn bury(&self, manager: &str) {
        let mut known = self.known();
        known.syncs.remove(manager);
        known.wake_who_holds_back();
    }

    /// All Syncs are known now. Some may have waited for that.
    pub(super) fn complete(&self) {
        let mut known = self.known();
        known.complete = true;
        known.wake_who_holds_back();
        for entry in known.syncs.values_mut() {
            if std::mem::take(&mut entry.waits) {
                entry.mailbox.wake();
            }
        }
    }

    /// What a Sync wants from now on.
    pub(super) fn wants(&self, manager: &str, inputs: &Arc<Inputs>) {
        let mut known = self.known();
        let Some(entry) = known.syncs.get_mut(manager) else {
            return;
        };
        let same = entry.wants.as_ref().is_some_and(|old| Arc::ptr_eq(old, inputs));
        entry.wants = Some(Arc::clone(inputs));
        if !same {
            entry.refused.retain(|key| inputs.find(key).is_some());
            entry.taken.retain(|key| inputs.find(key).is_none());
            known.wake_who_holds_back();
        }
    }

    /// A Sync that goes wants nothing any more. Others may have its objects.
    pub(super) fn abandons(&self, manager: &str) {
        let mut known = self.known();
        let Some(entry) = known.syncs.get_mut(manager) else {
            return;
        };
        let nothing = |inputs: &Arc<Inputs>| inputs.desired.is_empty() && inputs.kept.is_empty();
        if !entry.wants.as_ref().is_some_and(nothing) {
            entry.wants = Some(Arc::default());
            known.wake_who_holds_back();
        }
    }

    /// Whether a Sync applies what it wants.
    pub(super) fn applies(&self, manager: &str, applies: bool) {
        if let Some(entry) = self.known().syncs.get_mut(manager) {
            entry.applies = applies;
        }
    }

    /// A Sync is not given an object, since another Sync has it.
    pub(super) fn refused(&self, manager: &str, key: &Key) {
        if let Some(entry) = self.known().syncs.get_mut(manager) {
            entry.refused.insert(key.clone());
        }
    }

    /// These Syncs lost an object to another one. They may have waited for that.
    pub(super) fn taken_from(&self, managers: &[String], key: &Key) {
        let mut known = self.known();
        for manager in managers {
            if let Some(entry) = known.syncs.get_mut(manager) {
                entry.taken.insert(key.clone());
                entry.mailbox.wake();
            }
        }
    }

    /// Whether an object is known to have been taken over from this Sync. It is asked once.
    pub(super) fn is_taken(&self, manager: &str, key: &Key) -> bool {
        let mut known = self.known();
        let entry = known.syncs.get_mut(manager);
        entry.is_some_and(|entry| entry.taken.remove(key))
    }

    /// Which other Sync has objects that would go with this one, or wants some there. The asking Sync is woken when that may have
    /// changed.
    pub(super) fn lodger(&self, manager: &str, inside: &Inside) -> Lodger {
        let mut known = self.known();
        let lives = |entry: &Entry| {
            let namespace = entry.name.split_once('/').map(|(namespace, _)| namespace);
            namespace.is_some_and(|namespace| inside.holds_sync_in(namespace))
                || entry.places.any(inside)
                || entry
                    .wants
                    .as_ref()
                    .is_some_and(|inputs| inputs.any_inside(inside))
        };
        let others = known.syncs.iter().filter(|(other, _)| *other != manager);
        let mut names: Vec<String> = others
            .map(|(_, entry)| entry)
            .filter(|entry| lives(entry))
            .map(|entry| entry.name.clone())
            .collect();
        names.sort_unstable();
        let lodger = match names.is_empty() {
            false => Lodger::Syncs(names),
            true if known.complete => Lodger::Nobody,
            true => Lodger::Unknown,
        };
        if let Some(entry) = known.syncs.get_mut(manager) {
            entry.holds_back |= lodger != Lodger::Nobody;
        }
        lodger
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
        entry.repository.clone_from(&looked.repository);
        for (other, entry) in &mut known.syncs {
            let same = entry.repository == looked.repository;
            if other != manager && same && std::mem::take(&mut entry.waits) {
                entry.mailbox.wake();
            }
        }
    }

    /// Who is to have an object that this Sync does not want any more: a Sync of the same Repository that holds it, or any
    /// other that was refused it until now. Naming an object is not enough: whoever removes it, to take a right away, is
    /// not stopped by who may not write it.
    pub(super) fn heir(&self, manager: &str, key: &Key) -> Option<Heir> {
        let known = self.known();
        let home = known.syncs.get(manager).map(|entry| &entry.repository);
        let heirs = known.syncs.iter().filter_map(|(other, entry)| {
            let wants = entry
                .wants
                .as_ref()
                .filter(|_| other != manager && entry.applies)?;
            let related = home == Some(&entry.repository);
            if wants.find(key).is_some() && (related || entry.refused.contains(key)) {
                Some(Heir::Takes(entry.name.clone()))
            } else if related && wants.kept.contains(key) {
                Some(Heir::LeavesAlone(entry.name.clone()))
            } else {
                None
            }
        });
        heirs.min()
    }

    /// Who has not looked at this commit yet, of those that follow the same Repository: what they want of it is not known. The
    /// asking Sync is woken when somebody has looked.
    pub(super) fn behind(&self, manager: &str, looked: &Looked) -> Option<String> {
        let mut known = self.known();
        let late = |entry: &Entry| {
            let own = entry.looked.as_ref();
            entry.repository == looked.repository && !own.is_some_and(|own| own.same_commit(looked))
        };
        let name = known
            .syncs
            .iter()
            .find(|(other, entry)| *other != manager && late(entry))
            .map(|(_, entry)| format!("Sync {}", entry.name));
        let name = name.or_else(|| (!known.complete).then(|| "every Sync".to_owned()));
        if let Some(entry) = known.syncs.get_mut(manager) {
            entry.waits = name.is_some();
        }
        name
    }

    /// Those that have looked at this commit and could not read all of it. The asking Sync is woken when one of them has
    /// looked again.
    pub(super) fn unsure(&self, manager: &str, looked: &Looked) -> Vec<Unsure> {
        let mut known = self.known();
        let unsure: Vec<_> = known
            .syncs
            .iter()
            .filter(|(other, _)| *other != manager)
            .filter_map(|(_, entry)| {
                let own = entry.looked.as_ref()?;
                (own.same_commit(looked) && !own.whole).then(|| Unsure {
                    name: entry.name.clone(),
                    path: own.path.clone(),
                })
            })
            .collect();
        if let Some(entry) = known.syncs.get_mut(manager) {
            entry.waits |= !unsure.is_empty();
        }
        unsure
    }

    /// Whose a field of an object is that a conflict names.
    pub(super) fn owner(&self, conflict: &FieldConflict, key: &Key) -> Owner {
        let known = self.known();
        let manager = &conflict.manager;
        if !manager.starts_with(applyset::MANAGER_PREFIX) {
            let set = conflict.field.ends_with(crds::label::APPLYSET_PART_OF);
            return if set { Owner::OtherSet } else { Owner::Other };
        }
        if known.has_left(manager, key) {
            Owner::LostSync
        } else {
            Owner::Sync
        }
    }

    /// Whether another Sync has some of these fields.
    pub(super) fn is_claimed(&self, conflicts: &[FieldConflict], key: &Key) -> bool {
        conflicts
            .iter()
            .any(|conflict| self.owner(conflict, key) == Owner::Sync)
    }

    /// Whether the Sync with this field manager is gone, or does not want the object any more.
    pub(super) fn has_left(&self, manager: &str, key: &Key) -> bool {
        self.known().has_left(manager, key)
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

impl Known {
    fn wake_who_holds_back(&mut self) {
        for entry in self.syncs.values_mut() {
            if std::mem::take(&mut entry.holds_back) {
                entry.mailbox.wake();
            }
        }
    }

    fn has_left(&self, manager: &str, key: &Key) -> bool {
        match self.syncs.get(manager) {
            // What stands in a file that cannot be read is wanted as before.
            Some(sync) => sync
                .wants
                .as_ref()
                .is_some_and(|inputs| !inputs.holds(key) && !inputs.unread),
            // It may be one that is not known yet.
            None => self.complete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apply::GroupKind;
    use std::time::Duration;

    fn key() -> Key {
        Key {
            kind: Arc::new(GroupKind::new("", "ConfigMap")),
            namespace: Some("n".into()),
            name: "a".into(),
        }
    }

    fn repository() -> (String, String) {
        ("n".into(), "r".into())
    }

    fn looked(commit: &str) -> Looked {
        Looked {
            repository: repository(),
            commit: commit.into(),
            path: "p".into(),
            whole: true,
        }
    }

    #[tokio::test]
    async fn before_all_syncs_are_known_any_may_want_it() {
        let (names, mine) = (Names::default(), Arc::new(Mailbox::default()));
        names.learn("signet/a", "n/a", repository(), &mine);
        names.looked("signet/a", &looked("new"));
        assert_eq!(
            names.behind("signet/a", &looked("new")).as_deref(),
            Some("every Sync")
        );
        names.complete();
        assert!(mine.take(Some(std::time::Duration::ZERO)).await.is_some());
        assert_eq!(names.behind("signet/a", &looked("new")), None);
    }

    #[tokio::test]
    async fn one_that_could_not_read_everything_is_unsure_until_it_can() {
        let (names, mine) = (Names::default(), Arc::new(Mailbox::default()));
        names.learn("signet/a", "n/a", repository(), &mine);
        names.learn("signet/b", "n/b", repository(), &Arc::default());
        names.complete();
        let part = Looked {
            whole: false,
            ..looked("new")
        };
        names.looked("signet/b", &part);
        while mine.take(Some(std::time::Duration::ZERO)).await.is_some() {}
        let unsure = names.unsure("signet/a", &looked("new"));
        assert_eq!(unsure.len(), 1);
        assert_eq!((&*unsure[0].name, &*unsure[0].path), ("n/b", "p"));
        assert_eq!(names.unsure("signet/b", &looked("new")), []);
        names.looked("signet/b", &looked("new"));
        assert!(mine.take(Some(std::time::Duration::ZERO)).await.is_some());
        assert_eq!(names.unsure("signet/a", &looked("new")), []);
    }

    #[test]
    fn what_stands_in_a_file_that_cannot_be_read_is_still_wanted() {
        let names = Names::default();
        names.learn("signet/a", "shop/web", repository(), &Arc::default());
        names.complete();
        let mut inputs = Inputs::default();
        inputs.unread = true;
        names.wants("signet/a", &Arc::new(inputs));
        let conflict = FieldConflict {
            manager: "signet/a".into(),
            field: ".data.x".into(),
        };
        assert_eq!(names.owner(&conflict, &key()), Owner::Sync);
    }

    #[test]
    fn what_a_sync_does_not_want_any_more_is_nobodys() {
        let names = Names::default();
        names.learn("signet/a", "shop/web", repository(), &Arc::default());
        names.complete();
        let conflict = FieldConflict {
            manager: "signet/a".into(),
            field: ".data.x".into(),
        };
        assert_eq!(names.owner(&conflict, &key()), Owner::Sync);
        names.wants("signet/a", &Arc::default());
        assert_eq!(names.owner(&conflict, &key()), Owner::LostSync);
    }

    #[test]
    fn who_names_an_object_is_no_heir_of_it_for_that() {
        let names = Names::default();
        let elsewhere = ("m".to_owned(), "r".to_owned());
        names.learn("signet/a", "n/a", repository(), &Arc::default());
        names.learn("signet/b", "n/b", repository(), &Arc::default());
        names.learn("signet/c", "m/c", elsewhere, &Arc::default());
        assert_eq!(names.heir("signet/a", &key()), None);

        // It only looks, or is suspended, or goes.
        names.wants("signet/b", &Arc::new(Inputs::of(key())));
        assert_eq!(names.heir("signet/a", &key()), None);
        names.applies("signet/b", true);
        assert_eq!(names.heir("signet/a", &key()), Some(Heir::Takes("n/b".into())));
        assert_eq!(names.heir("signet/b", &key()), None, "nobody is one's own heir");
        names.abandons("signet/b");
        assert_eq!(names.heir("signet/a", &key()), None);

        // One of another Repository has shown that it may write it, or it has not.
        names.wants("signet/c", &Arc::new(Inputs::of(key())));
        names.applies("signet/c", true);
        assert_eq!(names.heir("signet/a", &key()), None);
        names.refused("signet/c", &key());
        assert_eq!(names.heir("signet/a", &key()), Some(Heir::Takes("m/c".into())));
        names.wants("signet/c", &Arc::default());
        names.wants("signet/c", &Arc::new(Inputs::of(key())));
        assert_eq!(names.heir("signet/a", &key()), None, "that was before");

        let mut kept = Inputs::default();
        kept.kept.insert(key());
        names.wants("signet/b", &Arc::new(kept));
        assert_eq!(
            names.heir("signet/a", &key()),
            Some(Heir::LeavesAlone("n/b".into()))
        );
    }

    #[tokio::test]
    async fn who_waits_for_another_sync_to_take_an_object_is_told_once() {
        let (names, mine) = (Names::default(), Arc::new(Mailbox::default()));
        names.learn("signet/a", "n/a", repository(), &mine);
        assert!(!names.is_taken("signet/a", &key()));
        names.taken_from(&["signet/a".into(), "signet/gone".into()], &key());
        assert!(mine.take(Some(Duration::ZERO)).await.is_some());
        assert!(names.is_taken("signet/a", &key()));
        assert!(!names.is_taken("signet/a", &key()));
    }

    #[tokio::test]
    async fn one_that_has_not_looked_is_named_and_its_look_wakes_who_asked() {
        let names = Names::default();
        let mine = Arc::new(Mailbox::default());
        names.learn("signet/a", "n/a", repository(), &mine);
        names.learn("signet/b", "n/b", repository(), &Arc::default());
        names.complete();
        names.looked("signet/a", &looked("new"));
        // After a start it has not looked at anything.
        assert_eq!(
            names.behind("signet/a", &looked("new")).as_deref(),
            Some("Sync n/b")
        );
        names.looked("signet/b", &looked("old"));
        while mine.take(Some(std::time::Duration::ZERO)).await.is_some() {}
        assert_eq!(
            names.behind("signet/a", &looked("new")).as_deref(),
            Some("Sync n/b")
        );
        assert!(mine.take(Some(std::time::Duration::ZERO)).await.is_none());
        names.looked("signet/b", &looked("new"));
        assert!(mine.take(Some(std::time::Duration::ZERO)).await.is_some());
        assert_eq!(names.behind("signet/a", &looked("new")), None);
    }

    #[tokio::test]
    async fn who_waits_for_a_lodger_is_woken_though_it_asked_about_others_too() {
        let (names, mine) = (Names::default(), Arc::new(Mailbox::default()));
        names.learn("signet/a", "n/a", repository(), &mine);
        names.learn("signet/b", "n/b", repository(), &Arc::default());
        let inside = |name: &str| Inside::Namespace(name.into());
        assert_eq!(names.lodger("signet/a", &inside("free")), Lodger::Unknown);
        names.complete();
        names.has("signet/b", Places::of([key()].iter(), false));
        mine.take(Some(Duration::from_secs(9)))
            .await
            .expect("all are known");
        assert_eq!(
            names.lodger("signet/a", &inside("n")),
            Lodger::Syncs(vec!["n/b".into()])
        );
        assert_eq!(names.lodger("signet/a", &inside("free")), Lodger::Nobody);
        assert_eq!(
            names.lodger("signet/b", &inside("n")),
            Lodger::Syncs(vec!["n/a".into()]),
            "a Sync lives there"
        );
        // Whatever it wants now, what it has counts.
        names.wants("signet/b", &Arc::default());
        mine.take(Some(Duration::from_secs(9)))
            .await
            .expect("it wants something else");
        let _ = names.lodger("signet/a", &inside("n"));
        names.has("signet/b", Places::default());
        mine.take(Some(Duration::from_secs(9)))
            .await
            .expect("it has nothing there any more");
    }

    #[test]
    fn the_other_sync_is_named() {
        let names = Names::default();
        names.learn("signet/a", "shop/web", repository(), &Arc::default());
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
        names.learn("signet/a", "shop/web", repository(), &Arc::default());
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
