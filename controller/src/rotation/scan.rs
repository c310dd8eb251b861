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

/// How a file, or an object of the cluster, stands to who opens things here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    /// A Sync reads it, or the controller opens it: what does not open there is in need of a key.
    Applied,
    /// Nobody here reads it, as far as is known.
    Followed,
    /// It is another cluster's: so the rotation says.
    Elsewhere,
}

/// Who reads what of a Repository.
#[derive(Clone, Debug, Default)]
pub(super) struct Readership {
    pub(super) readers: Vec<Reader>,
    /// Paths that are another cluster's, as the rotation says.
    pub(super) elsewhere: Vec<String>,
}

/// In how many namespaces a value is tried that names none and that no Sync reads.
const MOST_NAMESPACES: usize = 16;

impl Readership {
    /// The namespaces in which objects of a file are tried that name none, and how the file stands.
    fn of(&self, path: &str) -> (Vec<String>, Standing) {
        let namespaces = |all: &mut dyn Iterator<Item = &Reader>| {
            let mut names: Vec<String> = all.map(|reader| reader.namespace.clone()).collect();
            names.sort();
            names.dedup();
            names
        };
        let covered = namespaces(&mut self.readers.iter().filter(|reader| covers(&reader.path, path)));
        if !covered.is_empty() {
            return (covered, Standing::Applied);
        }
        let elsewhere = self.elsewhere.iter().any(|directory| covers(directory, path));
        let standing = if elsewhere {
            Standing::Elsewhere
        } else {
            Standing::Followed
        };
        // A Sync may be pointed there tomorrow.
        let mut tried = namespaces(&mut self.readers.iter());
        tried.truncate(MOST_NAMESPACES);
        (tried, standing)
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Files in which something was sealed again.
    pub(super) files: Vec<Again>,
    pub(super) blockers: Vec<Blocker>,
    /// Whether values of a submodule hang on an old key.
    linked: bool,
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
    /// Whether anything hangs on an old key.
    pub(super) fn needs(&self) -> bool {
        self.linked || !self.files.is_empty()
    }

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

/// A content, the namespaces that Syncs would put it into, and how it stands.
type File = (BlobId, Vec<String>, Standing);

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
    readership: &Readership,
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
        let (namespaces, standing) = readership.of(&path);
        let file = (blob, namespaces, standing);
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
        if !found.objects.is_empty()
            && let Some(submodule) = snapshot.submodule_of(&path)?
        {
            scan.linked = true;
            let shown = source::display_safe(&submodule);
            scan.blockers.extend(found.objects.iter().map(|(object, count)| Blocker {
                place: format!("{place}: {path}"),
                object: object.clone(),
                message: format!(
                    "{} sealed for an old key, and values in submodule {shown} cannot be changed by a commit of this \
                     Repository: seal them again there, and commit a link to that.",
                    super::facts::values(*count)
                ),
            }));
        } else if !found.objects.is_empty() {
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
fn look(
    snapshot: &Snapshot,
    (blob, namespaces, standing): &File,
    change: &Change<'_>,
) -> Result<Found, PathError> {
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
    if !may_hold(&bytes) {
        return Ok(found);
    }
    let resealed = match again(&bytes, namespaces, change, *standing, &limits) {
        Ok(resealed) => resealed,
        Err(error) => {
            let message =
                format!("The file holds a SealedSecret, or may hold one, and cannot be read: {error}.");
            found.kept.push((None, String::new(), message));
            return Ok(found);
        }
    };
    for kept in resealed.kept.iter().filter(|kept| holds(kept, *standing)) {
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
    standing: Standing,
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
            // Nobody opens it here, so that it has to be known that no key does. What that costs goes with what is pushed.
            every_key: standing == Standing::Followed,
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

/// Whether something that was not sealed again may need an old key.
pub(super) fn holds(kept: &Kept, standing: Standing) -> bool {
    use sealing::OpenError;
    match &kept.why {
        // Sealed for a key of a size that no key here has: for none of ours.
        Why::Closed(OpenError::OtherKeySize { .. }) => false,
        // No key of ours opens it where it stands. Nobody applies it here, so it is for another cluster, most likely. Where it is
        // not known where it stands, nobody can say that.
        Why::Closed(OpenError::NoKey) => match standing {
            Standing::Applied => true,
            Standing::Followed => kept.place.namespace.is_none() && !kept.place.wide,
            Standing::Elsewhere => false,
        },
        // The same, as far as is known.
        Why::NoNamespace | Why::Closed(OpenError::TriesSpent) => standing != Standing::Elsewhere,
        _ => true,
    }
}

/// Whether a file is below a directory; the empty one is the root.
pub(super) fn covers(directory: &str, path: &str) -> bool {
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

/// Whether a text may hold a SealedSecret.
pub(super) fn may_hold(text: &[u8]) -> bool {
    manifest::may_say(text, "SealedSecret")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealing::OpenError;

    fn readership() -> Readership {
        let reader = |path: &str, namespace: &str| Reader {
            path: path.into(),
            namespace: namespace.into(),
        };
        Readership {
            readers: vec![
                reader("app", "shop"),
                reader("app/db", "bank"),
                reader("web", "shop"),
            ],
            elsewhere: vec!["clusters/b".into()],
        }
    }

    #[test]
    fn a_file_is_tried_where_syncs_put_it_and_others_where_they_might() {
        let of = |path: &str| readership().of(path);
        let both = vec!["bank".to_owned(), "shop".to_owned()];
        assert_eq!(of("web/a.yaml"), (vec!["shop".to_owned()], Standing::Applied));
        assert_eq!(of("app/db/a.yaml"), (both.clone(), Standing::Applied));
        assert_eq!(of("base/a.yaml"), (both.clone(), Standing::Followed));
        assert_eq!(of("clusters/b/a.yaml"), (both, Standing::Elsewhere));
        assert_eq!(
            Readership::default().of("a.yaml"),
            (Vec::new(), Standing::Followed)
        );
    }

    #[test]
    fn what_nobody_knows_the_place_of_holds_the_old_key() {
        let text = |namespace: &str, annotation: &str| {
            let object = serde_json::json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
                "metadata": {"name": "db", "namespace": namespace, "annotations": {annotation: "true"}},
                "spec": {"encryptedData": {}}});
            object.to_string()
        };
        let kept = |namespace: &str, annotation: &str, why: Why| {
            let task = Task {
                ring: &KeyRing::new([]),
                identities: &sealing::v2::Identities::default(),
                certificate: None,
                recipients: None,
                others: None,
                leaving: &BTreeSet::new(),
                namespace: None,
                every_key: false,
                now: SystemTime::UNIX_EPOCH,
            };
            let text = text(namespace, annotation).replace("{}", "{\"a\": \"x\"}");
            let mut all = reseal::stream(text.as_bytes(), &Limits::default(), &task)
                .unwrap()
                .kept;
            Kept {
                why,
                ..all.swap_remove(0)
            }
        };
        let closed = || Why::Closed(OpenError::NoKey);
        let wide = "sealedsecrets.bitnami.com/cluster-wide";
        for (namespace, annotation, why, held) in [
            // Applied, followed, elsewhere.
            ("shop", "x", closed(), [true, false, false]),
            ("", "x", closed(), [true, true, false]),
            (
                "",
                "sealedsecrets.bitnami.com/namespace-wide",
                closed(),
                [true, true, false],
            ),
            ("", wide, closed(), [true, false, false]),
            ("", "x", Why::NoNamespace, [true, true, false]),
            ("", "x", Why::NoTarget, [true, true, true]),
            (
                "shop",
                "x",
                Why::Closed(OpenError::TriesSpent),
                [true, true, false],
            ),
            ("", "x", Why::Closed(OpenError::NotBase64), [true, true, true]),
            (
                "",
                "x",
                Why::Closed(OpenError::OtherKeySize { bits: 2048 }),
                [false, false, false],
            ),
        ] {
            let kept = kept(namespace, annotation, why);
            let found = [Standing::Applied, Standing::Followed, Standing::Elsewhere]
                .map(|standing| holds(&kept, standing));
            assert_eq!(found, held, "{namespace:?} {annotation} {}", kept.why);
        }
    }

    #[test]
    fn a_directory_covers_what_is_below_it() {
        assert!(covers("", "a.yaml") && covers("app", "app/a.yaml") && covers("a/b", "a/b/c/d.yaml"));
        assert!(!covers("app", "apple/a.yaml") && !covers("app/a.yaml", "app/a.yaml"));
    }
}
