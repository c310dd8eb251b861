//! Renders a plain directory.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use source::{EntryKind, FileEntry, PathError, RepoPath, Snapshot, WalkLimits};

use crate::file::{self, Found};
use crate::{Limits, Problem, RenderError, Rendered, Variables, ignored, layout};

/// Changes whenever the same files come to mean something else.
const VERSION: &[u8] = b"signet render 2\0";

/// Reads every manifest below `path`: files that end in `.yaml`, `.yml` or `.json`, in all directories,
/// except those whose names begin with a dot, and those that `.signetignore` in `path` names.
pub fn directory(snapshot: &Snapshot, path: &str, limits: &Limits) -> Result<Rendered, RenderError> {
    directory_with(snapshot, path, limits, None)
}

/// As [`directory`]; with `variables`, those are replaced in each object, unless its annotations say otherwise. A
/// variable that is not set and has no default is its document's problem.
pub fn directory_with(
    snapshot: &Snapshot,
    path: &str,
    limits: &Limits,
    variables: Option<&Arc<Variables>>,
) -> Result<Rendered, RenderError> {
    let variables = variables.map(Arc::as_ref);
    let path = RepoPath::parse(path)?;
    let mut entries = Vec::new();
    let walk = WalkLimits {
        entries: limits.entries,
        depth: limits.depth,
        ..WalkLimits::default()
    };
    snapshot.walk(path.as_str(), &walk, |entry| entries.push(entry))?;
    ignored::leave_out(snapshot, path.as_str(), &mut entries)?;
    let layout = layout::sort(path.as_str(), &entries);
    if let Some((tool, file)) = layout.tool {
        return Err(RenderError::NeedsTool { tool, file });
    }
    let digest = digest(&entries, variables);
    drop(entries);

    let mut found = Found::new(layout.problems, limits, variables);
    let mut total = 0usize;
    for (path, blob) in &layout.files {
        let bytes = match snapshot.blob(blob, limits.file_bytes) {
            Ok(bytes) => bytes,
            Err(PathError::TooLarge(_)) => {
                let message = format!("the file is larger than {} bytes", limits.file_bytes);
                found.problems.push(Problem::of_file(
                    path,
                    message,
                    "split it, or move it out of the path",
                ));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        total = total.saturating_add(bytes.len());
        if total > limits.total_bytes {
            return Err(RenderError::OverLimit {
                what: "bytes",
                limit: limits.total_bytes,
            });
        }
        file::read(path, *blob, &bytes, &mut found);
        found.check()?;
    }
    found.check()?;
    let Found {
        mut items,
        mut problems,
        ..
    } = found;
    problems.sort();
    // It is kept as long as the commit is.
    items.shrink_to_fit();
    Ok(Rendered {
        items,
        problems,
        digest,
    })
}

/// Over everything that matters: contents go in as blob ids.
fn digest(entries: &[FileEntry], variables: Option<&Variables>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(VERSION);
    if let Some(variables) = variables {
        hash.update(b"variables");
        hash.update(variables.digest());
    }
    for entry in entries.iter().filter(|entry| layout::matters(entry)) {
        hash.update((entry.path.len() as u64).to_be_bytes());
        hash.update(entry.path.as_bytes());
        match entry.kind {
            EntryKind::File { blob, .. } => {
                hash.update(b"f");
                hash.update(blob.as_bytes());
            }
            EntryKind::Symlink => hash.update(b"l"),
            EntryKind::Submodule => hash.update(b"m"),
            EntryKind::Odd => hash.update(b"?"),
        }
    }
    hash.finalize().into()
}
