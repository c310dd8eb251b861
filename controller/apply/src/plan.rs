//! The plan: desired objects × what is recorded × what the watches saw → what to apply and what to delete. Pure.

use crate::checkpoint::{InputDigest, Record};
use crate::key::Key;
use crate::managed::FieldSet;
use std::collections::{HashMap, HashSet};

/// An object that Git wants, before its body is read.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Which object.
    pub key: Key,
    /// Keyed digest of everything that its body is made of, sealed values still sealed.
    pub digest: InputDigest,
}

/// What is known of a live object without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Its kind is not watched (no right to, or not yet): nothing is known.
    Unwatched,
    /// Its kind is watched, and no object with our label stands under this name.
    Absent,
    /// It is there.
    Present {
        /// Its uid.
        uid: Box<str>,
        /// The fields that this Sync's manager owns.
        owned: Option<FieldSet>,
        /// Whether it is being deleted.
        deleting: bool,
    },
}

/// Why an object is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is recorded of it.
    New,
    /// Git changed it.
    Changed,
    /// The cluster changed it.
    Drifted,
    /// It is recorded, but cannot be seen, or a request of ours was not answered.
    Unverified,
}

/// An object to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Index into the desired objects.
    pub desired: usize,
    /// Why.
    pub reason: Reason,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Objects to apply, in the order of the desired objects.
    pub apply: Vec<Step>,
    /// Desired objects that are intact.
    pub unchanged: usize,
    /// Recorded objects that left Git and may be deleted.
    pub prune: Vec<Key>,
    /// Recorded objects that left Git and that no watch shows: gone, or without our label. Labels are for discovery, so that one look
    /// has to tell which.
    pub unseen: Vec<Key>,
    /// Records of objects that are no longer ours, or gone.
    pub forget: Vec<Key>,
}

/// Makes the plan. `kept` are objects that Git holds and that are left as they are; `seen` answers for any key. Without `prunes`, what left Git stays.
#[must_use]
pub fn plan(
    desired: &[Desired],
    kept: &HashSet<Key>,
    records: &HashMap<Key, Record>,
    seen: impl Fn(&Key) -> Seen,
    prunes: bool,
) -> Plan {
    let mut plan = Plan::default();
    for (index, item) in desired.iter().enumerate() {
        match judge(item, records.get(&item.key), || seen(&item.key)) {
            Some(reason) => plan.apply.push(Step {
                desired: index,
                reason,
            }),
            None => plan.unchanged += 1,
        }
    }
    let wanted: HashSet<&Key> = desired.iter().map(|item| &item.key).collect();
    // One object may be served under two groups: what is wanted under one name is not pruned under another.
    let wanted_uids: HashSet<&str> = desired
        .iter()
        .filter_map(|item| records.get(&item.key)?.uid.as_deref())
        .collect();
    for (key, record) in records
        .iter()
        .filter(|(key, _)| !wanted.contains(key) && !kept.contains(*key))
    {
        let same_as_wanted = record.uid.as_deref().is_some_and(|uid| wanted_uids.contains(uid));
        let seen = seen(key);
        if same_as_wanted || !still_ours(record, &seen) {
            plan.forget.push(key.clone());
        } else if seen == Seen::Absent {
            plan.unseen.push(key.clone());
        } else if prunes {
            plan.prune.push(key.clone());
        }
        // While pruning is off, what is ours stays recorded: it may be switched on again.
    }
    plan.prune.sort();
    plan.unseen.sort();
    plan.forget.sort();
    plan
}

/// Whether and why a desired object is applied.
fn judge(item: &Desired, record: Option<&Record>, seen: impl FnOnce() -> Seen) -> Option<Reason> {
    let Some(record) = record else {
        return Some(Reason::New);
    };
    if record.digest != item.digest {
        return Some(Reason::Changed);
    }
    match seen() {
        Seen::Unwatched => (record.owned.is_none() || record.anew).then_some(Reason::Unverified),
        // Its creation was intended, and did not come to pass.
        Seen::Absent if record.uid.is_none() => Some(Reason::New),
        Seen::Absent => Some(Reason::Drifted),
        Seen::Present { uid, owned, deleting } => {
            let intact = record.owned.is_some()
                && record.uid.as_deref() == Some(&*uid)
                && record.owned == owned
                && !deleting;
            match (intact, record.uid.is_some()) {
                // The watch may lag behind a request that was not answered: the next answer tells.
                (true, _) => record.anew.then_some(Reason::Unverified),
                (false, true) => Some(Reason::Drifted),
                (false, false) => Some(Reason::Unverified),
            }
        }
    }
}

