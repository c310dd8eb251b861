//! What a commit changes in objects, and in the keys of sealed ones.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::objects::{Object, Sealed, read};

/// A file that a commit changes. Of a merge: one that is as none of its parents has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// From the repository's root.
    pub path: String,
    /// Names of blobs; none where there is no file.
    pub before: Option<String>,
    /// The same, after the commit.
    pub after: Option<String>,
}

/// One object that a commit changes, or a file that holds none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `added`, `removed`, `changed`.
    pub what: String,
    /// `Kind namespace/name`, or the path of another file.
    pub object: String,
    /// What is said of it in particular.
    #[serde(rename = "sealed")]
    pub details: Vec<Detail>,
    #[serde(skip)]
    secret: Option<String>,
}

/// What happened to a part of a SealedSecret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// `added`, `removed`, `resealed`, `scope`, `template`.
    pub what: String,
    /// The key's name, or what the scope was and is.
    pub text: String,
    /// The sealing keys that open it.
    #[serde(rename = "sealedFor")]
    pub by: Vec<String>,
}

/// Whether a file of this path is read for objects.
#[must_use]
pub fn is_manifest(path: &str) -> bool {
    let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
    matches!(ending, Some("yaml" | "yml" | "json"))
}

type Key = (String, String, String);

impl Change {
    /// Whether it is of a secret, as `namespace/name`. A manifest without a namespace fits any.
    #[must_use]
    pub fn is_of(&self, wanted: &str) -> bool {
        let Some(name) = &self.secret else { return false };
        name == wanted
            || name
                .strip_prefix('/')
                .is_some_and(|name| wanted.ends_with(&format!("/{name}")))
    }

    /// Whether something was sealed for this sealing key.
    #[must_use]
    pub fn is_for(&self, key: &str) -> bool {
        let mut keys = self.details.iter().flat_map(|detail| &detail.by);
        keys.any(|by| by == key || (key.len() >= 8 && by.starts_with(key)))
    }
}

/// Everything that a commit changes: objects wherever they stand, so that one that moves to another file is no change. `contents`
/// has the bytes of blobs by their names; one that is not there is taken to hold no object.
#[must_use]
pub fn changes(files: &[File], contents: &HashMap<String, Vec<u8>>) -> Vec<Change> {
    let mut comparison = Comparison::default();
    for file in files {
        let bytes = |name: &Option<String>| name.as_ref().and_then(|name| contents.get(name));
        let (before, after) = (bytes(&file.before), bytes(&file.after));
        comparison.file(file, before.map(Vec::as_slice), after.map(Vec::as_slice));
    }
    comparison.end()
}

/// The same, file by file: of one that was compared, names and digests are kept.
#[derive(Default)]
pub struct Comparison {
    before: BTreeMap<Key, Object>,
    after: BTreeMap<Key, Object>,
    changes: Vec<Change>,
}

impl Comparison {
    /// Takes in a file. One without bytes is taken to hold no object.
    pub fn file(&mut self, file: &File, before: Option<&[u8]>, after: Option<&[u8]>) {
        let known = self.before.len() + self.after.len();
        if is_manifest(&file.path) {
            for (bytes, objects) in [(before, &mut self.before), (after, &mut self.after)] {
                let read = bytes.map(read).unwrap_or_default();
                objects.extend(read.into_iter().map(|object| (key(&object), object)));
            }
        }
        if known == self.before.len() + self.after.len() {
            self.changes.push(Change {
                what: what(file.before.is_some(), file.after.is_some()).to_owned(),
                object: file.path.clone(),
                details: Vec::new(),
                secret: None,
            });
        }
    }

    /// What all of them change.
    #[must_use]
    pub fn end(self) -> Vec<Change> {
        compare(&self.before, &self.after, self.changes)
    }
}

