//! Lines about commits, kept under a notes ref of the remote (git-notes(1)): read what is there, add, send, never by force.
//!
//! The notes live in a store of their own, at depth 1: the newest tree holds them all. What somebody else pushes meanwhile is
//! fetched, and the lines are put on top of that.

use std::collections::BTreeSet;
use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Oid, Repository, Signature, Time};

use super::{Measure, Store, StoreOptions, problem};
use crate::{Commit, CommitId, RefSpec, Remote, SourceError, TreeId, disk};

/// How often lines are put on top of what somebody else has just pushed, before they wait.
const TRIES: usize = 5;
/// Writes before the store is made anew, pushed or not: each leaves loose objects behind.
const WRITES: u32 = 500;
/// Bytes of the directories that one commit of notes writes anew. A hundred thousand notes have 7 MiB.
const LARGEST_DIRECTORIES: usize = 64 << 20;
/// The longest note, in bytes. What does not fit is left out.
const LONGEST: usize = 128 << 10;
/// Lines of one kind that a note keeps at its beginning, and at its end.
const FIRST: usize = 5;
const LAST: usize = 5;
/// Between the number of lines that are no longer there and the first word of the first.
const MORE: &str = " more since ";
/// An address that is nobody's (RFC 2606).
const EMAIL: &str = "controller@signet.invalid";

/// A line about a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The commit. It need not be in the store.
    pub commit: CommitId,
    /// Without a line end.
    pub text: String,
    /// Left out where the commit's note has a line with this in it.
    pub unless: Option<String>,
    /// What its text and others of its kind have behind their first word. Of one kind a note keeps the first few lines and the last
    /// few; those between become one, which counts them.
    pub kind: String,
}

/// What the remote has.
#[derive(Debug, Clone, Copy)]
enum Head {
    /// It has to be asked.
    Unknown,
    /// A commit of notes, or no such ref.
    Known(Option<CommitId>),
}

/// The notes under one ref of one remote.
#[derive(Debug)]
pub struct Notebook {
    store: Store,
    reference: RefSpec,
    author: String,
    head: Head,
    written: u32,
}

impl Notebook {
    /// Opens the store in `dir` for the notes ref of this full name. `author` is who the commits of notes are by.
    ///
    /// # Errors
    /// [`SourceError::BadRef`] for what is no notes ref.
    pub fn open(dir: &Path, reference: &str, author: &str) -> Result<Self, SourceError> {
        Self::open_with(dir, reference, author, StoreOptions::default())
    }

    /// [`Notebook::open`] with other settings.
    pub fn open_with(
        dir: &Path,
        reference: &str,
        author: &str,
        options: StoreOptions,
    ) -> Result<Self, SourceError> {
        if !reference.starts_with("refs/notes/") {
            return Err(SourceError::BadRef);
        }
        let reference = RefSpec::Full(reference.to_owned());
        reference.check()?;
        Ok(Self {
            store: Store::open_with(dir, options)?,
            reference,
            author: author.to_owned(),
            head: Head::Unknown,
            written: 0,
        })
    }

