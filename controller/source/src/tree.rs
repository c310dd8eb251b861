//! Tree objects, parsed here: bounded, and with names as they are.

use std::collections::HashSet;

use git2::{ErrorCode, ObjectType, Odb, OdbObject};

use crate::path::{self, RepoPath};
use crate::{BlobId, CommitId, PathError, TreeId};

/// Largest tree object read, in bytes: some 200,000 entries in one directory.
const MAX_TREE_BYTES: usize = 8 << 20;

/// Directories in each other, for what goes through trees that anybody may have made.
pub(crate) const DEEPEST: usize = 64;

/// An entry as it stands.
#[derive(Clone, Copy)]
pub(crate) struct Raw<'a> {
    pub(crate) name: &'a [u8],
    /// None for one that Git does not write.
    pub(crate) mode: Option<Mode>,
    pub(crate) id: [u8; 20],
}

/// What Git writes an entry down as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Directory,
    File,
    Executable,
    Symlink,
    Submodule,
}

impl Mode {
    fn read(text: &[u8]) -> Option<Self> {
        match text {
            b"40000" | b"040000" => Some(Self::Directory),
            b"100644" | b"100664" => Some(Self::File),
            b"100755" => Some(Self::Executable),
            b"120000" => Some(Self::Symlink),
            b"160000" => Some(Self::Submodule),
            _ => None,
        }
    }
}

/// One entry of a directory.
pub(crate) struct Entry {
    /// As UTF-8, replaced where it is not.
    pub(crate) name: String,
    pub(crate) node: Node,
}

/// What an entry is.
#[derive(Clone, Copy)]
pub(crate) enum Node {
    Directory(TreeId),
    File {
        blob: BlobId,
        executable: bool,
    },
    Symlink,
    /// A commit of another repository.
    Submodule(CommitId),
    /// A name that is not UTF-8, not a single component, or there twice; or a mode that Git does not write.
    Odd,
}

/// Reads a directory in Git's order, which is bytewise over whole paths.
pub(crate) fn read(odb: &Odb<'_>, id: TreeId) -> Result<Vec<Entry>, PathError> {
    parse(bytes(odb, id)?.data()).ok_or(PathError::Unreadable)
}

/// A tree's bytes. Its size is known before it is read.
pub(crate) fn bytes<'odb>(odb: &'odb Odb<'_>, id: TreeId) -> Result<OdbObject<'odb>, PathError> {
    let (size, kind) = odb.read_header(id.oid()).map_err(|error| unreadable(&error))?;
    if kind != ObjectType::Tree {
        return Err(PathError::Unreadable);
    }
    if size > MAX_TREE_BYTES {
        return Err(PathError::TooLarge("a directory with too many entries"));
    }
    odb.read(id.oid()).map_err(|error| unreadable(&error))
}

/// The entries of a tree's bytes, as they stand there; none for a rest that is not one.
pub(crate) fn entries(data: &[u8]) -> impl Iterator<Item = Option<Raw<'_>>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = entry(rest);
        rest = entry.map_or(&[], |(_, rest)| rest);
        Some(entry.map(|(entry, _)| entry))
    })
}

/// Whether the directories down to this one can be written again with nothing lost. Of two entries of one name libgit2 keeps the
/// last, which nobody reads before that, and modes it writes in its own way.
pub(crate) fn is_rewritable(odb: &Odb<'_>, root: TreeId, path: &RepoPath) -> Result<bool, PathError> {
    let mut components = path.components();
    let mut here = root;
    loop {
        let object = bytes(odb, here)?;
        let mut names = HashSet::new();
        let next = components.next();
        let mut below = None;
        for entry in entries(object.data()) {
            let entry = entry.ok_or(PathError::Unreadable)?;
            if entry.mode.is_none() || !names.insert(entry.name) {
                return Ok(false);
            }
            if next.is_some_and(|name| name.as_bytes() == entry.name) && entry.mode == Some(Mode::Directory) {
                below = Some(TreeId::from_array(entry.id));
            }
        }
        here = match (next, below) {
            (None, _) => return Ok(true),
            (Some(_), None) => return Err(PathError::NotFound),
            (Some(_), Some(below)) => below,
        };
    }
}

