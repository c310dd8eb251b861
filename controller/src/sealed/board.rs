//! Every SealedSecret and Secret that is known, and whose turn it is. No I/O.

use super::Claims;
use super::decide::{Decision, decide};
use super::live::Live;
use super::object::{Brief, Name, Object};
use super::work::{Done, Next};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Pauses after a failure that may pass: doubled each time, and never the end.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

pub(super) struct Board {
    sealed: HashMap<Name, Entry>,
    secrets: HashMap<Name, Live>,
    due: VecDeque<Name>,
    retries: BTreeSet<(Instant, Name)>,
    digest_key: [u8; 32],
    claims: Claims,
}

struct Entry {
    brief: Brief,
    /// Kept until its turn is over.
    object: Option<Object>,
    /// Whether it waits for its turn.
    queued: bool,
    running: bool,
    /// Whether something happened during its turn.
    dirty: bool,
    /// Whether other keys may help.
    wants_keys: bool,
    failures: u32,
    retry: Option<Instant>,
}

/// A turn to be taken.
pub(super) struct Turn {
    pub(super) name: Name,
    pub(super) object: Option<Object>,
    pub(super) live: Option<Live>,
}

impl Board {
    pub(super) fn new(digest_key: &[u8; 32], claims: Claims) -> Self {
        Self {
            sealed: HashMap::new(),
            secrets: HashMap::new(),
            due: VecDeque::new(),
            retries: BTreeSet::new(),
            digest_key: *digest_key,
            claims,
        }
    }

    /// A SealedSecret is there, like this.
    pub(super) fn sealed(&mut self, name: &Name, object: Object) {
        match self.sealed.get_mut(name) {
            // Our own status, come back; or nothing at all.
            Some(entry) if entry.brief == object.brief && !entry.running => return,
            Some(entry) => {
                if !entry.brief.asks_the_same(&object.brief) {
                    entry.failures = 0;
                }
                entry.brief = object.brief.clone();
                entry.object = Some(object);
            }
            None => {
                let entry = Entry {
                    brief: object.brief.clone(),
                    object: Some(object),
                    queued: false,
                    running: false,
                    dirty: false,
                    wants_keys: false,
                    failures: 0,
                    retry: None,
                };
                self.sealed.insert(name.clone(), entry);
            }
        }
        self.queue(name);
    }

    /// A SealedSecret is gone. Kubernetes deletes what it owned.
    pub(super) fn sealed_gone(&mut self, name: &Name) -> bool {
        self.claims.release(name);
        let gone = self.sealed.remove(name);
        if let Some(at) = gone.as_ref().and_then(|entry| entry.retry) {
            self.retries.remove(&(at, name.clone()));
        }
        gone.is_some()
    }

    /// A Secret is there, like this. An older sight than the one that is known is none.
    pub(super) fn secret(&mut self, name: &Name, live: Live) {
        let known = self.secrets.get(name);
        if known.is_some_and(|known| known.version >= live.version) {
            return;
        }
        self.secrets.insert(name.clone(), live);
        self.queue(name);
    }

    /// A Secret is gone, at this resource version.
    pub(super) fn secret_gone(&mut self, name: &Name, version: u64) {
        if self
            .secrets
            .get(name)
            .is_some_and(|known| known.version <= version)
        {
            self.secrets.remove(name);
            self.queue(name);
        }
    }

    /// What a complete list has not shown is gone. Gives the SealedSecrets among it.
    pub(super) fn sealed_listed(
        &mut self,
        seen: &HashSet<Name>,
        within: impl Fn(&Name) -> bool,
    ) -> Vec<Name> {
        let gone = |name: &&Name| within(name) && !seen.contains(*name);
        let gone: Vec<Name> = self.sealed.keys().filter(gone).cloned().collect();
        for name in &gone {
            self.sealed_gone(name);
        }
        gone
    }

    /// What a complete list has not shown is gone.
    pub(super) fn secrets_listed(&mut self, seen: &HashSet<Name>, within: impl Fn(&Name) -> bool) {
        let gone = |name: &&Name| within(name) && !seen.contains(*name);
        let gone: Vec<Name> = self.secrets.keys().filter(gone).cloned().collect();
        for name in gone {
            self.secret_gone(&name, u64::MAX);
        }
    }

