//! Real manifests: every one of them is read, and every one has an identity.

use std::fs;
use std::path::{Path, PathBuf};

use manifest::{
    Draft, Limits, ManifestError, ManifestErrorKind, Origin, manifests, read_document, read_draft,
    read_stream, write_yaml,
};

pub(crate) fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json")
        {
            found.push(path);
        }
    }
}

/// Where the example repositories are: outside of this one, and not everywhere.
pub(crate) fn repositories() -> Option<PathBuf> {
    let path = match std::env::var_os("SIGNET_TEST_REPOS") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/repos"),
    };
    path.is_dir().then_some(path)
}

#[test]
fn real_manifests_are_read() {
    let Some(directory) = repositories() else {
        println!("skipped: no example repositories");
        return;
    };
    let mut paths = Vec::new();
    files(&directory, &mut paths);
    let limits = Limits::default();
    let mut objects = 0;
    for path in &paths {
        let text = fs::read(path).unwrap();
        for document in read_stream(&text, &limits).unwrap() {
            let place = format!("{} line {}", path.display(), document.line);
            let value = document.value.unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(
                read_document(&text[document.range.clone()], &limits).as_ref(),
                Ok(&value),
                "{place}"
            );
            let draft = read_draft(&text[document.range.clone()], &limits);
            assert_eq!(draft.map(Draft::as_written).as_ref(), Ok(&value), "{place}");
            let written = write_yaml(std::slice::from_ref(&value));
            assert_eq!(
                read_document(written.as_bytes(), &limits).as_ref(),
                Ok(&value),
                "{place}:\n{written}"
            );
            // What is not meant for the API server (values files and the like) has no apiVersion.
            if value.get("apiVersion").is_none() || value.get("metadata").is_none() {
                continue;
            }
            let origin = Origin {
                file: place.clone().into(),
                document: document.number,
                item: None,
                line: document.line,
            };
            for manifest in manifests(value, &origin, &limits) {
                match manifest {
                    // Without a hook annotation: refused, and rightly.
                    Err(ManifestError {
                        kind: ManifestErrorKind::GenerateName,
                        ..
                    }) => {}
                    other => drop(other.unwrap_or_else(|error| panic!("{error}"))),
                }
                objects += 1;
            }
        }
    }
    println!("{objects} objects in {} files", paths.len());
    assert!(objects > 100);
}
