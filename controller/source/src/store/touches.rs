//! Whether a commit changes a path.
//!
//! A merge changes what is not as merging alone makes it: it may bring in what others have committed, and it may not drop it.

use std::collections::HashSet;

use git2::{Oid, Repository, Tree};

use super::problem;
use crate::{Commit, CommitId, RepoPath, SourceError};

/// Directories compared for one merge.
const MAX_TREES: usize = 20_000;

/// What a path is in a tree: nothing, or an object of a kind.
pub(super) type Place = Option<(Oid, i32)>;
/// The kind of a directory.
pub(super) const DIRECTORY: i32 = 0o40_000;

/// `meets`: whether all is held of where the sides of a merge part. Where it is not, only what all of them agree on is nobody's
/// change.
pub(super) fn touches(
    repository: &Repository,
    commit: &Commit,
    path: &RepoPath,
    meets: bool,
) -> Result<bool, SourceError> {
    let at = |id: CommitId| -> Result<Place, SourceError> {
        let odb = repository.odb().map_err(|error| problem(&error))?;
        let commit = Commit::read(&odb, id)?.ok_or(SourceError::NoSuchCommit)?;
        place(repository, commit.tree.oid(), path)
    };
    let now = place(repository, commit.tree.oid(), path)?;
    match commit.parents.as_slice() {
        [] => Ok(now.is_some()),
        [parent] => Ok(at(*parent)? != now),
        [one, other] if meets => {
            let (one_place, other_place) = (at(*one)?, at(*other)?);
            if one_place == other_place {
                return Ok(now != one_place);
            }
            let Some(bases) = bases(repository, *one, *other)? else {
                return Ok(true);
            };
            let mut budget = MAX_TREES;
            for base in bases {
                let base = base.map(at).transpose()?.flatten();
                if !merges_to(repository, base, one_place, other_place, now, &mut budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        // More than two at once, too.
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

/// Where two lines part: one of them is `None` where they never met. Nothing where they may have met in what is not held.
fn bases(
    repository: &Repository,
    one: CommitId,
    other: CommitId,
) -> Result<Option<Vec<Option<CommitId>>>, SourceError> {
    match repository.merge_bases(one.oid(), other.oid()) {
        Ok(found) => Ok(Some(found.iter().map(|id| Some(CommitId::of(*id))).collect())),
        Err(error) if error.code() == git2::ErrorCode::NotFound => {
            Ok((!repository.is_shallow()).then(|| vec![None]))
        }
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

/// The directory at a place; nothing where there is something else, or nothing.
pub(super) fn tree(repository: &Repository, place: Place) -> Result<Option<Tree<'_>>, SourceError> {
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
    let mut here: Place = Some((root, DIRECTORY));
    for component in path.components() {
        here = match tree(repository, here)? {
            Some(tree) => entry(&tree, component.as_bytes()),
            None => None,
        };
    }
    Ok(here)
}
