//! A private directory that holds what was fetched from one Repository.
//!
//! ```text
//! dir/            0700
//!   lock          held while a Store is open
//!   gen-7/        the bare repository in use; others are removed at the next start
//!   tmp-8/        one under construction
//! ```
//! Everything in it can be fetched again, so whatever is damaged is thrown away, never repaired.

mod ancestry;
pub(crate) mod boundary;
mod chronicle;
mod compose;
mod difference;
mod extent;
pub(crate) mod fetch;
mod generation;
mod history;
mod lines;
mod notebook;
mod notes;
mod open;
pub(crate) mod origins;
mod place;
mod push;
mod reach;
mod sparse;
mod take;
mod touches;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use chronicle::Chronicle;
pub use compose::NewCommit;
pub use difference::{Changed, FileChange};
pub(crate) use extent::Measure;
pub(crate) use generation::Generation;
use git2::{ObjectType, Oid, Repository};
pub use history::Step;
pub use notebook::{Line, Notebook};
pub use notes::Note;
pub use reach::Known;

use self::sparse::Sparse;
use crate::session::Session;
use crate::submodule::{Graft, Submodules};
use crate::{Choice, Commit, CommitId, RefSpec, Remote, Snapshot, SourceError, display_safe, text};

/// Settings of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Packs before the store is fetched afresh. Each fetch of a change leaves one or more.
    pub max_packs: usize,
    /// Bytes of its packs before it is fetched afresh.
    pub max_bytes: u64,
    /// Commits walked of what a range begins behind, the nearest first. What lies further back may be seen once more.
    pub max_walk: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            max_packs: 50,
            max_bytes: 1 << 30,
            max_walk: 50_000,
        }
    }
}

/// A bare, shallow store. One per directory, usable from many threads; fetches run one at a time.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    options: StoreOptions,
    current: Mutex<Arc<Generation>>,
    fetching: Mutex<()>,
    /// Whether the head is fetched without what came before it: something there was too much.
    is_short: AtomicBool,
    lock: File,
}

/// What a fetch found.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The ref's head now, readable.
    pub snapshot: Snapshot,
    /// What it was found at: see [`Choice::label`].
    pub label: String,
    /// The head that this store held of the same ref of the same URL before, if any.
    pub previous: Option<CommitId>,
    /// Whether the branch was rewritten since `previous`; [`Rewritten::No`] without one.
    pub forced: Rewritten,
}

/// Whether a branch's new head leaves its old head out ("forced push"). Of tags and commits it is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rewritten {
    /// The old head is an ancestor of the new one.
    No,
    /// It is not: proven from the commits themselves.
    Yes,
    /// Not found within a bounded history (500 commits deep).
    Unknown,
}

impl Fetched {
    /// The head.
    pub fn commit(&self) -> &Commit {
        self.snapshot.commit()
    }

    /// Whether the head is another than before, or there was none before.
    pub fn changed(&self) -> bool {
        self.previous != Some(self.commit().id)
    }
}

impl Store {
    /// Whether it holds what is read of this remote ([`Remote::sparse`]), and nothing else: else the next fetch builds a fresh one.
    #[must_use]
    pub fn is_of(&self, remote: &Remote) -> bool {
        self.current().is_of(&remote.sparse)
    }

