//! The commits between two heads, for those who have to see every one of them: fetched as deep as it takes, within bounds.
//!
//! A shallow store may end before the two meet; so more history is fetched until [`reach`] can tell. That may take commits
//! into the range that the old head had already, below what is held of it: too many are seen rather than too few.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, PoisonError};

use git2::Odb;

use super::reach::{self, History, Known, MAX_RANGE, Whole};
use super::sparse::Sparse;
use super::touches::touches;
use super::{Generation, Rewritten, Store, ancestry, boundary, fetch, open, problem};
use crate::session::Session;
use crate::{Budget, Commit, CommitId, RefSpec, Remote, RepoPath, SourceError};

/// Depths fetched, one after the other. Of a range of 5,000 commits the last one's parent is needed, too.
const DEPTHS: [i32; 3] = [50, 500, LAST];
/// The same for one commit: its parents are enough.
const DEPTHS_OF_ONE: [i32; 4] = [2, 50, 500, LAST];
const LAST: i32 = 5_001;

/// One commit of a range.
pub struct Step<'a> {
    /// What it says.
    pub commit: &'a Commit,
    /// Its bytes as Git hashes them.
    pub object: &'a [u8],
    compare: &'a dyn Fn() -> Vec<bool>,
}

impl Step<'_> {
    /// For each path that was asked for: whether it changes it. A merge changes what is not as merging alone makes it, and what is too
    /// much to be looked at counts as changed. It is looked at when this is called: not before it is known who has made it.
    #[must_use]
    pub fn touches(&self) -> Vec<bool> {
        (self.compare)()
    }
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Step").field(&self.commit.id).finish()
    }
}

/// What a look at history found, and where; with what the look has left.
type Deepened<T> = (Arc<Generation>, Budget, T);

impl Store {
    /// The bytes of a commit that the store holds, as Git hashes them.
    pub fn commit_object(&self, id: CommitId) -> Result<Vec<u8>, SourceError> {
        self.current().with(|repository| {
            let odb = repository.odb().map_err(|error| problem(&error))?;
            object(&odb, id)?.ok_or(SourceError::NoSuchCommit)
        })?
    }

