//! Opening a store's directory, and what a crash may have left there.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::sparse::Sparse;
use super::{Generation, disk, problem};
use crate::{Commit, CommitId, SourceError};

const IN_USE: &str = "gen-";
const TEMPORARY: &str = "tmp-";

/// Locks `dir` and finds the newest usable repository in it, or makes one.
pub(super) fn open(dir: &Path) -> Result<(File, Generation), SourceError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| disk(&error))?;
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(|error| disk(&error))?;
    let lock = lock(dir)?;
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| disk(&error))?.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(number) = name
            .strip_prefix(IN_USE)
            .and_then(|number| number.parse::<u64>().ok())
        {
            numbers.push(number);
        } else if name.starts_with(TEMPORARY) {
            remove(&entry.path());
        }
    }
    numbers.sort_unstable();
    let newest = numbers.last().copied();
    for old in numbers.iter().rev().skip(1) {
        remove(&path(dir, *old));
    }
    if let Some(number) = newest {
        let path = path(dir, number);
        let usable = Generation::at(path.clone(), number).and_then(|generation| {
            check(&generation)?;
            Ok(generation)
        });
        match usable {
            Ok(generation) => {
                sweep(&generation);
                return Ok((lock, generation));
            }
            Err(error) => {
                tracing::warn!(%error, "the store is damaged: starting an empty one");
                remove(&path);
            }
        }
    }
    let number = newest.unwrap_or(0) + 1;
    let generation = keep(dir, create(dir, number, None)?)?;
    Ok((lock, generation))
}

/// An empty repository under construction: gone again unless it is [kept](keep).
pub(super) fn create(dir: &Path, number: u64, sparse: Option<&Sparse>) -> Result<Generation, SourceError> {
    let path = dir.join(format!("{TEMPORARY}{number}"));
    remove(&path);
    Generation::create(path, number, sparse)
}

/// Moves a finished one to its final name.
pub(super) fn keep(dir: &Path, built: Generation) -> Result<Generation, SourceError> {
    let number = built.number();
    let to = path(dir, number);
    remove(&to);
    fs::rename(built.dir(), &to).map_err(|error| disk(&error))?;
    built.forget();
    Generation::at(to, number)
}

/// Removes what interrupted fetches left: packs are written under temporary names and then renamed.
fn sweep(generation: &Generation) {
    let Ok(files) = fs::read_dir(generation.pack_dir()) else {
        return;
    };
    for path in files.flatten().map(|file| file.path()) {
        if !path
            .extension()
            .is_some_and(|ending| ending == "pack" || ending == "idx")
        {
            remove(&path);
        }
    }
}

/// Opens it and reads every head that it records.
fn check(generation: &Generation) -> Result<(), SourceError> {
    generation.with(|repository| {
        let odb = repository.odb().map_err(|error| problem(&error))?;
        let references = repository
            .references_glob("refs/signet/*")
            .map_err(|error| problem(&error))?;
        for reference in references {
            let reference = reference.map_err(|error| problem(&error))?;
            let broken = || SourceError::Store("a recorded head is not readable".into());
            let id = CommitId::of(reference.target().ok_or_else(broken)?);
            let commit = Commit::read(&odb, id)?.ok_or_else(broken)?;
            odb.read(commit.tree.oid()).map_err(|error| problem(&error))?;
        }
        Ok(())
    })?
}

fn lock(dir: &Path) -> Result<File, SourceError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(dir.join("lock")).map_err(|error| disk(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SourceError::StoreBusy),
        Err(TryLockError::Error(error)) => Err(disk(&error)),
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{IN_USE}{number}"))
}

/// Removes a file or directory of ours, as far as it goes; a link is removed, not followed.
fn remove(path: &Path) {
    let result = match fs::symlink_metadata(path) {
        Err(_) => return,
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    if let Err(error) = result {
        tracing::warn!(kind = ?error.kind(), "a leftover of the store cannot be removed");
    }
}
