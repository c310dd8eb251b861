//! What is known of every Repository's head, for those who apply it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use crds::Revision;
use source::Snapshot;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};

/// Namespace and name.
pub type Key = (String, String);

/// How many changes may wait for a slow listener before it is told to look at everything.
const BACKLOG: usize = 1024;

/// A commit that can be read.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its files.
    pub snapshot: Snapshot,
    /// Who, when, what.
    pub revision: Revision,
}

/// What is known of one Repository.
#[derive(Clone, Debug)]
pub enum SourceState {
    /// It has not been looked at yet.
    Unknown,
    /// There is no such Repository.
    Missing,
    /// The remote or the specification fails; what was read before stays good.
    Failed {
        /// A sentence.
        message: String,
        /// The last commit that was read.
        last: Option<Head>,
    },
    /// Its head.
    Ready(Head),
}

impl SourceState {
    /// The newest commit that can be read, whatever happened since.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        match self {
            Self::Ready(head) | Self::Failed { last: Some(head), .. } => Some(head),
            _ => None,
        }
    }
}

/// The heads of all Repositories. Cheap to clone.
#[derive(Clone)]
pub struct Heads(Arc<Inner>);

struct Inner {
    state: RwLock<State>,
    changes: broadcast::Sender<Change>,
}

#[derive(Default)]
struct State {
    /// Whether the API server's list is known: before that, absence means nothing.
    listed: bool,
    entries: HashMap<Key, Entry>,
}

struct Entry {
    /// Of the object: a Repository that was deleted and made again is another one.
    uid: String,
    state: SourceState,
    /// Looks at the remote that ended, well or not.
    looks: u64,
    /// A look is under way; what it finds may be older than a wish that comes now.
    looking: bool,
    /// Wakes the follower before the next poll is due.
    wish: Arc<Notify>,
    /// When it was last woken: what a remote said before that does not count.
    woken: Option<Instant>,
    /// The look that somebody waits for.
    wished: Option<u64>,
    /// Everybody waits for it: what was read before may not be readable.
    mends: bool,
    /// Earlier commits that Syncs are pinned to, by the Sync's name.
    pins: HashMap<String, String>,
    /// What is known of those commits.
    pinned: HashMap<String, Pinned>,
}

impl Entry {
    /// Somebody wishes for a look.
    fn wake(&mut self) {
        self.woken = Some(Instant::now());
        self.wish.notify_one();
    }

    /// The look under way has ended, if one is. Whether somebody waited for it.
    fn end_look(&mut self) -> bool {
        if !std::mem::take(&mut self.looking) {
            return false;
        }
        self.looks += 1;
        let looks = self.looks;
        let awaited = self.wished.take_if(|number| *number <= looks).is_some();
        if awaited {
            self.mends = false;
        }
        awaited
    }
}

/// An earlier commit, or why it cannot be read.
#[derive(Clone, Debug)]
pub enum Pinned {
    /// It can be read.
    Ready(Head),
    /// It cannot.
    Failed {
        /// Sentences.
        message: String,
        /// Whether the next look may find it.
        temporary: bool,
    },
}

/// Commits that Syncs are pinned to, and of which the next look has to tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PinsToRead {
    /// To be read in any case.
    pub(super) open: Vec<String>,
    /// Not of the branch as it was: to be read if it has moved.
    pub(super) lost: Vec<String>,
}

/// What moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This Repository.
    One(Key),
    /// A look at this Repository's remote, which somebody asked for, has ended. What it found is told apart.
    Looked(Key),
    /// Possibly all of them: look at everything again.
    Many,
}

/// A listener's end.
pub struct Changes(broadcast::Receiver<Change>);

impl Changes {
    /// The next change; `None` when the controller stops.
    pub async fn next(&mut self) -> Option<Change> {
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(_)) => Some(Change::Many),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Default for Heads {
    fn default() -> Self {
        let (changes, _) = broadcast::channel(BACKLOG);
        Self(Arc::new(Inner {
            state: RwLock::default(),
            changes,
        }))
    }
}

impl Heads {
    /// What is known of a Repository now.
    #[must_use]
    pub fn get(&self, key: &Key) -> SourceState {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        match state.entries.get(key) {
            Some(entry) => entry.state.clone(),
            None if state.listed => SourceState::Missing,
            None => SourceState::Unknown,
        }
    }

