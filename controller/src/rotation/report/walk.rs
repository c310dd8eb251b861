//! All of a Repository's history, or what came since it was walked last: which values it held, and who brought them. Blocks.
//!
//! Directories and files that an earlier commit held at the same place are not looked at again, so a commit costs what it
//! changes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crds::ReportCommit;
use jiff::Timestamp;
use source::{
    BlobId, Commit, CommitId, EntryKind, PathError, RefSpec, Remote, Snapshot, SourceError, Store, WalkLimits,
};

use super::rows::Terms;
use super::values::{Digest, Found, Opener, Place, Sealed, Value};
use crate::histories::Histories;
use crate::rotation::scan::{covers, is_manifest};
use crate::text;

/// Commits of one Repository.
const MOST_COMMITS: usize = 50_000;
/// How long one may take, its fetch not counted.
const PATIENCE: Duration = Duration::from_mins(30);
/// How often it is told how far it is: each time a status is written.
const PROGRESS: Duration = Duration::from_secs(3);
/// Longest text of an author, in bytes.
const LONGEST: usize = 200;

/// What is to be walked.
pub(super) struct Job {
    /// `namespace/name`.
    pub(super) repository: String,
    pub(super) dir: PathBuf,
    pub(super) histories: Histories,
    pub(super) remote: Remote,
    pub(super) reference: RefSpec,
    pub(super) head: CommitId,
    /// The commit up to which it was walked.
    pub(super) known: Option<CommitId>,
    pub(super) terms: Terms,
    /// Whether all keys that leaked are at hand.
    pub(super) with_all_keys: bool,
    pub(super) opener: Arc<Mutex<Opener>>,
    pub(super) memory: Arc<Mutex<Memory>>,
    /// What may be kept of it, in bytes.
    pub(super) room: usize,
    pub(super) progress: Box<dyn Fn(String) + Send>,
    pub(super) stopped: Box<dyn Fn() -> bool + Send>,
}

/// What blobs hold, each for the namespaces that it was tried in.
#[derive(Default)]
pub(super) struct Memory {
    known: HashMap<(BlobId, Vec<String>), Arc<Found>>,
    bytes: usize,
}

/// How many blobs are remembered, and how much may be kept of them, in bytes.
const REMEMBERED: usize = 200_000;
const REMEMBERED_BYTES: usize = 64 << 20;
/// What may be kept of one Repository, in bytes: whoever may commit there chooses names and numbers.
pub(super) const FOUND_BYTES: usize = 32 << 20;
/// What may be kept of the paths that were met, in bytes: then they are met again.
const PATHS_BYTES: usize = 64 << 20;

impl Memory {
    fn put(&mut self, id: (BlobId, Vec<String>), found: Arc<Found>) {
        let names: usize = id.1.iter().map(|name| name.len() + size_of::<String>()).sum();
        let weight = 128 + names + found.bytes;
        if self.known.len() >= REMEMBERED || self.bytes + weight > REMEMBERED_BYTES {
            *self = Self::default();
        }
        self.bytes += weight;
        self.known.insert(id, found);
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) head: String,
    /// Whether all of the history was walked, and not what is new.
    pub(super) afresh: bool,
    /// Whether all keys that leaked were at hand.
    pub(super) with_all_keys: bool,
    /// Values that are sealed for a leaked key, each with the first file and commit, and once more for every other file.
    pub(super) leaked: Vec<Leak>,
    /// Which commit brought a value.
    pub(super) brought: HashMap<(Place, Digest), Arc<ReportCommit>>,
    /// What stands at the head, and in which file.
    pub(super) current: Vec<(Value, Arc<str>)>,
    pub(super) commits: u64,
    /// What could not be looked through, as sentences.
    pub(super) gaps: Vec<String>,
    /// What of it takes room, in bytes.
    pub(super) bytes: usize,
    /// Whether there was more than room for it: something that leaked, or that stands at the head, is not among it.
    pub(super) cut: bool,
}

/// A value that is sealed for a leaked key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leak {
    pub(super) place: Place,
    pub(super) key: String,
    pub(super) digest: Option<Digest>,
    pub(super) file: String,
    pub(super) commit: Option<ReportCommit>,
}

impl Findings {
    /// Whether there is room for so much more, which is taken then.
    fn takes(&mut self, weight: usize, room: usize) -> bool {
        let fits = self.bytes + weight <= room;
        if fits {
            self.bytes += weight;
        }
        fits
    }
}

impl Leak {
    fn weight(&self) -> usize {
        let commit = self.commit.as_ref().map_or(0, |commit| {
            commit.id.len() + commit.author.len() + commit.date.len()
        });
        // It is remembered twice that it was met.
        size_of::<Self>() + 3 * self.place.weight() + self.key.len() + 2 * self.file.len() + commit
    }
}

/// Paths that were met, with what was there.
#[derive(Default)]
struct Met {
    directories: HashSet<(String, source::TreeId)>,
    files: HashSet<(Arc<str>, BlobId)>,
    bytes: usize,
}

