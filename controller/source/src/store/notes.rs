//! Notes about commits (git-notes(1)) as a remote has them, under several refs.

use std::sync::PoisonError;

use git2::{Direction, ObjectType, Odb, Oid, Repository};

use super::{Store, fetch, held, key, problem, record};
use crate::session::Session;
use crate::{Commit, CommitId, RefSpec, Remote, SourceError};

/// Refs that are read.
const MOST_REFS: usize = 32;
/// Bytes of all notes of one answer: many commits may share one long note.
const MOST_BYTES: usize = 16 << 20;
/// Bytes of one directory of notes.
const LARGEST_DIRECTORY: usize = 16 << 20;
/// Directories that a note's name is spread over: two digits each.
const DEEPEST: usize = 19;

/// A note about a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The full name of its ref.
    pub reference: String,
    /// What it is about.
    pub commit: CommitId,
    /// Its text.
    pub text: Vec<u8>,
}

impl Store {
    /// The notes about these commits under all refs that begin so, each of at most so many bytes. Only the newest state of each ref is
    /// fetched, and nothing where it is held. The remote's time is for reading them as well.
    ///
    /// # Errors
    /// [`SourceError::TooLarge`] where they have over 16 MiB, and [`SourceError::Timeout`].
    pub fn notes(
        &self,
        remote: &Remote,
        prefix: &str,
        commits: &[CommitId],
        largest: usize,
    ) -> Result<Vec<Note>, SourceError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let remote = &remote.with_all();
        let session = Session::open(remote)?;
        let generation = self.current();
        let repository = generation.open()?;
        let (mut notes, mut left) = (Vec::new(), MOST_BYTES);
        for name in listed(&session, prefix)? {
            let reference = RefSpec::Full(name.clone());
            let key = key(remote, &reference)?;
            let before = held(&repository, &key);
            let head = fetch::download(&repository, &session, &reference, 1, before)?.id;
            record(&generation, &key, head)?;
            // A fresh view: packs have come.
            let odb = repository.odb().map_err(|error| problem(&error))?;
            let tree = Commit::read(&odb, head)?.ok_or(SourceError::NoSuchCommit)?.tree;
            for commit in commits {
                session.operation().remaining()?;
                let Some(blob) = find(&repository, &odb, tree.oid(), &commit.to_string(), 0) else {
                    continue;
                };
                if let Ok((size, ObjectType::Blob)) = odb.read_header(blob)
                    && size <= largest
                {
                    left = left
                        .checked_sub(size)
                        .ok_or_else(|| SourceError::TooLarge(format!("notes over {MOST_BYTES} bytes")))?;
                    let object = odb.read(blob).map_err(|error| problem(&error))?;
                    notes.push(Note {
                        reference: name.clone(),
                        commit: *commit,
                        text: object.data().to_vec(),
                    });
                }
            }
        }
        Ok(notes)
    }
}

/// Refs of the remote that begin so.
fn listed(session: &Session, prefix: &str) -> Result<Vec<String>, SourceError> {
    let explain = |error: git2::Error| session.explain(&error);
    let mut detached = git2::Remote::create_detached(session.url()).map_err(explain)?;
    let connection = detached
        .connect_auth(Direction::Fetch, None, None)
        .map_err(explain)?;
    let heads = connection.list().map_err(explain)?;
    let names = heads.iter().map(|head| head.name().to_owned());
    let fits = |name: &String| name.starts_with(prefix) && RefSpec::Full(name.clone()).check().is_ok();
    Ok(names.filter(fits).take(MOST_REFS).collect())
}

/// A note's blob: under the commit's whole name, or spread over directories of two digits each.
fn find(repository: &Repository, odb: &Odb<'_>, tree: Oid, rest: &str, depth: usize) -> Option<Oid> {
    let (size, _) = odb.read_header(tree).ok()?;
    (size <= LARGEST_DIRECTORY).then_some(())?;
    let tree = repository.find_tree(tree).ok()?;
    if let Some(entry) = tree.get_name(rest) {
        return (entry.kind() == Some(ObjectType::Blob)).then(|| entry.id());
    }
    let (directory, rest) = rest.split_at_checked(2).filter(|_| depth < DEEPEST)?;
    let below = tree.get_name(directory)?;
    (below.kind() == Some(ObjectType::Tree)).then_some(())?;
    find(repository, odb, below.id(), rest, depth + 1)
}
