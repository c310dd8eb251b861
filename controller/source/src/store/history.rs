//! The commits between two heads, for those who have to see every one of them: fetched as deep as it takes, within bounds.
//!
//! A range is what the new head has and the old one has not: every commit that is reached from the new head, less what is
//! reached from the old one. A shallow store may end before the two meet; so more history is fetched until the new head's
//! walk, which stops at what the old head has, meets nothing that is not held. That may take commits into the range that
//! the old head had already, below what is held of it: too many are seen rather than too few.

use std::collections::HashSet;
use std::sync::Arc;

use git2::{Odb, Oid, Repository, Tree};

use super::{Rewritten, Store, ancestry, fetch, open, problem};
use crate::session::Session;
use crate::{Commit, CommitId, RefSpec, Remote, RepoPath, SourceError};

/// Depths fetched, one after the other.
const DEPTHS: [i32; 3] = [50, 500, 5_000];
/// Commits of one range, and commits walked for it.
const MAX_RANGE: usize = 5_000;
const MAX_WALK: usize = 50_000;
/// Directories compared for one merge.
const MAX_TREES: usize = 20_000;

/// One commit of a range.
#[derive(Debug)]
pub struct Step<'a> {
    /// What it says.
    pub commit: &'a Commit,
    /// Its bytes as Git hashes them.
    pub object: &'a [u8],
    /// For each path that was asked for: whether it changes it. A merge changes what is not as merging alone makes it.
    pub touches: &'a [bool],
}

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
        let _one_at_a_time = self
            .fetching
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let session = Session::open(remote)?;
        let repository = self.current().open()?;
        let Some(tag) = fetch::download(&repository, &session, reference, 1, None)?.tag else {
            return Ok(None);
        };
        let odb = repository.odb().map_err(|error| problem(&error))?;
        let object = crate::commit::tag_bytes(&odb, tag)?.ok_or(SourceError::NoSuchCommit)?;
        Ok(Some(object.data().to_vec()))
    }

    /// Shows every commit from `old`, without it, to `new`, parents before children. Says first whether `new` descends from
    /// `old` (of tags that is not asked); the range is then what only `new` has. Meant for a store of its own: history is fetched into it.
    ///
    /// # Errors
    /// [`SourceError::TooLarge`] where the two do not meet within 5,000 commits.
    pub fn range(
        &self,
        remote: &Remote,
        reference: &RefSpec,
        (old, new): (CommitId, CommitId),
        paths: &[RepoPath],
        see: &mut dyn FnMut(&Step<'_>),
    ) -> Result<Rewritten, SourceError> {
        let _one_at_a_time = self
            .fetching
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let session = Session::open(&remote.for_history(self.options.max_bytes))?;
        if self.is_full() {
            self.start_afresh()?;
        }
        let generation = self.current();
        let repository = generation.open()?;
        let mut depths = DEPTHS.iter();
        let range = loop {
            // A fresh view each time: the boundary of a shallow store moves.
            let odb = repository.odb().map_err(|error| problem(&error))?;
            if let Some(range) = complete(&odb, old, new, depths.len() == 0)? {
                break range;
            }
            let local = session.is_local() && depths.len() < DEPTHS.len();
            let Some(depth) = depths.next().filter(|_| !local) else {
                return Err(SourceError::TooLarge(format!(
                    "over {MAX_RANGE} commits since the last one that was verified"
                )));
            };
            fetch::download(&repository, &session, reference, *depth, None)?;
        };
        let repository = generation.open()?;
        let odb = repository.odb().map_err(|error| problem(&error))?;
        for id in &range {
            let bytes = object(&odb, *id)?.ok_or(SourceError::NoSuchCommit)?;
            let commit = Commit::read(&odb, *id)?.ok_or(SourceError::NoSuchCommit)?;
            let touches = paths
                .iter()
                .map(|path| touches(&repository, &commit, path))
                .collect::<Result<Vec<bool>, _>>()?;
            see(&Step {
                commit: &commit,
                object: &bytes,
                touches: &touches,
            });
        }
        if !reference.has_history() {
            return Ok(Rewritten::No);
        }
        Ok(match ancestry::relation(&odb, old, new)? {
            ancestry::Relation::Descends => Rewritten::No,
            ancestry::Relation::Rewritten => Rewritten::Yes,
            ancestry::Relation::Undecided => Rewritten::Unknown,
        })
    }
}

impl Store {
    /// Leaves what was fetched so far behind: every fetch adds a pack.
    pub(super) fn start_afresh(&self) -> Result<(), SourceError> {
        let old = self.current();
        let fresh = open::keep(&self.dir, open::create(&self.dir, old.number() + 1)?)?;
        *self
            .current
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(fresh);
        old.retire();
        Ok(())
    }
}

/// The whole range, parents before children, if the store holds it with the parents of every commit in it: a commit is
/// compared with those.
///
/// A branch that left long ago may lead to the very first commit without meeting what is held of the old head's history.
/// Then more of that is fetched, unless this is the `last` try.
fn complete(
    odb: &Odb<'_>,
    old: CommitId,
    new: CommitId,
    last: bool,
) -> Result<Option<Vec<CommitId>>, SourceError> {
    if old == new {
        return Ok(Some(Vec::new()));
    }
    let before = Reached::from(odb, old, &HashSet::new())?;
    let stop: HashSet<CommitId> = before.order.into_iter().collect();
    let range = Reached::from(odb, new, &stop)?;
    if !range.edge.is_empty() || (range.root && !before.edge.is_empty() && !last) {
        return Ok(None);
    }
    if range.order.len() > MAX_RANGE {
        return Err(SourceError::TooLarge(format!("over {MAX_RANGE} commits at once")));
    }
    Ok(Some(range.order))
}

