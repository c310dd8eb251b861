//! Submodules taken over from a store that is left behind for a fresh one: else each would be fetched again, also one whose host is
//! away.

use super::{DEEPEST, MOST, key, known, links};
use crate::store::{Generation, boundary, origins, problem, record};
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
    origins::note(fresh.dir(), "of submodules")?;
    pack.write(&fresh.pack_dir(), 0o600)
        .map_err(|error| problem(&error))?;
    let ids: Vec<String> = commits.iter().map(CommitId::to_string).collect();
    boundary::add(fresh, &ids)?;
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