    /// Adds lines, in one commit. Those that are there already are not added again, so that it may be repeated. What it costs in all
    /// is bounded where the remote is one [for one look](Remote::for_one_look).
    ///
    /// # Errors
    /// [`SourceError::PushRefused`] where the remote does not take it, whatever it is put on top of.
    pub fn append(&mut self, remote: &Remote, lines: &[Line]) -> Result<(), SourceError> {
        let remote = &remote.with_all();
        let mut refusal = SourceError::PushRefused("others write to it all the time".into());
        for _ in 0..TRIES {
            let base = self.base(remote)?;
            let commit = match self.write(base, lines) {
                Ok(Some(commit)) => commit,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.head = Head::Unknown; // somebody may mend it
                    return Err(error);
                }
            };
            self.written += 1;
            match self.store.push(remote, &self.reference, commit) {
                Ok(()) => {
                    self.head = Head::Known(Some(commit));
                    return Ok(());
                }
                Err(SourceError::PushRefused(why)) => {
                    self.head = Head::Unknown;
                    if self.base(remote)? == base {
                        return Err(SourceError::PushRefused(why)); // it is not for what others did
                    }
                    refusal = SourceError::PushRefused(why);
                }
                // It may have arrived: what is there is looked at again.
                Err(error) => {
                    self.head = Head::Unknown;
                    return Err(error);
                }
            }
        }
        Err(refusal)
    }

    /// What the remote has.
    fn base(&mut self, remote: &Remote) -> Result<Option<CommitId>, SourceError> {
        if self.is_full() {
            self.start_afresh()?;
        }
        if let Head::Known(head) = self.head {
            return Ok(head);
        }
        let head = match self.store.fetch(remote, &self.reference) {
            Ok(fetched) => {
                self.measure(remote, fetched.commit().tree)?;
                Some(fetched.commit().id)
            }
            Err(SourceError::NoSuchRef(_) | SourceError::EmptyRemote) => None,
            Err(error) => {
                if let SourceError::NoRoom { .. } = error {
                    // What is held of notes is worth nothing to anybody else.
                    self.start_afresh()?;
                }
                return Err(error);
            }
        };
        self.head = Head::Known(head);
        Ok(head)
    }

    /// Whether these notes, which anybody may have pushed, are any that can be written again.
    fn measure(&self, remote: &Remote, tree: TreeId) -> Result<(), SourceError> {
        let time = remote.cost();
        self.store.current().with(|repository| {
            let odb = repository.odb().map_err(|error| problem(&error))?;
            Measure::new(&odb, &time).entries(tree).map(drop)
        })?
    }

    /// Whether the store is to be made anew. Whoever has the remote may serve other notes each time and take none: a fetch that is
    /// in the same session as others has no room to do that.
    fn is_full(&self) -> bool {
        let most = self.store.options.max_bytes;
        self.written >= WRITES || self.store.is_full() || disk::bytes(self.store.current().dir(), 0) > most // with what was written, in no pack
    }

    fn start_afresh(&mut self) -> Result<(), SourceError> {
        self.store.start_afresh(&[], true)?;
        (self.head, self.written) = (Head::Unknown, 0);
        Ok(())
    }

    /// A commit with the lines on top of `base`; none where they are there.
    fn write(&self, base: Option<CommitId>, lines: &[Line]) -> Result<Option<CommitId>, SourceError> {
        self.store.current().with(|repository| {
            weigh(repository, base, lines)?;
            add(repository, base, lines, &self.author).map_err(|error| problem(&error))
        })?
    }
}

/// Refuses directories that are too large to be written anew for a few lines. Their lengths are read before they are.
fn weigh(repository: &Repository, base: Option<CommitId>, lines: &[Line]) -> Result<(), SourceError> {
    let Some(base) = base else { return Ok(()) };
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let mut left = LARGEST_DIRECTORIES;
    let mut take = |id: Oid| {
        let (length, _) = odb.read_header(id).map_err(|error| problem(&error))?;
        left = left.checked_sub(length).ok_or_else(|| {
            SourceError::TooLarge(format!("directories of notes over {LARGEST_DIRECTORIES} bytes"))
        })?;
        Ok::<(), SourceError>(())
    };
    let root = Commit::read(&odb, base)?.ok_or(SourceError::NoSuchCommit)?.tree;
    take(root.oid())?;
    let root = repository
        .find_tree(root.oid())
        .map_err(|error| problem(&error))?;
    let names: BTreeSet<String> = lines
        .iter()
        .filter_map(|line| line.commit.to_string().get(..2).map(str::to_owned))
        .collect();
    let directories = names.iter().filter_map(|name| root.get_name(name));
    directories
        .filter(|entry| entry.kind() == Some(ObjectType::Tree))
        .try_for_each(|entry| take(entry.id()))
}

