//! Whether a branch was rewritten, from as little history as possible.
//!
//! A shallow store does not hold the history between two heads, but each commit names its parents, held
//! or not. So from both heads we follow parents as far as the store goes. The *edge* of a walk is the
//! set of commits that were named and are not held.
//!
//! - The old head is met on the way from the new one: not rewritten.
//! - Every commit on the new head's edge is also an ancestor of the old head: then the old head cannot
//!   be an ancestor of any of them (a commit is never its own ancestor), and everything else was
//!   walked: rewritten, proven. An empty edge, a complete history, is the plain case of it; an amended
//!   head, whose parent is also the old head's, is decided so without asking the remote anything.
//! - Otherwise more history is needed.

use std::collections::{HashSet, VecDeque};

use git2::Odb;

use super::Known;
use crate::{Commit, CommitId, SourceError};

/// Commits walked from each head, the nearest first.
const MAX_COMMITS: usize = 20_000;

/// What the store alone can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// The old head is an ancestor of the new one, or the same.
    Descends,
    /// It is not.
    Rewritten,
    /// The store does not hold enough history.
    Undecided,
}

pub(super) fn relation(odb: &Odb<'_>, old: &Known, new: CommitId) -> Result<Relation, SourceError> {
    relation_within(odb, old, new, MAX_COMMITS)
}

fn relation_within(odb: &Odb<'_>, old: &Known, new: CommitId, most: usize) -> Result<Relation, SourceError> {
    let from_new = Walk::from(odb, &new.into(), Some(old.id), most)?;
    if from_new.seen.contains(&old.id) {
        return Ok(Relation::Descends);
    }
    if from_new.cut {
        return Ok(Relation::Undecided);
    }
    if from_new.edge.is_empty() {
        return Ok(Relation::Rewritten);
    }
    let from_old = Walk::from(odb, old, None, most)?;
    let known = |id: &CommitId| *id != old.id && (from_old.seen.contains(id) || from_old.edge.contains(id));
    if from_new.edge.iter().all(known) {
        Ok(Relation::Rewritten)
    } else {
        Ok(Relation::Undecided)
    }
}

struct Walk {
    /// Commits held, or the one looked for.
    seen: HashSet<CommitId>,
    /// Commits named but not held.
    edge: HashSet<CommitId>,
    /// Ended with more to walk.
    cut: bool,
}

impl Walk {
    fn from(odb: &Odb<'_>, start: &Known, goal: Option<CommitId>, most: usize) -> Result<Self, SourceError> {
        let mut walk = Self {
            seen: HashSet::new(),
            edge: HashSet::new(),
            cut: false,
        };
        let mut next = VecDeque::from([start.id]);
        while let Some(id) = next.pop_front() {
            if Some(id) == goal {
                walk.seen.insert(id);
                break;
            }
            if walk.seen.contains(&id) || walk.edge.contains(&id) {
                continue;
            }
            if walk.seen.len() >= most {
                walk.cut = true;
                break;
            }
            if let Some(commit) = Commit::read(odb, id)? {
                walk.seen.insert(id);
                next.extend(commit.parents);
            } else {
                walk.edge.insert(id);
                if id == start.id {
                    next.extend(&start.parents);
                }
            }
        }
        Ok(walk)
    }
}

#[cfg(test)]
mod tests {
    use git2::{ObjectType, Oid, Repository};

    use super::*;

    const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

    fn bytes(parents: &[CommitId], message: &str) -> Vec<u8> {
        let parents = parents
            .iter()
            .map(|id| format!("parent {id}\n"))
            .collect::<Vec<_>>()
            .concat();
        format!("tree {TREE}\n{parents}author a <a> 1 +0000\ncommitter a <a> 1 +0000\n\n{message}\n").into()
    }

    fn held(odb: &Odb<'_>, parents: &[CommitId], message: &str) -> CommitId {
        CommitId::of(odb.write(ObjectType::Commit, &bytes(parents, message)).unwrap())
    }

    fn missing(parents: &[CommitId], message: &str) -> CommitId {
        CommitId::of(Oid::hash_object(ObjectType::Commit, &bytes(parents, message)).unwrap())
    }

    #[test]
    fn decides_from_what_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let odb = repository.odb().unwrap();
        let root = missing(&[], "root");
        let base = missing(&[root], "base");
        let old = held(&odb, &[base], "old");

        let child = held(&odb, &[old], "child");
        assert_eq!(relation(&odb, &old.into(), child), Ok(Relation::Descends));
        assert_eq!(relation(&odb, &old.into(), old), Ok(Relation::Descends));
        let merge = held(&odb, &[missing(&[], "other"), old], "merge");
        assert_eq!(relation(&odb, &old.into(), merge), Ok(Relation::Descends));

        let amended = held(&odb, &[base], "amended");
        assert_eq!(relation(&odb, &old.into(), amended), Ok(Relation::Rewritten));
        let orphan = held(&odb, &[], "orphan");
        assert_eq!(relation(&odb, &old.into(), orphan), Ok(Relation::Rewritten));

        // Two commits on: the middle one is not held.
        let middle = missing(&[old], "middle");
        let far = held(&odb, &[middle], "far");
        assert_eq!(relation(&odb, &old.into(), far), Ok(Relation::Undecided));
        // Back to an ancestor: its own parents are the old head's ancestors too, once they are held.
        let base = held(&odb, &[root], "base");
        assert_eq!(relation(&odb, &old.into(), base), Ok(Relation::Rewritten));

        // A head that is not held, and whose parents are known from elsewhere.
        let gone = missing(&[base], "gone");
        assert_eq!(relation(&odb, &gone.into(), base), Ok(Relation::Undecided));
        let parents = vec![base];
        assert_eq!(
            relation(&odb, &Known { id: gone, parents }, base),
            Ok(Relation::Rewritten)
        );
    }

    #[test]
    fn what_is_near_is_found_beside_a_side_that_is_deeper_than_what_is_walked() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let odb = repository.odb().unwrap();
        let old = held(&odb, &[], "old");
        let mut side = held(&odb, &[], "side");
        for number in 0..9 {
            side = held(&odb, &[side], &number.to_string());
        }
        let merge = held(&odb, &[old, side], "merge");
        let found = |most| relation_within(&odb, &old.into(), merge, most);
        assert_eq!(found(3), Ok(Relation::Descends));
        // What is not found is not said to be missing.
        let other = held(&odb, &[], "other");
        assert_eq!(
            relation_within(&odb, &other.into(), merge, 3),
            Ok(Relation::Undecided)
        );
    }
}