    /// Asks for a look at the remote that begins after now, and says which it will be: see [`Heads::looks`]. When it has
    /// ended, well or not, a change is told. `None` where there is no such Repository.
    pub fn look(&self, key: &Key) -> Option<u64> {
        self.wish(key, false)
    }

    /// Asks for a look because the store cannot be read. When it has ended, everybody is told to look again.
    pub fn mend(&self, key: &Key) {
        self.wish(key, true);
    }

    /// Somebody has heard that the remote has news. Nobody waits for the look; many hints are one.
    pub fn hint(&self, key: &Key) {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = state.entries.get_mut(key) {
            entry.wake();
        }
    }

    fn wish(&self, key: &Key, mends: bool) -> Option<u64> {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let entry = state.entries.get_mut(key)?;
        entry.mends |= mends;
        let number = entry.looks + 1 + u64::from(entry.looking);
        entry.wished = Some(number);
        entry.wake();
        Some(number)
    }

    /// How many looks at the remote have ended; `None` where there is no such Repository.
    #[must_use]
    pub fn looks(&self, key: &Key) -> Option<u64> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        state.entries.get(key).map(|entry| entry.looks)
    }

    /// Notes that a Sync is pinned to an earlier commit, or to none, and says what is known of that commit. `None`: nothing
    /// yet, a change will tell; or there is no such Repository.
    pub fn pin(&self, key: &Key, sync: &str, commit: Option<&str>) -> Option<Pinned> {
        let mut state = self.0.state.write().unwrap_or_else(PoisonError::into_inner);
        let entry = state.entries.get_mut(key)?;
        let before = match commit {
            Some(commit) => entry.pins.insert(sync.to_owned(), commit.to_owned()),
            None => entry.pins.remove(sync),
        };
        if before.as_deref() != commit {
            // Nobody judges again what nobody is pinned to.
            let wanted: HashSet<&String> = entry.pins.values().collect();
            entry.pinned.retain(|commit, _| wanted.contains(commit));
        }
        let known = entry.pinned.get(commit?).cloned();
        if known.is_none() && before.as_deref() != commit {
            entry.wake();
        }
        known
    }

    /// Commits that Syncs are pinned to and that a look has to read. `again`: those that were read before, too.
    pub(super) fn pins_to_read(&self, key: &Key, again: bool) -> PinsToRead {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut pins = PinsToRead::default();
        let Some(entry) = state.entries.get(key) else {
            return pins;
        };
        let commits: BTreeSet<&String> = entry.pins.values().collect();
        for commit in commits {
            match entry.pinned.get(commit) {
                Some(Pinned::Ready(_)) if !again => {}
                Some(Pinned::Failed { temporary: false, .. }) => pins.lost.push(commit.clone()),
                _ => pins.open.push(commit.clone()),
            }
        }
        pins
    }

    /// Whether a Sync is pinned to a commit that was found good.
    pub(super) fn has_good_pins(&self, key: &Key) -> bool {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut pinned = state
            .entries
            .get(key)
            .into_iter()
            .flat_map(|entry| entry.pinned.values());
        pinned.any(|known| matches!(known, Pinned::Ready(_)))
    }

    /// What became of commits that Syncs are pinned to.
    pub(super) fn set_pinned(&self, key: &Key, uid: &str, mut found: Vec<(String, Pinned)>) {
        if found.is_empty() {
            return;
        }
        self.edit(|state| {
            let entry = state.entries.get_mut(key).filter(|entry| entry.uid == uid)?;
            found.retain(|(commit, _)| entry.pins.values().any(|wanted| wanted == commit));
            entry.pinned.extend(found);
            Some(Change::One(key.clone()))
        });
    }

    /// Forgets what is known of such commits: the remote is another one. The look that finds this out reads them anew.
    pub(super) fn forget_pins(&self, key: &Key) {
        self.edit(|state| {
            let entry = state.entries.get_mut(key)?;
            let known = std::mem::take(&mut entry.pinned);
            (!known.is_empty()).then(|| Change::One(key.clone()))
        });
    }

