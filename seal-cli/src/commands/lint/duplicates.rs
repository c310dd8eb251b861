//! Objects that are written twice.

use super::finding::{Finding, Level, Object, Place, Rule};
use crate::repo_files::Text;
use std::collections::BTreeMap;

/// One object in one directory: overlays repeat objects on purpose, in directories of their own.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    directory: String,
    group: String,
    kind: String,
    namespace: String,
    name: String,
}

struct Seen {
    file: String,
    line: usize,
    shown: String,
    ignored: bool,
}

/// What was seen so far.
#[derive(Default)]
pub(super) struct Known(BTreeMap<Identity, Vec<Seen>>);

impl Known {
    pub(super) fn add(&mut self, object: &Object<'_>) {
        let Some(name) = object.metadata("name") else {
            return;
        };
        if object.field("kind").is_empty() || object.field("apiVersion").is_empty() {
            return;
        }
        let file = &object.text.name;
        let group = object
            .field("apiVersion")
            .split_once('/')
            .map_or("", |(group, _)| group);
        // Both make one Secret, whatever their formats.
        let group = if object.field("kind") == "SealedSecret" {
            ""
        } else {
            group
        };
        let identity = Identity {
            directory: directory(file).to_owned(),
            group: group.to_owned(),
            kind: object.field("kind").to_owned(),
            namespace: object.metadata("namespace").unwrap_or_default().to_owned(),
            name: name.to_owned(),
        };
        self.0.entry(identity).or_default().push(Seen {
            file: file.clone(),
            line: super::line_of(object.document, &object.text.bytes, object.at),
            shown: object.shown(),
            ignored: object.ignored().contains(&Rule::Duplicate.id()),
        });
    }

    /// Everything that is there twice, but for directories that kustomize or Helm puts together.
    pub(super) fn findings(self, texts: &[Text]) -> Vec<Finding> {
        let is_built = |directory: &str| {
            texts.iter().any(|text| {
                let name = text.name.rsplit('/').next().unwrap_or_default();
                self::directory(&text.name) == directory
                    && matches!(name, "kustomization.yaml" | "kustomization.yml" | "Chart.yaml")
            })
        };
        let mut found = Vec::new();
        for (identity, seen) in self.0 {
            for (index, other) in seen.iter().enumerate() {
                // In a directory that is put together by another program, one file is still no place for two.
                let built = is_built(&identity.directory);
                let earlier = seen[..index]
                    .iter()
                    .find(|seen| !built || seen.file == other.file);
                let Some(first) = earlier.filter(|first| !first.ignored && !other.ignored) else {
                    continue;
                };
                found.push(Finding {
                    rule: Rule::Duplicate,
                    level: Level::Error,
                    place: Place {
                        file: other.file.clone(),
                        line: other.line,
                    },
                    object: Some(other.shown.clone()),
                    message: format!(
                        "the same object stands in {} line {}",
                        sealing::Printable(&first.file),
                        first.line
                    ),
                    hint: "remove one of the two; the later one would win, or neither",
                });
            }
        }
        found
    }
}

fn directory(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(directory, _)| directory)
}
