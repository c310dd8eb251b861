//! Sending a commit to a remote.

use std::cell::RefCell;
use std::collections::HashSet;

use git2::{Direction, ObjectType, Odb, Oid, PushOptions, RemoteCallbacks, Repository};

use super::{Measure, Store, problem};
use crate::session::Session;
use crate::{Budget, Commit, CommitId, RefSpec, Remote, SourceError};

/// Tags of tags that lead to a commit.
const MOST_TAGS: usize = 8;
/// Commits between what the remote has and what is sent.
const MOST_COMMITS: usize = 5_000;

impl Store {
    /// Moves the remote's branch, or another ref by its full name, to `commit`, which the store holds with its new objects. Never forced:
    /// a remote that moved on refuses. Works from a shallow store, as long as the remote holds what lies
    /// behind the boundary.
    pub fn push(&self, remote: &Remote, reference: &RefSpec, commit: CommitId) -> Result<(), SourceError> {
        reference.check()?;
        let name = match reference {
            RefSpec::Branch(branch) => format!("refs/heads/{branch}"),
            RefSpec::Full(name) => name.clone(),
            _ => return Err(SourceError::BadRef),
        };
        let session = Session::open(remote)?;
        let generation = self.current();
        // libgit2 pushes refs, not commits: a private one holds it for the time.
        let local = format!("refs/signet-push/{commit}");
        super::record(&generation, &local, commit)?;
        let result = send(&generation.open()?, &session, commit, &format!("{local}:{name}"));
        generation.with(|repository| {
            if let Ok(mut reference) = repository.find_reference(&local) {
                let _ = reference.delete();
            }
        })?;
        result
    }
}

fn send(
    repository: &Repository,
    session: &Session,
    commit: CommitId,
    refspec: &str,
) -> Result<(), SourceError> {
    let explain = |error: git2::Error| session.explain(&error);
    let refusal = RefCell::new(None);
    let mut callbacks = RemoteCallbacks::new();
    callbacks.push_update_reference(|_, status| {
        if let Some(words) = status {
            *refusal.borrow_mut() = Some(SourceError::PushRefused(session.remote_words(words)));
        }
        Ok(())
    });
    let mut options = PushOptions::new();
    options.remote_callbacks(callbacks).packbuilder_parallelism(1);
    let mut remote = repository.remote_anonymous(&session.url()).map_err(explain)?;
    let result = {
        let mut connection = remote
            .connect_auth(Direction::Push, None, None)
            .map_err(explain)?;
        let heads = connection.list().map_err(explain)?;
        let heads: HashSet<Oid> = heads.iter().map(git2::RemoteHead::oid).collect();
        measure(repository, heads, commit, session.operation().budget())?;
        connection.remote().push(&[refspec], Some(&mut options))
    };
    drop(options);
    if let Some(refusal) = refusal.into_inner() {
        return Err(refusal);
    }
    result.map_err(|error| match error.code() {
        git2::ErrorCode::NotFastForward => SourceError::PushRefused("the ref has moved on".into()),
        // Of a commit that no branch of the remote has at its head any more, all is packed; of some files there are but names.
        git2::ErrorCode::NotFound if error.class() == git2::ErrorClass::Odb => {
            SourceError::PushRefused("what it is made on top of is no head any more".into())
        }
        _ => explain(error),
    })
}

/// Looks at all trees that libgit2 is about to go through: those of what is sent, and those of all that the remote says to have.
fn measure(
    repository: &Repository,
    heads: HashSet<Oid>,
    commit: CommitId,
    time: &Budget,
) -> Result<(), SourceError> {
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let mut measure = Measure::new(&odb, time);
    let mut there = HashSet::new();
    for head in heads {
        time.remaining()?;
        if let Some(head) = peeled(&odb, head)? {
            measure.entries(head.tree)?;
            there.insert(head.id);
        }
    }
    let mut next = vec![commit];
    let mut sent = HashSet::new();
    while let Some(id) = next.pop() {
        if there.contains(&id) || !sent.insert(id) {
            continue;
        }
        if sent.len() > MOST_COMMITS {
            return Err(SourceError::TooLarge(format!(
                "over {MOST_COMMITS} commits to push"
            )));
        }
        time.remaining()?;
        if let Some(commit) = Commit::read(&odb, id)? {
            measure.entries(commit.tree)?;
            next.extend(commit.parents);
        }
    }
    Ok(())
}

/// The commit that is meant, if it is held.
fn peeled(odb: &Odb<'_>, mut id: Oid) -> Result<Option<Commit>, SourceError> {
    for _ in 0..=MOST_TAGS {
        match odb.read_header(id) {
            Ok((_, ObjectType::Commit)) => return Commit::read(odb, CommitId::of(id)),
            Ok((_, ObjectType::Tag)) => {}
            _ => return Ok(None),
        }
        let Some(tag) = crate::commit::tag_bytes(odb, CommitId::of(id))? else {
            return Ok(None);
        };
        let object = tag
            .data()
            .strip_prefix(b"object ")
            .and_then(|rest| rest.get(..40));
        let target = object.and_then(|hex| Oid::from_str(std::str::from_utf8(hex).ok()?).ok());
        let Some(target) = target else { return Ok(None) };
        id = target;
    }
    Err(SourceError::TooLarge(format!("over {MOST_TAGS} tags of tags")))
}
