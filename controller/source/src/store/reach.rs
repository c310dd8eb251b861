//! What lies between two commits, from what is held of a history.
//!
//! A range is what the new head has and the old one has not: every commit that is reached from the new head, less what is
//! reached from the old one. The walk from the new head stops at what is known to be the old one's, and has to meet nothing
//! that is not held. Of the old head's history the nearest part is enough: what is left out of it is at most seen once more.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

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
    let history = History::of(odb);
    let before = history.before(old, most)?;
    if before.held.contains(&new) {
        return Ok(Some(Between {
            commits: Vec::new(),
            descends: old.id == new,
        }));
    }
    let found = history.found(new, &before.held, old.id)?;
    let more = before.edge && !last;
    if found.full && !more {
        return Err(SourceError::TooLarge(format!("over {MAX_RANGE} commits at once")));
    }
    if found.full || found.edge || (found.root && more) {
        return Ok(None);
    }
    // The old head's history may come up behind a merge: what its sides share is not known then, and more is seen than is new.
    if more {
        for id in &found.order {
            if history.is_whole(*id, most)? == Whole::ButForBases {
                return Ok(None);
            }
        }
    }
    Ok(Some(Between {
        commits: found.order,
        descends: found.met,
    }))
}

/// What is held of a history. Each commit is read once.
pub(super) struct History<'a> {
    odb: &'a Odb<'a>,
    parents: RefCell<HashMap<CommitId, Option<Rc<[CommitId]>>>>,
}

impl<'a> History<'a> {
    pub(super) fn of(odb: &'a Odb<'a>) -> Self {
        Self {
            odb,
            parents: RefCell::default(),
        }
    }

    /// The parents of a commit; nothing where it is not held.
    fn parents(&self, id: CommitId) -> Result<Option<Rc<[CommitId]>>, SourceError> {
        if let Some(known) = self.parents.borrow().get(&id) {
            return Ok(known.clone());
        }
        let parents = Commit::read(self.odb, id)?.map(|commit| commit.parents.into());
        self.parents.borrow_mut().insert(id, parents.clone());
        Ok(parents)
    }

    /// Whether all is held that says what a commit changes: itself, its parents, and of a merge where those part.
    pub(super) fn is_whole(&self, id: CommitId, most: usize) -> Result<Whole, SourceError> {
        let Some(parents) = self.parents(id)? else {
            return Ok(Whole::No);
        };
        for parent in &*parents {
            if self.parents(*parent)?.is_none() {
                return Ok(Whole::ButForParents);
            }
        }
        let parts = |one: CommitId, other: CommitId| -> Result<bool, SourceError> {
            let before = self.before(&other.into(), most)?;
            let found = self.found(one, &before.held, other)?;
            Ok(!found.edge && !found.full)
        };
        match *parents {
            [one, other] if !(parts(one, other)? && parts(other, one)?) => Ok(Whole::ButForBases),
            _ => Ok(Whole::Yes),
        }
    }

    /// What is held of a commit's history, itself included: the nearest first, so many.
    fn before(&self, start: &Known, most: usize) -> Result<Before, SourceError> {
        let (mut held, mut edge) = (HashSet::new(), false);
        let mut next = VecDeque::from([start.id]);
        while let Some(id) = next.pop_front() {
            if held.contains(&id) {
                continue;
            }
            if held.len() >= most {
                break;
            }
            if let Some(parents) = self.parents(id)? {
                held.insert(id);
                next.extend(parents.iter());
            } else {
                edge = true;
                if id == start.id {
                    next.extend(start.parents.iter().copied().filter(|parent| *parent != id));
                }
            }
        }
        Ok(Before { held, edge })
    }

    /// What is reached from a commit, less what it stops at.
    fn found(&self, start: CommitId, stop: &HashSet<CommitId>, goal: CommitId) -> Result<Found, SourceError> {
        let mut found = Found::default();
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
            let Some(parents) = self.parents(id)? else {
                found.edge = true;
                continue;
            };
            if seen.len() > MAX_RANGE {
                found.full = true;
                break;
            }
            found.root |= parents.is_empty();
            found.met |= parents.contains(&goal);
            stack.push((id, true));
            stack.extend(parents.iter().rev().map(|parent| (*parent, false)));
        }
        Ok(found)
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