/// Counts of what could not be looked through.
#[derive(Default)]
struct Odd {
    nameless: usize,
    unread: Option<(usize, String)>,
    large: Option<(usize, String)>,
    adrift: Option<(usize, String)>,
    cut: usize,
    blobs: HashSet<BlobId>,
    /// What was adrift, wherever it was.
    sealed: HashSet<Sealed>,
}

impl Job {
    /// Walks.
    ///
    /// # Errors
    /// The remote's, and the store's.
    pub(super) fn run(mut self) -> Result<Findings, SourceError> {
        let owner = self.repository.split('/').next().unwrap_or_default();
        let held = self.histories.take(&self.dir, owner);
        self.remote.disk = Some(held.part());
        let store = Store::open(&self.dir)?;
        let most = MOST_COMMITS;
        let chronicle = store.chronicle(&self.remote, &self.reference, self.head, self.known, most)?;
        let began = Instant::now();
        let mut found = Findings {
            head: self.head.to_string(),
            afresh: self.known.is_none(),
            with_all_keys: self.with_all_keys,
            commits: u64::try_from(chronicle.commits.len()).unwrap_or(u64::MAX),
            ..Findings::default()
        };
        let mut met = Met::default();
        let mut odd = Odd::default();
        if let Some(known) = self.known.and_then(|id| store.snapshot(id).ok()) {
            // What is odd about it was told when it was met first.
            for (path, blob) in new_files(&known, &mut met).map_err(|error| unreadable(&error))? {
                self.look(&known, blob, (&path, self.known), &mut odd)?;
            }
            odd.forget();
        }
        let mut leaks: BTreeSet<(Place, Arc<str>)> = BTreeSet::new();
        let mut digests: HashSet<(Place, Digest)> = HashSet::new();
        if chronicle.cut {
            found.gaps.push(format!(
                "Its history has more than {most} commits, or the remote does not serve the older ones: those are not looked \
                 through."
            ));
        }
        let all = chronicle.commits.len();
        let mut told: Option<Instant> = None;
        for (number, commit) in chronicle.commits.iter().enumerate() {
            if (self.stopped)() {
                // What was opened is remembered, so that the next try is quicker.
                return Err(SourceError::Store(
                    "the walk was interrupted; it is begun again".into(),
                ));
            }
            if began.elapsed() > PATIENCE {
                found.gaps.push(format!(
                    "Only {number} of {all} commits were looked through: it took too long."
                ));
                break;
            }
            if told.is_none_or(|at| at.elapsed() >= PROGRESS) {
                told = Some(Instant::now());
                let repository = &self.repository;
                (self.progress)(format!("Repository {repository}: {number} of {all} commits"));
            }
            let snapshot = store.snapshot(commit.id)?;
            let new = match new_files(&snapshot, &mut met) {
                Ok(new) => new,
                Err(PathError::TooLarge(what)) => {
                    let short = short(&commit.id);
                    found
                        .gaps
                        .push(format!("Commit {short} is not looked through: {what}."));
                    continue;
                }
                Err(error) => return Err(unreadable(&error)),
            };
            let id = commit.id;
            let commit = Arc::new(report_commit(commit));
            for (path, blob) in new {
                let Some(values) = self.look(&snapshot, blob, (&path, Some(id)), &mut odd)? else {
                    continue;
                };
                for value in &values.values {
                    if let Some(key) = &value.leaked {
                        let at_file = (value.place.clone(), Arc::clone(&path));
                        let is_new = value.digest.is_some_and(|digest| {
                            let id = (value.place.clone(), digest);
                            !digests.contains(&id)
                        });
                        if is_new || !leaks.contains(&at_file) {
                            let leak = Leak {
                                place: value.place.clone(),
                                key: key.clone(),
                                digest: value.digest,
                                file: path.to_string(),
                                commit: Some((*commit).clone()),
                            };
                            if found.takes(leak.weight(), self.room) {
                                leaks.insert(at_file);
                                digests.extend(value.digest.map(|digest| (value.place.clone(), digest)));
                                found.leaked.push(leak);
                            } else {
                                found.cut = true;
                            }
                        }
                    }
                    let Some(digest) = value.digest else { continue };
                    // Who brought a value is good to know, and takes no more than half of the room.
                    let id = (value.place.clone(), digest);
                    if !found.brought.contains_key(&id)
                        && found.takes(value.place.weight() + 64, self.room / 2)
                    {
                        found.brought.insert(id, Arc::clone(&commit));
                    }
                }
            }
        }
        let head = store.snapshot(self.head)?;
        let now = new_files(&head, &mut Met::default());
        // All of it was met before.
        let mut again = Odd::default();
        for (path, blob) in now.map_err(|error| unreadable(&error))? {
            if let Some(values) = self.look(&head, blob, (&path, None), &mut again)? {
                for value in &values.values {
                    if found.takes(value.weight() + path.len(), self.room) {
                        found.current.push((value.clone(), Arc::clone(&path)));
                    } else {
                        found.cut = true;
                    }
                }
            }
        }
        found.cut |= odd.cut + again.cut > 0;
        if found.cut {
            let room = self.room >> 20;
            found.gaps.push(format!(
                "It holds more sealed values than a report keeps ({room} MiB of names): the others are not listed."
            ));
        }
        odd.tell(&mut found.gaps);
        Ok(found)
    }