fn add(
    repository: &Repository,
    base: Option<CommitId>,
    lines: &[Line],
    author: &str,
) -> Result<Option<CommitId>, git2::Error> {
    let parent = base.map(|id| repository.find_commit(id.oid())).transpose()?;
    let before = match &parent {
        Some(commit) => commit.tree()?,
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    let mut update = TreeUpdateBuilder::new();
    let mut changed = 0_usize;
    let mut commits: Vec<CommitId> = lines.iter().map(|line| line.commit).collect();
    commits.sort();
    commits.dedup();
    for commit in commits {
        let hex = commit.to_string();
        let (directory, rest) = hex.split_at(2);
        let fanned = format!("{directory}/{rest}");
        let flat = before.get_name(&hex).map(|entry| entry.id());
        let held = before
            .get_path(Path::new(&fanned))
            .ok()
            .map(|entry| entry.id())
            .or(flat);
        let Some(mut note) = held.map_or(Ok(Some(Vec::new())), |id| text(repository, id))? else {
            // Somebody's, and full.
            continue;
        };
        let new = lines.iter().filter(|line| line.commit == commit);
        let added = new.filter(|line| put(&mut note, line)).count();
        if added == 0 {
            continue;
        }
        changed += 1;
        update.upsert(&*fanned, repository.blob(&note)?, FileMode::Blob);
        if flat.is_some() {
            update.remove(&*hex);
        }
    }
    if changed == 0 {
        return Ok(None);
    }
    let tree = repository.find_tree(update.create_updated(repository, &before)?)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0));
    let who = Signature::new(author, EMAIL, &Time::new(seconds, 0))?;
    let message = match changed {
        1 => "Results of 1 commit".to_owned(),
        more => format!("Results of {more} commits"),
    };
    let parents: Vec<_> = parent.iter().collect();
    let id = repository.commit(None, &who, &who, &message, &tree, &parents)?;
    Ok(Some(CommitId::of(id)))
}

/// A note's text; none where it is no text, or longer than one may be. Its length is read before it is: whoever may push to the
/// notes can push a pack that is small and holds much.
fn text(repository: &Repository, id: Oid) -> Result<Option<Vec<u8>>, git2::Error> {
    let (length, kind) = repository.odb()?.read_header(id)?;
    if kind != ObjectType::Blob || length > LONGEST {
        return Ok(None);
    }
    Ok(Some(repository.find_blob(id)?.content().to_vec()))
}

/// Puts a line at a note's end; not one that it has, nor one that makes it too long.
fn put(note: &mut Vec<u8>, line: &Line) -> bool {
    let text = line.text.as_bytes();
    let mut there = note.split(|byte| *byte == b'\n');
    let known = there.any(|known| {
        let mark = line.unless.as_deref().map(str::as_bytes);
        known == text || mark.is_some_and(|mark| known.windows(mark.len().max(1)).any(|part| part == mark))
    });
    if known {
        return false;
    }
    let mut longer = note.clone();
    if longer.last().is_some_and(|last| *last != b'\n') {
        longer.push(b'\n');
    }
    longer.extend_from_slice(text);
    longer.push(b'\n');
    if !line.kind.is_empty() {
        longer = thinned(&longer, &line.kind);
    }
    if longer.len() > LONGEST {
        return false;
    }
    *note = longer;
    true
}

/// A note of whose lines of this kind those in the middle are one.
fn thinned(note: &[u8], kind: &str) -> Vec<u8> {
    let lines: Vec<&[u8]> = note.split_inclusive(|byte| *byte == b'\n').collect();
    let told: Vec<(usize, Told<'_>)> = lines
        .iter()
        .enumerate()
        .filter_map(|(at, &line)| Some((at, Told::read(line, kind)?)))
        .collect();
    let middle = told
        .get(FIRST..told.len().saturating_sub(LAST))
        .unwrap_or_default();
    let [(place, first), .., (_, last)] = middle else {
        return note.to_vec();
    };
    let count: u64 = middle.iter().map(|(_, told)| told.count).sum();
    let one = format!("{}{kind} {count}{MORE}{}\n", last.word, first.since);
    let mut kept = Vec::with_capacity(note.len());
    for (at, line) in lines.iter().enumerate() {
        if at == *place {
            kept.extend_from_slice(one.as_bytes());
        } else if !middle.iter().any(|(gone, _)| *gone == at) {
            kept.extend_from_slice(line);
        }
    }
    kept
}

/// What a line says of its kind.
struct Told<'a> {
    word: &'a str,
    /// Lines that it stands for, and the first word of the first.
    count: u64,
    since: &'a str,
}

impl<'a> Told<'a> {
    fn read(line: &'a [u8], kind: &str) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?.trim_end();
        let at = line.find(' ')?;
        let (word, rest) = line.split_at(at);
        let what = rest.strip_prefix(kind)?.trim_start();
        let counted = what
            .split_once(MORE)
            .and_then(|(count, since)| Some((count.parse().ok()?, since)));
        let (count, since) = counted.unwrap_or((1, word));
        Some(Self { word, count, since })
    }
}
