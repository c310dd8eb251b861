//! What is known of the objects of one kind: as the watch saw them, and as our applies left them. Pure.
//!
//! Watch events and answers to our own requests arrive in any order, so every judgement compares resource versions
//! (KEP-5504: numeric and comparable). An object that is being applied right now is not judged until the answer is in.

use super::Drift;
use super::mailbox::Mailbox;
use apply::plan::Seen;
use apply::{Key, LiveMeta};
use std::collections::HashMap;
use std::sync::Arc;

/// What a watched object is to us.
#[derive(Default)]
struct Entry {
    /// As last seen, by the watch or by our own apply, whichever is newer.
    live: Option<LiveMeta>,
    /// As our own apply left it.
    expected: Option<Expected>,
    /// Whether a request of ours is under way.
    busy: bool,
    /// The listing in which it was last seen or expected.
    listing: u64,
    /// Who wrote last, where that was not us.
    author: Option<Box<str>>,
}

struct Expected {
    live: LiveMeta,
    owner: Arc<Mailbox>,
}

/// The objects of one kind.
#[derive(Default)]
pub(super) struct Objects {
    entries: HashMap<Key, Entry>,
    /// Number of the current listing; 0 before the first.
    listing: u64,
    /// Whether a whole listing has been seen.
    complete: bool,
}

impl Objects {
    pub(super) fn listing_begins(&mut self) {
        self.listing += 1;
    }

    /// Nothing is known any more: the watch was refused.
    pub(super) fn blind(&mut self) {
        self.complete = false;
    }

    /// What a finished listing did not hold is gone.
    pub(super) fn listing_ends(&mut self) {
        let current = self.listing;
        self.complete = true;
        let gone: Vec<Key> = self
            .entries
            .iter()
            .filter(|(_, entry)| {
                entry.listing < current && (entry.live.is_some() || entry.expected.is_some())
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.vanished(&key, u64::MAX);
        }
    }

    pub(super) fn seen(&mut self, key: &Key, live: LiveMeta, author: Option<String>) {
        let listing = self.listing;
        let entry = self.entries.entry(key.clone()).or_default();
        entry.listing = listing;
        if entry
            .live
            .as_ref()
            .is_some_and(|known| known.resource_version >= live.resource_version)
        {
            return; // our own answer was faster
        }
        entry.live = Some(live);
        entry.author = author.map(Into::into);
        tell(key, entry);
    }

    /// The object is gone (or has lost our label) as of `resource_version`.
    pub(super) fn vanished(&mut self, key: &Key, resource_version: u64) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if entry
            .live
            .as_ref()
            .is_some_and(|known| known.resource_version > resource_version)
        {
            return; // created again meanwhile, by us
        }
        entry.live = None;
        entry.author = None;
        tell(key, entry);
        self.tidy(key);
    }

    /// A request of ours is about to be sent.
    pub(super) fn begin(&mut self, key: &Key) {
        self.entries.entry(key.clone()).or_default().busy = true;
    }

    /// Our request was answered: the object is now as `live` says. None: the request failed, or deleted it.
    pub(super) fn finish(&mut self, key: &Key, owner: &Arc<Mailbox>, live: Option<LiveMeta>) {
        let listing = self.listing;
        let entry = self.entries.entry(key.clone()).or_default();
        entry.busy = false;
        // A request that failed changed nothing, and whoever sent it knows: telling it of the drift again would be a loop.
        let answered = live.is_some();
        if let Some(live) = live {
            entry.listing = listing;
            if entry
                .live
                .as_ref()
                .is_none_or(|known| known.resource_version <= live.resource_version)
            {
                entry.live = Some(live.clone());
            }
            entry.expected = Some(Expected {
                live,
                owner: Arc::clone(owner),
            });
        }
        if answered {
            tell(key, entry);
        }
        self.tidy(key);
    }

    /// The object is as a checkpoint says, as far as anybody knows: whoever differs from it is drift. What is known
    /// better already stays.
    pub(super) fn expect(&mut self, key: &Key, owner: &Arc<Mailbox>, live: LiveMeta) {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry
            .expected
            .as_ref()
            .is_none_or(|known| !Arc::ptr_eq(&known.owner, owner))
        {
            entry.expected = Some(Expected {
                live,
                owner: Arc::clone(owner),
            });
        }
    }

    /// The object is not `owner`'s any more. If it is somebody else's, it stays that.
    pub(super) fn release(&mut self, key: &Key, owner: &Arc<Mailbox>) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry
                .expected
                .take_if(|expected| Arc::ptr_eq(&expected.owner, owner));
        }
        self.tidy(key);
    }

    pub(super) fn drift(&self, key: &Key) -> Option<Drift> {
        self.entries.get(key).and_then(Entry::drift)
    }

    pub(super) fn live(&self, key: &Key) -> Option<LiveMeta> {
        self.entries.get(key)?.live.clone()
    }

    pub(super) fn as_seen(&self, key: &Key) -> Seen {
        if !self.complete {
            return Seen::Unwatched;
        }
        match self.entries.get(key).and_then(|entry| entry.live.as_ref()) {
            None => Seen::Absent,
            Some(live) => Seen::Present {
                uid: live.uid.clone(),
                owned: live.owned,
                deleting: live.deleting,
            },
        }
    }

    fn tidy(&mut self, key: &Key) {
        if self
            .entries
            .get(key)
            .is_some_and(|e| e.live.is_none() && e.expected.is_none() && !e.busy)
        {
            self.entries.remove(key);
        }
    }
}

