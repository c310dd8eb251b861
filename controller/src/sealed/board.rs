//! Every SealedSecret and Secret that is known, and whose turn it is. No I/O.

use super::Claims;
use super::decide::{Decision, Obstacle, decide};
use super::live::Live;
use super::object::{Brief, Format, Id, Name, Object};
use super::work::{Done, Next};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Pauses after a failure that may pass: doubled each time, and never the end.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

pub(super) struct Board {
    sealed: HashMap<Id, Entry>,
    secrets: HashMap<Name, Live>,
    due: VecDeque<Id>,
    retries: BTreeSet<(Instant, Id)>,
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
    /// Whether something happened during its turn, or its turn came during the other kind's.
    dirty: bool,
    /// Whether other keys may help.
    wants_keys: bool,
    failures: u32,
    retry: Option<Instant>,
}

/// A turn to be taken.
pub(super) struct Turn {
    pub(super) id: Id,
    pub(super) object: Option<Object>,
    pub(super) live: Option<Live>,
    /// Whether there is a SealedSecret of the other kind and the same name.
    pub(super) twin: bool,
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

    /// Whether such a SealedSecret is there.
    pub(super) fn has(&self, id: &Id) -> bool {
        self.sealed.contains_key(id)
    }

    /// A SealedSecret is there, like this.
    pub(super) fn sealed(&mut self, id: &Id, object: Object) {
        match self.sealed.get_mut(id) {
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
                self.sealed.insert(id.clone(), entry);
            }
        }
        self.queue(id);
    }

    /// A SealedSecret is gone. Kubernetes deletes what it owned, and one of the other kind may make it then.
    pub(super) fn sealed_gone(&mut self, id: &Id) -> bool {
        self.claims.release(id);
        let gone = self.sealed.remove(id);
        if let Some(at) = gone.as_ref().and_then(|entry| entry.retry) {
            self.retries.remove(&(at, id.clone()));
        }
        self.queue(&id.twin());
        gone.is_some()
    }

    /// A Secret is there, like this. An older sight than the one that is known is none.
    pub(super) fn secret(&mut self, name: &Name, live: Live) {
        let known = self.secrets.get(name);
        if known.is_some_and(|known| known.version >= live.version) {
            return;
        }
        self.secrets.insert(name.clone(), live);
        self.queue_both(name);
    }

    /// A Secret is gone, at this resource version.
    pub(super) fn secret_gone(&mut self, name: &Name, version: u64) {
        if self
            .secrets
            .get(name)
            .is_some_and(|known| known.version <= version)
        {
            self.secrets.remove(name);
            self.queue_both(name);
        }
    }

    /// What a complete list has not shown is gone. Gives the SealedSecrets among it.
    pub(super) fn sealed_listed(
        &mut self,
        format: Format,
        seen: &HashSet<Name>,
        within: impl Fn(&Name) -> bool,
    ) -> Vec<Id> {
        let gone = |id: &&Id| id.format == format && within(&id.name) && !seen.contains(&id.name);
        let gone: Vec<Id> = self.sealed.keys().filter(gone).cloned().collect();
        for id in &gone {
            self.sealed_gone(id);
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

    /// There are other keys: what did not open may do so now, and what is being opened has the old ones.
    pub(super) fn keys_changed(&mut self) {
        let waiting = |(id, entry): (&Id, &Entry)| (entry.wants_keys || entry.running).then(|| id.clone());
        let waiting: Vec<Id> = self.sealed.iter().filter_map(waiting).collect();
        for id in waiting {
            self.queue(&id);
        }
    }

    /// The next turn, of one about which all is known. What is as it was left takes none.
    pub(super) fn next(&mut self, now: Instant, known: impl Fn(&Id) -> bool) -> Option<Turn> {
        while let Some((at, id)) = self.retries.first().filter(|(at, _)| *at <= now).cloned() {
            self.retries.remove(&(at, id.clone()));
            if let Some(entry) = self.sealed.get_mut(&id) {
                entry.retry = None;
            }
            self.queue(&id);
        }
        let mut later = Vec::new();
        let turn = loop {
            let Some(id) = self.due.pop_front() else {
                break None;
            };
            if known(&id) {
                if let Some(turn) = self.turn(id) {
                    break Some(turn);
                }
            } else {
                later.push(id);
            }
        };
        self.due.extend(later);
        turn
    }

    fn turn(&mut self, id: Id) -> Option<Turn> {
        // One at a time writes a Secret; its end queues the other.
        let twin = self.sealed.get(&id.twin()).map(|twin| twin.running);
        let entry = self.sealed.get_mut(&id).filter(|entry| entry.queued)?;
        entry.queued = false;
        if twin == Some(true) {
            entry.dirty = true;
            return None;
        }
        let live = self.secrets.get(&id.name);
        let decision = decide(&entry.brief, live, twin.is_some(), &self.digest_key);
        settle(&self.claims, &id, &entry.brief, &decision);
        match decision {
            Decision::Frozen | Decision::Unchanged => {
                entry.object = None;
                None
            }
            Decision::Write(_) | Decision::Refuse(_) => {
                (entry.running, entry.dirty) = (true, false);
                Some(Turn {
                    object: entry.object.take(),
                    live: live.cloned(),
                    twin: twin.is_some(),
                    id,
                })
            }
        }
    }

    /// Claims what is made of those about which all is known, before their turns come.
    pub(super) fn claim(&self, known: impl Fn(&Id) -> bool) {
        for (id, entry) in self.sealed.iter().filter(|(id, _)| known(id)) {
            let twin = self.sealed.contains_key(&id.twin());
            let decision = decide(&entry.brief, self.secrets.get(&id.name), twin, &self.digest_key);
            settle(&self.claims, id, &entry.brief, &decision);
        }
    }

    /// A turn is over; without an outcome it broke off.
    pub(super) fn finished(&mut self, id: &Id, done: Option<Done>, now: Instant) {
        let done = done.unwrap_or(Done {
            live: None,
            brief: None,
            foreign: false,
            next: Next::Retry(None),
        });
        if let Some(live) = done.live {
            let known = self.secrets.get(&id.name);
            if known.is_none_or(|known| known.version < live.version) {
                self.secrets.insert(id.name.clone(), live);
                self.queue(&id.twin());
            }
        }
        if self.sealed.get(&id.twin()).is_some_and(|twin| twin.dirty) {
            self.queue(&id.twin());
        }
        let Some(entry) = self.sealed.get_mut(id) else {
            return;
        };
        entry.running = false;
        if let Some(brief) = done.brief
            && (!entry.dirty || entry.brief.asks_the_same(&brief))
        {
            // One that fails has its Secret still: whatever is wrong with it, a Sync is not who is to write that.
            if done.foreign {
                self.claims.release(id);
            } else if brief.synced || brief.record.is_some() {
                self.claims.hold(id);
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
                    self.retries.remove(&(before, id.clone()));
                }
                self.retries.insert((at, id.clone()));
            }
        }
        if entry.dirty {
            self.queue(id);
        }
    }

    /// When something is due by itself.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.retries.first().map(|(at, _)| *at)
    }

    fn queue_both(&mut self, name: &Name) {
        for format in Format::ALL {
            self.queue(&Id {
                format,
                name: name.clone(),
            });
        }
    }

    fn queue(&mut self, id: &Id) {
        let Some(entry) = self.sealed.get_mut(id) else {
            return;
        };
        if entry.running {
            entry.dirty = true;
        } else if !entry.queued {
            entry.queued = true;
            self.due.push_back(id.clone());
        }
    }
}

