//! One look at a remote, on a blocking thread: ask for the newest commit, and fetch it if it is another one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Head;
use super::failure::Failure;
use super::heads::PinsToRead;
use super::shared::{Answer, Said};
use crate::mark::Mark;
use source::{
    Auth, CommitId, Fetched, RefSpec, Remote, Rewritten, Snapshot, SourceError, Store, Submodules, list_head,
};
use tokio::time::Instant;
use tracing::debug;

/// What to look at, and what is known already.
pub(super) struct Look {
    pub(super) remote: Remote,
    /// What to log in with if the host refuses the first: the older deploy key, while it is renewed.
    pub(super) otherwise: Option<Auth>,
    /// Where to look while the remote fails.
    pub(super) fallbacks: Vec<Remote>,
    /// Other addresses of the repository than the one that is asked: submodules may lie beside them.
    pub(super) others: Vec<Remote>,
    pub(super) reference: RefSpec,
    /// Which submodules are read, if any.
    pub(super) submodules: Option<Submodules>,
    pub(super) dir: PathBuf,
    pub(super) store: Option<Arc<Store>>,
    /// The commit that is held open, if it is of this remote and ref.
    pub(super) known: Option<CommitId>,
    /// What that commit was found at.
    pub(super) label: Option<String>,
    /// Earlier commits that Syncs are pinned to.
    pub(super) pins: PinsToRead,
    /// What the ref was found at last, refused or not.
    pub(super) seen: Option<CommitId>,
    /// The commit that the status names, if it is of this remote and ref: the store may have been lost since.
    pub(super) remembered: Option<CommitId>,
    /// What may be served out of a store that was just opened.
    pub(super) serve: Serve,
    /// What the remote has told the last Repository that asked the same.
    pub(super) last: Option<Answer>,
    /// If it was asked since then, it is not asked again.
    pub(super) since: Instant,
}

/// What may be served before a look has found anything.
#[derive(Clone, Copy, Debug)]
pub(super) enum Serve {
    /// What was fetched last, and nothing older than this commit, which the status names: it may have come from a fall-back, or
    /// to another replica's store.
    Fetched(Option<CommitId>),
    /// This commit, which was verified; what was fetched last may have been refused.
    Verified(CommitId),
    /// Nothing was verified yet.
    Nothing,
}

impl Serve {
    /// What the store holds of it. `deep`: it may ask the remote.
    pub(super) fn from(
        self,
        store: &Store,
        remote: &Remote,
        reference: &RefSpec,
        submodules: Option<&Submodules>,
        deep: bool,
    ) -> Option<Snapshot> {
        let remote = remote.for_one_look();
        let held = self.without_submodules(store, &remote, reference, deep)?;
        whole(store, held, &remote, &[], submodules, deep).ok()
    }

    fn without_submodules(
        self,
        store: &Store,
        remote: &Remote,
        reference: &RefSpec,
        deep: bool,
    ) -> Option<Snapshot> {
        // What is read of the repository may have been something else.
        let fits = store.is_of(remote);
        match self {
            Self::Fetched(_) if !fits => None,
            Self::Fetched(published) => {
                let held = store.held(remote, reference).ok().flatten();
                let Some(published) = published else { return held };
                let published = store.whole(remote, published).ok()?;
                let later = held.filter(|held| store.holds_between(published.commit().id, held.commit().id));
                Some(later.unwrap_or(published))
            }
            Self::Verified(id) => match store.whole(remote, id) {
                Ok(held) if fits => Some(held),
                _ if deep => store.past(remote, reference, id).ok(),
                _ => None,
            },
            Self::Nothing => None,
        }
    }
}

/// A commit with its submodules, if they are read.
fn whole(
    store: &Store,
    found: Snapshot,
    remote: &Remote,
    others: &[Remote],
    submodules: Option<&Submodules>,
    fetches: bool,
) -> Result<Snapshot, SourceError> {
    match submodules {
        Some(wanted) => store.with_submodules(&found, remote, others, wanted, fetches),
        None => Ok(found),
    }
}

impl Looked {
    /// What others that would ask the same may take over, if it was asked just so. `known`: what was in use before.
    pub(super) fn answer(&self, known: Option<&Head>) -> Option<Answer> {
        let asked = self.asked?;
        if self.fell_back || self.aside.is_some() {
            return None;
        }
        let said = match &self.found {
            Ok(Found::New { snapshot, label, .. }) => Ok(Said {
                snapshot: snapshot.clone(),
                label: label.clone(),
            }),
            Ok(Found::Unchanged) => Ok(Said {
                snapshot: known?.snapshot.clone(),
                label: known?.revision.branch.clone(),
            }),
            // What there is to fetch, and room and time for it, are each one's own.
            Err(_) if self.fetching => return None,
            Err(error) => Err(error.clone()),
        };
        Some(Answer { asked, said })
    }
}

/// What a look found.
pub(super) enum Found {
    /// The known commit.
    Unchanged,
    /// Another one.
    New {
        snapshot: Snapshot,
        /// What it was found at.
        label: String,
        /// The head before, and whether the branch was rewritten since.
        before: Option<(CommitId, Rewritten)>,
        /// How long it took to fetch; nothing where another had fetched it.
        took: Option<Duration>,
    },
}

