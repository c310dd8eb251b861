//! What may be deleted of what left Git, and how much of a Sync that is. Pure.

use crate::error::bounded;
use crate::key::Key;
use crds::{Prune, PrunePolicy};
use std::collections::HashSet;

/// What becomes of objects that left Git.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruning {
    /// They are deleted.
    pub now: Vec<Key>,
    /// They stay, and are nobody's.
    pub orphan: Vec<Key>,
    /// They are deleted after an approval, and ours until then.
    pub held: Vec<Key>,
    /// Why something is held, as a sentence.
    pub refusal: Option<String>,
}

/// Decides about the objects in `left`, of `recorded` in all: those that left and those that stay, but not what came beside them
/// ([`Record::beside`](crate::checkpoint::Record)). What is said about one
/// object ([`OwnWord`](crate::words::OwnWord)) comes after this, when it is looked at.
///
/// Without an approval no more than `prune.limit` are deleted, and never all, unless `prune.allowEmpty` says that all may
/// go. `emptied`: Git holds nothing of what is recorded. Then what left is all of it, however much of that is to be deleted
/// now: some may be frozen, or of a kind that is not served. A share is rounded down, but is at least one object unless it is 0%: a Sync of two objects can lose one. A limit
/// that cannot be read is 0.
#[must_use]
pub fn decide(left: Vec<Key>, recorded: usize, emptied: bool, prune: &Prune, approved: bool) -> Pruning {
    let mut pruning = Pruning::default();
    if !prune.enabled || left.is_empty() {
        return pruning;
    }
    let (count, most) = (left.len(), limit(&prune.limit, recorded));
    let refusal = match prune.policy {
        PrunePolicy::Orphan => {
            pruning.orphan = left;
            return pruning;
        }
        _ if approved => None,
        PrunePolicy::Confirm => Some(format!(
            "{} left Git and {} deleted once the plan is approved (spec.prune.policy: Confirm).",
            objects(count),
            if count == 1 { "is" } else { "are" },
        )),
        PrunePolicy::Delete if (emptied && !prune.allow_empty) || count >= recorded => (!prune.allow_empty)
            .then(|| {
                let all = match recorded {
                    0 | 1 => "The only object".to_owned(),
                    _ => format!("All {recorded} objects"),
                };
                format!(
                    "{all} left Git, and nothing is deleted. Restore the path, approve the plan, or set \
                 spec.prune.allowEmpty if that is what you want."
                )
            }),
        PrunePolicy::Delete => (count > most).then(|| {
            format!(
                "{count} of {} left Git, and without an approval at most {most} may be deleted at once \
                 (spec.prune.limit: {}). Nothing is deleted before the plan is approved.",
                objects(recorded),
                bounded(&prune.limit, 16),
            )
        }),
    };
    match refusal {
        None => pruning.now = left,
        Some(why) => {
            pruning.held = left;
            pruning.refusal = Some(why);
        }
    }
    pruning
}