    /// There are other keys: what did not open may do so now.
    pub(super) fn keys_changed(&mut self) {
        let waiting = |(name, entry): (&Name, &Entry)| entry.wants_keys.then(|| name.clone());
        let waiting: Vec<Name> = self.sealed.iter().filter_map(waiting).collect();
        for name in waiting {
            self.queue(&name);
        }
    }

    /// The next turn. What is as it was left takes none.
    pub(super) fn next(&mut self, now: Instant) -> Option<Turn> {
        while let Some((at, name)) = self.retries.first().filter(|(at, _)| *at <= now).cloned() {
            self.retries.remove(&(at, name.clone()));
            if let Some(entry) = self.sealed.get_mut(&name) {
                entry.retry = None;
            }
            self.queue(&name);
        }
        while let Some(name) = self.due.pop_front() {
            let Some(entry) = self.sealed.get_mut(&name).filter(|entry| entry.queued) else {
                continue;
            };
            entry.queued = false;
            let live = self.secrets.get(&name);
            match decide(&entry.brief, live, &self.digest_key) {
                Decision::Frozen => {
                    entry.object = None;
                    self.claims.release(&name);
                }
                Decision::Unchanged => {
                    entry.object = None;
                    self.claims.hold(&name);
                }
                Decision::Write(_) | Decision::Refuse(_) => {
                    (entry.running, entry.dirty) = (true, false);
                    return Some(Turn {
                        object: entry.object.take(),
                        live: live.cloned(),
                        name,
                    });
                }
            }
        }
        None
    }

    /// A turn is over; without an outcome it broke off.
    pub(super) fn finished(&mut self, name: &Name, done: Option<Done>, now: Instant) {
        let done = done.unwrap_or(Done {
            live: None,
            brief: None,
            next: Next::Retry(None),
        });
        if let Some(live) = done.live {
            let known = self.secrets.get(name);
            if known.is_none_or(|known| known.version < live.version) {
                self.secrets.insert(name.clone(), live);
            }
        }
        let Some(entry) = self.sealed.get_mut(name) else {
            return;
        };
        entry.running = false;
        if let Some(brief) = done.brief
            && (!entry.dirty || entry.brief.asks_the_same(&brief))
        {
            if brief.synced {
                self.claims.hold(name);
            } else {
                self.claims.release(name);
            }
            entry.brief = brief;
        }
        entry.wants_keys = done.next == Next::Keys;
        match done.next {
            Next::Settled | Next::Keys => entry.failures = 0,
            Next::Retry(after) => {
                entry.failures = entry.failures.saturating_add(1);
                let doubled = FIRST_PAUSE.saturating_mul(1 << (entry.failures - 1).min(16));
                let at = now + after.unwrap_or(doubled).min(LONGEST_PAUSE);
                if let Some(before) = entry.retry.replace(at) {
                    self.retries.remove(&(before, name.clone()));
                }
                self.retries.insert((at, name.clone()));
            }
        }
        if entry.dirty {
            self.queue(name);
        }
    }

