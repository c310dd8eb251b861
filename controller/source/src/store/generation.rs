//! One bare repository on disk. A store moves to a fresh one when the old has many packs or is damaged;
//! snapshots keep theirs until they are dropped.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use git2::{Repository, RepositoryInitMode, RepositoryInitOptions, RepositoryOpenFlags};

use super::problem;
use super::sparse::Sparse;
use crate::{RepoPath, SourceError, TreeId};

/// Open handles kept for reuse: opening reads the configuration and every pack index again.
const IDLE_HANDLES: usize = 2;

/// A bare repository, shared by the store and its snapshots.
pub(crate) struct Generation {
    dir: PathBuf,
    number: u64,
    /// What it is of, if not of everything.
    sparse: Option<Sparse>,
    idle: Mutex<Vec<Repository>>,
    damaged: AtomicBool,
    /// Unfinished, or replaced by a newer one: removed from disk when the last user is gone.
    retired: AtomicBool,
}

impl Generation {
    /// Makes an empty one, removed when dropped unless it is moved away and [forgotten](Self::forget).
    pub(super) fn create(dir: PathBuf, number: u64, sparse: Option<&Sparse>) -> Result<Self, SourceError> {
        let mut options = RepositoryInitOptions::new();
        options
            .bare(true)
            .no_reinit(true)
            .mkpath(true)
            .external_template(false);
        options.mode(RepositoryInitMode::from_bits_retain(0o700));
        Repository::init_opts(&dir, &options).map_err(|error| problem(&error))?;
        if let Some(sparse) = sparse {
            sparse.write(&dir)?;
        }
        let built = Self::at(dir, number)?;
        built.retire();
        Ok(built)
    }

    /// Uses one that is there.
    pub(super) fn at(dir: PathBuf, number: u64) -> Result<Self, SourceError> {
        Ok(Self {
            sparse: Sparse::read(&dir)?,
            dir,
            number,
            idle: Mutex::default(),
            damaged: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn sparse(&self) -> Option<&Sparse> {
        self.sparse.as_ref()
    }

    /// Whether it is of this, and of nothing else.
    pub(super) fn is_of(&self, sparse: &[RepoPath]) -> bool {
        self.sparse.as_ref().map_or(&[][..], |known| &known.paths) == sparse
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// A handle of one's own. Not `open_bare`: that one does not load the shallow boundary.
    pub(crate) fn open(&self) -> Result<Repository, SourceError> {
        let flags =
            RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::BARE | RepositoryOpenFlags::NO_DOTGIT;
        Repository::open_ext(&self.dir, flags, &[] as &[&OsStr]).map_err(|error| problem(&error))
    }

    /// Runs `read` with a handle nobody else uses meanwhile.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Repository) -> T) -> Result<T, SourceError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let repository = match idle {
            Some(repository) => repository,
            None => self.open()?,
        };
        let result = read(&repository);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_HANDLES {
            idle.push(repository);
        }
        Ok(result)
    }

    /// What is read of a commit's tree: all of it, or what the repository is of.
    pub(crate) fn read_of(&self, tree: TreeId) -> Result<TreeId, SourceError> {
        let Some(sparse) = &self.sparse else {
            return Ok(tree);
        };
        self.with(|repository| {
            let odb = repository.odb().map_err(|error| problem(&error))?;
            sparse.pruned(&odb, tree)
        })?
    }

    /// Something in it could not be read: the next fetch starts afresh.
    pub(crate) fn mark_damaged(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Its directory has got another name: drops the handles, which know the old one.
    pub(super) fn forget(self) {
        self.retired.store(false, Ordering::Relaxed);
    }

    /// To be removed once its last user is gone.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Where its packs lie.
    pub(crate) fn pack_dir(&self) -> PathBuf {
        self.dir.join("objects/pack")
    }

    /// Packs on disk, and their bytes: every fetch leaves one.
    pub(super) fn packs(&self) -> (usize, u64) {
        let Ok(files) = fs::read_dir(self.pack_dir()) else {
            return (0, 0);
        };
        files
            .flatten()
            .filter(|file| file.path().extension() == Some(OsStr::new("pack")))
            .filter_map(|file| file.metadata().ok())
            .fold((0, 0), |(packs, bytes), file| {
                (packs + 1, bytes.saturating_add(file.len()))
            })
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if *self.retired.get_mut() {
            // Handles first: libgit2 may still write nothing, but it should not look either.
            self.idle
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
            if let Err(error) = fs::remove_dir_all(&self.dir) {
                // Left over: the next start removes it.
                tracing::warn!(kind = ?error.kind(), "an old store cannot be removed");
            }
        }
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}
