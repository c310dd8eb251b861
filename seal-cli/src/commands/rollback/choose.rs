//! Which commits have to be reverted.

use super::path_of;
use crate::command_error::CommandError;
use crate::git::{self, Commit};
use crate::syncs::full_name;
use crds::{Revision, Sync};
use sealing::Printable;
use std::path::Path;

/// The most commits that are reverted at once. Whoever goes back further restores a directory, which is one commit.
const MOST: usize = 100;

/// What is to be done.
pub(super) struct Choice {
    /// The commit that the path goes back to; none: to before it was there.
    pub(super) target: Option<String>,
    /// Newest first.
    pub(super) revert: Vec<Commit>,
    /// The branch that the Sync follows; empty if it does not say.
    pub(super) branch: String,
}

pub(super) fn choose(top: &Path, sync: &Sync, to: Option<&str>) -> Result<Choice, CommandError> {
    let status = sync.status.as_ref();
    let applied = status.and_then(|status| status.last_applied_revision.as_ref());
    let attempted = status.and_then(|status| status.last_attempted_revision.as_ref());
    let Some(newest) = attempted.or(applied) else {
        return Err(CommandError::user(
            format!("Sync {} has not applied anything yet", full_name(sync)),
            "there is nothing to go back to",
        ));
    };
    // What the cluster has must be in the clone, or a change that is not here would stay.
    for revision in [Some(newest), applied].into_iter().flatten() {
        if !git::is_ancestor(top, &revision.commit, "HEAD") {
            return Err(CommandError::user(
                format!(
                    "the clone's HEAD does not have {}, which the Sync knows",
                    Printable(&revision.short())
                ),
                "is it a clone of the Sync's Repository, and on its branch? then `git pull`",
            ));
        }
    }
    // By first parents: a merge is one change, as the branch sees it.
    let touched = git::log_first_parent(top, "HEAD", &path_of(sync), MOST + 1)?;
    let keep = match to {
        Some(to) => wanted(top, to, &touched)?,
        None => before(top, &touched, newest, applied)?,
    };
    let revert: Vec<Commit> = touched.iter().take(keep).cloned().collect();
    if revert.is_empty() {
        return Err(CommandError::user(
            format!("no commit has touched {} since then", Printable(&sync.spec.path)),
            "`signet history --sync NAME` shows the commits",
        ));
    }
    if revert.len() > MOST {
        return Err(CommandError::user(
            format!("more than {MOST} commits would have to be reverted"),
            "restore the directory instead: git restore --source REVISION -- PATH, and commit",
        ));
    }
    Ok(Choice {
        target: to
            .map(|to| git::commit(top, to))
            .transpose()?
            .or_else(|| touched.get(keep).map(|commit| commit.id.clone())),
        revert,
        branch: newest.branch.clone(),
    })
}

/// How many of the newest commits go, so that `to` is the state.
fn wanted(top: &Path, to: &str, touched: &[Commit]) -> Result<usize, CommandError> {
    let target = git::commit(top, to)?;
    if !git::is_ancestor(top, &target, "HEAD") {
        return Err(CommandError::user(
            format!("{} is not in the history of HEAD", Printable(to)),
            "`signet history` shows what is",
        ));
    }
    Ok(position(top, touched, &target))
}

/// The same without being told: the newest change goes, which is that which failed, or that which is applied.
fn before(
    top: &Path,
    touched: &[Commit],
    newest: &Revision,
    applied: Option<&Revision>,
) -> Result<usize, CommandError> {
    match applied {
        Some(applied) if applied.commit != newest.commit => Ok(position(top, touched, &applied.commit)),
        _ => {
            let now = position(top, touched, &newest.commit);
            if now + 1 >= touched.len() {
                return Err(CommandError::user(
                    "what is applied is the first commit that touched the path",
                    "there is nothing before it; --to REVISION names a commit if you want one without it",
                ));
            }
            Ok(now + 1)
        }
    }
}

/// How many of these commits are newer than what `commit` has.
fn position(top: &Path, touched: &[Commit], commit: &str) -> usize {
    touched
        .iter()
        .position(|touching| git::is_ancestor(top, &touching.id, commit))
        .unwrap_or(touched.len())
}
