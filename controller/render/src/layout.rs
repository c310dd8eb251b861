//! Which of a directory's files are manifests, and which belong to another tool.

use std::collections::BTreeMap;
use std::sync::Arc;

use source::{BlobId, EntryKind, FileEntry};

use crate::Problem;

/// Files that make their directory something else than a set of manifests, with the tool's name.
const MARKERS: [(&str, &str); 4] = [
    ("kustomization.yaml", "kustomize"),
    ("kustomization.yml", "kustomize"),
    ("Kustomization", "kustomize"),
    ("Chart.yaml", "Helm"),
];

/// What a path holds, sorted out.
#[derive(Default)]
pub(crate) struct Layout {
    /// Manifest files to read, by path.
    pub(crate) files: Vec<(Arc<str>, BlobId)>,
    /// Problems with entries.
    pub(crate) problems: Vec<Problem>,
    /// What makes the path itself another tool's: the tool and the file.
    pub(crate) tool: Option<(&'static str, &'static str)>,
}

/// Sorts out what lies below `root`.
pub(crate) fn sort(root: &str, entries: &[FileEntry]) -> Layout {
    let mut layout = Layout::default();
    let tools = tools(entries);
    if let Some((tool, file)) = tools.get(root) {
        layout.tool = Some((tool, file));
        return layout;
    }
    for (directory, (tool, file)) in &tools {
        if enclosing(directory, &tools).is_none() {
            layout.problems.push(Problem::of_file(
                &format!("{directory}/{file}"),
                format!("{tool} is not supported yet: this directory is left out"),
                "commit the rendered manifests instead, or move the directory out of the path",
            ));
        }
    }
    for entry in entries {
        if enclosing(&entry.path, &tools).is_some() {
            continue;
        }
        match entry.kind {
            EntryKind::File { blob, .. } => {
                if is_manifest(&entry.path) {
                    layout.files.push((Arc::clone(&entry.path), blob));
                }
            }
            // Whatever they stand for is missing from the set, so it must not go unsaid.
            EntryKind::Symlink => layout.problems.push(Problem::of_file(
                &entry.path,
                "this is a symbolic link, and none is followed",
                "commit the file itself, or start its name with a dot to leave it out",
            )),
            EntryKind::Submodule => layout.problems.push(Problem::of_file(
                &entry.path,
                "this is a submodule, and none is fetched",
                "follow its repository with a Repository of its own",
            )),
            EntryKind::Odd => layout.problems.push(Problem::of_file(
                &entry.path,
                "this name cannot be used",
                "rename it: no `.git`, `..`, slashes, backslashes or control characters, UTF-8, and once a directory",
            )),
        }
    }
    layout
}

type Tools = BTreeMap<String, (&'static str, &'static str)>;

/// The directories that belong to a tool.
fn tools(entries: &[FileEntry]) -> Tools {
    let mut tools = Tools::new();
    for entry in entries {
        let (directory, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
        if let Some((file, tool)) = MARKERS.iter().find(|(file, _)| *file == name) {
            tools.entry(directory.to_owned()).or_insert((tool, file));
        }
    }
    tools
}

/// The nearest directory above `path` that belongs to a tool.
fn enclosing<'a>(path: &'a str, tools: &Tools) -> Option<&'a str> {
    if tools.is_empty() {
        return None;
    }
    let mut above = path;
    while let Some((directory, _)) = above.rsplit_once('/') {
        if tools.contains_key(directory) {
            return Some(directory);
        }
        above = directory;
    }
    None
}

/// Whether an entry can change what is rendered. A README's content cannot.
pub(crate) fn matters(entry: &FileEntry) -> bool {
    let name = entry.path.rsplit('/').next().unwrap_or_default();
    !matches!(entry.kind, EntryKind::File { .. })
        || is_manifest(&entry.path)
        || MARKERS.iter().any(|(marker, _)| *marker == name)
}

/// By its ending, as kubectl takes them, whatever the case.
fn is_manifest(path: &str) -> bool {
    let ending = path
        .rsplit('/')
        .next()
        .and_then(|name| name.rsplit_once('.'))
        .map(|(_, ending)| ending);
    ending.is_some_and(|ending| {
        ["yaml", "yml", "json"]
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(paths: &[(&str, char)]) -> Vec<FileEntry> {
        let blob: BlobId = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        paths
            .iter()
            .map(|(path, kind)| FileEntry {
                path: (*path).into(),
                kind: match kind {
                    'l' => EntryKind::Symlink,
                    'm' => EntryKind::Submodule,
                    '?' => EntryKind::Odd,
                    _ => EntryKind::File {
                        blob,
                        executable: false,
                    },
                },
            })
            .collect()
    }

    fn files(layout: &Layout) -> Vec<&str> {
        layout.files.iter().map(|(path, _)| &**path).collect()
    }

    #[test]
    fn manifests_by_their_ending() {
        let found = sort(
            "a",
            &entries(&[
                ("a/x.yaml", 'f'),
                ("a/y.YML", 'f'),
                ("a/z.json", 'f'),
                ("a/README.md", 'f'),
                ("a/yaml", 'f'),
            ]),
        );
        assert_eq!(files(&found), ["a/x.yaml", "a/y.YML", "a/z.json"]);
        assert!(found.problems.is_empty() && found.tool.is_none());
    }

    #[test]
    fn what_is_not_read_is_said() {
        let found = sort(
            "",
            &entries(&[("l", 'l'), ("m", 'm'), ("q", '?'), ("a.yaml", 'f')]),
        );
        assert_eq!(files(&found), ["a.yaml"]);
        assert_eq!(found.problems.len(), 3);
    }

    #[test]
    fn a_tool_at_the_root_takes_the_path() {
        let found = sort("a", &entries(&[("a/kustomization.yaml", 'f'), ("a/x.yaml", 'f')]));
        assert_eq!(found.tool, Some(("kustomize", "kustomization.yaml")));
        let found = sort("", &entries(&[("Chart.yaml", 'f')]));
        assert_eq!(found.tool, Some(("Helm", "Chart.yaml")));
    }

    #[test]
    fn a_tool_below_takes_its_directory() {
        let found = sort(
            "a",
            &entries(&[
                ("a/b/Chart.yaml", 'f'),
                ("a/b/charts/c/Chart.yaml", 'f'),
                ("a/b/templates/x.yaml", 'f'),
                ("a/bc/x.yaml", 'f'),
            ]),
        );
        assert_eq!(files(&found), ["a/bc/x.yaml"]);
        assert_eq!(found.problems.len(), 1);
        assert_eq!(found.problems[0].file, "a/b/Chart.yaml");
    }
}
