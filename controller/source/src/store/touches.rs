//! Whether a commit changes a path.
//!
//! A merge changes what is not as merging alone makes it: it may bring in what others have committed, and it may not drop it.
//!
//! Who has made these trees is not known yet. They are compared without a call for each directory in a directory, within bounds, and
//! what is beyond them counts as changed.

use git2::{ErrorCode, Repository};

use super::place::{Look, Place, Thing};
use super::problem;
use crate::tree::DEEPEST;
use crate::{Budget, Commit, CommitId, RepoPath, SourceError};

/// Entries of all directories looked at for one commit and path: those of four sides, and of those on the way.
const MOST_ENTRIES: usize = 400_000;

/// What a path is on both sides of a merge, where those part, and in the merge.
#[derive(Clone, Copy)]
struct Sides {
    base: Place,
    one: Place,
    other: Place,
    merged: Place,
}

/// `meets`: whether all is held of where the sides of a merge part. Where it is not, only what all of them agree on is nobody's
/// change.
pub(super) fn touches(
    repository: &Repository,
    commit: &Commit,
    path: &RepoPath,
    meets: bool,
    time: &Budget,
) -> Result<bool, SourceError> {
    match is_touched(repository, commit, path, meets, time) {
        Err(SourceError::TooLarge(_)) => Ok(true),
        answer => answer,
    }
}

fn is_touched(
    repository: &Repository,
    commit: &Commit,
    path: &RepoPath,
    meets: bool,
    time: &Budget,
) -> Result<bool, SourceError> {
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let go_on = || time.remaining().map(drop);
    let mut look = Look::new(&odb, MOST_ENTRIES, &go_on);
    let now = look.place(commit.tree, path)?;
    match commit.parents.as_slice() {
        [] => Ok(now.is_some()),
        [parent] => Ok(look.place_in(*parent, path)? != now),
        [one, other] if meets => {
            let (one_place, other_place) = (look.place_in(*one, path)?, look.place_in(*other, path)?);
            if one_place == other_place {
                return Ok(now != one_place);
            }
            let Some(bases) = bases(repository, *one, *other)? else {
                return Ok(true);
            };
            for base in bases {
                let base = base.map(|base| look.place_in(base, path)).transpose()?;
                let sides = Sides {
                    base: base.flatten(),
                    one: one_place,
                    other: other_place,
                    merged: now,
                };
                if !merges(&mut look, sides)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        // More than two at once, too.
        many => {
            for parent in many {
                if look.place_in(*parent, path)? != now {
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
        Err(error) if error.code() == ErrorCode::NotFound => {
            Ok((!repository.is_shallow()).then(|| vec![None]))
        }
        Err(error) => Err(problem(&error)),
    }
}

/// Whether merging alone makes `merged` out of the two sides: a side that is as the base gives way. Files that both sides
/// changed take a decision, and so do not.
fn merges(look: &mut Look<'_>, sides: Sides) -> Result<bool, SourceError> {
    let mut next = Vec::new();
    match merges_whole(&sides) {
        Some(answer) => return Ok(answer),
        None => next.push((sides, 0)),
    }
    while let Some((
        Sides {
            base,
            one,
            other,
            merged,
        },
        depth,
    )) = next.pop()
    {
        if depth == DEEPEST {
            return Err(SourceError::TooLarge("directories nested too deeply".into()));
        }
        for (_, [base, one, other, merged]) in look.names([base, one, other, merged])? {
            let sides = Sides {
                base,
                one,
                other,
                merged,
            };
            match merges_whole(&sides) {
                Some(true) => {}
                Some(false) => return Ok(false),
                None => next.push((sides, depth + 1)),
            }
        }
    }
    Ok(true)
}

/// The same of what can be told without a look into directories.
fn merges_whole(sides: &Sides) -> Option<bool> {
    let Sides {
        base,
        one,
        other,
        merged,
    } = *sides;
    if one == other || other == base {
        return Some(merged == one);
    }
    if one == base {
        return Some(merged == other);
    }
    let directories = [one, other, merged]
        .iter()
        .all(|place| place.is_some_and(Thing::is_directory));
    (!directories).then_some(false)
}

#[cfg(test)]
mod tests {
    use git2::ObjectType;

    use super::*;
    use crate::RemoteLimits;

    #[test]
    fn time_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let odb = repository.odb().unwrap();
        let tree = odb.write(ObjectType::Tree, b"").unwrap();
        let who = "a <a> 1 +0000";
        let text = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n");
        let id = CommitId::of(odb.write(ObjectType::Commit, text.as_bytes()).unwrap());
        let commit = Commit::read(&odb, id).unwrap().unwrap();
        let path = RepoPath::parse("infra").unwrap();
        let time = Budget::begin(&RemoteLimits::default());
        assert_eq!(touches(&repository, &commit, &path, true, &time), Ok(false));
        time.cancel();
        let late = touches(&repository, &commit, &path, true, &time);
        assert!(matches!(late, Err(SourceError::Timeout(_))), "{late:?}");
    }
}
