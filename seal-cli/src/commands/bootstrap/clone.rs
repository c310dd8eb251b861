//! The repository: a clone at hand, or one that is made for the time.

use crate::command_error::CommandError;
use crate::git::{self, publish};
use crate::output::show;
use sealing::Printable;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A clone that is where its remote is.
pub(super) struct Clone {
    pub(super) top: PathBuf,
    pub(super) branch: String,
    /// The last commit; none in a repository from nothing.
    pub(super) head: Option<String>,
    /// Where the remote is, without credentials.
    pub(super) url: String,
    temporary: Option<TempDir>,
}

impl Clone {
    /// A directory is a clone, anything else an address.
    pub(super) fn open(repository: &str, branch: Option<&str>) -> Result<Self, CommandError> {
        let (top, temporary) = if publish::is_directory(repository) {
            (git::top(Path::new(repository))?, None)
        } else {
            let (directory, path) = publish::temporary()?;
            match publish::clone(repository, branch, &path) {
                Ok(()) => {}
                // A branch that is still to be made.
                Err(_) if branch.is_some() => publish::clone(repository, None, &path)?,
                Err(err) => return Err(err),
            }
            (path, Some(directory))
        };
        let checked_out = git::branch(&top).ok_or_else(|| {
            CommandError::user(
                format!("{} is at a commit and on no branch", show(&top)),
                "check out the branch that the cluster is to follow",
            )
        })?;
        let branch = branch.map_or_else(|| checked_out.clone(), str::to_owned);
        let clone = Self {
            head: publish::head(&top),
            url: without_credentials(&publish::origin(&top)?),
            temporary,
            top,
            branch,
        };
        clone.check(&checked_out)?;
        Ok(clone)
    }

    /// Whether it holds what the remote holds, no less and no more.
    fn check(&self, checked_out: &str) -> Result<(), CommandError> {
        if checked_out != self.branch && self.head.is_some() {
            return Err(CommandError::user(
                format!(
                    "{} is checked out, and not {}",
                    Printable(checked_out),
                    Printable(&self.branch)
                ),
                "check out the branch that the cluster is to follow, and push it if it is new",
            ));
        }
        let remote = publish::remote_head(&self.top, &self.branch)?;
        if remote == self.head {
            return Ok(());
        }
        let (what, hint) = match (&self.head, &remote) {
            (Some(_), None) => (
                "the remote does not have the branch",
                "push it: `git push -u origin HEAD`",
            ),
            (None, _) => ("the clone has nothing of the branch", "`git pull` brings it"),
            (Some(head), Some(remote)) if git::is_ancestor(&self.top, remote, head) => (
                "the clone has commits that the remote does not have",
                "push them first: they are not this command's to publish",
            ),
            _ => (
                "the remote has commits that the clone does not have",
                "`git pull` brings them",
            ),
        };
        Err(CommandError::user(
            format!("{what} ({})", Printable(&self.branch)),
            hint,
        ))
    }

    /// Commits files, sends them to the remote, and then takes them into the clone. Says whether that went well.
    pub(super) fn publish(
        &mut self,
        files: &[(String, String)],
        message: &str,
    ) -> Result<Result<(), CommandError>, CommandError> {
        let commit = publish::commit_files(&self.top, self.head.as_deref(), files, message)?;
        publish::push_commit(&self.top, &commit, &self.branch)?;
        let forwarded = match &self.temporary {
            Some(_) => Ok(()),
            None => publish::forward(&self.top, &commit),
        };
        self.head = Some(commit);
        Ok(forwarded)
    }
}

/// What is before the host of an address over HTTP may be a password.
/// Refuses an address that holds what only a Secret may: it is committed.
pub(super) fn check_address(address: &str) -> Result<(), CommandError> {
    let login = without_credentials(address) != address;
    if !login && !address.contains(['?', '#']) {
        return Ok(());
    }
    // It may hold a token: it is not repeated.
    Err(CommandError::user(
        "the repository's address holds a login or a query, and would be committed as it is",
        "give the plain address with --url, and what the controller logs in with by --git-password-file",
    ))
}

fn without_credentials(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) if scheme.starts_with("http") => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        _ => address.to_owned(),
    }
}
