//! Submodules taken over from a store that is left behind for a fresh one: else each would be fetched again, also one whose host is
//! away.

use super::{DEEPEST, MOST, key, known, links};
use crate::store::{Generation, Measure, boundary, origins, problem, record};
use crate::{Budget, CommitId, SourceError, TreeId};

/// Entries of all of them, each as often as it is there: so libgit2 goes through them.
const MOST_ENTRIES: u64 = 2_000_000;

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

/// What the old store holds of them. What would be too much to go through is left out: it is fetched again.
fn held(
    old: &Generation,
    fresh: &Generation,
    root: TreeId,
    budget: &Budget,
) -> Result<Vec<CommitId>, SourceError> {
    let repository = old.open()?;
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let (mut measure, mut left) = (Measure::new(&odb, budget), MOST_ENTRIES);
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
            let Some(tree) = known(old, link.commit)? else {
                continue;
            };
            let entries = match measure.entries(tree) {
                Err(SourceError::TooLarge(_)) => continue,
                entries => entries?,
            };
            if let Some(rest) = left.checked_sub(entries) {
                left = rest;
                commits.push(link.commit);
                next.push((tree, depth + 1));
            }
        }
    }
    Ok(commits)
}
