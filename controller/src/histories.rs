//! What the stores take of the disk that histories are read in when somebody asks: audits, reports of leaked keys, and what is sealed
//! again. All of them together have as much as what is followed has.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use source::{Disk, Part};

/// The disk of these stores. Copies are the same one.
#[derive(Clone)]
pub struct Histories {
    disk: Disk,
    kept: Arc<Mutex<HashMap<PathBuf, Kept>>>,
}

struct Kept {
    part: Part,
    users: usize,
}

/// A store that is in use until this is dropped.
pub(crate) struct InUse {
    histories: Histories,
    dir: PathBuf,
    part: Part,
}

impl Histories {
    /// Of so many bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            disk: Disk::new(limit),
            kept: Arc::default(),
        }
    }

    /// Takes the store in this directory, which is of this owner, into use. Blocks: what an earlier process has left there is counted,
    /// and what is not there any more counts no longer.
    pub(crate) fn take(&self, dir: &Path, owner: &str) -> InUse {
        let mut kept = self.kept();
        kept.retain(|dir, kept| kept.users > 0 || dir.exists());
        let entry = kept.entry(dir.to_owned()).or_insert_with(|| {
            let part = self.disk.part(owner);
            part.count(dir);
            Kept { part, users: 0 }
        });
        entry.users += 1;
        let part = entry.part.clone();
        drop(kept);
        InUse {
            histories: self.clone(),
            dir: dir.to_owned(),
            part,
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<PathBuf, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InUse {
    /// What counts for a [`source::Remote`] that is fetched from into it.
    pub(crate) fn part(&self) -> Part {
        self.part.clone()
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.part.count(&self.dir);
        if let Some(kept) = self.histories.kept().get_mut(&self.dir) {
            kept.users = kept.users.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Histories;
    use std::fs;

    #[test]
    fn a_store_counts_until_it_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let dir = |name: &str| {
            let dir = root.path().join(name);
            fs::create_dir_all(&dir).unwrap();
            dir
        };
        let histories = Histories::new(100);
        let parts = || histories.kept().len();
        // Of an earlier process; and one that is not there before it is fetched into.
        fs::write(dir("one").join("pack"), [0; 60]).unwrap();
        drop(histories.take(&dir("one"), "crowd"));
        let new = root.path().join("new");
        let (first, second) = (histories.take(&new, "shop"), histories.take(&new, "shop"));
        drop(histories.take(&dir("other"), "shop"));
        assert_eq!(parts(), 3);
        drop(first);
        drop(histories.take(&dir("other"), "shop"));
        assert_eq!(parts(), 3, "it is in use still");
        drop(second);
        fs::remove_dir_all(dir("one")).unwrap();
        drop(histories.take(&dir("other"), "shop"));
        assert_eq!(parts(), 1);
    }
}