    /// Whether something in it could not be read; the next fetch builds a fresh one.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.current().is_damaged()
    }

    /// Opens the store in `dir`, which is created if need be. Leftovers of a crash are removed, a damaged
    /// store is replaced by an empty one.
    pub fn open(dir: &Path) -> Result<Self, SourceError> {
        Self::open_with(dir, StoreOptions::default())
    }

    /// [`Store::open`] with settings.
    pub fn open_with(dir: &Path, options: StoreOptions) -> Result<Self, SourceError> {
        crate::init::init()?;
        let (lock, generation) = open::open(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            options,
            current: Mutex::new(Arc::new(generation)),
            fetching: Mutex::default(),
            is_short: AtomicBool::new(false),
            lock,
        })
    }

    /// Brings the ref's head here. If the store holds it already, that costs one request for the list of
    /// refs.
    pub fn fetch(&self, remote: &Remote, reference: &RefSpec) -> Result<Fetched, SourceError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let was_short = self.is_short.load(Ordering::Relaxed);
        match self.fetch_once(remote, reference) {
            // Something that has been removed since, perhaps. What that has cost is not the head's.
            Err(SourceError::TooLarge(_)) if !was_short && self.is_short.load(Ordering::Relaxed) => {
                self.fetch_once(&remote.for_one_look(), reference)
            }
            result => result,
        }
    }

    fn fetch_once(&self, remote: &Remote, reference: &RefSpec) -> Result<Fetched, SourceError> {
        let session = Session::open(remote)?;
        let key = key(remote, reference)?;
        let generation = self.current();
        let mut filters = true;
        if !generation.is_damaged() && generation.is_of(&remote.sparse) {
            match self.fetch_into(&generation, &session, reference, &key) {
                Err(SourceError::Store(reason)) => {
                    tracing::warn!(%reason, "the store is damaged: fetching afresh");
                }
                Err(SourceError::NoPart(reason)) => {
                    tracing::warn!(%reason, "a part of the repository cannot be had: fetching all of it");
                    filters = false;
                }
                result => return result,
            }
        }
        let previous = generation
            .open()
            .ok()
            .and_then(|repository| held(&repository, &key));
        let (choice, snapshot) = if filters {
            self.replaced(&session, reference, &key, None)?
        } else {
            self.replace(&session, reference, &key, (None, false))?
        };
        let forced = match previous {
            Some(old) if reference.has_history() => {
                fetch::rewritten(&self.current(), &session, reference, old, snapshot.commit().id)
            }
            _ => Rewritten::No,
        };
        Ok(Fetched {
            snapshot,
            label: choice.label,
            previous,
            forced,
        })
    }

    /// The head that the last fetch of this ref brought, without asking the remote.
    pub fn held(&self, remote: &Remote, reference: &RefSpec) -> Result<Option<Snapshot>, SourceError> {
        let key = key(remote, reference)?;
        let generation = self.current();
        let head = generation.with(|repository| held(repository, &key))?;
        head.map(|id| self.snapshot(id)).transpose()
    }

    /// An earlier commit of the ref's branch, fetched if it must be. The head that is held stays as it is.
    ///
    /// # Errors
    /// [`SourceError::NotInHistory`] where it is not among the branch's last commits.
    pub fn past(&self, remote: &Remote, reference: &RefSpec, id: CommitId) -> Result<Snapshot, SourceError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let session = Session::open(&remote.for_history(self.options.max_bytes))?;
        let key = key(remote, reference)?;
        if !self.current().is_of(&remote.sparse) {
            self.start_afresh(&remote.sparse, true)?;
        }
        self.or_whole(remote, || {
            let generation = self.current();
            let held = generation.with(|repository| held(repository, &key))?;
            let commit = fetch::past(&generation, &session, reference, held, id)?;
            Snapshot::new(generation, commit)
        })
    }

    /// Does it once more with all of the repository where the server leaves files out and does not give those that are read.
    fn or_whole<T>(
        &self,
        remote: &Remote,
        mut read: impl FnMut() -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        match read() {
            Err(SourceError::NoPart(reason)) => {
                tracing::warn!(%reason, "a part of the repository cannot be had: fetching all of it");
                self.start_afresh(&remote.sparse, false)?;
                read()
            }
            result => result,
        }
    }

    /// The snapshot with its submodules in it: directories in the place of links. What is not held yet is fetched from where
    /// `.gitmodules` says, if `fetches`; the snapshot's own remote says which host and which credentials, and so does each of
    /// `others`, which are other addresses of the same repository.
    ///
    /// # Errors
    /// [`SourceError::BadSubmodule`] for what may not be followed, [`SourceError::Submodule`] for one that cannot be fetched, and
    /// [`SourceError::NoSuchCommit`] where it is not held and nothing may be fetched.
    pub fn with_submodules(
        &self,
        snapshot: &Snapshot,
        remote: &Remote,
        others: &[Remote],
        wanted: &Submodules,
        fetches: bool,
    ) -> Result<Snapshot, SourceError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        snapshot
            .replanted(|generation, tree| Graft::new(generation, remote, others, wanted, fetches).tree(tree))
    }

    /// A commit that the store holds. Its files may be elsewhere: see [`Store::whole`].
    pub fn snapshot(&self, id: CommitId) -> Result<Snapshot, SourceError> {
        let generation = self.current();
        let commit = generation.with(|repository| {
            let odb = repository.odb().map_err(|error| problem(&error))?;
            Commit::read(&odb, id)
        })??;
        Snapshot::new(generation, commit.ok_or(SourceError::NoSuchCommit)?)
    }

    /// A commit that the store holds with all files that are read of it: one that was fetched on the way to another has not got them
    /// where files are left out ([`Remote::sparse`]). The remote's time is for looking for them.
    ///
    /// # Errors
    /// [`SourceError::NoSuchCommit`] where it does not.
    pub fn whole(&self, remote: &Remote, id: CommitId) -> Result<Snapshot, SourceError> {
        let time = remote.cost();
        let go_on = || time.remaining().map(drop);
        let snapshot = self.snapshot(id)?;
        let generation = snapshot.generation();
        if let Some(sparse) = generation.sparse()
            && !generation.with(|repository| sparse::is_complete(repository, sparse, id, &go_on))??
        {
            return Err(SourceError::NoSuchCommit);
        }
        Ok(snapshot)
    }

    /// Whether `new` descends from `old`, or is it, as far as the store alone can tell.
    #[must_use]
    pub fn holds_between(&self, old: CommitId, new: CommitId) -> bool {
        let relation = self.current().with(|repository| {
            let odb = repository.odb().map_err(|error| problem(&error))?;
            ancestry::relation(&odb, &old.into(), new)
        });
        matches!(relation, Ok(Ok(ancestry::Relation::Descends)))
    }

    /// Whether `new`, a commit held here, descends from `old`, which need not be: for a head remembered
    /// elsewhere (a status field) when the store was lost.
    pub fn compare(
        &self,
        remote: &Remote,
        reference: &RefSpec,
        old: CommitId,
        new: CommitId,
    ) -> Result<Rewritten, SourceError> {
        if !reference.has_history() {
            return Ok(Rewritten::No);
        }
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let session = Session::open(remote)?;
        Ok(fetch::rewritten(&self.current(), &session, reference, old, new))
    }

    /// The directory of the bare repository in use now. For diagnosis, and for writing commits that
    /// [`Store::push`] sends; it changes when the store is fetched afresh.
    pub fn repository_dir(&self) -> PathBuf {
        self.current().dir().to_owned()
    }

    fn fetch_into(
        &self,
        generation: &Arc<Generation>,
        session: &Session,
        reference: &RefSpec,
        key: &str,
    ) -> Result<Fetched, SourceError> {
        let previous = generation.with(|repository| held(repository, key))?;
        let depth = match previous {
            Some(_) if reference.has_history() && !self.is_short.load(Ordering::Relaxed) => fetch::NEWS,
            _ => 1,
        };
        let fetched = fetch::head(generation, session, reference, previous, depth);
        let is_cancelled = || session.operation().budget().is_cancelled();
        if let (true, Err(error)) = (depth > 1, &fetched)
            && matches!(
                error,
                SourceError::TooLarge(_) | SourceError::Timeout(_) | SourceError::NoRoom { .. }
            )
            && !is_cancelled()
        {
            self.is_short.store(true, Ordering::Relaxed);
        }
        let (choice, commit) = fetched?;
        let forced = match previous {
            Some(old) if old != commit.id && reference.has_history() => {
                fetch::rewritten(generation, session, reference, old, commit.id)
            }
            _ => Rewritten::No,
        };
        if is_cancelled() {
            // Nobody hears of a rewrite: the next one finds it.
            return Err(SourceError::Timeout("nobody waits for it"));
        }
        record(generation, key, commit.id)?;
        let mut snapshot = Snapshot::new(Arc::clone(generation), commit)?;
        if self.is_full() {
            match self.replaced(session, reference, key, Some(snapshot.commit().id)) {
                Ok((_, fresh)) => snapshot = fresh,
                // What we have is good; it is tried again at the next change.
                Err(error) => tracing::debug!(%error, "the store keeps its packs"),
            }
        }
        Ok(Fetched {
            snapshot,
            label: choice.label,
            previous,
            forced,
        })
    }

    /// Fetches into a fresh repository and moves over to it: what is read, or all, where the server has nothing less.
    fn replaced(
        &self,
        session: &Session,
        reference: &RefSpec,
        key: &str,
        expected: Option<CommitId>,
    ) -> Result<(Choice, Snapshot), SourceError> {
        match self.replace(session, reference, key, (expected, true)) {
            Err(SourceError::NoPart(reason)) => {
                tracing::warn!(%reason, "a part of the repository cannot be had: fetching all of it");
                self.replace(session, reference, key, (expected, false))
            }
            found => found,
        }
    }

    /// Fetches into a fresh repository and moves over to it. `filters`: whether files that are not read are left out.
    fn replace(
        &self,
        session: &Session,
        reference: &RefSpec,
        key: &str,
        (expected, filters): (Option<CommitId>, bool),
    ) -> Result<(Choice, Snapshot), SourceError> {
        let old = self.current();
        let sparse = Sparse::of(session.sparse(), filters);
        let fresh = open::create(&self.dir, old.number() + 1, sparse.as_ref())?;
        let (choice, commit) = fetch::head(&fresh, session, reference, None, 1)?;
        if expected.is_some_and(|expected| expected != commit.id) {
            return Err(SourceError::NotGit("the branch moved meanwhile".into()));
        }
        record(&fresh, key, commit.id)?;
        if !old.is_damaged()
            && let Err(error) =
                crate::submodule::carry(&old, &fresh, commit.tree, session.operation().budget())
        {
            // They are fetched again.
            tracing::debug!(%error, "submodules are left behind");
        }
        let fresh = self.move_to(fresh)?;
        Ok((choice, Snapshot::new(fresh, commit)?))
    }

    /// What is finished takes the place of what is in use.
    fn move_to(&self, fresh: Generation) -> Result<Arc<Generation>, SourceError> {
        let fresh = Arc::new(open::keep(&self.dir, fresh)?);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, Arc::clone(&fresh)).retire();
        Ok(fresh)
    }

    /// Whether it is to be built anew.
    fn is_full(&self) -> bool {
        let (packs, bytes) = self.current().packs();
        packs > self.options.max_packs || bytes > self.options.max_bytes
    }

    fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting holds the file too, for a
        // moment, and the lock with it.
        let _ = self.lock.unlock();
    }
}