    /// When something is due by itself.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.retries.first().map(|(at, _)| *at)
    }

    fn queue(&mut self, name: &Name) {
        let Some(entry) = self.sealed.get_mut(name) else {
            return;
        };
        if entry.running {
            entry.dirty = true;
        } else if !entry.queued {
            entry.queued = true;
            self.due.push_back(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::live::tests::live;
    use crate::sealed::object::tests::{KEY, object};
    use crate::sealed::record::{Mode, Record};

    fn name() -> Name {
        ("shop".into(), "db".into())
    }

    fn board() -> Board {
        Board::new(KEY, Claims::default())
    }

    /// What a turn that succeeded leaves.
    fn good(live: &Live) -> Done {
        let mut brief = object(|_| {}).brief;
        brief.record = Some(Record::of(Mode::Whole, brief.digest, live, KEY));
        (brief.synced, brief.observed) = (true, Some(1));
        Done {
            live: Some(live.clone()),
            brief: Some(brief),
            next: Next::Settled,
        }
    }

    #[test]
    fn one_turn_for_a_new_object_and_none_for_its_echo() {
        let (mut board, now) = (board(), Instant::now());
        board.sealed(&name(), object(|_| {}));
        let turn = board.next(now).unwrap();
        assert!(turn.object.is_some() && turn.live.is_none());
        assert!(board.next(now).is_none());
        // The Secret is seen before the turn's end is.
        board.secret(&name(), live(|_| {}));
        board.finished(&name(), Some(good(&live(|_| {}))), now);
        assert!(board.next(now).is_none() && board.next_retry().is_none());
        assert!(board.claims.holds("shop", "db"));
    }

    #[test]
    fn a_restart_with_nothing_changed_takes_no_turn() {
        let (mut board, now) = (board(), Instant::now());
        let left = live(|_| {});
        board.secret(&name(), left.clone());
        let record = good(&left).brief.unwrap().record.unwrap().to_string();
        board.sealed(
            &name(),
            object(|value| {
                value["status"] = serde_json::json!({"observedGeneration": 1, "inputs": record,
                    "conditions": [{"type": "Synced", "status": "True"}]});
            }),
        );
        assert!(board.next(now).is_none());
        assert!(board.claims.holds("shop", "db"));
        // And the Secret's end wakes it, with nothing in hand: the object is read again.
        board.secret_gone(&name(), 9);
        assert!(board.next(now).unwrap().object.is_none());
    }

    #[test]
    fn retries_slow_down_and_never_end() {
        let (mut board, mut now) = (board(), Instant::now());
        board.sealed(&name(), object(|_| {}));
        let mut pauses = Vec::new();
        for _ in 0..40 {
            assert!(board.next(now).is_some());
            board.finished(&name(), None, now);
            let at = board.next_retry().unwrap();
            pauses.push((at - now).as_secs());
            now = at;
        }
        assert_eq!(&pauses[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(pauses[39], 300);
        // A changed object is tried at once.
        assert!(board.next(now).is_some());
        board.finished(&name(), None, now);
        board.sealed(
            &name(),
            object(|value| value["metadata"]["generation"] = 2.into()),
        );
        assert!(board.next(now).is_some());
        board.finished(&name(), None, now);
        assert_eq!((board.next_retry().unwrap() - now).as_secs(), 1);
        board.sealed_gone(&name());
        assert!(board.next_retry().is_none());
    }

    #[test]
    fn what_did_not_open_waits_for_keys() {
        let (mut board, now) = (board(), Instant::now());
        board.sealed(&name(), object(|_| {}));
        board.next(now).unwrap();
        let brief = object(|_| {}).brief;
        board.finished(
            &name(),
            Some(Done {
                live: None,
                brief: Some(brief),
                next: Next::Keys,
            }),
            now,
        );
        assert!(board.next(now).is_none());
        board.keys_changed();
        assert!(board.next(now).is_some());
    }

    #[test]
    fn what_happens_during_a_turn_is_looked_at_after_it() {
        let (mut board, now) = (board(), Instant::now());
        board.sealed(&name(), object(|_| {}));
        board.next(now).unwrap();
        board.sealed(
            &name(),
            object(|value| value["metadata"]["generation"] = 2.into()),
        );
        assert!(board.next(now).is_none(), "one turn at a time");
        board.finished(&name(), Some(good(&live(|_| {}))), now);
        assert!(board.next(now).unwrap().object.is_some());
    }

    #[test]
    fn a_list_tells_what_is_gone_and_old_sights_do_not_count() {
        let (mut board, now) = (board(), Instant::now());
        board.sealed(&name(), object(|_| {}));
        board.secret(&name(), live(|_| {}));
        board.secret(&name(), live(|meta| meta["resourceVersion"] = "3".into()));
        assert_eq!(board.next(now).unwrap().live.unwrap().version, 7);
        board.finished(&name(), None, now);
        assert_eq!(
            board.sealed_listed(&HashSet::new(), |name| &*name.0 == "other"),
            []
        );
        assert_eq!(board.sealed_listed(&HashSet::from([name()]), |_| true), []);
        assert_eq!(board.sealed_listed(&HashSet::new(), |_| true), [name()]);
        board.secrets_listed(&HashSet::new(), |_| true);
        assert!(board.secrets.is_empty());
    }
}
