//! What about an object has to wait a moment: a suspicion that follows too soon on another, and an object that a listing
//! should have shown.

use apply::Key;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often one object's spec may be suspected. Each suspicion costs its owner one request.
pub(super) const SUSPICION_PAUSE: Duration = Duration::from_secs(30);
/// How long after a listing the watch may take to show what was applied while it was made.
pub(super) const UNSEEN_PAUSE: Duration = Duration::from_secs(5);

/// What is to be done with an object when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing: it was suspected a moment ago.
    Rest,
    /// Its spec changed once more since it was suspected.
    Suspicion,
    /// It should have been shown by now.
    Unseen,
}

#[derive(Default)]
pub(super) struct Later {
    waiting: HashMap<Key, (Instant, Due)>,
    /// Not after the earliest of them.
    next: Option<Instant>,
}

impl Later {
    /// Whether a suspicion may be told now. If not, it is due later.
    pub(super) fn may_suspect(&mut self, key: &Key, now: Instant) -> bool {
        match self.waiting.get_mut(key) {
            Some((_, due @ Due::Rest)) => {
                *due = Due::Suspicion;
                false
            }
            Some(_) => false,
            None => {
                self.put(key, now + SUSPICION_PAUSE, Due::Rest);
                true
            }
        }
    }

    /// The object has to be shown before long.
    pub(super) fn await_sight(&mut self, key: &Key, now: Instant) {
        self.put(key, now + UNSEEN_PAUSE, Due::Unseen);
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.waiting.remove(key);
    }

    /// When [`Later::take`] should be called.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// What is due.
    pub(super) fn take(&mut self, now: Instant) -> Vec<(Key, Due)> {
        let due: Vec<_> = self.waiting.extract_if(|_, (at, _)| *at <= now).collect();
        self.next = self.waiting.values().map(|(at, _)| *at).min();
        due.into_iter().map(|(key, (_, due))| (key, due)).collect()
    }

    fn put(&mut self, key: &Key, at: Instant, due: Due) {
        self.waiting.insert(key.clone(), (at, due));
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}
