//! Who else has something in what is deleted: in a Namespace, or of a definition's kind.
//!
//! `kubectl delete namespace` asks nobody, and so does the API server. What other Syncs have in there was never part of the plan
//! that somebody looked at, so such a deletion waits for a person.

use super::strangers::Strangers;
pub(super) use apply::Inside;
use apply::{GroupKind, Key};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Who else has something in what is about to be deleted, as it was when that was looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Lodged {
    of: HashMap<Key, (Vec<String>, Strangers)>,
    /// The uids that were recorded then: what these controlled is no stranger, whatever has gone since.
    pub(super) ours: HashSet<Box<str>>,
}

impl Lodged {
    /// `all`: for each object the other Syncs that have something in it, and what no Sync has.
    pub(super) fn new(
        all: impl IntoIterator<Item = (Key, Vec<String>, Strangers)>,
        ours: HashSet<Box<str>>,
    ) -> Self {
        let anybody = |(_, syncs, strangers): &(Key, Vec<String>, Strangers)| {
            !syncs.is_empty() || !strangers.is_empty()
        };
        let all = all.into_iter().filter(anybody);
        Self {
            of: all
                .map(|(key, syncs, strangers)| (key, (syncs, strangers)))
                .collect(),
            ours,
        }
    }

    /// The Syncs that were in it.
    pub(super) fn of(&self, key: &Key) -> &[String] {
        self.of.get(key).map_or(&[], |(syncs, _)| syncs)
    }

    /// What was in it that no Sync has.
    pub(super) fn strangers(&self, key: &Key) -> Option<&Strangers> {
        self.of.get(key).map(|(_, strangers)| strangers)
    }

    /// Whether anybody was in it.
    pub(super) fn anybody(&self, key: &Key) -> bool {
        self.of.contains_key(key)
    }

    /// Whether all of these Syncs were.
    pub(super) fn knows(&self, key: &Key, names: &[String]) -> bool {
        names.iter().all(|name| self.of(key).contains(name))
    }

    /// Whether all of these strangers were.
    pub(super) fn knows_strangers(&self, key: &Key, now: &Strangers) -> bool {
        self.strangers(key)
            .map_or(now.is_empty(), |known| known.know(now))
    }

    /// What an approval of the deletion is of, beside the object.
    pub(super) fn mark(&self, key: &Key) -> String {
        let strangers = self.strangers(key).map(Strangers::mark).unwrap_or_default();
        format!("{} {strangers}", self.of(key).join(" "))
    }
}

/// In which namespaces and of which kinds a Sync has objects, as its checkpoint says: whatever its files say, what it has would go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// A part of the checkpoint is not known: it may have objects anywhere.
    lost: bool,
    namespaces: HashSet<Arc<str>>,
    kinds: HashSet<GroupKind>,
}

impl Places {
    /// `lost`: some of what is written down could not be read.
    pub(super) fn of<'a>(keys: impl Iterator<Item = &'a Key>, lost: bool) -> Self {
        let mut places = Self {
            lost,
            ..Self::default()
        };
        for key in keys {
            if let Some(namespace) = &key.namespace
                && !places.namespaces.contains(namespace)
            {
                places.namespaces.insert(namespace.clone());
            }
            if !places.kinds.contains(&*key.kind) {
                places.kinds.insert((*key.kind).clone());
            }
        }
        places
    }

    pub(super) fn any(&self, inside: &Inside) -> bool {
        self.lost
            || match inside {
                Inside::Namespace(name) => self.namespaces.contains(name),
                Inside::Kind(kind) => self.kinds.contains(kind),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> Key {
        Key {
            kind: Arc::new(GroupKind::new(group, kind)),
            namespace: namespace.map(Into::into),
            name: name.into(),
        }
    }

    #[test]
    fn who_moves_in_after_the_look_is_not_known() {
        let (shop, other) = (
            key("", "Namespace", None, "shop"),
            key("", "Namespace", None, "other"),
        );
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let seen = [
            (shop.clone(), names(&["t/a", "t/b"]), Strangers::default()),
            (other.clone(), Vec::new(), Strangers::default()),
        ];
        let lodged = Lodged::new(seen, HashSet::new());
        assert_eq!(lodged.of(&shop), ["t/a", "t/b"]);
        assert!(lodged.knows(&shop, &names(&["t/b"])), "one has left");
        assert!(!lodged.knows(&shop, &names(&["t/b", "t/c"])));
        assert!(!lodged.knows(&other, &names(&["t/a"])));
        assert!(lodged.knows_strangers(&other, &Strangers::default()));
    }

    #[test]
    fn what_is_recorded_says_where_a_sync_is() {
        let keys = [
            key("", "ConfigMap", Some("shop"), "a"),
            key("example.com", "Cart", Some("till"), "b"),
            key("", "Namespace", None, "bank"),
        ];
        assert!(Places::of([].iter(), true).any(&Inside::Namespace("any".into())));
        let places = Places::of(keys.iter(), false);
        for (inside, any) in [
            (Inside::Namespace("shop".into()), true),
            (Inside::Namespace("till".into()), true),
            (Inside::Namespace("bank".into()), false),
            (Inside::Kind(GroupKind::new("example.com", "Cart")), true),
            (Inside::Kind(GroupKind::new("example.com", "Till")), false),
        ] {
            assert_eq!(places.any(&inside), any, "{inside:?}");
        }
    }
}