/// What is reached from a commit.
struct Reached {
    /// Held, parents before children.
    order: Vec<CommitId>,
    /// Named, and not held.
    edge: HashSet<CommitId>,
    /// One of them has no parents.
    root: bool,
}

impl Reached {
    fn from(odb: &Odb<'_>, start: CommitId, stop: &HashSet<CommitId>) -> Result<Self, SourceError> {
        let mut reached = Self {
            order: Vec::new(),
            edge: HashSet::new(),
            root: false,
        };
        let mut seen = HashSet::new();
        // Entered, and left once all of its parents are.
        let mut stack = vec![(start, false)];
        while let Some((id, leave)) = stack.pop() {
            if leave {
                reached.order.push(id);
                continue;
            }
            if stop.contains(&id) || !seen.insert(id) {
                continue;
            }
            if seen.len() > MAX_WALK {
                return Err(SourceError::TooLarge(format!("over {MAX_WALK} commits")));
            }
            match Commit::read(odb, id)? {
                None => {
                    reached.edge.insert(id);
                }
                Some(commit) => {
                    reached.root |= commit.parents.is_empty();
                    stack.push((id, true));
                    stack.extend(commit.parents.iter().rev().map(|parent| (*parent, false)));
                }
            }
        }
        Ok(reached)
    }
}

fn object(odb: &Odb<'_>, id: CommitId) -> Result<Option<Vec<u8>>, SourceError> {
    Ok(crate::commit::bytes(odb, id)?.map(|object| object.data().to_vec()))
}

/// What a path is in a tree: nothing, or an object of a kind.
type Place = Option<(Oid, i32)>;

fn touches(repository: &Repository, commit: &Commit, path: &RepoPath) -> Result<bool, SourceError> {
    let at = |id: CommitId| -> Result<Place, SourceError> {
        let odb = repository.odb().map_err(|error| problem(&error))?;
        let commit = Commit::read(&odb, id)?.ok_or(SourceError::NoSuchCommit)?;
        place(repository, commit.tree.oid(), path)
    };
    let now = place(repository, commit.tree.oid(), path)?;
    match commit.parents.as_slice() {
        [] => Ok(now.is_some()),
        [parent] => Ok(at(*parent)? != now),
        [one, other] => {
            let (one_place, other_place) = (at(*one)?, at(*other)?);
            if one_place == other_place {
                return Ok(now != one_place);
            }
            let mut budget = MAX_TREES;
            for base in bases(repository, *one, *other)? {
                let base = base.map(at).transpose()?.flatten();
                if !merges_to(repository, base, one_place, other_place, now, &mut budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        // More than two at once: only what all of them agree on is nobody's change.
        many => {
            for parent in many {
                if at(*parent)? != now {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// Where two lines part. `None` where they never met.
fn bases(
    repository: &Repository,
    one: CommitId,
    other: CommitId,
) -> Result<Vec<Option<CommitId>>, SourceError> {
    match repository.merge_bases(one.oid(), other.oid()) {
        Ok(found) => Ok(found.iter().map(|id| Some(CommitId::of(*id))).collect()),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(vec![None]),
        Err(error) => Err(problem(&error)),
    }
}

/// Whether merging alone makes `merged` out of the two sides: a side that is as the base gives way. Files that both sides
/// changed take a decision, and so do not.
fn merges_to(
    repository: &Repository,
    base: Place,
    one: Place,
    other: Place,
    merged: Place,
    budget: &mut usize,
) -> Result<bool, SourceError> {
    if one == other || other == base {
        return Ok(merged == one);
    }
    if one == base {
        return Ok(merged == other);
    }
    let trees = [base, one, other, merged].map(|place| tree(repository, place));
    let [base, one, other, merged] = trees;
    let (Some(one), Some(other), Some(merged)) = (one?, other?, merged?) else {
        return Ok(false);
    };
    let base = base?;
    let mut names: HashSet<Vec<u8>> = HashSet::new();
    for tree in [base.as_ref(), Some(&one), Some(&other), Some(&merged)]
        .into_iter()
        .flatten()
    {
        names.extend(tree.iter().map(|entry| entry.name_bytes().to_vec()));
    }
    *budget = budget.saturating_sub(1 + names.len() / 64);
    if *budget == 0 {
        return Err(SourceError::TooLarge(
            "directories to compare for one merge".into(),
        ));
    }
    for name in names {
        let entry = |tree: &Tree<'_>| entry(tree, &name);
        let of_base = base.as_ref().and_then(entry);
        if !merges_to(
            repository,
            of_base,
            entry(&one),
            entry(&other),
            entry(&merged),
            budget,
        )? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn tree(repository: &Repository, place: Place) -> Result<Option<Tree<'_>>, SourceError> {
    const DIRECTORY: i32 = 0o40_000;
    match place {
        Some((id, DIRECTORY)) => repository
            .find_tree(id)
            .map(Some)
            .map_err(|error| problem(&error)),
        _ => Ok(None),
    }
}

fn entry(tree: &Tree<'_>, name: &[u8]) -> Place {
    let found = tree.iter().find(|entry| entry.name_bytes() == name)?;
    Some((found.id(), found.filemode_raw()))
}

/// Walks down by hand: a directory that is not in the store is an error, and not an absent path.
pub(super) fn place(repository: &Repository, root: Oid, path: &RepoPath) -> Result<Place, SourceError> {
    let mut here: Place = Some((root, 0o40_000));
    for component in path.components() {
        here = match tree(repository, here)? {
            Some(tree) => entry(&tree, component.as_bytes()),
            None => None,
        };
    }
    Ok(here)
}