    /// Every change from now on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.0.changes.subscribe())
    }

    /// A Repository is there. Its state is unknown unless it was there before.
    pub(super) fn begin(&self, key: &Key, uid: &str) {
        self.edit(|state| {
            if state.entries.get(key).is_some_and(|entry| entry.uid == uid) {
                return None;
            }
            let entry = Entry {
                uid: uid.to_owned(),
                state: SourceState::Unknown,
                looks: 0,
                looking: false,
                wish: Arc::default(),
                woken: None,
                wished: None,
                mends: false,
                pins: HashMap::new(),
                pinned: HashMap::new(),
            };
            state.entries.insert(key.clone(), entry);
            Some(Change::One(key.clone()))
        });
    }

    /// News of a Repository. Ignored if it is not the one that is there now. What a look has found ends it: who asked for
    /// the look is told of both at once.
    pub(super) fn set(&self, key: &Key, uid: &str, new: SourceState) {
        self.edit(|state| {
            let entry = state.entries.get_mut(key).filter(|entry| entry.uid == uid)?;
            entry.state = new;
            entry.end_look();
            Some(Change::One(key.clone()))
        });
    }

    /// Wakes whoever follows the Repository when somebody asks for a look.
    pub(super) fn wishes(&self, key: &Key, uid: &str) -> Arc<Notify> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        let entry = state.entries.get(key).filter(|entry| entry.uid == uid);
        entry.map(|entry| Arc::clone(&entry.wish)).unwrap_or_default()
    }

    /// When somebody last asked for a look.
    pub(super) fn woken(&self, key: &Key) -> Option<Instant> {
        let state = self.0.state.read().unwrap_or_else(PoisonError::into_inner);
        state.entries.get(key)?.woken
    }

    /// A look begins.
    pub(super) fn looking(&self, key: &Key, uid: &str) {
        self.edit(|state| {
            state
                .entries
                .get_mut(key)
                .filter(|entry| entry.uid == uid)?
                .looking = true;
            None
        });
    }

    /// A look has ended, well or not, unless [`Heads::set`] has ended it.
    pub(super) fn looked(&self, key: &Key, uid: &str) {
        self.edit(|state| {
            let entry = state.entries.get_mut(key).filter(|entry| entry.uid == uid)?;
            let mends = entry.mends;
            entry.end_look().then(|| {
                if mends {
                    Change::One(key.clone())
                } else {
                    Change::Looked(key.clone())
                }
            })
        });
    }

    /// A Repository went away.
    pub(super) fn end(&self, key: &Key, uid: &str) {
        self.edit(|state| {
            state.entries.get(key).filter(|entry| entry.uid == uid)?;
            state.entries.remove(key);
            Some(Change::One(key.clone()))
        });
    }

    /// The API server's list is known.
    pub(super) fn listed(&self) {
        self.edit(|state| {
            let before = std::mem::replace(&mut state.listed, true);
            (!before).then_some(Change::Many)
        });
    }

    fn edit(&self, edit: impl FnOnce(&mut State) -> Option<Change>) {
        let change = edit(&mut self.0.state.write().unwrap_or_else(PoisonError::into_inner));
        if let Some(change) = change {
            // An error means that nobody listens.
            let _ = self.0.changes.send(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Heads, Pinned, PinsToRead, SourceState};

    fn failed(message: &str) -> SourceState {
        SourceState::Failed {
            message: message.into(),
            last: None,
        }
    }

    #[tokio::test]
    async fn absence_means_something_only_once_listed() {
        let heads = Heads::default();
        let key = ("a".to_owned(), "x".to_owned());
        let mut changes = heads.changes();
        assert!(matches!(heads.get(&key), SourceState::Unknown));
        heads.listed();
        assert_eq!(changes.next().await, Some(Change::Many));
        assert!(matches!(heads.get(&key), SourceState::Missing));
        heads.begin(&key, "1");
        assert_eq!(changes.next().await, Some(Change::One(key.clone())));
        assert!(matches!(heads.get(&key), SourceState::Unknown));
    }

    #[tokio::test]
    async fn a_look_that_was_asked_for_is_told_even_if_it_finds_nothing() {
        let heads = Heads::default();
        let key = ("a".to_owned(), "x".to_owned());
        heads.begin(&key, "1");
        let mut changes = heads.changes();
        heads.looking(&key, "1");
        // The look under way may have seen the remote before the wish: the one after it counts.
        assert_eq!(heads.look(&key), Some(2));
        heads.wishes(&key, "1").notified().await;
        heads.looked(&key, "1");
        heads.looking(&key, "1");
        heads.looked(&key, "1");
        assert_eq!(changes.next().await, Some(Change::Looked(key.clone())));
        assert_eq!(heads.looks(&key), Some(2));
        heads.look(&key);
        heads.mend(&key);
        heads.looking(&key, "1");
        heads.looked(&key, "1");
        assert_eq!(
            changes.next().await,
            Some(Change::One(key.clone())),
            "all have to read again"
        );
        assert_eq!(heads.looks(&("a".into(), "y".into())), None);
    }

    #[tokio::test]
    async fn what_a_look_finds_is_told_with_its_end() {
        let heads = Heads::default();
        let key = ("a".to_owned(), "x".to_owned());
        heads.begin(&key, "1");
        let mut changes = heads.changes();
        assert_eq!(heads.look(&key), Some(1));
        heads.looking(&key, "1");
        heads.set(&key, "1", failed("x"));
        assert_eq!(changes.next().await, Some(Change::One(key.clone())));
        assert_eq!(heads.looks(&key), Some(1), "the look has ended");
        assert_eq!(heads.look(&key), Some(2), "the next is another");
        heads.looked(&key, "1");
        assert_eq!(heads.looks(&key), Some(1), "it ends once");
    }

    #[tokio::test]
    async fn a_commit_that_a_sync_is_pinned_to_is_read_once_and_forgotten_with_its_last_sync() {
        let heads = Heads::default();
        let key = ("a".to_owned(), "x".to_owned());
        heads.begin(&key, "1");
        assert!(heads.pin(&key, "web", Some("c1")).is_none());
        assert!(heads.pin(&key, "api", Some("c1")).is_none());
        heads.wishes(&key, "1").notified().await;
        let of = |open: &[&str], lost: &[&str]| PinsToRead {
            open: open.iter().copied().map(String::from).collect(),
            lost: lost.iter().copied().map(String::from).collect(),
        };
        let to_read = |again| heads.pins_to_read(&key, again);
        assert_eq!(to_read(false), of(&["c1"], &[]));
        let lost = |temporary| Pinned::Failed {
            message: "x".into(),
            temporary,
        };
        heads.set_pinned(&key, "1", vec![("c1".into(), lost(true))]);
        assert_eq!(to_read(false), of(&["c1"], &[]), "it may be there next time");
        heads.set_pinned(&key, "1", vec![("c1".into(), lost(false))]);
        assert_eq!(to_read(false), of(&[], &["c1"]), "if the branch has moved");
        assert!(matches!(
            heads.pin(&key, "web", Some("c1")),
            Some(Pinned::Failed { .. })
        ));
        let wishes = heads.wishes(&key, "1");
        heads.forget_pins(&key);
        assert_eq!(to_read(false), of(&["c1"], &[]), "the remote is another one");
        assert!(
            futures::FutureExt::now_or_never(wishes.notified()).is_none(),
            "it is read with the look under way, and wishes for no other"
        );
        heads.pin(&key, "web", None);
        assert_eq!(to_read(false), of(&["c1"], &[]));
        // What was found of it is not told of it when somebody is pinned to it again: it may not be so any more.
        for other in [Some("c2"), None] {
            heads.pin(&key, "api", Some("c1"));
            heads.set_pinned(&key, "1", vec![("c1".into(), lost(false))]);
            heads.pin(&key, "api", other);
            heads.set_pinned(&key, "1", vec![("c1".into(), lost(false))]);
            assert!(heads.pin(&key, "api", Some("c1")).is_none());
        }
        heads.pin(&key, "api", None);
        assert_eq!(to_read(true), of(&[], &[]));
    }

    #[tokio::test]
    async fn an_older_repository_of_the_name_cannot_speak() {
        let heads = Heads::default();
        let key = ("a".to_owned(), "x".to_owned());
        heads.begin(&key, "1");
        heads.begin(&key, "2");
        heads.set(&key, "1", failed("old"));
        assert!(matches!(heads.get(&key), SourceState::Unknown));
        heads.end(&key, "1");
        heads.set(&key, "2", failed("new"));
        assert!(matches!(heads.get(&key), SourceState::Failed { message, .. } if message == "new"));
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_to_look_at_everything() {
        let heads = Heads::default();
        let key = ("a".to_owned(), "x".to_owned());
        heads.begin(&key, "1");
        let mut changes = heads.changes();
        for _ in 0..5000 {
            heads.set(&key, "1", failed("x"));
        }
        assert_eq!(changes.next().await, Some(Change::Many));
    }
}