fn compare(
    before: &BTreeMap<Key, Object>,
    after: &BTreeMap<Key, Object>,
    mut changes: Vec<Change>,
) -> Vec<Change> {
    let mut keys: Vec<Key> = before.keys().chain(after.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let (old, new) = (before.get(&key), after.get(&key));
        if let (Some(old), Some(new)) = (old, new)
            && old.mark == new.mark
        {
            continue;
        }
        let (kind, namespace, name) = &key;
        let is_secret = matches!(kind.as_str(), "SealedSecret" | "Secret");
        let place = if namespace.is_empty() {
            name.clone()
        } else {
            format!("{namespace}/{name}")
        };
        changes.push(Change {
            what: what(old.is_some(), new.is_some()).to_owned(),
            object: format!("{kind} {place}"),
            details: details(sealed(old), sealed(new)),
            secret: is_secret.then(|| format!("{namespace}/{name}")),
        });
    }
    changes
}

fn key(object: &Object) -> Key {
    (object.kind.clone(), object.namespace.clone(), object.name.clone())
}

fn what(before: bool, after: bool) -> &'static str {
    match (before, after) {
        (false, _) => "added",
        (true, false) => "removed",
        (true, true) => "changed",
    }
}

fn sealed(object: Option<&Object>) -> Option<&Sealed> {
    object.and_then(|object| object.sealed.as_ref())
}

fn details(old: Option<&Sealed>, new: Option<&Sealed>) -> Vec<Detail> {
    let mut details = Vec::new();
    if let (Some(old), Some(new)) = (old, new) {
        if old.scope != new.scope {
            details.push(Detail {
                what: "scope".to_owned(),
                text: format!("{} → {}", old.scope, new.scope),
                by: Vec::new(),
            });
        }
        if old.template != new.template {
            details.push(Detail {
                what: "template".to_owned(),
                text: String::new(),
                by: Vec::new(),
            });
        }
    }
    let empty = Sealed::default();
    let (old, new) = (old.unwrap_or(&empty), new.unwrap_or(&empty));
    for (name, value) in &new.keys {
        let what = match old.keys.get(name) {
            None => "added",
            Some(before) if before == value => continue,
            Some(_) => "resealed",
        };
        details.push(Detail {
            what: what.to_owned(),
            text: name.clone(),
            by: value.by.clone(),
        });
    }
    let gone = old.keys.keys().filter(|name| !new.keys.contains_key(*name));
    details.extend(gone.map(|name| Detail {
        what: "removed".to_owned(),
        text: name.clone(),
        by: Vec::new(),
    }));
    details
}

#[cfg(test)]
mod tests {
    use super::{Comparison, File};

    fn file(path: &str) -> File {
        File {
            path: path.into(),
            before: Some("b".into()),
            after: Some("a".into()),
        }
    }

    #[test]
    fn an_object_that_moves_between_files_is_no_change() {
        let map = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata: {a: one}\n";
        let same = b"{\"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"map\"}, \"data\": {\"a\": \"one\"}, \"apiVersion\": \"v1\"}";
        let other = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata: {a: two}\n";
        let compared = |after: &[u8]| {
            let mut comparison = Comparison::default();
            comparison.file(&file("one.yaml"), Some(map), None);
            comparison.file(&file("two.json"), None, Some(after));
            comparison.end()
        };
        assert!(compared(same).is_empty());
        let changes = compared(other);
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (&*changes[0].what, &*changes[0].object),
            ("changed", "ConfigMap map")
        );
    }

    #[test]
    fn many_values_for_many_keys_take_no_memory_of_their_product() {
        let names: Vec<String> = (0..10_000).map(|number| format!("key-{number:040}")).collect();
        let values = (0..10_000).map(|number| (format!("v{number}"), "k.x".into()));
        let values: serde_json::Map<_, serde_json::Value> = values.collect();
        let object = serde_json::json!({"apiVersion": "signet.dev/v1alpha1", "kind": "SealedSecret",
            "metadata": {"name": "db"},
            "spec": {"dataKeys": [{"id": "k", "recipients": names}], "values": values}});
        let mut comparison = Comparison::default();
        let bytes = object.to_string();
        comparison.file(&file("one.json"), None, Some(bytes.as_bytes()));
        let changes = comparison.end();
        let by: usize = changes[0].details.iter().map(|detail| detail.by.len()).sum();
        assert!(!changes[0].details.is_empty() && by < 20_000, "{by}");
    }
}