/// How many objects count as having been there, and whether none of them stays. `all` of the Sync, each with whether it came
/// beside what left; `left` are those that left, `holds` says what Git holds.
#[must_use]
pub fn standing<'k>(
    all: impl Iterator<Item = (&'k Key, bool)> + Clone,
    left: &[Key],
    holds: impl Fn(&Key) -> bool,
) -> (usize, bool) {
    let left: HashSet<&Key> = left.iter().collect();
    let before = all.clone().filter(|(key, beside)| !beside || left.contains(key));
    let before: Vec<&Key> = before.map(|(key, _)| key).collect();
    // A single object that got another name is no path that was exchanged.
    let one = match &*before {
        [] => true,
        [old] => all
            .clone()
            .any(|(key, beside)| beside && holds(key) && is_like(old, key)),
        _ => false,
    };
    let before = before.len();
    let stays = |(key, beside): (&Key, bool)| (one || !beside) && holds(key);
    let emptied = !all.clone().any(stays);
    (if one { all.count() } else { before }, emptied)
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

/// `1 object`, `3 objects`.
#[must_use]
pub fn objects(count: usize) -> String {
    format!("{count} {}", if count == 1 { "object" } else { "objects" })
}

/// How many of `recorded` objects may go without an approval.
fn limit(text: &str, recorded: usize) -> usize {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<usize>().ok().filter(|_| digits)
    };
    match text.strip_suffix('%') {
        Some(share) => match number(share) {
            None | Some(0) => 0,
            Some(share) => (recorded.saturating_mul(share.min(100)) / 100).max(1),
        },
        None => number(text).unwrap_or(0),
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
            namespace: Some("shop".into()),
            name: name.into(),
        }
    }

    /// `names` with a `+` came beside what left.
    fn stands(names: &[&str], git: &[&str]) -> (usize, bool) {
        let of = |name: &&str| (key(name.trim_start_matches('+')), name.starts_with('+'));
        let all: Vec<(Key, bool)> = names.iter().map(of).collect();
        let holds = |key: &Key| git.contains(&&*key.name);
        let keys = all.iter().map(|(key, _)| key);
        let left: Vec<Key> = keys.filter(|key| !holds(key)).cloned().collect();
        standing(all.iter().map(|(key, beside)| (key, *beside)), &left, holds)
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

    fn keys(count: usize) -> Vec<Key> {
        (0..count).map(|i| key(&format!("m{i}"))).collect()
    }

    fn prune(limit: &str, policy: PrunePolicy) -> Prune {
        Prune {
            limit: limit.into(),
            policy,
            ..Prune::default()
        }
    }

    #[test]
    fn more_than_the_limit_and_all_at_once_need_an_approval() {
        // (limit, left, recorded, deleted without an approval)
        let cases = [
            ("50%", 1, 2, true),
            ("50%", 1, 3, true),
            ("50%", 2, 3, false),
            ("50%", 5, 10, true),
            ("50%", 6, 10, false),
            ("1%", 1, 20, true),
            ("1%", 2, 20, false),
            ("100%", 19, 20, true),
            ("100%", 20, 20, false),
            ("0%", 1, 20, false),
            ("0", 1, 20, false),
            ("10", 10, 100, true),
            ("10", 11, 100, false),
            ("999999", 1, 1, false),
            ("50%", 1, 1, false),
            ("half", 1, 100, false),
            ("", 1, 100, false),
            ("%", 1, 100, false),
            ("-5", 1, 100, false),
            ("+5", 1, 100, false),
        ];
        for (limit, left, recorded, deleted) in cases {
            let what = format!("{limit}: {left} of {recorded}");
            let prune = prune(limit, PrunePolicy::Delete);
            let found = decide(keys(left), recorded, left >= recorded, &prune, false);
            let (now, held) = if deleted { (left, 0) } else { (0, left) };
            assert_eq!((found.now.len(), found.held.len()), (now, held), "{what}");
            assert_eq!(found.refusal.is_some(), !deleted, "{what}");
            let approved = decide(keys(left), recorded, left >= recorded, &prune, true);
            assert_eq!((approved.now.len(), approved.refusal), (left, None), "{what}");
        }
    }

    #[test]
    fn all_may_go_where_the_sync_says_so() {
        let prune = Prune {
            allow_empty: true,
            ..Prune::default()
        };
        assert_eq!(decide(keys(9), 9, true, &prune, false).now.len(), 9);
        assert_eq!(
            decide(keys(8), 9, false, &prune, false).held.len(),
            8,
            "most of them is another matter"
        );
    }

    #[test]
    fn what_is_emptied_stays_however_little_would_go() {
        // One of two is frozen, and no part of what would be deleted.
        let careful = prune("50%", PrunePolicy::Delete);
        let refused = decide(keys(1), 2, true, &careful, false);
        assert_eq!((refused.now.len(), refused.held.len()), (0, 1));
        assert!(refused.refusal.unwrap().starts_with("All 2 objects left Git"));
        assert_eq!(decide(keys(1), 2, true, &careful, true).now.len(), 1);
        let allowed = Prune {
            allow_empty: true,
            ..Prune::default()
        };
        assert_eq!(decide(keys(1), 2, true, &allowed, false).now.len(), 1);
        assert_eq!(
            decide(keys(3), 4, true, &allowed, false).held.len(),
            3,
            "its limit holds"
        );
        let confirm = decide(keys(1), 2, true, &prune("50%", PrunePolicy::Confirm), false);
        assert!(confirm.refusal.unwrap().contains("Confirm"));
    }

    #[test]
    fn the_policy_decides() {
        let none = Pruning::default();
        let off = Prune {
            enabled: false,
            ..Prune::default()
        };
        assert_eq!(decide(keys(3), 9, false, &off, true), none);
        assert_eq!(decide(Vec::new(), 0, true, &Prune::default(), false), none);
        let orphan = decide(keys(9), 9, true, &prune("50%", PrunePolicy::Orphan), false);
        assert_eq!(
            orphan,
            Pruning {
                orphan: keys(9),
                ..Pruning::default()
            }
        );
        let confirm = prune("50%", PrunePolicy::Confirm);
        let held = decide(keys(1), 9, false, &confirm, false);
        assert_eq!((held.now.len(), held.held.len()), (0, 1));
        assert_eq!(
            held.refusal.unwrap(),
            "1 object left Git and is deleted once the plan is approved (spec.prune.policy: Confirm)."
        );
        assert_eq!(decide(keys(9), 9, true, &confirm, true).now.len(), 9);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refusal = |left, recorded| {
            let prune = prune("50%", PrunePolicy::Delete);
            decide(keys(left), recorded, left >= recorded, &prune, false)
                .refusal
                .unwrap()
        };
        assert_eq!(
            refusal(12, 20),
            "12 of 20 objects left Git, and without an approval at most 10 may be deleted at once (spec.prune.limit: 50%). \
             Nothing is deleted before the plan is approved."
        );
        assert_eq!(
            refusal(20, 20),
            "All 20 objects left Git, and nothing is deleted. Restore the path, approve the plan, or set \
             spec.prune.allowEmpty if that is what you want."
        );
        assert!(refusal(1, 1).starts_with("The only object left Git"));
    }
}
