//! What a commit changes, file by file, and the bytes of files: for those who tell of a history that a store holds.

use std::collections::{BTreeMap, HashMap, HashSet};

use git2::{ObjectType, Repository};

use super::place::{Look, Place, Thing};
use super::{Store, problem};
use crate::tree::DEEPEST;
use crate::{BlobId, Commit, RepoPath, SourceError};

/// Entries of all directories compared for one commit.
const MOST_ENTRIES: usize = 200_000;
/// Bytes of one path, and of all paths that a commit changes.
const LONGEST_PATH: usize = 4 << 10;
const MOST_PATH_BYTES: usize = 4 << 20;

/// What a commit changes below a path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    /// Whether anything there is otherwise than in one of its parents.
    pub touches: bool,
    /// By path. Of a merge: what is as none of its parents has it, compared with the first.
    pub files: Vec<FileChange>,
}

/// A file, a link or a submodule that is otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// From the repository's root. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Its content before; none where it was not there.
    pub before: Option<BlobId>,
    /// The same, after.
    pub after: Option<BlobId>,
}

/// Before and after, by path.
type Differences = BTreeMap<Vec<u8>, (Place, Place)>;

/// What two places have below them, compared.
struct Comparison<'a> {
    look: Look<'a>,
    /// What is left of the bound.
    path_bytes: usize,
}

impl Store {
    /// What a commit changes below a path (the root is the empty one), compared with its parents, which the store has to hold.
    ///
    /// # Errors
    /// [`SourceError::NoSuchCommit`] where it does not, [`SourceError::TooLarge`], and that of `go_on`, which is asked in each directory.
    pub fn changed(
        &self,
        commit: &Commit,
        below: &RepoPath,
        go_on: &dyn Fn() -> Result<(), SourceError>,
    ) -> Result<Changed, SourceError> {
        self.current()
            .with(|repository| changed(repository, commit, below, go_on))?
    }

    /// The bytes of files, by id. What is larger than `largest`, and what is no file here, is left out.
    ///
    /// # Errors
    /// [`SourceError::TooLarge`] where all together are larger than `most`.
    pub fn contents(
        &self,
        ids: impl IntoIterator<Item = BlobId>,
        largest: usize,
        mut most: usize,
    ) -> Result<HashMap<BlobId, Vec<u8>>, SourceError> {
        let ids: HashSet<BlobId> = ids.into_iter().collect();
        self.current().with(|repository| {
            let odb = repository.odb().map_err(|error| problem(&error))?;
            let mut contents = HashMap::new();
            for id in ids {
                let header = odb.read_header(id.oid());
                if let Ok((size, ObjectType::Blob)) = header
                    && size <= largest
                {
                    most = most
                        .checked_sub(size)
                        .ok_or_else(|| SourceError::TooLarge("files to read at once".into()))?;
                    let object = odb.read(id.oid()).map_err(|error| problem(&error))?;
                    contents.insert(id, object.data().to_vec());
                }
            }
            Ok(contents)
        })?
    }
}

fn changed(
    repository: &Repository,
    commit: &Commit,
    below: &RepoPath,
    go_on: &dyn Fn() -> Result<(), SourceError>,
) -> Result<Changed, SourceError> {
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let mut comparison = Comparison {
        look: Look::new(&odb, MOST_ENTRIES, go_on),
        path_bytes: MOST_PATH_BYTES,
    };
    // What is on the way to the path is not below it.
    let there = |place: Place| place.filter(|thing| thing.is_there());
    let now = there(comparison.look.place(commit.tree, below)?);
    let mut all: Option<Differences> = None;
    let mut touches = false;
    let before: Vec<Place> = match commit.parents.as_slice() {
        [] => vec![None],
        parents => parents
            .iter()
            .map(|parent| comparison.look.place_in(*parent, below).map(there))
            .collect::<Result<_, _>>()?,
    };
    for old in before {
        let mut found = Differences::new();
        let path = below.as_str().as_bytes().to_vec();
        comparison.compare(old, now, &path, 0, &mut found)?;
        touches |= !found.is_empty();
        // The first parent's files, as far as all others differ there as well.
        match &mut all {
            None => all = Some(found),
            Some(all) => all.retain(|path, _| found.contains_key(path)),
        }
    }
    let id = |place: Place| place.map(|thing| BlobId::of(thing.id));
    let files = all.unwrap_or_default().into_iter();
    Ok(Changed {
        touches,
        files: files
            .map(|(path, (before, after))| FileChange {
                path: String::from_utf8_lossy(&path).into_owned(),
                before: id(before),
                after: id(after),
            })
            .collect(),
    })
}

impl Comparison<'_> {
    fn compare(
        &mut self,
        old: Place,
        new: Place,
        path: &[u8],
        depth: usize,
        found: &mut Differences,
    ) -> Result<(), SourceError> {
        if old == new {
            return Ok(());
        }
        if depth > DEEPEST || path.len() > LONGEST_PATH {
            return Err(SourceError::TooLarge("directories nested too deeply".into()));
        }
        let file = |place: Place| place.filter(|thing: &Thing| !thing.is_directory());
        let (old_file, new_file) = (file(old), file(new));
        if old_file.is_some() || new_file.is_some() {
            let left = self.path_bytes.checked_sub(path.len());
            self.path_bytes =
                left.ok_or_else(|| SourceError::TooLarge("paths of what one commit changes".into()))?;
            found.insert(path.to_vec(), (old_file, new_file));
        }
        for (name, [old, new]) in self.look.names([old, new])? {
            let path = match path {
                [] => name,
                path => [path, b"/", &name].concat(),
            };
            self.compare(old, new, &path, depth + 1, found)?;
        }
        Ok(())
    }
}
