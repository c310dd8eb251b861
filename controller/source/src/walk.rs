//! All files below a directory, in one fixed order, within bounds.

use std::sync::Arc;

use git2::Odb;

use crate::tree::{self, Node};
use crate::{BlobId, PathError, RepoPath, TreeId};

/// Bounds on a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkLimits {
    /// Entries of all directories together, files and directories. A few small tree objects that name each other's
    /// content again and again can stand for billions of files.
    pub entries: usize,
    /// Nested directories.
    pub depth: usize,
    /// Bytes of one path.
    pub path_bytes: usize,
    /// Whether entries whose names begin with a dot are left out, with all below them.
    pub skip_hidden: bool,
}

impl Default for WalkLimits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            depth: 64,
            path_bytes: 1024,
            skip_hidden: true,
        }
    }
}

/// Something below a directory that is not a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// From the repository's root. For [`EntryKind::Odd`], fit to print only.
    pub path: Arc<str>,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Its content.
        blob: BlobId,
        /// Whether the executable bit is set.
        executable: bool,
    },
    /// A symbolic link; not followed.
    Symlink,
    /// A submodule that is not followed.
    Submodule,
    /// A name that is not UTF-8, is unsafe (`..`, `.git`, a slash, a backslash, a control character) or is there
    /// twice, or a mode that Git does not write; not read.
    Odd,
}

impl EntryKind {
    /// None for a directory.
    pub(crate) fn of(node: Node) -> Option<Self> {
        Some(match node {
            Node::Directory(_) => return None,
            Node::File { blob, executable } => Self::File { blob, executable },
            Node::Symlink => Self::Symlink,
            Node::Submodule(_) => Self::Submodule,
            Node::Odd => Self::Odd,
        })
    }
}

/// Visits everything below `top`, which lies at `path`, but for what is below directories that `enter` refuses.
pub(crate) fn walk(
    odb: &Odb<'_>,
    top: TreeId,
    path: &RepoPath,
    limits: &WalkLimits,
    enter: &mut dyn FnMut(&str, TreeId) -> bool,
    visit: &mut dyn FnMut(FileEntry),
) -> Result<(), PathError> {
    let mut left = limits.entries;
    // Entries still to visit, the next one last; with the depth of the directory that holds them.
    let mut stack = Vec::new();
    push(odb, top, path.as_str(), 0, limits, &mut left, &mut stack)?;
    while let Some((depth, path, node)) = stack.pop() {
        if let Node::Directory(id) = node
            && enter(&path, id)
        {
            push(odb, id, &path, depth + 1, limits, &mut left, &mut stack)?;
        }
        let Some(kind) = EntryKind::of(node) else { continue };
        let path = if matches!(node, Node::Odd) {
            crate::display_safe(&path)
        } else {
            path
        };
        visit(FileEntry {
            path: path.into(),
            kind,
        });
    }
    Ok(())
}

fn push(
    odb: &Odb<'_>,
    id: TreeId,
    path: &str,
    depth: usize,
    limits: &WalkLimits,
    left: &mut usize,
    stack: &mut Vec<(usize, String, Node)>,
) -> Result<(), PathError> {
    if depth > limits.depth {
        return Err(PathError::TooLarge("directories nested too deeply"));
    }
    let entries = tree::read(odb, id)?;
    *left = left
        .checked_sub(entries.len())
        .ok_or(PathError::TooLarge("too many files"))?;
    for entry in entries.into_iter().rev() {
        if limits.skip_hidden && entry.name.starts_with('.') && !matches!(entry.node, Node::Odd) {
            continue;
        }
        let path = if path.is_empty() {
            entry.name
        } else {
            format!("{path}/{}", entry.name)
        };
        if path.len() > limits.path_bytes {
            return Err(PathError::TooLarge("a path is too long"));
        }
        stack.push((depth, path, entry.node));
    }
    Ok(())
}
