//! Tree objects, parsed here: bounded, and with names as they are.

use std::collections::HashSet;

use git2::{ErrorCode, ObjectType, Odb};

use crate::path::{self, RepoPath};
use crate::{BlobId, CommitId, PathError, TreeId};

/// Largest tree object read, in bytes: some 200,000 entries in one directory.
const MAX_TREE_BYTES: usize = 8 << 20;

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
    let (size, kind) = odb.read_header(id.oid()).map_err(|error| unreadable(&error))?;
    if kind != ObjectType::Tree {
        return Err(PathError::Unreadable);
    }
    if size > MAX_TREE_BYTES {
        return Err(PathError::TooLarge("a directory with too many entries"));
    }
    let object = odb.read(id.oid()).map_err(|error| unreadable(&error))?;
    parse(object.data()).ok_or(PathError::Unreadable)
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

/// `<octal mode> <name>\0<20 bytes>`, repeated.
fn parse(mut data: &[u8]) -> Option<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    while !data.is_empty() {
        let space = data.iter().position(|byte| *byte == b' ')?;
        let (mode, rest) = (&data[..space], &data[space + 1..]);
        let nul = rest.iter().position(|byte| *byte == 0)?;
        let (name, rest) = (&rest[..nul], &rest[nul + 1..]);
        let (id, rest) = rest.split_first_chunk::<20>()?;
        data = rest;
        let node = match (std::str::from_utf8(name), mode) {
            (Ok(name), _) if !path::is_safe_name(name) => Node::Odd,
            (Err(_), _) => Node::Odd,
            (_, b"40000" | b"040000") => Node::Directory(TreeId::from_array(*id)),
            (_, b"100644" | b"100664") => Node::File {
                blob: BlobId::from_array(*id),
                executable: false,
            },
            (_, b"100755") => Node::File {
                blob: BlobId::from_array(*id),
                executable: true,
            },
            (_, b"120000") => Node::Symlink,
            (_, b"160000") => Node::Submodule(CommitId::from_array(*id)),
            _ => Node::Odd,
        };
        entries.push(Entry {
            name: String::from_utf8_lossy(name).into_owned(),
            node,
        });
    }
    mark_doubles(&mut entries);
    Some(entries)
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