    fn look(
        &self,
        snapshot: &Snapshot,
        blob: BlobId,
        (path, commit): (&str, Option<CommitId>),
        odd: &mut Odd,
    ) -> Result<Option<Arc<Found>>, SourceError> {
        let at = || match &commit {
            Some(commit) => format!("{path} in commit {}", short(commit)),
            None => path.to_owned(),
        };
        let id = (blob, self.terms.namespaces.clone());
        let known = {
            let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.known.get(&id).cloned()
        };
        let found = if let Some(found) = known {
            found
        } else {
            let bytes = match snapshot.blob(&blob, manifest::Limits::default().stream_bytes) {
                Ok(bytes) => bytes,
                Err(PathError::TooLarge(_)) => {
                    if odd.blobs.insert(blob) {
                        odd.large.get_or_insert_with(|| (0, at())).0 += 1;
                    }
                    return Ok(None);
                }
                Err(error) => return Err(unreadable(&error)),
            };
            let mut opener = self.opener.lock().unwrap_or_else(PoisonError::into_inner);
            let found = Arc::new(opener.text(&bytes, &self.terms.namespaces));
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.put(id, Arc::clone(&found));
            found
        };
        let mut elsewhere = self.terms.elsewhere.iter();
        // What opens nowhere there is no gap.
        if !elsewhere.any(|directory| covers(directory, path)) {
            for sealed in &found.adrift {
                if odd.sealed.insert(*sealed) {
                    odd.adrift.get_or_insert_with(|| (0, at())).0 += 1;
                }
            }
        }
        let is_odd = found.unread || found.nameless + found.cut > 0;
        if is_odd && odd.blobs.insert(blob) {
            odd.nameless += found.nameless;
            odd.cut += found.cut;
            if found.unread {
                odd.unread.get_or_insert_with(|| (0, at())).0 += 1;
            }
        }
        Ok(Some(found))
    }
}

impl Odd {
    /// Counts from here on. What was met is not counted again.
    fn forget(&mut self) {
        *self = Self {
            blobs: std::mem::take(&mut self.blobs),
            sealed: std::mem::take(&mut self.sealed),
            cut: self.cut,
            ..Self::default()
        };
    }

    fn tell(self, gaps: &mut Vec<String>) {
        let place = |at: &str| text::bounded(at, 300);
        if let Some((count, at)) = self.unread {
            let at = place(&at);
            gaps.push(format!(
                "SealedSecrets in {count} versions of files cannot be read, {at} first."
            ));
        }
        if let Some((count, at)) = self.large {
            let at = place(&at);
            gaps.push(format!(
                "{count} versions of files are too large to be looked through, {at} first."
            ));
        }
        if self.nameless > 0 {
            let count = self.nameless;
            gaps.push(format!(
                "{count} values are not listed: what they or their SealedSecrets are called is no name of Kubernetes'."
            ));
        }
        if let Some((count, at)) = self.adrift {
            let at = place(&at);
            gaps.push(format!(
                "{count} values of format v1 name no namespace, and open in none that a Sync says, {at} first: an old key may open \
                 them elsewhere."
            ));
        }
    }
}

/// Manifests that were not met before at their place.
fn new_files(snapshot: &Snapshot, met: &mut Met) -> Result<Vec<(Arc<str>, BlobId)>, PathError> {
    if met.bytes > PATHS_BYTES {
        *met = Met::default();
    }
    let Met {
        directories,
        files,
        bytes,
    } = met;
    let bytes = std::cell::Cell::from_mut(bytes);
    let limits = WalkLimits {
        skip_hidden: false,
        ..WalkLimits::default()
    };
    let mut new = Vec::new();
    let enter = |path: &str, id| {
        let is_new = directories.insert((path.to_owned(), id));
        bytes.set(bytes.get() + if is_new { path.len() + 64 } else { 0 });
        is_new
    };
    snapshot.walk_where(&limits, enter, |entry| {
        if let EntryKind::File { blob, .. } = entry.kind
            && is_manifest(&entry.path)
            && files.insert((Arc::clone(&entry.path), blob))
        {
            bytes.set(bytes.get() + entry.path.len() + 64);
            new.push((entry.path, blob));
        }
    })?;
    Ok(new)
}

fn unreadable(error: &PathError) -> SourceError {
    SourceError::Store(error.to_string())
}

fn short(id: &CommitId) -> String {
    id.to_string().get(..12).unwrap_or_default().to_owned()
}

fn report_commit(commit: &Commit) -> ReportCommit {
    let author = &commit.author;
    let date = Timestamp::from_second(author.time).unwrap_or_default();
    ReportCommit {
        id: commit.id.to_string(),
        author: text::bounded_bytes(&format!("{} <{}>", author.name, author.email), LONGEST),
        date: date.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}
