//! Watches: one a kind, shared by all Syncs, label-selected. They find drift and tell health, and wake whom it concerns.
//!
//! Metadata is enough to find drift. Where an object's health is in its content, whole objects are watched, and of each
//! only the verdict is kept. Secrets are never watched whole.

mod drift;
mod foreign;
mod health;
mod kind;
mod mailbox;
mod objects;
mod rules;
mod shown;
#[cfg(test)]
mod tests;

pub use drift::{Drift, DriftDetail};
pub use foreign::ForeignOf;
pub use health::{Health, Judged};
pub use kind::WatchState;
pub use mailbox::{Mailbox, Pending};

use crate::shutdown::Shutdown;
use ::health::Rules;
use apply::plan::Seen;
use apply::{GroupKind, Key, KindInfo, LiveMeta};
use kind::{KindWatch, Room};
use kube::Client;
use objects::{At, Objects};
use rules::Rulebook;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Kinds = Arc<Mutex<HashMap<Arc<GroupKind>, Arc<KindWatch>>>>;

/// The watches of all kinds that some Sync holds objects of.
#[derive(Clone)]
pub struct Observer {
    client: Client,
    shutdown: Shutdown,
    kinds: Kinds,
    rules: Rulebook,
}

impl Observer {
    /// No watch runs until [`Observer::follow`] asks for one.
    #[must_use]
    pub fn new(client: Client, shutdown: Shutdown) -> Self {
        Self {
            client,
            shutdown,
            kinds: Arc::default(),
            rules: Rulebook::default(),
        }
    }