/// The local ref for a remote's ref: of another URL or branch, nothing is compared. Hashed, because
/// `a` and `a/b` cannot both be files.
fn key(remote: &Remote, reference: &RefSpec) -> Result<String, SourceError> {
    reference.check()?;
    local_ref(&format!("{}\0{}", remote.url, reference.identity()))
}

/// A ref of the store's own for what a text names.
pub(crate) fn local_ref(text: &str) -> Result<String, SourceError> {
    let hash = Oid::hash_object(ObjectType::Blob, text.as_bytes()).map_err(|error| problem(&error))?;
    Ok(format!("refs/signet/{hash}"))
}

pub(crate) fn held(repository: &Repository, key: &str) -> Option<CommitId> {
    repository.refname_to_id(key).ok().map(CommitId::of)
}

pub(crate) fn record(generation: &Generation, key: &str, id: CommitId) -> Result<(), SourceError> {
    generation
        .with(|repository| repository.reference(key, id.oid(), true, "").map(drop))?
        .map_err(|error| problem(&error))
}

/// A failure of our own disk. libgit2's words about local files hold no secret.
pub(crate) fn problem(error: &git2::Error) -> SourceError {
    SourceError::Store(display_safe(text::bounded(error.message(), 200)))
}

/// A failure of our own disk. The kind only: paths of the controller's disk are nobody's business.
fn disk(error: &io::Error) -> SourceError {
    SourceError::Store(error.kind().to_string())
}
