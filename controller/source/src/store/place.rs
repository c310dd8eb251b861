//! What lies at a path of a tree, and in directories beside each other, for those who compare: within bounds.

use std::collections::BTreeMap;

use git2::{Odb, Oid};

use crate::tree::{self, Mode, Raw};
use crate::{Commit, CommitId, PathError, RepoPath, SourceError, TreeId};

/// What is somewhere: nothing, or something.
pub(super) type Place = Option<Thing>;

/// Something in a tree. Two are equal where nobody can read anything else there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thing {
    /// Its own. Of a name that is there twice, of which none is read, that of the directory: all of it says what is there.
    pub(super) id: Oid,
    /// None for what is not read: a name that is there twice, or a mode that Git does not write.
    mode: Option<Mode>,
    /// Components of the path that lie below it. What is no directory, a submodule's link say, is all that there is of them, and they
    /// change with it.
    below: usize,
}

impl Thing {
    fn of(entry: &Raw<'_>) -> Self {
        Self {
            id: TreeId::from_array(entry.id).oid(),
            mode: entry.mode,
            below: 0,
        }
    }

    /// Two of a name.
    fn twice(directory: Oid) -> Self {
        Self {
            id: directory,
            mode: None,
            below: 0,
        }
    }

    pub(super) fn is_directory(self) -> bool {
        self.mode == Some(Mode::Directory)
    }

    /// Whether it lies at the path itself, and not on the way to it.
    pub(super) fn is_there(self) -> bool {
        self.below == 0
    }
}

/// Bytes of a directory that cost as much as an entry: entries with long names are few, and read all the same.
const ENTRY: usize = 256;

/// Looks into directories, and counts what that costs.
pub(super) struct Look<'a> {
    odb: &'a Odb<'a>,
    /// Entries that may still be read.
    left: usize,
    /// Asked in each directory.
    go_on: &'a dyn Fn() -> Result<(), SourceError>,
}

impl<'a> Look<'a> {
    pub(super) fn new(
        odb: &'a Odb<'a>,
        entries: usize,
        go_on: &'a dyn Fn() -> Result<(), SourceError>,
    ) -> Self {
        Self {
            odb,
            left: entries,
            go_on,
        }
    }

    /// What a path is below a root. A directory that is not in the store is an error, and not an absent path.
    pub(super) fn place(&mut self, root: TreeId, path: &RepoPath) -> Result<Place, SourceError> {
        let components: Vec<&str> = path.components().collect();
        let mut here = Some(Thing {
            id: root.oid(),
            mode: Some(Mode::Directory),
            below: 0,
        });
        for (depth, component) in components.iter().enumerate() {
            let Some(thing) = here else { return Ok(None) };
            if !thing.is_directory() {
                let below = components.len() - depth;
                return Ok(Some(Thing { below, ..thing }));
            }
            let mut found = None;
            self.each(thing, |entry| {
                if entry.name == component.as_bytes() {
                    put(&mut found, entry, thing);
                }
            })?;
            here = found;
        }
        Ok(here)
    }

    /// The same, of a commit.
    pub(super) fn place_in(&mut self, commit: CommitId, path: &RepoPath) -> Result<Place, SourceError> {
        let commit = Commit::read(self.odb, commit)?.ok_or(SourceError::NoSuchCommit)?;
        self.place(commit.tree, path)
    }

    /// What each of these places has under each name, as far as it is a directory.
    pub(super) fn names<const N: usize>(
        &mut self,
        places: [Place; N],
    ) -> Result<BTreeMap<Vec<u8>, [Place; N]>, SourceError> {
        let mut names: BTreeMap<Vec<u8>, [Place; N]> = BTreeMap::new();
        for (side, place) in places.into_iter().enumerate() {
            let Some(directory) = place.filter(|thing| thing.is_directory()) else {
                continue;
            };
            self.each(directory, |entry| {
                let there = names.entry(entry.name.to_vec()).or_insert([None; N]);
                put(&mut there[side], entry, directory);
            })?;
        }
        Ok(names)
    }

    fn take(&mut self, entries: usize) -> Result<(), SourceError> {
        let left = self.left.checked_sub(entries);
        self.left =
            left.ok_or_else(|| SourceError::TooLarge("directories to compare for one commit".into()))?;
        Ok(())
    }

    /// Shows the entries of a directory.
    fn each(&mut self, directory: Thing, mut see: impl FnMut(&Raw<'_>)) -> Result<(), SourceError> {
        (self.go_on)()?;
        let object = tree::bytes(self.odb, TreeId::of(directory.id)).map_err(|why| refused(&why))?;
        // A few entries may have long names.
        self.take(object.data().len() / ENTRY)?;
        for entry in tree::entries(object.data()) {
            let entry = entry.ok_or_else(|| refused(&PathError::Unreadable))?;
            self.take(1)?;
            see(&entry);
        }
        Ok(())
    }
}

fn put(place: &mut Place, entry: &Raw<'_>, directory: Thing) {
    *place = Some(match place {
        None => Thing::of(entry),
        Some(_) => Thing::twice(directory.id),
    });
}

/// Why a tree is not read.
pub(super) fn refused(why: &PathError) -> SourceError {
    match why {
        PathError::TooLarge(what) => SourceError::TooLarge((*what).into()),
        _ => SourceError::Store("a tree cannot be read".into()),
    }
}