/// Descends from `root`; every component must be a directory.
pub(crate) fn resolve(odb: &Odb<'_>, root: TreeId, path: &RepoPath) -> Result<TreeId, PathError> {
    let mut tree = root;
    for component in path.components() {
        let entries = read(odb, tree)?;
        let mut found = entries.iter().filter(|entry| entry.name == component);
        tree = match (found.next().map(|entry| entry.node), found.next()) {
            (None, _) => return Err(PathError::NotFound),
            (Some(Node::Directory(id)), None) => id,
            (Some(Node::File { .. }), None) => return Err(PathError::NotADirectory),
            (Some(Node::Symlink), None) => return Err(PathError::Symlink),
            (Some(Node::Submodule(_)), None) => return Err(PathError::Submodule),
            (Some(_), _) => return Err(PathError::Escapes),
        };
    }
    Ok(tree)
}

fn unreadable(error: &git2::Error) -> PathError {
    // The commit is there, so its trees should be: missing is damaged too.
    tracing::warn!(code = ?error.code(), missing = error.code() == ErrorCode::NotFound, "a tree cannot be read");
    PathError::Unreadable
}

/// `<octal mode> <name>\0<20 bytes>`, repeated: the first, and what comes after it.
fn entry(data: &[u8]) -> Option<(Raw<'_>, &[u8])> {
    let space = data.iter().position(|byte| *byte == b' ')?;
    let (mode, rest) = (&data[..space], &data[space + 1..]);
    let nul = rest.iter().position(|byte| *byte == 0)?;
    let (name, rest) = (&rest[..nul], &rest[nul + 1..]);
    let (id, rest) = rest.split_first_chunk::<20>()?;
    let mode = Mode::read(mode);
    Some((Raw { name, mode, id: *id }, rest))
}

fn parse(data: &[u8]) -> Option<Vec<Entry>> {
    let mut read: Vec<Entry> = Vec::new();
    for entry in entries(data) {
        let Raw { name, mode, id } = entry?;
        let safe = std::str::from_utf8(name).is_ok_and(path::is_safe_name);
        let file = |executable| Node::File {
            blob: BlobId::from_array(id),
            executable,
        };
        let node = match mode.filter(|_| safe) {
            Some(Mode::Directory) => Node::Directory(TreeId::from_array(id)),
            Some(Mode::File) => file(false),
            Some(Mode::Executable) => file(true),
            Some(Mode::Symlink) => Node::Symlink,
            Some(Mode::Submodule) => Node::Submodule(CommitId::from_array(id)),
            None => Node::Odd,
        };
        read.push(Entry {
            name: String::from_utf8_lossy(name).into_owned(),
            node,
        });
    }
    mark_doubles(&mut read);
    Some(read)
}

/// A name that is there twice means two things at once: neither is read.
fn mark_doubles(entries: &mut [Entry]) {
    let mut seen = HashSet::with_capacity(entries.len());
    let doubles: HashSet<String> = entries
        .iter()
        .filter(|entry| !seen.insert(entry.name.as_str()))
        .map(|entry| entry.name.clone())
        .collect();
    if doubles.is_empty() {
        return;
    }
    for entry in entries.iter_mut().filter(|entry| doubles.contains(&entry.name)) {
        entry.node = Node::Odd;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(mode: &str, name: &[u8]) -> Vec<u8> {
        let mut bytes = format!("{mode} ").into_bytes();
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(&[7; 20]);
        bytes
    }

    #[test]
    fn modes_and_names_decide() {
        let data = [
            entry("100644", b"a"),
            entry("100755", b"b"),
            entry("40000", b"c"),
            entry("120000", b"d"),
            entry("160000", b"e"),
            entry("100644", b".."),
            entry("100644", b"x/y"),
            entry("100644", b"\xff"),
            entry("40000", b".git"),
            entry("100666", b"f"),
            entry("100644", b"g"),
            entry("40000", b"g"),
        ]
        .concat();
        let kinds: String = parse(&data)
            .unwrap()
            .iter()
            .map(|entry| match entry.node {
                Node::File {
                    executable: false, ..
                } => 'f',
                Node::File { executable: true, .. } => 'x',
                Node::Directory(_) => 'd',
                Node::Symlink => 'l',
                Node::Submodule(_) => 'm',
                Node::Odd => '?',
            })
            .collect();
        assert_eq!(kinds, "fxdlm???????");
    }

    proptest! {
        #[test]
        fn garbage_does_not_panic(data in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&data);
        }
    }
}
