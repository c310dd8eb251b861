//! `.signetignore`: what of a path is not meant for the cluster, by the patterns of gitignore(5).

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use source::{EntryKind, FileEntry, PathError, Snapshot};

use crate::RenderError;

/// The file, in the path's own directory.
pub(crate) const FILE: &str = ".signetignore";
const LARGEST: usize = 64 << 10;
const LINES: usize = 1_000;

/// Leaves out what the path's file names. What cannot be read leaves nothing out: then nothing of the path is known.
pub(crate) fn leave_out(
    snapshot: &Snapshot,
    root: &str,
    entries: &mut Vec<FileEntry>,
) -> Result<(), RenderError> {
    let blob = match snapshot.entry(root, FILE)? {
        None => return Ok(()),
        Some(EntryKind::File { blob, .. }) => blob,
        Some(_) => return Err(bad("it is not a plain file")),
    };
    let bytes = match snapshot.blob(&blob, LARGEST) {
        Ok(bytes) => bytes,
        Err(PathError::TooLarge(_)) => return Err(bad("it is larger than 64 KiB")),
        Err(error) => return Err(error.into()),
    };
    let patterns = read(&bytes)?;
    let root = if root.is_empty() { 0 } else { root.len() + 1 };
    entries.retain(|entry| {
        let below = entry.path.get(root..).unwrap_or(&entry.path);
        let is_dir = matches!(entry.kind, EntryKind::Submodule);
        // What cannot be named cannot be left out.
        matches!(entry.kind, EntryKind::Odd) || !is_ignored(&patterns, below, is_dir)
    });
    Ok(())
}

/// As git: what lies in a directory that is left out is left out, whatever another pattern says of it.
fn is_ignored(patterns: &Gitignore, path: &str, is_dir: bool) -> bool {
    let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
    above.any(|directory| patterns.matched(directory, true).is_ignore())
        || patterns.matched(path, is_dir).is_ignore()
}

fn read(bytes: &[u8]) -> Result<Gitignore, RenderError> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad("it is not UTF-8"))?;
    let mut builder = GitignoreBuilder::new("");
    for (number, line) in text.lines().enumerate() {
        if number >= LINES {
            return Err(bad("it has more than 1,000 lines"));
        }
        let added = builder.add_line(None, line.strip_suffix('\r').unwrap_or(line));
        added.map_err(|_| {
            RenderError::BadIgnore(format!("line {} is no pattern of gitignore(5)", number + 1))
        })?;
    }
    builder.build().map_err(|_| bad("its patterns are too large"))
}

fn bad(why: &str) -> RenderError {
    RenderError::BadIgnore(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{is_ignored, read};

    fn ignored(patterns: &str, path: &str) -> bool {
        is_ignored(&read(patterns.as_bytes()).unwrap(), path, false)
    }

    /// As `git check-ignore` answers.
    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        for (patterns, path, is) in [
            ("ci/", "ci/pipeline.yaml", true),
            ("ci/", "apps/ci/pipeline.yaml", true),
            ("ci/", "ci.yaml", false),
            ("/ci", "ci/x.yaml", true),
            ("/ci", "apps/ci/x.yaml", false),
            ("*.tmp.yaml", "a/b.tmp.yaml", true),
            ("a/*.yaml", "a/b/c.yaml", false),
            ("a/**/c.yaml", "a/b/b/c.yaml", true),
            ("*.yaml\n!keep.yaml", "keep.yaml", false),
            ("dir/\n!dir/keep.yaml", "dir/keep.yaml", true),
            ("# a comment\n\n", "a.yaml", false),
            ("\\#odd.yaml", "#odd.yaml", true),
            ("x\r\ny", "x", true),
        ] {
            assert_eq!(ignored(patterns, path), is, "{patterns:?} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_named_by_its_line() {
        for (bytes, part) in [
            (&b"a\n[z-a]\n"[..], "line 2"),
            (b"\xff", "UTF-8"),
            (&[b'\n'; 1_001], "1,000 lines"),
        ] {
            let why = read(bytes).unwrap_err().to_string();
            assert!(why.contains(part), "{why}");
        }
    }
}
