//! The clone's commits, read through a store of our own beside it: the clone itself is never written to.

use crate::command_error::CommandError;
use crate::git;
use crate::output::show;
use render::{Limits, Rendered, Variables};
use sealing::Printable;
use source::{CommitId, Snapshot, Store};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// A private store whose alternate is the clone's object database.
pub(super) struct LocalClone {
    store: Store,
    /// Removed when this is dropped.
    directory: TempDir,
}

impl LocalClone {
    pub(super) fn open(top: &Path) -> Result<Self, CommandError> {
        let objects = git::objects(top)?;
        let trouble = |err: &dyn std::fmt::Display| {
            CommandError::user(
                format!(
                    "cannot make a store beside the clone: {}",
                    Printable(&err.to_string())
                ),
                "is there room in the directory for temporary files (TMPDIR)?",
            )
        };
        // One line a path (gitrepository-layout, objects/info/alternates).
        let line = objects.to_str().filter(|path| !path.contains(['\n', '"']));
        let Some(line) = line else {
            return Err(CommandError::user(
                format!("the path {} cannot be written down for Git", show(&objects)),
                "move the clone to a directory with a plain name",
            ));
        };
        let directory = tempfile::Builder::new()
            .prefix("signet-diff-")
            .tempdir()
            .map_err(|err| trouble(&err))?;
        let store = Store::open(&directory.path().join("store")).map_err(|err| trouble(&err))?;
        let info = store.repository_dir().join("objects/info");
        fs::create_dir_all(&info)
            .and_then(|()| fs::write(info.join("alternates"), format!("{line}\n")))
            .map_err(|err| trouble(&err))?;
        Ok(Self { store, directory })
    }

    /// A commit of the files as they are below `path`, and of HEAD elsewhere.
    pub(super) fn worktree(&self, top: &Path, path: &str) -> Result<String, CommandError> {
        let objects = self.store.repository_dir().join("objects");
        git::commit_worktree(top, &objects, &self.directory.path().join("index"), path)
    }

    pub(super) fn snapshot(&self, commit: &str) -> Result<Snapshot, CommandError> {
        let unreadable = |reason: String| {
            CommandError::user(
                format!("cannot read commit {}: {}", Printable(commit), Printable(&reason)),
                "does the clone hold it? `git fetch` brings what is new",
            )
        };
        let id: CommitId = commit
            .parse()
            .map_err(|_| unreadable("it is not a SHA-1 commit id".to_owned()))?;
        self.store.snapshot(id).map_err(|err| unreadable(err.to_string()))
    }

    pub(super) fn render(
        &self,
        commit: &str,
        path: &str,
        variables: Option<&Arc<Variables>>,
    ) -> Result<Rendered, CommandError> {
        render::directory_with(&self.snapshot(commit)?, path, &Limits::default(), variables).map_err(|err| {
            CommandError::user(
                format!(
                    "cannot read the directory {}: {}",
                    Printable(path),
                    Printable(&err.to_string())
                ),
                "is it the directory of the Sync, and is it committed?",
            )
        })
    }
}
