//! A store of some directories of a repository: the files of the others stay where they are.
//!
//! Git's partial clone (gitformat-pack's `filter`, partial-clone(7)), which libgit2 does not know. A fetch brings commits and directories, and no file; then the files of the
//! directories that are read are asked for by their names: of the head, and of an earlier commit once it is read. Whoever reads a commit sees its tree without all else. A store keeps to one
//! list for as long as it is used: of another list it is built anew, so that nobody meets a file that was left out.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;

use git2::{ObjectType, Odb, OdbLookupFlags, Oid, Repository};

use super::place::refused;
use super::{fetch, lines, problem};
use crate::session::Session;
use crate::tree::{self, Node};
use crate::{BlobId, Commit, CommitId, RepoPath, SourceError, TreeId, transport};

/// The list, a line each, below the word for how the store is filled.
const FILE: &str = "sparse";
const FILTERED: &str = "filtered";
const WHOLE: &str = "whole";
/// What is read at a repository's root whatever the list says: where its submodules are.
const MODULES: &str = ".gitmodules";
/// Files asked for at once. A request has fifty bytes for each, and there are servers that take no more than a mebibyte.
const BATCH: usize = 20_000;
/// Files and directories that are looked for.
const MOST: usize = 500_000;
/// Stands for what a link holds, and what is not to be read, which nobody reads: the empty file's.
const EMPTY: &str = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

/// Which directories a store is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sparse {
    /// Directories or files. Never none.
    pub(crate) paths: Vec<RepoPath>,
    /// Whether files are left out on the way. Else the server has refused to give files by their names, and all of them are here.
    pub(crate) filters: bool,
}

impl Sparse {
    /// None where everything is read.
    pub(super) fn of(paths: &[RepoPath], filters: bool) -> Option<Self> {
        (!paths.is_empty()).then(|| Self {
            paths: paths.to_vec(),
            filters,
        })
    }

    /// What the repository in `dir` is of.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, SourceError> {
        let text = lines::read(&dir.join(FILE))?;
        let mut lines = text.lines();
        let filters = match lines.next() {
            None => return Ok(None),
            Some(FILTERED) => true,
            Some(WHOLE) => false,
            Some(_) => return Err(broken()),
        };
        let paths = lines.map(|line| RepoPath::parse(line).map_err(|_| broken()));
        Ok(Self::of(&paths.collect::<Result<Vec<_>, _>>()?, filters))
    }

    /// Writes that down, for a repository that is empty yet.
    pub(super) fn write(&self, dir: &Path) -> Result<(), SourceError> {
        let way = if self.filters { FILTERED } else { WHOLE };
        let paths = self.paths.iter().map(RepoPath::as_str);
        lines::add(&dir.join(FILE), [way].into_iter().chain(paths))
    }

    /// The tree without what is not read.
    pub(super) fn pruned(&self, odb: &Odb<'_>, root: TreeId) -> Result<TreeId, SourceError> {
        match prune(odb, root, &self.wanted())? {
            Some(kept) => Ok(kept),
            None => write(odb, &[]),
        }
    }

    /// The names below the root.
    fn wanted(&self) -> Vec<Vec<&str>> {
        let paths = self.paths.iter().map(|path| path.components().collect());
        paths.chain([vec![MODULES]]).collect()
    }
}

/// Whether the repository that is fetched into leaves out files of what this remote sends: a submodule's remote has no list.
pub(super) fn filters(repository: &Repository, session: &Session) -> Result<Option<Sparse>, SourceError> {
    let sparse = Sparse::read(repository.path())?;
    Ok(sparse.filter(|sparse| sparse.filters && sparse.paths == session.sparse()))
}

/// Brings the files that were left out and are read of these commits, which are here; of a submodule, whose remote has no list, all of
/// its files: where it is of the same remote, that sends no file of a commit which it takes to be here.
pub(super) fn complete(
    repository: &Repository,
    session: &Session,
    commits: &[CommitId],
) -> Result<(), SourceError> {
    let Some(sparse) = Sparse::read(repository.path())?.filter(|sparse| sparse.filters) else {
        return Ok(());
    };
    let wanted = match session.sparse() {
        [] => vec![Vec::new()],
        _ => sparse.wanted(),
    };
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let go_on = || session.operation().remaining().map(drop);
    let missing = missing(&odb, &wanted, commits, usize::MAX, &go_on)?;
    for batch in missing.chunks(BATCH) {
        let batch: Vec<Oid> = batch.iter().map(BlobId::oid).collect();
        receive(&odb, session, &batch)?;
    }
    if !missing.is_empty() {
        odb.refresh().map_err(|error| problem(&error))?;
    }
    if missing.iter().all(|blob| is_here(&odb, *blob)) {
        Ok(())
    } else {
        Err(SourceError::NoPart("some of them do not come".into()))
    }
}

/// Whether all files are here that are read of a commit, which is.
pub(super) fn is_complete(
    repository: &Repository,
    sparse: &Sparse,
    id: CommitId,
    go_on: &dyn Fn() -> Result<(), SourceError>,
) -> Result<bool, SourceError> {
    if !sparse.filters {
        return Ok(true);
    }
    let odb = repository.odb().map_err(|error| problem(&error))?;
    Ok(missing(&odb, &sparse.wanted(), &[id], 1, go_on)?.is_empty())
}

