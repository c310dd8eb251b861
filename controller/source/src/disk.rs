//! What all stores together may take of the disk, and what each of their owners may when it is short.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::SourceError;

/// Directories in each other that are counted.
const DEEPEST: u32 = 8;

/// The disk that stores share. Copies are the same one.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Bytes.
    limit: u64,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    next: u64,
    /// Of all together.
    bytes: u64,
    known: HashMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    owner: Arc<str>,
    bytes: u64,
    /// Whether some of them have come since they were counted.
    is_more: bool,
}

impl Parts {
    /// What each owner takes.
    fn by_owner(&self) -> HashMap<&str, u64> {
        let mut owners = HashMap::new();
        for taken in self.known.values().filter(|taken| taken.bytes > 0) {
            let sum: &mut u64 = owners.entry(&*taken.owner).or_default();
            *sum = sum.saturating_add(taken.bytes);
        }
        owners
    }
}

/// What one store takes of a disk, until the last copy of it is dropped.
#[derive(Clone, Debug)]
pub struct Part(Arc<Number>);

#[derive(Debug)]
struct Number {
    disk: Disk,
    number: u64,
}

impl Disk {
    /// A disk of so many bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Shared {
            limit,
            parts: Mutex::default(),
        }))
    }

    /// A part for one store of this owner, which takes nothing yet.
    #[must_use]
    pub fn part(&self, owner: &str) -> Part {
        let mut parts = self.parts();
        let number = parts.next;
        parts.next += 1;
        let taken = Taken {
            owner: owner.into(),
            bytes: 0,
            is_more: false,
        };
        parts.known.insert(number, taken);
        drop(parts);
        Part(Arc::new(Number {
            disk: self.clone(),
            number,
        }))
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Counts what its directory takes now, which is all that it takes.
    pub fn count(&self, dir: &Path) {
        let bytes = bytes(dir, 0);
        let mut parts = self.0.disk.parts();
        let Parts {
            bytes: all, known, ..
        } = &mut *parts;
        if let Some(taken) = known.get_mut(&self.0.number) {
            *all = all.saturating_sub(taken.bytes).saturating_add(bytes);
            (taken.bytes, taken.is_more) = (bytes, false);
        }
    }

    /// Whether something has come that was not counted yet.
    #[must_use]
    pub fn is_uncounted(&self) -> bool {
        let parts = self.0.disk.parts();
        let taken = parts.known.get(&self.0.number);
        taken.is_some_and(|taken| taken.is_more)
    }

    /// Whose part it is.
    pub(crate) fn owner(&self) -> Option<Arc<str>> {
        let parts = self.0.disk.parts();
        parts
            .known
            .get(&self.0.number)
            .map(|taken| Arc::clone(&taken.owner))
    }

    /// So many bytes come. Where all of the disk is taken, an owner may have as much of it as each would if all had the same.
    pub(crate) fn receive(&self, bytes: u64) -> Result<(), SourceError> {
        let limit = self.0.disk.0.limit;
        let mut parts = self.0.disk.parts();
        let Parts {
            bytes: all, known, ..
        } = &mut *parts;
        let Some(taken) = known.get_mut(&self.0.number) else {
            return Ok(());
        };
        *all = all.saturating_add(bytes);
        taken.bytes = taken.bytes.saturating_add(bytes);
        taken.is_more = true;
        if *all <= limit {
            return Ok(());
        }
        let owner = Arc::clone(&taken.owner);
        let owners = parts.by_owner();
        let share = limit / u64::try_from(owners.len()).unwrap_or(1).max(1);
        if owners.get(&*owner).is_some_and(|sum| *sum > share) {
            return Err(SourceError::NoRoom { share });
        }
        Ok(())
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let mut parts = self.disk.parts();
        if let Some(taken) = parts.known.remove(&self.number) {
            parts.bytes = parts.bytes.saturating_sub(taken.bytes);
        }
    }
}

/// What is below a directory. A file of several names counts with its share at each.
pub(crate) fn bytes(dir: &Path, depth: u32) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries.flatten().fold(0, |sum: u64, entry| {
        let size = match entry.metadata() {
            Ok(data) if data.is_dir() && depth < DEEPEST => bytes(&entry.path(), depth + 1),
            Ok(data) if data.is_file() => data.len() / data.nlink().max(1),
            _ => 0,
        };
        sum.saturating_add(size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_more_than_a_share_is_refused_once_all_is_taken() {
        let disk = Disk::new(100);
        let (crowd, more, shop) = (disk.part("crowd"), disk.part("crowd"), disk.part("shop"));
        crowd.receive(60).unwrap();
        more.receive(40).unwrap();
        assert!(crowd.is_uncounted());
        assert_eq!(more.receive(1), Err(SourceError::NoRoom { share: 100 }));
        // It has had more than its share; who comes later has the same right.
        shop.receive(50).unwrap();
        assert_eq!(shop.receive(1), Err(SourceError::NoRoom { share: 50 }));
        assert_eq!(crowd.receive(1), Err(SourceError::NoRoom { share: 50 }));
        // What is gone counts no more.
        drop((crowd, more));
        shop.receive(40).unwrap();
    }

    #[test]
    fn what_is_there_is_counted_by_its_bytes_and_names() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("gen-1/objects");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("one"), [0; 60]).unwrap();
        fs::hard_link(deep.join("one"), dir.path().join("two")).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
        assert_eq!(bytes(dir.path(), 0), 60);
        let disk = Disk::new(100);
        let part = disk.part("shop");
        part.receive(90).unwrap();
        part.count(dir.path());
        assert!(!part.is_uncounted());
        part.receive(40).unwrap();
        assert!(part.receive(1).is_err());
        part.count(&dir.path().join("nowhere"));
        part.receive(100).unwrap();
    }
}
