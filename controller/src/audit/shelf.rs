//! Where the stores for audits lie, one a Repository, and which of them are kept: those in use, and the last ones that were.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A directory of stores.
#[derive(Clone)]
pub(super) struct Shelf {
    dir: Arc<PathBuf>,
    in_use: Arc<Mutex<HashSet<String>>>,
}

/// A store that stays until this is dropped.
pub(super) struct Taken {
    shelf: Shelf,
    uid: String,
}

impl Shelf {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir: Arc::new(dir),
            in_use: Arc::default(),
        }
    }

    /// Takes a Repository's store, and removes those of others that nobody uses. Whoever asks about it is alone: a namespace has one
    /// question at a time.
    pub(super) fn take(&self, uid: &str) -> Taken {
        let mut in_use = self.in_use();
        in_use.insert(uid.to_owned());
        for entry in std::fs::read_dir(&*self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !name.to_str().is_some_and(|name| in_use.contains(name)) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        Taken {
            shelf: self.clone(),
            uid: uid.to_owned(),
        }
    }

    fn in_use(&self) -> MutexGuard<'_, HashSet<String>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    pub(super) fn dir(&self) -> PathBuf {
        self.shelf.dir.join(&self.uid)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.shelf.in_use().remove(&self.uid);
    }
}

#[cfg(test)]
mod tests {
    use super::Shelf;

    #[test]
    fn what_is_in_use_stays_and_what_is_not_goes() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().to_owned());
        let fill = |uid: &str| {
            let taken = shelf.take(uid);
            std::fs::create_dir_all(taken.dir()).unwrap();
            taken
        };
        let (one, two) = (fill("one"), fill("two"));
        assert!(one.dir().exists() && two.dir().exists());
        drop(one);
        assert!(dir.path().join("one").exists(), "kept for the next question");
        let three = fill("three");
        assert!(!dir.path().join("one").exists());
        assert!(two.dir().exists() && three.dir().exists());
    }
}
