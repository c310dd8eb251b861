//! The whole history of a commit, for those who look through all of it: fetched as deep as it goes, within bounds.

use std::collections::HashSet;
use std::sync::PoisonError;

use git2::Repository;

use super::{Store, fetch, problem, sparse};
use crate::session::Session;
use crate::{Commit, CommitId, RefSpec, Remote, SourceError};

/// Depths fetched, one after the other.
const DEPTHS: [i32; 3] = [500, 5_000, 50_000];

/// The commits that a commit is reached from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chronicle {
    /// Itself and those before it, parents before children.
    pub commits: Vec<Commit>,
    /// Whether there are older ones that are not among them: more than were asked for, or the remote has not got them.
    pub cut: bool,
}

impl Store {
    /// The history of `head`, a commit of the ref, without what `known` is reached from, at most so many commits. Meant for a
    /// store of its own: history is fetched into it, with the files of what is read of the remote
    /// ([`Remote::sparse`]).
    ///
    /// # Errors
    /// [`SourceError::NoSuchCommit`] where the ref does not lead to `head`, or not any more.
    pub fn chronicle(
        &self,
        remote: &Remote,
        reference: &RefSpec,
        head: CommitId,
        known: Option<CommitId>,
        most: usize,
    ) -> Result<Chronicle, SourceError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_full() || !self.current().is_of(&remote.sparse) {
            self.start_afresh(&remote.sparse, true)?;
        }
        self.or_whole(remote, || self.chronicled(remote, reference, head, known, most))
    }

    fn chronicled(
        &self,
        remote: &Remote,
        reference: &RefSpec,
        head: CommitId,
        known: Option<CommitId>,
        most: usize,
    ) -> Result<Chronicle, SourceError> {
        let session = Session::open(&remote.for_history(self.options.max_bytes))?;
        let repository = self.current().open()?;
        let mut depths = DEPTHS.iter();
        loop {
            // A fresh view each time: the boundary of a shallow store moves.
            let odb = repository.odb().map_err(|error| problem(&error))?;
            let before = match known {
                Some(known) => reached(&odb, known, &HashSet::new(), usize::MAX)?,
                None => Reached::default(),
            };
            let stop: HashSet<CommitId> = before.commits.iter().map(|commit| commit.id).collect();
            let found = reached(&odb, head, &stop, most)?;
            // What is known already has nothing new before it.
            let is_whole = stop.contains(&head) || (!found.commits.is_empty() && !found.edge);
            let local = session.is_local() && depths.len() < DEPTHS.len();
            if is_whole || found.full {
                return whole(&repository, &session, found.commits, found.full);
            }
            let Some(depth) = depths.next().filter(|_| !local) else {
                if found.commits.is_empty() {
                    return Err(SourceError::NoSuchCommit);
                }
                return whole(&repository, &session, found.commits, true);
            };
            fetch::download(&repository, &session, reference, *depth, None)?;
        }
    }
}

/// With all files that are read, also of what the oldest of them are compared with.
fn whole(
    repository: &Repository,
    session: &Session,
    commits: Vec<Commit>,
    cut: bool,
) -> Result<Chronicle, SourceError> {
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let mut ids: HashSet<CommitId> = commits.iter().map(|commit| commit.id).collect();
    for commit in &commits {
        for parent in &commit.parents {
            if !ids.contains(parent) && Commit::read(&odb, *parent)?.is_some() {
                ids.insert(*parent);
            }
        }
    }
    let ids: Vec<CommitId> = ids.into_iter().collect();
    sparse::complete(repository, session, &ids)?;
    Ok(Chronicle { commits, cut })
}

#[derive(Default)]
struct Reached {
    commits: Vec<Commit>,
    /// Some are named and not held.
    edge: bool,
    /// There are more than were asked for.
    full: bool,
}

/// Parents before children, without what is in `stop`. Of more than `most`, those nearest to the start.
fn reached(
    odb: &git2::Odb<'_>,
    start: CommitId,
    stop: &HashSet<CommitId>,
    most: usize,
) -> Result<Reached, SourceError> {
    let mut reached = Reached::default();
    let mut held = std::collections::HashMap::new();
    let mut next = std::collections::VecDeque::from([start]);
    // Breadth first: which ones are taken.
    while let Some(id) = next.pop_front() {
        if stop.contains(&id) || held.contains_key(&id) {
            continue;
        }
        if held.len() >= most {
            reached.full = true;
            break;
        }
        match Commit::read(odb, id)? {
            None => reached.edge = true,
            Some(commit) => {
                next.extend(commit.parents.iter().copied());
                held.insert(id, commit);
            }
        }
    }
    // Depth first: in which order. Entered, and left once all of its parents are.
    let mut entered = HashSet::new();
    let mut stack = vec![(start, false)];
    while let Some((id, leave)) = stack.pop() {
        if leave {
            reached.commits.extend(held.remove(&id));
            continue;
        }
        let Some(commit) = held.get(&id).filter(|_| entered.insert(id)) else {
            continue;
        };
        stack.push((id, true));
        stack.extend(commit.parents.iter().rev().map(|parent| (*parent, false)));
    }
    Ok(reached)
}
