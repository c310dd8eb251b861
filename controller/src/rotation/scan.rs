//! What hangs on the old keys in one commit, and that sealed again. Blocks, and costs a private operation for each value of
//! format v1; what was found clean once is not opened again.
//!
//! Open values live inside `reseal::stream` and nowhere else. What comes back holds places, names, and sealed bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crds::Blocker;
use manifest::Limits;
use reseal::{Kept, Resealed, Task, Why};
use sealing::v2::{KeyId, Recipient, Recipients};
use sealing::{Certificate, KeyRing};
use source::{BlobId, EntryKind, PathError, Snapshot, WalkLimits};

/// From which keys to which.
pub(super) struct Change<'k> {
    pub(super) ring: &'k KeyRing,
    pub(super) leaving: &'k BTreeSet<String>,
    pub(super) certificate: Option<&'k Certificate>,
    pub(super) recipients: Option<&'k Recipients>,
    pub(super) others: &'k BTreeMap<KeyId, Recipient>,
}

/// A Sync, as far as files are concerned.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// From the repository's root; empty: the whole of it.
    pub(super) path: String,
    /// The namespace of objects that name none.
    pub(super) namespace: String,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Files in which something was sealed again.
    pub(super) files: Vec<Again>,
    pub(super) blockers: Vec<Blocker>,
}

/// A file in which values were sealed again.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) path: String,
    pub(super) blob: BlobId,
    /// The file as it is then; empty where the memory does not keep that.
    pub(super) bytes: Vec<u8>,
    /// The SealedSecrets, with the number of values of each.
    pub(super) objects: Vec<(String, usize)>,
}

impl Scan {
    pub(super) fn values(&self) -> usize {
        let objects = self.files.iter().flat_map(|file| &file.objects);
        objects.map(|(_, values)| values).sum()
    }
}

/// What was found in a file, wherever the file is: nothing in it is opened or sealed a second time.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Mutex<HashMap<File, Arc<Found>>>,
    /// Whether contents are kept: for who makes a commit of them, maybe more than once.
    whole: bool,
}

/// A content, and the namespaces that Syncs would put it into.
type File = (BlobId, Vec<String>);

#[derive(Clone, Debug, Default)]
struct Found {
    objects: Vec<(String, usize)>,
    /// Document, object, message.
    kept: Vec<(Option<usize>, String, String)>,
    /// The file as it is sealed again.
    bytes: Vec<u8>,
}

/// How many are remembered.
const REMEMBERED: usize = 200_000;

impl Memory {
    /// One that keeps contents.
    pub(super) fn whole() -> Self {
        Self {
            whole: true,
            ..Self::default()
        }
    }

    fn get(&self, file: &File) -> Option<Arc<Found>> {
        let all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(file).cloned()
    }

    fn put(&self, file: File, found: Arc<Found>) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(file, found);
    }
}

/// Looks through the files below `path`. `place` is what blockers say of the commit. What `memory` has is not
/// opened again.
pub(super) fn scan(
    snapshot: &Snapshot,
    path: &str,
    place: &str,
    readers: &[Reader],
    change: &Change<'_>,
    memory: &Memory,
) -> Result<Scan, PathError> {
    let walk = WalkLimits {
        skip_hidden: false,
        ..WalkLimits::default()
    };
    let mut files = Vec::new();
    snapshot.walk(path, &walk, |entry| {
        if let EntryKind::File { blob, .. } = entry.kind
            && is_manifest(&entry.path)
        {
            files.push((entry.path, blob));
        }
    })?;
    let mut scan = Scan::default();
    for (path, blob) in files {
        let mut namespaces: Vec<String> = readers
            .iter()
            .filter(|reader| covers(&reader.path, &path))
            .map(|reader| reader.namespace.clone())
            .collect();
        namespaces.sort();
        namespaces.dedup();
        let file = (blob, namespaces);
        let found = if let Some(found) = memory.get(&file) {
            found
        } else {
            let mut found = look(snapshot, &file, change)?;
            if !memory.whole || found.objects.is_empty() {
                found.bytes = Vec::new();
            }
            let found = Arc::new(found);
            memory.put(file, Arc::clone(&found));
            found
        };
        for (document, object, message) in &found.kept {
            let document = document
                .map(|number| format!(" document {number}"))
                .unwrap_or_default();
            scan.blockers.push(Blocker {
                place: format!("{place}: {path}{document}"),
                object: object.clone(),
                message: message.clone(),
            });
        }
        if !found.objects.is_empty() {
            scan.files.push(Again {
                path: path.to_string(),
                blob,
                bytes: found.bytes.clone(),
                objects: found.objects.clone(),
            });
        }
    }
    Ok(scan)
}

