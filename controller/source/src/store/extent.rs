//! How deep and how large trees are, told before libgit2 goes through them: for each directory in a directory it calls itself
//! (`mark_tree_uninteresting`, `pack_objects_insert_tree` and `tree_walk`), and nothing but the end of the stack stops it.

use std::collections::HashMap;

use git2::{ObjectType, Odb};

use super::place::refused;
use crate::tree::{self, DEEPEST, Mode};
use crate::{Budget, SourceError, TreeId};

/// Entries of all directories, each of which is read once.
const MOST_ENTRIES: usize = 2_000_000;

/// What lies below a directory.
#[derive(Clone, Copy, Default)]
struct Extent {
    /// Directories in each other.
    depth: usize,
    /// Entries, those of a directory as often as it is there.
    entries: u64,
}

/// Measures trees of one repository.
pub(crate) struct Measure<'a> {
    odb: &'a Odb<'a>,
    time: &'a Budget,
    /// Entries that may still be read.
    left: usize,
    known: HashMap<TreeId, Extent>,
}

/// A directory of which some are still to be entered.
struct Frame {
    id: TreeId,
    extent: Extent,
    below: Vec<TreeId>,
}

impl<'a> Measure<'a> {
    pub(crate) fn new(odb: &'a Odb<'a>, time: &'a Budget) -> Self {
        Self {
            odb,
            time,
            left: MOST_ENTRIES,
            known: HashMap::new(),
        }
    }

    /// How many entries who goes through all of it meets. What the store does not hold has none.
    ///
    /// # Errors
    /// [`SourceError::TooLarge`] where no one should: directories are nested too deeply, or have too many entries.
    pub(crate) fn entries(&mut self, root: TreeId) -> Result<u64, SourceError> {
        let mut found = Extent::default();
        let mut stack: Vec<Frame> = Vec::new();
        let mut next = Some(root);
        loop {
            if let Some(id) = next {
                let known = self.known.get(&id).copied();
                if stack.len() + known.map_or(0, |extent| extent.depth) > DEEPEST {
                    return Err(SourceError::TooLarge("directories nested too deeply".into()));
                }
                match known {
                    Some(extent) => add(&mut stack, &mut found, extent),
                    None => stack.push(self.frame(id)?),
                }
            }
            let Some(here) = stack.last_mut() else {
                return Ok(found.entries);
            };
            next = here.below.pop();
            if next.is_none()
                && let Some(Frame { id, extent, .. }) = stack.pop()
            {
                self.known.insert(id, extent);
                add(&mut stack, &mut found, extent);
            }
        }
    }

    fn frame(&mut self, id: TreeId) -> Result<Frame, SourceError> {
        self.time.remaining()?;
        let mut frame = Frame {
            id,
            extent: Extent::default(),
            below: Vec::new(),
        };
        if !self.odb.exists(id.oid()) {
            return Ok(frame);
        }
        let object = tree::bytes(self.odb, id).map_err(|why| refused(&why))?;
        for entry in tree::entries(object.data()) {
            let Some(entry) = entry else { break };
            let left = self.left.checked_sub(1);
            self.left = left.ok_or_else(|| SourceError::TooLarge("directories to go through".into()))?;
            frame.extent.entries += 1;
            let id = TreeId::from_array(entry.id);
            if self.is_directory(entry.mode, id) {
                frame.below.push(id);
            }
        }
        Ok(frame)
    }

    /// Of modes that Git does not write some are directories to libgit2.
    fn is_directory(&self, mode: Option<Mode>, id: TreeId) -> bool {
        match mode {
            Some(mode) => mode == Mode::Directory,
            None => matches!(self.odb.read_header(id.oid()), Ok((_, ObjectType::Tree))),
        }
    }
}

/// To the directory that it lies in, or to what was asked for.
fn add(stack: &mut [Frame], found: &mut Extent, extent: Extent) {
    let (above, deeper) = match stack.last_mut() {
        Some(frame) => (&mut frame.extent, 1),
        None => (found, 0),
    };
    above.depth = above.depth.max(extent.depth + deeper);
    above.entries = above.entries.saturating_add(extent.entries);
}

#[cfg(test)]
mod tests {
    use git2::{Oid, Repository};

    use super::*;
    use crate::RemoteLimits;

    fn tree(odb: &Odb<'_>, entries: &[(&str, &str, Oid)]) -> Oid {
        let mut content = Vec::new();
        for (mode, name, id) in entries {
            content.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            content.extend_from_slice(id.as_bytes());
        }
        odb.write(ObjectType::Tree, &content).unwrap()
    }

    #[test]
    fn depth_and_entries_are_told_however_directories_share_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let odb = repository.odb().unwrap();
        let time = Budget::begin(&RemoteLimits::default());
        let measure = |tree| Measure::new(&odb, &time).entries(TreeId::of(tree));
        let blob = odb.write(ObjectType::Blob, b"").unwrap();
        let bottom = tree(&odb, &[("100644", "a", blob)]);
        let nested = |mode: &str, depth: usize, bottom| {
            (0..depth).fold(bottom, |below, _| tree(&odb, &[(mode, "d", below)]))
        };
        assert_eq!(measure(nested("40000", 64, bottom)), Ok(65));
        for mode in ["40000", "40755", "0040000"] {
            let deep = measure(nested(mode, 65, bottom));
            assert!(matches!(deep, Err(SourceError::TooLarge(_))), "{mode}");
        }
        // First not deep, then below something else.
        let (forty, thirty) = (nested("40000", 40, bottom), nested("40000", 30, bottom));
        let beside = nested("40000", 30, forty);
        for entries in [
            [("40000", "a", forty), ("40000", "b", beside)],
            [("40000", "a", beside), ("40000", "b", forty)],
        ] {
            let deep = measure(tree(&odb, &entries));
            assert!(matches!(deep, Err(SourceError::TooLarge(_))));
        }
        let both = tree(&odb, &[("40000", "a", forty), ("40000", "b", thirty)]);
        assert_eq!(measure(both), Ok(2 + 41 + 31));
        // As often as it is there.
        let doubled = (0..50).fold(bottom, |below, _| {
            tree(&odb, &[("40000", "a", below), ("40000", "b", below)])
        });
        assert_eq!(measure(doubled), Ok((1 << 50) + ((1 << 51) - 2)));
        // A submodule's, and what is not here.
        let elsewhere = tree(&odb, &[("160000", "m", bottom), ("40000", "gone", blob_id())]);
        assert_eq!(measure(elsewhere), Ok(2));
    }

    fn blob_id() -> Oid {
        Oid::from_str("0123456789012345678901234567890123456789").unwrap()
    }
}