/// What a decision says of who makes the Secret. Of what is refused, the turn does: it looks closer.
fn settle(claims: &Claims, id: &Id, brief: &Brief, decision: &Decision) {
    match decision {
        Decision::Frozen => claims.release(id),
        Decision::Unchanged => claims.hold(id),
        // Made before, and to be made again.
        Decision::Write(_) | Decision::Refuse(Obstacle::Leaving) if brief.record.is_some() => claims.hold(id),
        Decision::Write(_) | Decision::Refuse(_) => {}
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

    fn id() -> Id {
        Id {
            format: Format::V1,
            name: name(),
        }
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
            foreign: false,
            next: Next::Settled,
        }
    }

    /// What a turn that failed leaves; with the record of what was done before, where there is one.
    fn failed(record: Option<Record>, foreign: bool) -> Done {
        let mut brief = object(|_| {}).brief;
        (brief.record, brief.observed) = (record, Some(1));
        Done {
            live: None,
            brief: Some(brief),
            foreign,
            next: Next::Settled,
        }
    }

    #[test]
    fn one_turn_for_a_new_object_and_none_for_its_echo() {
        let (mut board, now) = (board(), Instant::now());
        board.sealed(&id(), object(|_| {}));
        let turn = board.next(now, |_| true).unwrap();
        assert!(turn.object.is_some() && turn.live.is_none());
        assert!(board.next(now, |_| true).is_none());
        // The Secret is seen before the turn's end is.
        board.secret(&name(), live(|_| {}));
        board.finished(&id(), Some(good(&live(|_| {}))), now);
        assert!(board.next(now, |_| true).is_none() && board.next_retry().is_none());
        assert!(board.claims.holds("shop", "db"));
    }

    #[test]
    fn a_restart_with_nothing_changed_takes_no_turn() {
        let (mut board, now) = (board(), Instant::now());
        let left = live(|_| {});
        board.secret(&name(), left.clone());
        let record = good(&left).brief.unwrap().record.unwrap().to_string();
        board.sealed(
            &id(),
            object(|value| {
                value["status"] = serde_json::json!({"observedGeneration": 1, "inputs": record,
                    "conditions": [{"type": "Synced", "status": "True"}]});
            }),
        );
        assert!(board.next(now, |_| true).is_none());
        assert!(board.claims.holds("shop", "db"));
        // And the Secret's end wakes it, with nothing in hand: the object is read again.
        board.secret_gone(&name(), 9);
        assert!(board.next(now, |_| true).unwrap().object.is_none());
    }

    #[test]
    fn a_sealed_secret_that_fails_keeps_its_secret_from_others() {
        let (mut board, now) = (board(), Instant::now());
        let left = live(|_| {});
        board.sealed(&id(), object(|_| {}));
        board.next(now, |_| true).unwrap();
        // One that never opened has none.
        board.finished(&id(), Some(failed(None, false)), now);
        assert!(!board.claims.holds("shop", "db"));
        board.keys_changed();
        board.sealed(&id(), object(|value| value["metadata"]["generation"] = 2.into()));
        board.next(now, |_| true).unwrap();
        board.finished(&id(), Some(good(&left)), now);
        assert!(board.claims.holds("shop", "db"));
        // It does not open any more, or its turn broke off.
        let record = good(&left).brief.unwrap().record;
        for done in [Some(failed(record, false)), None] {
            board.sealed(&id(), object(|value| value["metadata"]["generation"] = 3.into()));
            board.next(now, |_| true);
            board.finished(&id(), done, now);
            assert!(board.claims.holds("shop", "db"));
        }
        // The Secret is another's, by now.
        board.finished(&id(), Some(failed(record, true)), now);
        assert!(!board.claims.holds("shop", "db"));
    }

    #[test]
    fn what_is_known_is_claimed_before_its_turn() {
        let with = |record: Option<Record>, change: &dyn Fn(&mut serde_json::Value)| {
            let mut board = board();
            board.secret(&name(), live(|_| {}));
            board.sealed(
                &id(),
                object(|value| {
                    let inputs = record.map(|record| record.to_string());
                    value["status"] = serde_json::json!({"observedGeneration": 1, "inputs": inputs,
                        "conditions": [{"type": "Synced", "status": "False"}]});
                    change(value);
                }),
            );
            board.claim(|_| false);
            assert!(!board.claims.holds("shop", "db"), "not all is known of it");
            board.claim(|_| true);
            board.claims.holds("shop", "db")
        };
        let record = good(&live(|_| {})).brief.unwrap().record;
        assert!(with(record, &|_| {}), "it fails, and has its Secret");
        assert!(with(record, &|value| value["metadata"]["generation"] = 2.into()));
        assert!(!with(None, &|_| {}), "it never had one");
        assert!(!with(record, &|value| {
            value["metadata"]["annotations"]["signet.dev/reconcile"] = "disabled".into();
        }));
        // A Sync's stays the Sync's.
        let mut board = board();
        board.secret(
            &name(),
            live(|meta| {
                meta["labels"] = serde_json::json!({"applyset.kubernetes.io/part-of": "applyset-x-v1"});
                meta["managedFields"][0]["manager"] = "signet/x".into();
            }),
        );
        board.sealed(
            &id(),
            object(|value| {
                value["status"] = serde_json::json!({"inputs": record.map(|record| record.to_string())});
            }),
        );
        board.claim(|_| true);
        assert!(!board.claims.holds("shop", "db"));
    }

    #[test]
    fn retries_slow_down_and_never_end() {
        let (mut board, mut now) = (board(), Instant::now());
        board.sealed(&id(), object(|_| {}));
        let mut pauses = Vec::new();
        for _ in 0..40 {
            assert!(board.next(now, |_| true).is_some());
            board.finished(&id(), None, now);
            let at = board.next_retry().unwrap();
            pauses.push((at - now).as_secs());
            now = at;
        }
        assert_eq!(&pauses[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(pauses[39], 300);
        // A changed object is tried at once.
        assert!(board.next(now, |_| true).is_some());
        board.finished(&id(), None, now);
        board.sealed(&id(), object(|value| value["metadata"]["generation"] = 2.into()));
        assert!(board.next(now, |_| true).is_some());
        board.finished(&id(), None, now);
        assert_eq!((board.next_retry().unwrap() - now).as_secs(), 1);
        board.sealed_gone(&id());
        assert!(board.next_retry().is_none());
    }

    #[test]
    fn what_did_not_open_waits_for_keys() {
        let (mut board, now) = (board(), Instant::now());
        board.sealed(&id(), object(|_| {}));
        board.next(now, |_| true).unwrap();
        let brief = object(|_| {}).brief;
        board.finished(
            &id(),
            Some(Done {
                live: None,
                brief: Some(brief),
                foreign: false,
                next: Next::Keys,
            }),
            now,
        );
        assert!(board.next(now, |_| true).is_none());
        board.keys_changed();
        assert!(board.next(now, |_| true).is_some());
    }

    #[test]
    fn keys_that_change_during_a_turn_are_tried_after_it() {
        let (mut board, now) = (board(), Instant::now());
        board.sealed(&id(), object(|_| {}));
        board.next(now, |_| true).unwrap();
        board.keys_changed();
        let did_not_open = Done {
            live: None,
            brief: Some(object(|_| {}).brief),
            foreign: false,
            next: Next::Keys,
        };
        board.finished(&id(), Some(did_not_open), now);
        assert!(board.next(now, |_| true).is_some());
    }

    #[test]
    fn what_happens_during_a_turn_is_looked_at_after_it() {
        let (mut board, now) = (board(), Instant::now());
        board.sealed(&id(), object(|_| {}));
        board.next(now, |_| true).unwrap();
        board.sealed(&id(), object(|value| value["metadata"]["generation"] = 2.into()));
        assert!(board.next(now, |_| true).is_none(), "one turn at a time");
        board.finished(&id(), Some(good(&live(|_| {}))), now);
        assert!(board.next(now, |_| true).unwrap().object.is_some());
    }

    #[test]
    fn a_list_tells_what_is_gone_and_old_sights_do_not_count() {
        let (mut board, now) = (board(), Instant::now());
        board.sealed(&id(), object(|_| {}));
        board.secret(&name(), live(|_| {}));
        board.secret(&name(), live(|meta| meta["resourceVersion"] = "3".into()));
        assert_eq!(board.next(now, |_| true).unwrap().live.unwrap().version, 7);
        board.finished(&id(), None, now);
        assert_eq!(
            board.sealed_listed(Format::V1, &HashSet::new(), |name| &*name.0 == "other"),
            []
        );
        assert_eq!(
            board.sealed_listed(Format::V1, &HashSet::from([name()]), |_| true),
            []
        );
        assert_eq!(board.sealed_listed(Format::V1, &HashSet::new(), |_| true), [id()]);
        board.secrets_listed(&HashSet::new(), |_| true);
        assert!(board.secrets.is_empty());
    }

    #[test]
    fn two_kinds_of_one_name_take_turns_and_one_follows_the_other() {
        let (mut board, now) = (board(), Instant::now());
        board.sealed(&id(), object(|_| {}));
        let mut other = object(|value| value["metadata"]["uid"] = "u2".into());
        other.brief.format = Format::V2;
        board.sealed(&id().twin(), other);
        let turn = board.next(now, |_| true).unwrap();
        assert!(turn.twin && turn.id == id());
        assert!(
            board.next(now, |_| true).is_none(),
            "one at a time writes the Secret"
        );
        board.finished(&id(), Some(good(&live(|_| {}))), now);
        let turn = board.next(now, |_| true).unwrap();
        assert_eq!(turn.id, id().twin());
        // It is refused, which takes nothing from the first.
        let mut brief = object(|_| {}).brief;
        brief.format = Format::V2;
        let refused = Done {
            live: None,
            brief: Some(brief),
            foreign: true,
            next: Next::Settled,
        };
        board.finished(&id().twin(), Some(refused), now);
        assert!(board.next(now, |_| true).is_none());
        assert!(board.claims.holds("shop", "db"));
        // The first goes, and the second has its turn.
        board.sealed_gone(&id());
        let turn = board.next(now, |_| true).unwrap();
        assert!(!turn.twin && turn.id == id().twin());
        assert!(!board.claims.holds("shop", "db"));
    }

    #[test]
    fn a_kind_of_which_not_all_is_known_waits() {
        let (mut board, now) = (board(), Instant::now());
        board.sealed(&id(), object(|_| {}));
        assert!(board.next(now, |id| id.format == Format::V2).is_none());
        assert!(board.next(now, |_| true).is_some());
    }
}