    /// The bytes of the annotated tag that a ref is now, or `None` where it is none. Fetched if it must be.
    pub fn tag_object(&self, remote: &Remote, reference: &RefSpec) -> Result<Option<Vec<u8>>, SourceError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let session = Session::open(remote)?;
        let repository = self.current().open()?;
        let Some(tag) = fetch::download(&repository, &session, reference, 1, None)?.tag else {
            return Ok(None);
        };
        let odb = repository.odb().map_err(|error| problem(&error))?;
        let object = crate::commit::tag_bytes(&odb, tag)?.ok_or(SourceError::NoSuchCommit)?;
        Ok(Some(object.data().to_vec()))
    }

    /// Shows every commit from `old`, without it, to `new`, parents before children. Where `old` is `new` or descends from it,
    /// that is `new` by itself: it is shown in any case. Says whether `new` descends from `old` (of tags that is not asked).
    /// Meant for a store of its own: history is fetched into it.
    ///
    /// # Errors
    /// [`SourceError::TooLarge`] where the two do not meet within 5,000 commits, [`SourceError::NoSuchCommit`] where the ref
    /// does not lead to `new`, or not any more.
    pub fn range(
        &self,
        remote: &Remote,
        reference: &RefSpec,
        (old, new): (&Known, CommitId),
        paths: &[RepoPath],
        see: &mut dyn FnMut(&Step<'_>),
    ) -> Result<Rewritten, SourceError> {
        let most = self.options.max_walk;
        let found = self.deepened(remote, reference, &DEPTHS, (new, Some(old.id)), |odb, last| {
            reach::between(odb, old, new, most, last)
        })?;
        let Some((generation, time, found)) = found else {
            return Err(SourceError::TooLarge(format!(
                "over {MAX_RANGE} commits since the last one that was verified"
            )));
        };
        if found.commits.is_empty() {
            self.alone(remote, reference, new, paths, see)?;
        } else {
            show(&generation, &time, &found.commits, most, paths, see)?;
        }
        Ok(if found.descends || !reference.has_history() {
            Rewritten::No
        } else {
            Rewritten::Yes
        })
    }

    /// Shows one commit of the ref, as [`Store::range`] does.
    ///
    /// # Errors
    /// As of [`Store::range`].
    pub fn alone(
        &self,
        remote: &Remote,
        reference: &RefSpec,
        id: CommitId,
        paths: &[RepoPath],
        see: &mut dyn FnMut(&Step<'_>),
    ) -> Result<(), SourceError> {
        let most = self.options.max_walk;
        let found = self.deepened(remote, reference, &DEPTHS_OF_ONE, (id, None), |odb, last| {
            let enough = match History::of(odb).is_whole(id, most)? {
                Whole::Yes => true,
                Whole::ButForBases => last,
                Whole::ButForParents => paths.is_empty(),
                Whole::No => false,
            };
            Ok(enough.then_some(()))
        })?;
        let Some((generation, time, ())) = found else {
            return Err(SourceError::TooLarge(format!(
                "over {MAX_RANGE} commits from the head to the parents of another one"
            )));
        };
        show(&generation, &time, &[id], most, paths, see)
    }

    /// Whether `new` descends from `old`, from 5,000 commits of history (of tags that is not asked). Meant for a store of its
    /// own: history is fetched into it.
    ///
    /// # Errors
    /// [`SourceError::NoSuchCommit`] where the ref does not lead to `new`, or not any more.
    pub fn descends(
        &self,
        remote: &Remote,
        reference: &RefSpec,
        old: &Known,
        new: CommitId,
    ) -> Result<Rewritten, SourceError> {
        if !reference.has_history() {
            return Ok(Rewritten::No);
        }
        let found = self.deepened(remote, reference, &DEPTHS, (new, Some(old.id)), |odb, _| {
            Ok(match ancestry::relation(odb, old, new)? {
                ancestry::Relation::Descends => Some(Rewritten::No),
                ancestry::Relation::Rewritten => Some(Rewritten::Yes),
                ancestry::Relation::Undecided => None,
            })
        })?;
        Ok(found.map_or(Rewritten::Unknown, |(.., answer)| answer))
    }

    /// Fetches the history of `head` until `find` finds in it what it looks for. It is told whether that is the last try.
    /// `beside`: a commit that the ref may not lead to any more, and that is asked for by its name in the end. All that
    /// there is is fetched once: a head that is refused is looked at every minute.
    fn deepened<T>(
        &self,
        remote: &Remote,
        reference: &RefSpec,
        depths: &[i32],
        (head, beside): (CommitId, Option<CommitId>),
        mut find: impl FnMut(&Odb<'_>, bool) -> Result<Option<T>, SourceError>,
    ) -> Result<Option<Deepened<T>>, SourceError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let session = Session::open(&remote.for_history(self.options.max_bytes))?.without_files();
        if self.is_full() {
            self.start_afresh(&[], true)?;
        }
        let generation = self.current();
        let repository = generation.open()?;
        let exhausted = boundary::is_exhausted(&generation, head)?;
        let depths = match depths {
            _ if exhausted => &[],
            // What is local comes whole at once.
            [first, ..] if session.is_local() => std::slice::from_ref(first),
            all => all,
        };
        let mut depths = depths.iter();
        loop {
            let depth = depths.next();
            if let (None, Some(id), false) = (depth, beside, exhausted) {
                // What the others have cost is not its own.
                let remote = remote.for_history(self.options.max_bytes).for_one_look();
                let session = Session::open(&remote)?.without_files();
                fetch::beside(&repository, &session, id, LAST)?;
            }
            // A fresh view each time: the boundary of a shallow store moves.
            let odb = repository.odb().map_err(|error| problem(&error))?;
            if depth.is_none() {
                if Commit::read(&odb, head)?.is_none() {
                    return Err(SourceError::NoSuchCommit);
                }
                boundary::exhaust(&generation, head)?;
            }
            if let Some(found) = find(&odb, depth.is_none())? {
                boundary::settle(&generation, &odb)?;
                return Ok(Some((generation, session.operation().budget().clone(), found)));
            }
            let Some(depth) = depth else {
                return Ok(None);
            };
            fetch::deepen(&repository, &session, reference, *depth)?;
        }
    }

    /// Leaves what was fetched so far behind: every fetch adds a pack.
    /// `filters`: as of [`Sparse`].
    pub(super) fn start_afresh(&self, sparse: &[RepoPath], filters: bool) -> Result<(), SourceError> {
        let old = self.current();
        let sparse = Sparse::of(sparse, filters);
        let fresh = open::create(&self.dir, old.number() + 1, sparse.as_ref())?;
        let fresh = open::keep(&self.dir, fresh)?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        old.retire();
        Ok(())
    }
}

fn show(
    generation: &Generation,
    time: &Budget,
    commits: &[CommitId],
    most: usize,
    paths: &[RepoPath],
    see: &mut dyn FnMut(&Step<'_>),
) -> Result<(), SourceError> {
    // A handle of its own: it reads where the history ends now.
    let repository = generation.open()?;
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let history = History::of(&odb);
    for id in commits {
        let bytes = object(&odb, *id)?.ok_or(SourceError::NoSuchCommit)?;
        let commit = Commit::read(&odb, *id)?.ok_or(SourceError::NoSuchCommit)?;
        let failed = Cell::new(None);
        let compare = || {
            let all = || {
                let meets = paths.is_empty() || history.is_whole(*id, most)? == Whole::Yes;
                let touched = paths
                    .iter()
                    .map(|path| touches(&repository, &commit, path, meets, time));
                touched.collect::<Result<Vec<bool>, _>>()
            };
            all().unwrap_or_else(|error| {
                failed.set(Some(error));
                vec![true; paths.len()]
            })
        };
        time.remaining()?;
        see(&Step {
            commit: &commit,
            object: &bytes,
            compare: &compare,
        });
        if let Some(error) = failed.take() {
            return Err(error);
        }
    }
    Ok(())
}

fn object(odb: &Odb<'_>, id: CommitId) -> Result<Option<Vec<u8>>, SourceError> {
    Ok(crate::commit::bytes(odb, id)?.map(|object| object.data().to_vec()))
}