/// A look's result. The store comes back in any case, and so does what it held when it was opened.
pub(super) struct Looked {
    pub(super) store: Option<Arc<Store>>,
    pub(super) held: Option<Snapshot>,
    /// What the ref was found at last, refused or not.
    pub(super) at: Option<CommitId>,
    pub(super) found: Result<Found, SourceError>,
    /// Whose signatures counted, where commits were verified.
    pub(super) signers: Option<Mark>,
    /// What became of the earlier commits.
    pub(super) pinned: Vec<(String, Result<Snapshot, Failure>)>,
    /// Whether the failure was one of fetching, and not of asking.
    pub(super) fetching: bool,
    /// Whether the first credentials were refused.
    pub(super) fell_back: bool,
    /// The fall-back that answered.
    pub(super) aside: Option<Remote>,
    /// Why the last fall-back that was asked did not.
    pub(super) aside_failed: Option<SourceError>,
    /// When the remote itself was asked, if it was.
    pub(super) asked: Option<Instant>,
    /// Whether another Repository's answer was taken over.
    pub(super) heard: bool,
}

impl Look {
    /// Blocks for as long as the remote's limits allow.
    pub(super) fn run(mut self) -> Looked {
        let mut held = None;
        let store = match self.store.take() {
            Some(store) => store,
            None => match Store::open(&self.dir) {
                Ok(store) => {
                    // What an earlier process fetched serves until the remote answers.
                    held = self.serve.from(
                        &store,
                        &self.remote,
                        &self.reference,
                        self.submodules.as_ref(),
                        true,
                    );
                    Arc::new(store)
                }
                Err(error) => {
                    return Looked {
                        store: None,
                        at: self.seen,
                        held,
                        found: Err(error),
                        signers: None,
                        pinned: Vec::new(),
                        fetching: false,
                        fell_back: false,
                        aside: None,
                        aside_failed: None,
                        asked: None,
                        heard: false,
                    };
                }
            },
        };
        let heard = self.last.as_ref().filter(|last| last.asked >= self.since);
        let heard = heard.and_then(|last| self.hear(&store, last));
        let asked = heard.is_none().then(Instant::now);
        let (mut found, mut fetching) = match heard {
            Some(found) => (found, false),
            None => self.look(&store),
        };
        let mut fell_back = false;
        if let (Err(SourceError::KeyRefused(_)), Some(auth)) = (&found, self.otherwise.take()) {
            self.remote.auth = auth;
            fell_back = true;
            (found, fetching) = self.look(&store);
        }
        let (mut aside, mut aside_failed) = (None, None);
        if found.as_ref().is_err_and(SourceError::is_outage) {
            let remote = self.remote.clone();
            for fallback in std::mem::take(&mut self.fallbacks) {
                self.remote = fallback;
                self.others = vec![remote.clone()];
                match self.look_aside(&store) {
                    Ok(answer) => {
                        (found, fetching) = (Ok(answer), true);
                        aside = Some(self.remote.clone());
                        break;
                    }
                    Err(error) => aside_failed = Some(error),
                }
            }
        }
        let pins = std::mem::take(&mut self.pins);
        // What the branch did not hold it may hold now: but for that, it is not looked for again.
        let moved = found.is_ok() && self.at(&found) != self.seen;
        let lost = pins.lost.into_iter().filter(|_| moved);
        let pinned = pins.open.into_iter().chain(lost).map(|commit| {
            let read = match &found {
                Ok(_) => self.past(&store, &commit),
                // What is here is read all the same.
                Err(error) => self.past_held(&store, &commit).ok_or_else(|| error.clone()),
            };
            let is_final = found.is_ok()
                && matches!(
                    read,
                    Err(SourceError::NotInHistory(..) | SourceError::NoSuchCommit)
                );
            let read = read.map_err(|error| Failure {
                temporary: !is_final,
                ..Failure::from(&error)
            });
            (commit, read)
        });
        let pinned = pinned.collect();
        Looked {
            store: Some(store),
            at: self.at(&found).or(self.seen),
            held,
            found,
            signers: None,
            pinned,
            fetching,
            fell_back,
            aside_failed: aside_failed.filter(|_| aside.is_none()),
            aside,
            heard: asked.is_none(),
            asked,
        }
    }

    /// Where the ref is.
    fn at(&self, found: &Result<Found, SourceError>) -> Option<CommitId> {
        match found {
            Ok(Found::New { snapshot, .. }) => Some(snapshot.commit().id),
            Ok(Found::Unchanged) => self.known,
            Err(_) => None,
        }
    }

    /// What another has just been told. `None` where it cannot be taken over: then the remote is asked.
    fn hear(&self, store: &Store, answer: &Answer) -> Option<Result<Found, SourceError>> {
        match &answer.said {
            Ok(said) if self.is_known(&said.label, said.snapshot.commit().id) && !store.is_damaged() => {
                Some(Ok(Found::Unchanged))
            }
            Ok(said) => self.take(store, said, &self.remote.for_one_look()),
            Err(error) => Some(Err(error.clone())),
        }
    }