/// Looks at one file, and gives it as it is sealed again.
fn look(snapshot: &Snapshot, (blob, namespaces): &File, change: &Change<'_>) -> Result<Found, PathError> {
    let limits = Limits::default();
    let mut found = Found::default();
    let bytes = match snapshot.blob(blob, limits.stream_bytes) {
        Ok(bytes) => bytes,
        Err(PathError::TooLarge(_)) => {
            let message = "The file is too large to be looked through. Split it, or give it another ending.";
            found.kept.push((None, String::new(), message.into()));
            return Ok(found);
        }
        Err(error) => return Err(error),
    };
    if !has_word(&bytes, b"SealedSecret") {
        return Ok(found);
    }
    let resealed = match again(&bytes, namespaces, change, &limits) {
        Ok(resealed) => resealed,
        Err(error) => {
            let message = format!("The file holds a SealedSecret and cannot be read: {error}.");
            found.kept.push((None, String::new(), message));
            return Ok(found);
        }
    };
    let applied = !namespaces.is_empty();
    for kept in resealed.kept.iter().filter(|kept| holds(kept, applied)) {
        let mut object = kept.place.to_string();
        if let Some(key) = &kept.key {
            object = format!("{object} key {}", sealing::Printable(key));
        }
        let message = format!("It was not sealed again: {}.", kept.why);
        found.kept.push((Some(kept.place.document), object, message));
    }
    for changed in &resealed.changed {
        let name = changed.place.to_string();
        match found.objects.last_mut() {
            Some((last, count)) if *last == name => *count += changed.keys.len(),
            _ => found.objects.push((name, changed.keys.len())),
        }
    }
    found.bytes = resealed.bytes;
    Ok(found)
}

/// Seals one text again. An object that names no namespace is tried in each that a Sync would put it into.
pub(super) fn again(
    bytes: &[u8],
    namespaces: &[String],
    change: &Change<'_>,
    limits: &Limits,
) -> Result<Resealed, reseal::TextError> {
    let pass = |bytes: &[u8], namespace| {
        let task = Task {
            ring: change.ring,
            identities: change.ring.native(),
            certificate: change.certificate,
            recipients: change.recipients,
            others: Some(change.others),
            leaving: change.leaving,
            namespace,
            now: SystemTime::now(),
        };
        reseal::stream(bytes, limits, &task)
    };
    let mut all = pass(bytes, namespaces.first().map(String::as_str))?;
    for namespace in namespaces.iter().skip(1) {
        if all.kept.iter().all(|kept| kept.place.namespace.is_some()) {
            break;
        }
        let next = pass(&all.bytes, Some(namespace))?;
        // What opened in one of them was sealed again there, and does not open in the others.
        all.kept.retain(|kept| {
            kept.place.namespace.is_some()
                || next
                    .kept
                    .iter()
                    .any(|other| (&other.place, &other.key) == (&kept.place, &kept.key))
        });
        all.changed.extend(next.changed);
        all.bytes = next.bytes;
    }
    Ok(all)
}

/// Whether something that was not sealed again may need an old key. `applied`: a Sync reads the file.
pub(super) fn holds(kept: &Kept, applied: bool) -> bool {
    use sealing::OpenError;
    match &kept.why {
        // Sealed for a key of a size that no key here has: for none of ours.
        Why::Closed(OpenError::OtherKeySize { .. }) => false,
        // For another cluster, most likely: no key of ours opens it where it stands, and nobody applies it here.
        Why::Closed(OpenError::NoKey) | Why::NoNamespace => applied,
        _ => true,
    }
}

fn covers(directory: &str, path: &str) -> bool {
    directory.is_empty()
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// What rendering reads.
pub(super) fn is_manifest(path: &str) -> bool {
    [".yaml", ".yml", ".json"]
        .iter()
        .any(|ending| path.ends_with(ending))
}

fn has_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_directory_covers_what_is_below_it() {
        assert!(covers("", "a.yaml") && covers("app", "app/a.yaml") && covers("a/b", "a/b/c/d.yaml"));
        assert!(!covers("app", "apple/a.yaml") && !covers("app/a.yaml", "app/a.yaml"));
    }
}
