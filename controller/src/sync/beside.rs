//! What came beside what left: a path that is exchanged for another brings new objects while the old ones are still there. How
//! much of a Sync is deleted is measured by what was there before, so what came meanwhile counts for nothing until then.

use super::inputs::Inputs;
use super::worker::Worker;
use apply::Key;
use apply::checkpoint::Record;
use std::collections::{HashMap, HashSet};

/// How many objects count as having been there, and whether none of them stays. `left` are those that left, `holds` says what
/// Git holds.
pub(super) fn standing(
    records: &HashMap<Key, Record>,
    left: &[Key],
    holds: impl Fn(&Key) -> bool,
) -> (usize, bool) {
    let left: HashSet<&Key> = left.iter().collect();
    let before = records
        .iter()
        .filter(|(key, record)| !record.beside || left.contains(key));
    let before: Vec<&Key> = before.map(|(key, _)| key).collect();
    // A single object that got another name is no path that was exchanged.
    let one = match &*before {
        [] => true,
        [old] => records
            .iter()
            .any(|(key, record)| record.beside && holds(key) && is_like(old, key)),
        _ => false,
    };
    let before = before.len();
    let stays = |(key, record): (&Key, &Record)| (one || !record.beside) && holds(key);
    let emptied = !records.iter().any(stays);
    (if one { records.len() } else { before }, emptied)
}

/// Whether an object can be another one under a new name, and not what only somebody who was asked may exchange for it: what it
/// holds, or what is in it, would be gone.
fn is_like(old: &Key, new: &Key) -> bool {
    let (group, kind) = (&*old.kind.group, &*old.kind.kind);
    let holds_much = matches!(
        (group, kind),
        ("", "Namespace" | "PersistentVolume" | "PersistentVolumeClaim")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
    );
    old.kind == new.kind && old.namespace == new.namespace && !holds_much
}

impl Worker {
    /// Whether something is recorded that Git does not hold, other than `but`, which is sorted. What somebody froze stays until it is
    /// thawed: what comes meanwhile counts all the same, where Git still holds some of what was there.
    pub(super) fn is_leaving(&self, inputs: &Inputs, but: &[Key]) -> bool {
        let records = self.checkpoint.records();
        let goes = |key: &&Key| !inputs.holds(key) && but.binary_search(key).is_err();
        let mut left = records.keys().filter(goes).peekable();
        if left.peek().is_none() {
            return false;
        }
        let exchanged = !records
            .iter()
            .any(|(key, record)| !record.beside && inputs.holds(key));
        exchanged || left.any(|key| !self.rooms.observer.frozen(key))
    }

    /// What came beside what left is what there is, once nothing is left but what was decided upon.
    pub(super) fn count_in(&mut self, inputs: &Inputs, decided: &[Key]) {
        let records = self.checkpoint.records().iter();
        let beside: Vec<Key> = records
            .filter(|(_, record)| record.beside)
            .map(|(key, _)| key.clone())
            .collect();
        if beside.is_empty() || self.is_leaving(inputs, decided) {
            return;
        }
        for key in beside {
            self.checkpoint.change(&key, |record| record.beside = false);
        }
        self.save_soon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::config_map as key;
    use apply::GroupKind;
    use apply::checkpoint::{InputDigest, Wave};
    use std::sync::Arc;

    /// Records of these names; those with a `+` came beside what left.
    fn records(names: &[&str]) -> HashMap<Key, Record> {
        let record = |name: &&str| {
            let record = Record {
                uid: Some("u".into()),
                beside: name.starts_with('+'),
                ..Record::intended(InputDigest([0; 16]), Wave::of(0))
            };
            (key(name.trim_start_matches('+')), record)
        };
        names.iter().map(record).collect()
    }

    fn stands(names: &[&str], git: &[&str]) -> (usize, bool) {
        let records = records(names);
        let holds = |key: &Key| git.contains(&&*key.name);
        let left: Vec<Key> = records.keys().filter(|key| !holds(key)).cloned().collect();
        standing(&records, &left, holds)
    }

    #[test]
    fn what_came_beside_what_left_makes_it_no_smaller_a_part() {
        assert_eq!(stands(&["a", "b", "c", "d"], &["a", "b", "c"]), (4, false));
        // A path exchanged for another: all that was there leaves.
        assert_eq!(stands(&["a", "b", "+c", "+d", "+e"], &["c", "d", "e"]), (2, true));
        assert_eq!(stands(&["a", "b", "+c"], &["b", "c"]), (2, false));
        // What came beside and left as well counts again.
        assert_eq!(stands(&["a", "b", "+c", "+d"], &["a", "d"]), (3, false));
    }

    #[test]
    fn a_single_object_may_have_another_name_and_is_not_exchanged_for_another() {
        assert_eq!(stands(&["a", "+b"], &["b"]), (2, false));
        assert_eq!(stands(&["a"], &[]), (1, true));
        let of = |group: &str, kind: &str, name: &str| Key {
            kind: Arc::new(GroupKind::new(group, kind)),
            ..key(name)
        };
        let (map, claim) = (key("a"), of("", "PersistentVolumeClaim", "a"));
        assert!(is_like(&map, &key("b")));
        assert!(!is_like(&map, &of("apps", "Deployment", "a")));
        assert!(
            !is_like(&claim, &of("", "PersistentVolumeClaim", "b")),
            "its data goes"
        );
    }
}
