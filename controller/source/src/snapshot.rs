//! One commit's tree, read in place.

use std::sync::Arc;

use git2::{ObjectType, Odb};

use crate::store::Generation;
use crate::tree::Node;
use crate::{
    BlobId, Commit, EntryKind, FileEntry, PathError, RepoPath, SourceError, TreeId, WalkLimits, tree, walk,
};

/// A commit whose files can be read for as long as this value lives, whatever the store fetches
/// meanwhile. Cloning is cheap; clones can be used from many threads at once.
#[derive(Clone, Debug)]
pub struct Snapshot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    generation: Arc<Generation>,
    commit: Commit,
    /// The commit's own tree, in which submodules are links.
    own: TreeId,
}

impl Snapshot {
    /// A commit of a store, with what the store is of.
    pub(crate) fn new(generation: Arc<Generation>, mut commit: Commit) -> Result<Self, SourceError> {
        commit.tree = generation.read_of(commit.tree)?;
        let own = commit.tree;
        Ok(Self(Arc::new(Inner {
            generation,
            commit,
            own,
        })))
    }

    /// Where it lies.
    pub(crate) fn generation(&self) -> &Generation {
        &self.0.generation
    }

    /// The commit.
    pub fn commit(&self) -> &Commit {
        &self.0.commit
    }

    /// The same commit with another tree.
    pub(crate) fn replanted(
        &self,
        tree: impl FnOnce(&Generation, TreeId) -> Result<TreeId, SourceError>,
    ) -> Result<Self, SourceError> {
        let mut commit = self.0.commit.clone();
        commit.tree = tree(&self.0.generation, commit.tree)?;
        Ok(Self(Arc::new(Inner {
            generation: Arc::clone(&self.0.generation),
            commit,
            own: self.0.own,
        })))
    }

    /// The submodule that a path lies in, by its own path: what is there is not this commit's to change. None where it is the
    /// commit's own.
    pub fn submodule_of(&self, path: &str) -> Result<Option<String>, PathError> {
        let path = RepoPath::parse(path)?;
        if self.0.own == self.0.commit.tree {
            return Ok(None);
        }
        self.with_odb(|odb| {
            let (mut tree, mut at) = (self.0.own, String::new());
            for name in path.components() {
                if !at.is_empty() {
                    at.push('/');
                }
                at.push_str(name);
                let entries = tree::read(odb, tree)?;
                match entries
                    .iter()
                    .find(|entry| entry.name == name)
                    .map(|entry| entry.node)
                {
                    Some(Node::Submodule(_)) => return Ok(Some(at)),
                    Some(Node::Directory(id)) => tree = id,
                    _ => return Ok(None),
                }
            }
            Ok(None)
        })
    }

    /// Whether both are the same commit in the same repository on disk, with the same submodules in it: one that was built anew is
    /// another.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.commit.id == other.0.commit.id
            && self.0.commit.tree == other.0.commit.tree
            && Arc::ptr_eq(&self.0.generation, &other.0.generation)
    }

    /// Whether something in its repository could not be read: the next fetch builds another one.
    pub fn is_damaged(&self) -> bool {
        self.0.generation.is_damaged()
    }

    /// The directory at `path`: the same id at two commits means that nothing below has changed.
    pub fn tree_id(&self, path: &str) -> Result<TreeId, PathError> {
        let path = RepoPath::parse(path)?;
        let found = self.with_odb(|odb| tree::resolve(odb, self.0.commit.tree, &path));
        found.map_err(|error| self.explained(&path, error))
    }

    /// What a name in the directory `path` is; nothing where it is not there or a directory.
    pub fn entry(&self, path: &str, name: &str) -> Result<Option<EntryKind>, PathError> {
        let path = RepoPath::parse(path)?;
        let found = self.with_odb(|odb| {
            let tree = tree::resolve(odb, self.0.commit.tree, &path)?;
            let entries = tree::read(odb, tree)?;
            let found = entries.iter().find(|entry| entry.name == name);
            Ok(found.and_then(|entry| EntryKind::of(entry.node)))
        });
        found.map_err(|error| self.explained(&path, error))
    }

    /// Visits every file, link and submodule below the directory `path`, bytewise by path. Links and
    /// submodules are reported, not followed. After an error, what was visited before is incomplete.
    pub fn walk(
        &self,
        path: &str,
        limits: &WalkLimits,
        mut visit: impl FnMut(FileEntry),
    ) -> Result<(), PathError> {
        let path = RepoPath::parse(path)?;
        let walked = self.with_odb(|odb| {
            let top = tree::resolve(odb, self.0.commit.tree, &path)?;
            walk::walk(odb, top, &path, limits, &mut |_, _| true, &mut visit)
        });
        walked.map_err(|error| self.explained(&path, error))
    }

    /// Visits every file of the commit but for what is below directories that `enter` refuses, by path and id: who goes
    /// through many commits has seen most of them.
    pub fn walk_where(
        &self,
        limits: &WalkLimits,
        mut enter: impl FnMut(&str, TreeId) -> bool,
        mut visit: impl FnMut(FileEntry),
    ) -> Result<(), PathError> {
        let top = self.0.commit.tree;
        if !enter("", top) {
            return Ok(());
        }
        let path = RepoPath::parse("")?;
        self.with_odb(|odb| walk::walk(odb, top, &path, limits, &mut enter, &mut visit))
    }

    /// A file's content, if it has at most `max_bytes`: the size is known before anything is read.
    pub fn blob(&self, id: &BlobId, max_bytes: usize) -> Result<Vec<u8>, PathError> {
        self.with_odb(|odb| {
            let (size, kind) = odb.read_header(id.oid()).map_err(|_| PathError::Unreadable)?;
            if kind != ObjectType::Blob {
                return Err(PathError::Unreadable);
            }
            if size > max_bytes {
                return Err(PathError::TooLarge("a file is too large"));
            }
            let object = odb.read(id.oid()).map_err(|_| PathError::Unreadable)?;
            Ok(object.data().to_vec())
        })
    }

    /// What is not there may only be no part of what is read.
    fn explained(&self, path: &RepoPath, error: PathError) -> PathError {
        let sparse = self.0.generation.sparse();
        let is_read = sparse.is_none_or(|sparse| sparse.paths.iter().any(|read| read.meets(path)));
        match error {
            PathError::NotFound if !is_read => PathError::NotRead,
            other => other,
        }
    }

    fn with_odb<T>(&self, read: impl FnOnce(&Odb<'_>) -> Result<T, PathError>) -> Result<T, PathError> {
        let result = self.0.generation.with(|repository| {
            let odb = repository.odb().map_err(|_| PathError::Unreadable)?;
            read(&odb)
        });
        let result = result.unwrap_or_else(|_: SourceError| Err(PathError::Unreadable));
        if result
            .as_ref()
            .is_err_and(|error| *error == PathError::Unreadable)
        {
            self.0.generation.mark_damaged();
        }
        result
    }
}
