//! Submodules taken over from a store that is left behind for a fresh one: else each would be fetched again, also one whose host is
//! away.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use super::{DEEPEST, MOST, key, known, links};
use crate::store::{Generation, problem, record};
use crate::{Budget, CommitId, SourceError, TreeId};

/// Takes over those of a commit, whose tree this is and which `fresh` holds.
pub(crate) fn carry(
    old: &Generation,
    fresh: &Generation,
    root: TreeId,
    budget: &Budget,
) -> Result<(), SourceError> {
    let commits = held(old, fresh, root, budget)?;
    if commits.is_empty() {
        return Ok(());
    }
    let repository = old.open()?;
    let mut pack = repository.packbuilder().map_err(|error| problem(&error))?;
    pack.set_threads(1);
    for commit in &commits {
        budget.remaining()?;
        pack.insert_commit(commit.oid())
            .map_err(|error| problem(&error))?;
    }
    let to = fresh.dir().join("objects/pack");
    pack.write(&to, 0o600).map_err(|error| problem(&error))?;
    end_of_history(fresh, &commits)?;
    for commit in commits {
        record(fresh, &key(commit)?, commit)?;
    }
    Ok(())
}

/// What the old store holds of them.
fn held(
    old: &Generation,
    fresh: &Generation,
    root: TreeId,
    budget: &Budget,
) -> Result<Vec<CommitId>, SourceError> {
    let mut commits: Vec<CommitId> = Vec::new();
    let mut next = vec![(root, 0)];
    while let Some((tree, depth)) = next.pop() {
        let from = if depth == 0 { fresh } else { old };
        for link in links(from, tree, "", budget)? {
            if commits.len() == MOST || depth == DEEPEST {
                return Ok(commits);
            }
            if commits.contains(&link.commit) {
                continue;
            }
            if let Some(tree) = known(old, link.commit)? {
                commits.push(link.commit);
                next.push((tree, depth + 1));
            }
        }
    }
    Ok(commits)
}

/// Says that what comes before these commits is not here (gitformat-shallow: one id a line).
fn end_of_history(fresh: &Generation, commits: &[CommitId]) -> Result<(), SourceError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    let file = options.open(fresh.dir().join("shallow"));
    let lines: Vec<String> = commits.iter().map(|commit| format!("{commit}\n")).collect();
    file.and_then(|mut file| file.write_all(lines.concat().as_bytes()))
        .map_err(|error| SourceError::Store(error.kind().to_string()))
}