    /// Sees to it that a kind is watched, for `mailbox` until [`Observer::keep_only`] leaves it out. Where it is not
    /// followed yet, or cannot be, `mailbox` is woken once that changes.
    pub fn follow(&self, info: &Arc<KindInfo>, mailbox: &Arc<Mailbox>) -> WatchState {
        // Held until the interest is noted, so that the watch does not end meanwhile.
        let mut kinds = lock(&self.kinds);
        if let Some(watch) = kinds.get(&info.kind) {
            return watch.follow(info, mailbox);
        }
        let watch = Arc::new(KindWatch::new(info));
        let state = watch.follow(info, mailbox);
        kinds.insert(Arc::clone(&info.kind), Arc::clone(&watch));
        let (shutdown, room) = (
            self.shutdown.clone(),
            Room {
                client: self.client.clone(),
                rules: self.rules.clone(),
                kinds: Arc::clone(&self.kinds),
            },
        );
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.requested() => {}
                () = kind::run(room, watch) => {}
            }
        });
        state
    }

    /// `mailbox` wants no other kinds watched than these. A watch that nobody wants ends after a while, once nobody holds
    /// or attends to objects of its kind.
    pub fn keep_only(&self, mailbox: &Arc<Mailbox>, kinds: &[Arc<KindInfo>]) {
        let kept: HashSet<&GroupKind> = kinds.iter().map(|info| &*info.kind).collect();
        for (kind, watch) in &*lock(&self.kinds) {
            if !kept.contains(&**kind) {
                watch.drop_interest(mailbox);
            }
        }
    }

    /// Whether a kind that `mailbox` wants watched is not.
    #[must_use]
    pub fn is_blind(&self, mailbox: &Arc<Mailbox>) -> bool {
        lock(&self.kinds).values().any(|watch| watch.is_lost_to(mailbox))
    }

    /// Tries the watches again that were refused or failed: a definition has changed.
    pub fn retry_refused(&self) {
        for watch in lock(&self.kinds).values() {
            if watch.is_stuck() {
                watch.restart();
            }
        }
    }

    /// Sets the rules by which the health of objects is judged that are of the Sync whose field manager this is. None: it
    /// has no rules, or is gone. What was judged by other rules is judged anew.
    pub fn rules(&self, manager: &str, rules: Option<Rules>) {
        let Some(changed) = self.rules.set(manager, rules) else {
            return;
        };
        for (kind, watch) in &*lock(&self.kinds) {
            if changed.iter().any(|rules| rules.has(&kind.group, &kind.kind)) {
                watch.restart();
            }
        }
    }

    /// What is known of an object without asking.
    #[must_use]
    pub fn seen(&self, key: &Key) -> Seen {
        self.with(key, |objects| objects.as_seen(key))
            .unwrap_or(Seen::Unwatched)
    }

    /// The newest metadata of an object that is known without asking.
    #[must_use]
    pub fn live(&self, key: &Key) -> Option<LiveMeta> {
        self.with(key, |objects| objects.live(key)).flatten()
    }

    /// The health of an object, on the version that our own apply returned or a newer one. Nothing is ever known of a kind
    /// that cannot be watched.
    #[must_use]
    pub fn health(&self, key: &Key) -> Health {
        self.with(key, |objects| objects.health(key))
            .unwrap_or(Health::Unknown)
    }

    /// How an object differs from what our apply left, if it does. One that is frozen does not, as long as it is there.
    #[must_use]
    pub fn drift(&self, key: &Key) -> Option<Drift> {
        self.with(key, |objects| objects.drift(key)).flatten()
    }

    /// Who changed an object that drifted, and what is left of our fields. None also for one that was deleted.
    #[must_use]
    pub fn drift_detail(&self, key: &Key) -> Option<Arc<DriftDetail>> {
        self.with(key, |objects| objects.drift_detail(key)).flatten()
    }

    /// Whether an apply that takes fields over could take them from another Sync, or from a manager that is trusted, here
    /// or by `trusted`; also where that is not known.
    #[must_use]
    pub fn contested(&self, key: &Key, trusted: &[String]) -> bool {
        self.with(key, |objects| objects.contested(key, trusted))
            .unwrap_or(true)
    }

    /// Who else owns fields of an object that we do not own, if anybody does who is not [trusted](apply::fields::TRUSTED).
    /// Managers that only some Syncs trust are among them. While the object is drifted it stays as it was before.
    #[must_use]
    pub fn foreign(&self, key: &Key) -> Option<Arc<[ForeignOf]>> {
        self.with(key, |objects| objects.foreign(key)).flatten()
    }

    /// Whether somebody has frozen the object in the cluster, with our annotation or Flux's.
    #[must_use]
    pub fn frozen(&self, key: &Key) -> bool {
        self.with(key, |objects| objects.frozen(key)).unwrap_or(false)
    }

    /// A request about this object is about to be sent; [`Observer::finish`] must follow.
    pub fn begin(&self, key: &Key) {
        self.with(key, |objects| objects.begin(key));
    }

    /// The request was answered; with `live`, the object is `owner`'s and as `live` says.
    pub fn finish(&self, key: &Key, owner: &Arc<Mailbox>, live: Option<&LiveMeta>) {
        self.with(key, |objects| objects.finish(key, owner, live, At::now()));
    }

    /// The object is `owner`'s and as a checkpoint recorded it.
    pub fn expect(&self, key: &Key, owner: &Arc<Mailbox>, live: &LiveMeta) {
        let watch = lock(&self.kinds).get(&key.kind).map(Arc::clone);
        if let Some(watch) = watch
            && lock(&watch.objects).expect(key, owner, live)
        {
            // It drifted before anybody knew whose it is. Listed anew, it tells who did it.
            watch.restart();
        }
    }

    /// `mailbox` wants to hear of this object's health and of its end, without owning it: it is never drift. With `from`, it
    /// is the object with that uid, and judged from that version on.
    pub fn attend(&self, key: &Key, mailbox: &Arc<Mailbox>, from: Option<&LiveMeta>) {
        self.with(key, |objects| objects.attend(key, mailbox, from));
    }

    /// A dry-run found nothing behind a [`Drift::Suspect`].
    pub fn settle(&self, key: &Key) {
        self.with(key, |objects| objects.settle(key));
    }

    /// The object is not `owner`'s any more, and `owner` does not attend to it. If it is somebody else's, it stays that.
    pub fn release(&self, key: &Key, owner: &Arc<Mailbox>) {
        self.with(key, |objects| objects.release(key, owner));
    }

    fn with<T>(&self, key: &Key, act: impl FnOnce(&mut Objects) -> T) -> Option<T> {
        let watch = lock(&self.kinds).get(&key.kind).map(Arc::clone)?;
        let mut objects = lock(&watch.objects);
        let due = objects.next_due();
        let done = act(&mut objects);
        if objects.next_due() != due {
            watch.nudge();
        }
        Some(done)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
