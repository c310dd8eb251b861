//! What lies between two commits, from what is held of a history.
//!
//! A range is what the new head has and the old one has not: every commit that is reached from the new head, less what is
//! reached from the old one. The walk from the new head stops at what is known to be the old one's, and has to meet nothing
//! that is not held. Of the old head's history the nearest part is enough: what is left out of it is at most seen once more.

use std::collections::{HashSet, VecDeque};

use git2::Odb;

use crate::{Commit, CommitId, SourceError};

/// Commits of one range.
pub(super) const MAX_RANGE: usize = 5_000;

/// A commit, and what it descends from, where that is known from elsewhere: a store that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub id: CommitId,
    /// Its parents; none are known where there are none.
    pub parents: Vec<CommitId>,
}

impl From<CommitId> for Known {
    fn from(id: CommitId) -> Self {
        let parents = Vec::new();
        Self { id, parents }
    }
}

impl From<&Commit> for Known {
    fn from(commit: &Commit) -> Self {
        Self {
            id: commit.id,
            parents: commit.parents.clone(),
        }
    }
}

/// The commits of a range.
#[derive(Debug, Default)]
pub(super) struct Between {
    /// Parents before children.
    pub(super) commits: Vec<CommitId>,
    /// Whether the new head descends from the old one.
    pub(super) descends: bool,
}

/// The whole range, if the store holds it with the parents of every commit in it: a commit is compared with those.
///
/// A branch that left long ago may lead to the very first commit without meeting what is held of the old head's history.
/// Then more of that is fetched, unless this is the `last` try. The same goes for a range that is too long.
pub(super) fn between(
    odb: &Odb<'_>,
    old: &Known,
    new: CommitId,
    most: usize,
    last: bool,
) -> Result<Option<Between>, SourceError> {
    let before = Before::of(odb, old, most)?;
    if before.held.contains(&new) {
        return Ok(Some(Between {
            commits: Vec::new(),
            descends: old.id == new,
        }));
    }
    let found = Found::from(odb, new, &before.held, old.id)?;
    let more = before.edge && !last;
    if found.full && !more {
        return Err(SourceError::TooLarge(format!("over {MAX_RANGE} commits at once")));
    }
    if found.full || found.edge || (found.root && more) {
        return Ok(None);
    }
    Ok(Some(Between {
        commits: found.order,
        descends: found.met,
    }))
}

/// Whether all is held that says what a commit changes: itself, its parents, and of a merge where those part.
pub(super) fn is_whole(odb: &Odb<'_>, id: CommitId, most: usize) -> Result<Whole, SourceError> {
    let Some(commit) = Commit::read(odb, id)? else {
        return Ok(Whole::No);
    };
    for parent in &commit.parents {
        if Commit::read(odb, *parent)?.is_none() {
            return Ok(Whole::ButForParents);
        }
    }
    let parts = |one: CommitId, other: CommitId| -> Result<bool, SourceError> {
        let before = Before::of(odb, &other.into(), most)?;
        let found = Found::from(odb, one, &before.held, other)?;
        Ok(!found.edge && !found.full)
    };
    match commit.parents.as_slice() {
        [one, other] if !(parts(*one, *other)? && parts(*other, *one)?) => Ok(Whole::ButForBases),
        _ => Ok(Whole::Yes),
    }
}

/// How much is held of a commit and what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    /// Where the sides of a merge part may not be.
    ButForBases,
    /// Not all of its parents are.
    ButForParents,
    No,
}

/// What is held of a commit's history, itself included: the nearest first, so many.
struct Before {
    held: HashSet<CommitId>,
    /// Some are named and not held.
    edge: bool,
}

impl Before {
    fn of(odb: &Odb<'_>, start: &Known, most: usize) -> Result<Self, SourceError> {
        let (mut held, mut edge) = (HashSet::new(), false);
        let mut next = VecDeque::from([start.id]);
        while let Some(id) = next.pop_front() {
            if held.contains(&id) {
                continue;
            }
            if held.len() >= most {
                break;
            }
            if let Some(commit) = Commit::read(odb, id)? {
                held.insert(id);
                next.extend(commit.parents);
            } else {
                edge = true;
                if id == start.id {
                    next.extend(start.parents.iter().copied().filter(|parent| *parent != id));
                }
            }
        }
        Ok(Self { held, edge })
    }
}

/// What is reached from a commit, less what it stops at.
#[derive(Default)]
struct Found {
    /// Held, parents before children.
    order: Vec<CommitId>,
    /// Some are named and not held.
    edge: bool,
    /// One of them has no parents.
    root: bool,
    /// One of them has the commit that was looked for as a parent.
    met: bool,
    /// There are more than a range may have.
    full: bool,
}

impl Found {
    fn from(
        odb: &Odb<'_>,
        start: CommitId,
        stop: &HashSet<CommitId>,
        goal: CommitId,
    ) -> Result<Self, SourceError> {
        let mut found = Self::default();
        let mut seen = HashSet::new();
        // Entered, and left once all of its parents are.
        let mut stack = vec![(start, false)];
        while let Some((id, leave)) = stack.pop() {
            if leave {
                found.order.push(id);
                continue;
            }
            if stop.contains(&id) || !seen.insert(id) {
                continue;
            }
            let Some(commit) = Commit::read(odb, id)? else {
                found.edge = true;
                continue;
            };
            if seen.len() > MAX_RANGE {
                found.full = true;
                break;
            }
            found.root |= commit.parents.is_empty();
            found.met |= commit.parents.contains(&goal);
            stack.push((id, true));
            stack.extend(commit.parents.iter().rev().map(|parent| (*parent, false)));
        }
        Ok(found)
    }
}