impl Entry {
    /// How the object differs from what our apply left, if it does.
    fn drift(&self) -> Option<Drift> {
        let expected = &self.expected.as_ref()?.live;
        let by = || self.author.as_deref().map(ToOwned::to_owned);
        let Some(live) = &self.live else {
            return Some(Drift::Deleted);
        };
        if live.resource_version <= expected.resource_version || live.deleting {
            // Ours or older; and what is going away is made again when it has gone.
            return None;
        }
        if live.uid != expected.uid {
            return Some(Drift::Replaced { by: by() });
        }
        (live.owned != expected.owned).then(|| Drift::Changed { by: by() })
    }
}

fn tell(key: &Key, entry: &Entry) {
    if entry.busy {
        return;
    }
    if let (Some(drift), Some(expected)) = (entry.drift(), &entry.expected) {
        expected.owner.drifted(key.clone(), drift);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apply::{FieldSet, GroupKind};

    fn key() -> Key {
        Key {
            kind: Arc::new(GroupKind::new("", "ConfigMap")),
            namespace: Some("n".into()),
            name: "a".into(),
        }
    }

    fn live(uid: &str, version: u64, owned: u8) -> LiveMeta {
        LiveMeta {
            uid: uid.into(),
            resource_version: version,
            owned: Some(FieldSet([owned; 16])),
            deleting: false,
        }
    }

    /// Objects after one complete listing and one apply that returned version 10.
    fn applied() -> (Objects, Arc<Mailbox>) {
        let (mut objects, owner) = (Objects::default(), Arc::new(Mailbox::default()));
        objects.listing_begins();
        objects.listing_ends();
        objects.begin(&key());
        objects.finish(&key(), &owner, Some(live("u", 10, 1)));
        (objects, owner)
    }

    #[test]
    fn our_own_echo_is_not_drift_in_either_order() {
        let (mut objects, owner) = applied();
        objects.seen(&key(), live("u", 10, 1), None);
        assert_eq!(objects.drift(&key()), None);
        // The event comes before the answer.
        objects.begin(&key());
        objects.seen(&key(), live("u", 12, 2), None);
        objects.finish(&key(), &owner, Some(live("u", 12, 2)));
        assert_eq!(objects.drift(&key()), None);
        assert_eq!(
            objects.as_seen(&key()),
            Seen::Present {
                uid: "u".into(),
                owned: Some(FieldSet([2; 16])),
                deleting: false
            }
        );
    }

    #[test]
    fn changed_replaced_and_deleted_are_told_apart() {
        let (mut objects, _) = applied();
        objects.seen(&key(), live("u", 11, 1), Some("kubelet".into()));
        assert_eq!(objects.drift(&key()), None, "fields that others own are theirs");
        objects.seen(&key(), live("u", 12, 9), Some("kubectl-edit".into()));
        assert_eq!(
            objects.drift(&key()),
            Some(Drift::Changed {
                by: Some("kubectl-edit".into())
            })
        );
        objects.seen(&key(), live("v", 13, 1), None);
        assert_eq!(objects.drift(&key()), Some(Drift::Replaced { by: None }));
        objects.vanished(&key(), 14);
        assert_eq!(objects.drift(&key()), Some(Drift::Deleted));
    }

    #[test]
    fn a_stale_delete_does_not_undo_our_own_create() {
        let (mut objects, _) = applied();
        objects.vanished(&key(), 9);
        assert_eq!(objects.drift(&key()), None);
    }

    #[test]
    fn what_a_new_listing_lacks_is_gone_unless_it_was_applied_meanwhile() {
        let (mut objects, owner) = applied();
        objects.listing_begins();
        objects.begin(&key());
        objects.finish(&key(), &owner, Some(live("u", 20, 1)));
        objects.listing_ends();
        assert_eq!(objects.drift(&key()), None);
        objects.listing_begins();
        objects.listing_ends();
        assert_eq!(objects.drift(&key()), Some(Drift::Deleted));
    }

    #[test]
    fn nothing_is_known_before_a_listing_is_complete() {
        let mut objects = Objects::default();
        objects.listing_begins();
        assert_eq!(objects.as_seen(&key()), Seen::Unwatched);
        objects.listing_ends();
        assert_eq!(objects.as_seen(&key()), Seen::Absent);
    }

    #[test]
    fn nobody_releases_what_is_another_s() {
        let (mut objects, _) = applied();
        objects.release(&key(), &Arc::new(Mailbox::default()));
        objects.vanished(&key(), 99);
        assert_eq!(objects.drift(&key()), Some(Drift::Deleted));
    }

    #[test]
    fn what_is_released_and_gone_costs_no_memory() {
        let (mut objects, owner) = applied();
        objects.release(&key(), &owner);
        objects.vanished(&key(), 99);
        assert!(objects.entries.is_empty());
        objects.begin(&key());
        objects.finish(&key(), &owner, None);
        assert!(objects.entries.is_empty());
    }
}
