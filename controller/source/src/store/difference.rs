//! What a commit changes, file by file, and the bytes of files: for those who tell of a history that a store holds.

use std::collections::{BTreeMap, HashMap, HashSet};

use git2::{ObjectType, Repository};

use super::touches::{DIRECTORY, Place, tree};
use super::{Store, problem};
use crate::{BlobId, Commit, CommitId, RepoPath, SourceError};

/// Entries of all directories compared for one commit.
const MOST_ENTRIES: usize = 200_000;
/// Nested directories.
const DEEPEST: usize = 64;
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

/// What is left of the bounds.
struct Left {
    entries: usize,
    path_bytes: usize,
}

impl Store {
    /// What a commit changes below a path (the root is the empty one), compared with its parents, which the store has to hold.
    ///
    /// # Errors
    /// [`SourceError::NoSuchCommit`] where it does not, and [`SourceError::TooLarge`].
    pub fn changed(&self, commit: &Commit, below: &RepoPath) -> Result<Changed, SourceError> {
        self.current()
            .with(|repository| changed(repository, commit, below))?
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

fn changed(repository: &Repository, commit: &Commit, below: &RepoPath) -> Result<Changed, SourceError> {
    let mut left = Left {
        entries: MOST_ENTRIES,
        path_bytes: MOST_PATH_BYTES,
    };
    let now = place(repository, commit, below)?;
    let mut all: Option<Differences> = None;
    let mut touches = false;
    let before: Vec<Place> = match commit.parents.as_slice() {
        [] => vec![None],
        parents => parents
            .iter()
            .map(|parent| place_at(repository, *parent, below))
            .collect::<Result<_, _>>()?,
    };
    for old in before {
        let mut found = Differences::new();
        let path = below.as_str().as_bytes().to_vec();
        compare(repository, old, now, &path, 0, &mut left, &mut found)?;
        touches |= !found.is_empty();
        // The first parent's files, as far as all others differ there as well.
        match &mut all {
            None => all = Some(found),
            Some(all) => all.retain(|path, _| found.contains_key(path)),
        }
    }
    let id = |place: Place| place.map(|(id, _)| BlobId::of(id));
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

fn place_at(repository: &Repository, id: CommitId, path: &RepoPath) -> Result<Place, SourceError> {
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let commit = Commit::read(&odb, id)?.ok_or(SourceError::NoSuchCommit)?;
    place(repository, &commit, path)
}

fn place(repository: &Repository, commit: &Commit, path: &RepoPath) -> Result<Place, SourceError> {
    super::touches::place(repository, commit.tree.oid(), path)
}

fn compare(
    repository: &Repository,
    old: Place,
    new: Place,
    path: &[u8],
    depth: usize,
    left: &mut Left,
    found: &mut Differences,
) -> Result<(), SourceError> {
    if old == new {
        return Ok(());
    }
    if depth > DEEPEST || path.len() > LONGEST_PATH {
        return Err(SourceError::TooLarge("directories nested too deeply".into()));
    }
    let is_file = |place: &Place| place.is_some_and(|(_, mode)| mode != DIRECTORY);
    let (old_file, new_file) = (old.filter(|_| is_file(&old)), new.filter(|_| is_file(&new)));
    if old_file.is_some() || new_file.is_some() {
        left.path_bytes = left.path_bytes.checked_sub(path.len()).ok_or_else(too_many)?;
        found.insert(path.to_vec(), (old_file, new_file));
    }
    let trees = [tree(repository, old)?, tree(repository, new)?];
    let mut names: BTreeMap<Vec<u8>, [Place; 2]> = BTreeMap::new();
    for (side, tree) in trees.iter().enumerate() {
        let Some(tree) = tree else { continue };
        left.entries = left.entries.checked_sub(tree.len()).ok_or_else(too_many)?;
        for entry in tree {
            let places = names.entry(entry.name_bytes().to_vec()).or_default();
            places[side] = Some((entry.id(), entry.filemode_raw()));
        }
    }
    for (name, [old, new]) in names {
        let path = match path {
            [] => name,
            path => [path, b"/", &name].concat(),
        };
        compare(repository, old, new, &path, depth + 1, left, found)?;
    }
    Ok(())
}

fn too_many() -> SourceError {
    SourceError::TooLarge("directories to compare for one commit".into())
}
