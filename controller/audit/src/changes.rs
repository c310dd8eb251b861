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
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    let mut changes = Vec::new();
    for file in files {
        let objects = |name: &Option<String>| -> Vec<Object> {
            let bytes = name.as_ref().and_then(|name| contents.get(name));
            bytes.map(|bytes| read(bytes)).unwrap_or_default()
        };
        let known = before.len() + after.len();
        if is_manifest(&file.path) {
            before.extend(
                objects(&file.before)
                    .into_iter()
                    .map(|object| (key(&object), object)),
            );
            after.extend(
                objects(&file.after)
                    .into_iter()
                    .map(|object| (key(&object), object)),
            );
        }
        if known == before.len() + after.len() {
            changes.push(Change {
                what: what(file.before.is_some(), file.after.is_some()).to_owned(),
                object: file.path.clone(),
                details: Vec::new(),
                secret: None,
            });
        }
    }
    let mut keys: Vec<Key> = before.keys().chain(after.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let (old, new) = (before.get(&key), after.get(&key));
        if let (Some(old), Some(new)) = (old, new)
            && old.value == new.value
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
