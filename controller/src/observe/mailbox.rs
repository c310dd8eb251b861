//! What wakes a Sync: a mailbox that remembers reasons, not messages, so it is bounded by what there is to know.

use super::Drift;
use apply::Key;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Why a Sync has work to do.
#[derive(Default)]
pub struct Pending {
    /// Something changed that a whole pass has to look at: spec, source, keys, kinds, a request.
    pub whole: bool,
    /// Objects that the cluster changed.
    pub drifted: HashMap<Key, Drift>,
    /// The health or the presence of an object changed that this Sync owns or attends to.
    pub health: bool,
    /// Who else owns fields of this Sync's objects changed.
    pub foreign: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        !self.whole && !self.health && !self.foreign && self.drifted.is_empty()
    }
}

/// The mailbox of one Sync.
#[derive(Default)]
pub struct Mailbox {
    pending: Mutex<Pending>,
    notify: Notify,
}

impl Mailbox {
    /// Asks for a whole pass.
    pub fn wake(&self) {
        self.put(|pending| pending.whole = true);
    }

    /// Tells of a drifted object.
    pub fn drifted(&self, key: Key, drift: Drift) {
        self.put(|pending| {
            pending.drifted.insert(key, drift);
        });
    }

    /// Tells that some object's health or presence changed.
    pub fn health(&self) {
        self.put(|pending| pending.health = true);
    }

    /// Tells that others own other fields of some object now.
    pub fn foreign(&self) {
        self.put(|pending| pending.foreign = true);
    }

    /// Waits for a reason to work, at most `at_most`; takes what there is. `None`: nothing came in that time.
    pub async fn take(&self, at_most: Option<Duration>) -> Option<Pending> {
        let woken = async {
            loop {
                {
                    let mut pending = self.lock();
                    if !pending.is_empty() {
                        return std::mem::take(&mut *pending);
                    }
                }
                self.notify.notified().await;
            }
        };
        match at_most {
            None => Some(woken.await),
            Some(at_most) => tokio::time::timeout(at_most, woken).await.ok(),
        }
    }

    /// What there is, taken at once.
    #[cfg(test)]
    pub(super) fn now(&self) -> Pending {
        std::mem::take(&mut *self.lock())
    }

    fn put(&self, what: impl FnOnce(&mut Pending)) {
        what(&mut self.lock());
        self.notify.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_is_told_from_a_time_that_ran_out() {
        let mailbox = Mailbox::default();
        assert!(mailbox.take(Some(Duration::ZERO)).await.is_none());
        // Woken while nobody waits, and while a timer falls due: both count.
        mailbox.wake();
        assert!(
            mailbox
                .take(Some(Duration::ZERO))
                .await
                .is_some_and(|pending| pending.whole)
        );
        assert!(mailbox.take(Some(Duration::ZERO)).await.is_none());
    }

    #[tokio::test]
    async fn health_and_foreign_fields_wake_too_and_are_told_once() {
        let mailbox = Mailbox::default();
        mailbox.health();
        mailbox.health();
        mailbox.foreign();
        let pending = mailbox.take(Some(Duration::ZERO)).await.unwrap();
        assert!(pending.health && pending.foreign && !pending.whole);
        assert!(mailbox.take(Some(Duration::ZERO)).await.is_none());
    }
}
