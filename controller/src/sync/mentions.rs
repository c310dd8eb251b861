//! Whether the files of a Sync that cannot be read, or is not read now, name an object: it may want what has left another path.
//!
//! A name that stands nowhere in the files below a path is wanted by nobody there. One that does may belong to another object;
//! then something stays for a while that could have gone, and a person is told.

use super::names::Unsure;
use apply::Key;
use render::Limits;
use source::{EntryKind, PathError, Snapshot, WalkLimits};
use std::collections::HashMap;

/// The objects that may be wanted elsewhere, each with the Sync that may want it.
pub(super) fn find(snapshot: &Snapshot, unsure: &[Unsure], keys: &[Key]) -> Vec<(Key, String)> {
    let mut found = Vec::new();
    let mut open: Vec<&Key> = keys.iter().collect();
    for sync in unsure {
        match mentioned(snapshot, &sync.path, &open) {
            Ok(hits) => {
                for (key, hit) in open.iter().zip(&hits) {
                    if *hit {
                        found.push(((*key).clone(), sync.name.clone()));
                    }
                }
                let mut hits = hits.into_iter();
                open.retain(|_| !hits.next().unwrap_or_default());
            }
            Err(PathError::TooLarge(_) | PathError::Unreadable) => {
                found.extend(open.drain(..).map(|key| (key.clone(), sync.name.clone())));
            }
            // A path that is no directory of this commit holds nothing.
            Err(_) => {}
        }
    }
    found
}

fn mentioned(snapshot: &Snapshot, path: &str, keys: &[&Key]) -> Result<Vec<bool>, PathError> {
    let limits = Limits::default();
    let walk = WalkLimits {
        entries: limits.entries,
        depth: limits.depth,
        ..WalkLimits::default()
    };
    let mut blobs = Vec::new();
    snapshot.walk(path, &walk, |entry| {
        if let EntryKind::File { blob, .. } = entry.kind {
            blobs.push(blob);
        }
    })?;
    let mut words = Words::of(keys);
    let mut left = limits.total_bytes;
    for blob in blobs {
        // A file that is too large to be a manifest is none.
        let bytes = match snapshot.blob(&blob, limits.file_bytes) {
            Err(PathError::TooLarge(_)) => continue,
            bytes => bytes?,
        };
        left = left
            .checked_sub(bytes.len())
            .ok_or(PathError::TooLarge("the directory is too large"))?;
        words.read(&bytes);
    }
    Ok(words.found)
}

/// Names that are looked for, and which of them were found.
struct Words<'a> {
    names: Vec<&'a str>,
    by_name: HashMap<&'a str, Vec<usize>>,
    found: Vec<bool>,
}

impl<'a> Words<'a> {
    fn of(keys: &[&'a Key]) -> Self {
        let names: Vec<&str> = keys.iter().map(|key| &*key.name).collect();
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            by_name.entry(name).or_default().push(index);
        }
        Self {
            found: vec![false; names.len()],
            names,
            by_name,
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let mut after_name = false;
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '[' | ']'));
        for word in words.filter(|word| !matches!(*word, "" | ":")) {
            if let Some((start, rest)) = word.split_once("${") {
                // A variable may stand for anything.
                let end = rest.rsplit_once('}').map_or("", |(_, end)| end);
                let fits = |name: &str| {
                    name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
                };
                // What is nothing but a variable would fit every name: it has to stand where names do.
                if after_name || !(start.is_empty() && end.is_empty()) {
                    for (name, found) in self.names.iter().zip(&mut self.found) {
                        *found |= fits(name);
                    }
                }
            } else {
                let word = word.trim_matches(['{', '}']);
                for index in self.by_name.get(word).into_iter().flatten() {
                    self.found[*index] = true;
                }
            }
            after_name = matches!(word.trim_start_matches('{'), "name" | "name:");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apply::GroupKind;
    use std::sync::Arc;

    fn found(text: &str, names: &[&str]) -> Vec<bool> {
        let keys: Vec<Key> = names
            .iter()
            .map(|name| Key {
                kind: Arc::new(GroupKind::new("", "ConfigMap")),
                namespace: None,
                name: (*name).into(),
            })
            .collect();
        let keys: Vec<&Key> = keys.iter().collect();
        let mut words = Words::of(&keys);
        words.read(text.as_bytes());
        words.found
    }

    #[test]
    fn names_are_found_as_yaml_and_json_write_them() {
        let text = "metadata: {name: one, labels: {a: b}}\n---\n{\"metadata\":{\"name\":\"two\"}}\nname: 'three'\n\
                    name: system:four # five\nname: ${APP}-db\nname: six-more\nvalue: ${ALL}";
        let names = [
            "one",
            "two",
            "three",
            "system:four",
            "five",
            "shop-db",
            "six",
            "db",
        ];
        let want = [true, true, true, true, true, true, false, false];
        assert_eq!(found(text, &names), want);
        assert_eq!(found("{\"name\": \"${ANY}\"}", &["one"]), [true]);
    }
}