fn receive(odb: &Odb<'_>, session: &Session, wanted: &[Oid]) -> Result<(), SourceError> {
    let received = fetch::rationed(session, || {
        let mut pack = odb.packwriter()?;
        let sink = &mut |bytes: &[u8]| pack.write_all(bytes).is_ok();
        transport::objects(session.operation(), wanted, sink)
            .map_err(|error| git2::Error::from_str(&error.to_string()))?;
        pack.commit().map(drop)
    });
    received.map_err(|error| session.explain(&error))
}

/// Files of what is read that are not here, so many at most. `go_on` is asked in each directory.
fn missing(
    odb: &Odb<'_>,
    wanted: &[Vec<&str>],
    commits: &[CommitId],
    most: usize,
    go_on: &dyn Fn() -> Result<(), SourceError>,
) -> Result<Vec<BlobId>, SourceError> {
    // What others have fetched meanwhile; from here on it is not looked for again with each file that is not here.
    odb.refresh().map_err(|error| problem(&error))?;
    let mut missing = Vec::new();
    // What is read whole is the same wherever it is, and is looked at once.
    let (mut files, mut directories) = (HashSet::new(), HashSet::new());
    for id in commits {
        let commit = Commit::read(odb, *id)?.ok_or(SourceError::NoSuchCommit)?;
        // Without names, which may be long: nobody asks where a file is. Nothing stands for all of a directory.
        let mut next = Vec::new();
        if !is_whole(wanted) {
            next.push((commit.tree, Some(wanted.to_vec())));
        } else if directories.insert(commit.tree) {
            next.push((commit.tree, None));
        }
        while let Some((tree, wanted)) = next.pop() {
            go_on()?;
            for entry in tree::read(odb, tree).map_err(|why| refused(&why))? {
                let below = wanted.as_deref().map(|wanted| below(wanted, &entry.name));
                let below = below.filter(|below| !is_whole(below));
                let is_read = below.as_ref().is_none_or(|below| !below.is_empty());
                match entry.node {
                    _ if !is_read => {}
                    Node::Directory(id) if below.is_some() || directories.insert(id) => {
                        next.push((id, below));
                    }
                    Node::File { blob, .. } if files.insert(blob) && !is_here(odb, blob) => {
                        missing.push(blob);
                    }
                    _ => {}
                }
                if missing.len() >= most {
                    return Ok(missing);
                }
                // What waits is among them.
                if directories.len() + files.len() > MOST {
                    return Err(SourceError::TooLarge(format!("over {MOST} files to be read")));
                }
            }
        }
    }
    Ok(missing)
}

/// Without looking at the disk anew: most of them are not here, and that is nothing new.
fn is_here(odb: &Odb<'_>, blob: BlobId) -> bool {
    odb.exists_ext(blob.oid(), OdbLookupFlags::NO_REFRESH)
}

/// The tree with what is wanted of it; none where that is nothing.
fn prune(odb: &Odb<'_>, tree: TreeId, wanted: &[Vec<&str>]) -> Result<Option<TreeId>, SourceError> {
    let mut kept: Vec<(&[u8], String, Oid)> = Vec::new();
    for entry in tree::read(odb, tree).map_err(|why| refused(&why))? {
        let below = below(wanted, &entry.name);
        if below.is_empty() {
            continue;
        }
        let empty = || Oid::from_str(EMPTY).map_err(|error| problem(&error));
        let (mode, id): (&[u8], Oid) = match entry.node {
            Node::Directory(id) if is_whole(&below) => (b"40000", id.oid()),
            Node::Directory(id) => match prune(odb, id, &below)? {
                Some(id) => (b"40000", id.oid()),
                None => continue,
            },
            Node::File {
                blob,
                executable: false,
            } => (b"100644", blob.oid()),
            Node::File {
                blob,
                executable: true,
            } => (b"100755", blob.oid()),
            Node::Symlink => (b"120000", empty()?),
            Node::Submodule(id) => (b"160000", id.oid()),
            // It must not go unsaid: a mode that Git does not write is one, too.
            Node::Odd => (b"100666", empty()?),
        };
        kept.push((mode, entry.name, id));
    }
    if kept.is_empty() {
        return Ok(None);
    }
    write(odb, &kept).map(Some)
}

/// In the order in which they were, which is Git's.
fn write(odb: &Odb<'_>, entries: &[(&[u8], String, Oid)]) -> Result<TreeId, SourceError> {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode);
        bytes.push(b' ');
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(id.as_bytes());
    }
    let id = odb.write(ObjectType::Tree, &bytes);
    id.map(TreeId::of).map_err(|error| problem(&error))
}

/// What is wanted in the directory or file of this name: an empty list of names where it is wanted itself.
fn below<'a>(wanted: &[Vec<&'a str>], name: &str) -> Vec<Vec<&'a str>> {
    let inside = wanted.iter().filter_map(|path| match path.as_slice() {
        [first, rest @ ..] if *first == name => Some(rest.to_vec()),
        _ => None,
    });
    inside.collect()
}

fn is_whole(below: &[Vec<&str>]) -> bool {
    below.iter().any(Vec::is_empty)
}

fn broken() -> SourceError {
    SourceError::Store("its list of directories is not readable".into())
}