/// Whether a recorded object may be deleted: it is the one that we applied, as far as can be seen.
fn still_ours(record: &Record, seen: &Seen) -> bool {
    match seen {
        // Whoever deletes it looks first.
        Seen::Absent | Seen::Unwatched => true,
        Seen::Present { uid, owned, .. } => {
            record.uid.as_ref() == Some(uid) || (owned.is_some() && record.may_be(uid))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::GroupKind;
    use std::sync::Arc;

    fn key(name: &str) -> Key {
        Key {
            kind: Arc::new(GroupKind::new("", "ConfigMap")),
            namespace: Some("n".into()),
            name: name.into(),
        }
    }

    fn digest(byte: u8) -> InputDigest {
        InputDigest([byte; 16])
    }

    fn desired(name: &str, byte: u8) -> Desired {
        Desired {
            key: key(name),
            digest: digest(byte),
        }
    }

    fn record(uid: Option<&str>, byte: u8) -> Record {
        Record {
            uid: uid.map(Into::into),
            owned: uid.map(|_| FieldSet([7; 16])),
            ..Record::intended(digest(byte), crate::checkpoint::Wave::of(0))
        }
    }

    fn present(uid: &str, owned: u8) -> Seen {
        Seen::Present {
            uid: uid.into(),
            owned: Some(FieldSet([owned; 16])),
            deleting: false,
        }
    }

    fn reason(record: Option<&Record>, seen: Seen) -> Option<Reason> {
        judge(&desired("a", 1), record, || seen)
    }

    #[test]
    fn only_what_is_recorded_equal_and_intact_is_left_alone() {
        let known = record(Some("u"), 1);
        assert_eq!(reason(None, present("u", 7)), Some(Reason::New));
        assert_eq!(
            reason(Some(&record(Some("u"), 2)), present("u", 7)),
            Some(Reason::Changed)
        );
        assert_eq!(reason(Some(&known), Seen::Absent), Some(Reason::Drifted));
        assert_eq!(reason(Some(&known), present("other", 7)), Some(Reason::Drifted));
        assert_eq!(reason(Some(&known), present("u", 8)), Some(Reason::Drifted));
        assert_eq!(reason(Some(&known), present("u", 7)), None);
        assert_eq!(reason(Some(&known), Seen::Unwatched), None);
        assert_eq!(
            reason(Some(&record(None, 1)), Seen::Unwatched),
            Some(Reason::Unverified)
        );
        assert_eq!(
            reason(Some(&record(None, 1)), present("u", 7)),
            Some(Reason::Unverified)
        );
        let leaving = Seen::Present {
            uid: "u".into(),
            owned: Some(FieldSet([7; 16])),
            deleting: true,
        };
        assert_eq!(reason(Some(&known), leaving), Some(Reason::Drifted));
    }

    #[test]
    fn a_request_that_was_not_answered_is_sent_again() {
        let marked = Record {
            anew: true,
            ..record(Some("u"), 1)
        };
        for seen in [Seen::Unwatched, present("u", 7)] {
            assert_eq!(reason(Some(&marked), seen), Some(Reason::Unverified));
        }
        for seen in [Seen::Absent, present("other", 7)] {
            assert_eq!(reason(Some(&marked), seen), Some(Reason::Drifted));
        }
    }

    #[test]
    fn only_recorded_objects_with_the_recorded_uid_are_pruned() {
        let records = HashMap::from([
            (key("kept"), record(Some("k"), 1)),
            (key("left"), record(Some("l"), 1)),
            (key("replaced"), record(Some("r"), 1)),
            (key("gone"), record(Some("g"), 1)),
            (key("unanswered"), record(None, 1)),
        ]);
        let seen = |k: &Key| match &*k.name {
            "kept" => present("k", 7),
            "left" => present("l", 9),
            "replaced" => present("other", 7),
            "unanswered" => present("x", 7),
            _ => Seen::Absent,
        };
        let plan = super::plan(&[desired("kept", 1)], &HashSet::new(), &records, seen, true);
        assert_eq!(plan.unchanged, 1);
        assert_eq!(plan.prune, [key("left"), key("unanswered")]);
        assert_eq!(plan.unseen, [key("gone")], "it may only have lost its label");
        assert_eq!(plan.forget, [key("replaced")]);
    }

    #[test]
    fn what_stood_there_before_a_request_that_was_not_answered_is_not_pruned() {
        let beside = |uid: Option<&str>| Record {
            anew: uid.is_some(),
            but: Some("theirs".into()),
            ..record(uid, 1)
        };
        let records = HashMap::from([
            (key("anew"), beside(Some("ours"))),
            (key("new"), beside(None)),
            (key("made"), beside(None)),
        ]);
        let seen = |k: &Key| present(if &*k.name == "made" { "ours" } else { "theirs" }, 7);
        let plan = super::plan(&[], &HashSet::new(), &records, seen, true);
        assert_eq!(plan.prune, [key("made")]);
        assert_eq!(plan.forget, [key("anew"), key("new")]);
    }

    #[test]
    fn what_may_have_been_made_unseen_is_not_forgotten() {
        let records = HashMap::from([(key("unanswered"), record(None, 1))]);
        let plan = super::plan(&[], &HashSet::new(), &records, |_| Seen::Unwatched, true);
        assert_eq!((plan.prune, plan.forget.len()), (vec![key("unanswered")], 0));
    }

    #[test]
    fn what_git_holds_and_leaves_alone_is_not_pruned() {
        let records = HashMap::from([(key("frozen"), record(Some("u"), 1))]);
        let kept = HashSet::from([key("frozen")]);
        let plan = super::plan(&[], &kept, &records, |_| present("u", 9), true);
        assert_eq!((plan.prune.len(), plan.forget.len()), (0, 0));
    }

    #[test]
    fn one_object_under_two_names_is_not_pruned() {
        let records = HashMap::from([
            (key("new-name"), record(Some("u"), 1)),
            (key("old-name"), record(Some("u"), 1)),
        ]);
        let plan = super::plan(
            &[desired("new-name", 1)],
            &HashSet::new(),
            &records,
            |_| present("u", 7),
            true,
        );
        assert_eq!((plan.prune.len(), plan.forget), (0, vec![key("old-name")]));
    }

    #[test]
    fn without_pruning_what_left_git_stays_recorded() {
        let records = HashMap::from([(key("a"), record(Some("u"), 1))]);
        let seen = |_: &Key| present("u", 7);
        let off = super::plan(&[], &HashSet::new(), &records, seen, false);
        assert_eq!((off.prune.len(), off.forget.len()), (0, 0));
        let on = super::plan(&[], &HashSet::new(), &records, seen, true);
        assert_eq!(on.prune, [key("a")]);
    }
}