    /// Takes over a commit that another has fetched. `None` where that cannot be: then it is fetched.
    fn take(&self, store: &Store, said: &Said, remote: &Remote) -> Option<Result<Found, SourceError>> {
        // What is damaged here may have come from there.
        if store.is_damaged() || said.snapshot.is_damaged() {
            return None;
        }
        match store.take(&said.snapshot, &said.label, remote, &self.reference) {
            Ok(taken) => Some(self.news(store, taken, remote, None)),
            Err(error) => {
                debug!(%error, "a commit cannot be taken from another store");
                None
            }
        }
    }

    /// Whether it is what is in use. The same commit under another tag is news, too.
    fn is_known(&self, label: &str, commit: CommitId) -> bool {
        self.known == Some(commit) && self.label.as_deref() == Some(label)
    }

    /// A fall-back may lag behind: what is in use, or what descends from it, and nothing else.
    fn look_aside(&self, store: &Store) -> Result<Found, SourceError> {
        let known = self.known.filter(|_| !store.is_damaged());
        let remote = self.remote.for_one_look();
        let head = list_head(&remote, &self.reference)?;
        if known == Some(head.id) {
            return Ok(Found::Unchanged);
        }
        let started = Instant::now();
        let fetched = store.fetch(&remote, &self.reference)?;
        let new = fetched.commit().id;
        let old = self.known.or(self.remembered).filter(|old| *old != new);
        if let Some(old) = old {
            let later = self.reference.has_history()
                && store.compare(&remote, &self.reference, old, new)? == Rewritten::No;
            if !later {
                return Err(SourceError::Behind);
            }
        }
        Ok(Found::New {
            snapshot: self.whole(store, fetched.snapshot, &remote)?,
            label: fetched.label,
            before: old.map(|old| (old, Rewritten::No)),
            took: Some(started.elapsed()),
        })
    }

    fn look(&self, store: &Store) -> (Result<Found, SourceError>, bool) {
        // A damaged store is built anew although nothing is new.
        let known = self.known.filter(|_| !store.is_damaged());
        // But for whether it takes a newer key.
        if let (Some(known), RefSpec::Commit(id), None) = (known, &self.reference, &self.otherwise)
            && known == *id
        {
            return (Ok(Found::Unchanged), false); // it cannot move: the remote is not asked
        }
        let remote = self.remote.for_one_look();
        match list_head(&remote, &self.reference) {
            Ok(head) if known.is_some() && self.is_known(&head.label, head.id) => {
                return (Ok(Found::Unchanged), false);
            }
            Ok(head) => {
                let last = self.last.as_ref().and_then(|last| last.said.as_ref().ok());
                let same =
                    last.filter(|said| said.snapshot.commit().id == head.id && said.label == head.label);
                if let Some(found) = same.and_then(|said| self.take(store, said, &remote)) {
                    return (found, false);
                }
            }
            Err(error) => return (Err(error), false),
        }
        let started = Instant::now();
        (self.fetch(store, &remote, started), true)
    }

    fn whole(&self, store: &Store, found: Snapshot, remote: &Remote) -> Result<Snapshot, SourceError> {
        whole(store, found, remote, &self.others, self.submodules.as_ref(), true)
    }

    /// A commit of the history of what is in use, where the store has all of that. While the remote is away, nothing is asked for it.
    fn past_held(&self, store: &Store, commit: &str) -> Option<Snapshot> {
        let id = commit.parse().ok()?;
        if !store.is_of(&self.remote) || !store.holds_between(id, self.known?) {
            return None;
        }
        let remote = self.remote.for_one_look();
        let held = store.whole(&remote, id).ok()?;
        let submodules = self.submodules.as_ref();
        whole(store, held, &remote, &self.others, submodules, false).ok()
    }

    fn past(&self, store: &Store, commit: &str) -> Result<Snapshot, SourceError> {
        let id = commit.parse().map_err(|_| SourceError::NoSuchCommit)?;
        let remote = self.remote.for_one_look();
        let found = store.past(&remote, &self.reference, id)?;
        self.whole(store, found, &remote)
    }

    fn fetch(&self, store: &Store, remote: &Remote, started: Instant) -> Result<Found, SourceError> {
        let fetched = store.fetch(remote, &self.reference)?;
        self.news(store, fetched, remote, Some(started.elapsed()))
    }

    /// What a commit that is here now changes.
    fn news(
        &self,
        store: &Store,
        fetched: Fetched,
        remote: &Remote,
        took: Option<Duration>,
    ) -> Result<Found, SourceError> {
        let new = fetched.commit().id;
        let before = match (fetched.previous, self.remembered) {
            (Some(old), _) if old != new => Some((old, fetched.forced)),
            (None, Some(old)) if old != new => {
                let rewritten = store
                    .compare(remote, &self.reference, old, new)
                    .unwrap_or(Rewritten::Unknown);
                Some((old, rewritten))
            }
            _ => None,
        };
        Ok(Found::New {
            snapshot: self.whole(store, fetched.snapshot, remote)?,
            label: fetched.label,
            before,
            took,
        })
    }
}
