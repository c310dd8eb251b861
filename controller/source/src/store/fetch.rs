//! Fetching into a generation: shallow where the remote can, one ref, no tags.

use git2::{
    AutotagOption, Direction, ErrorClass, ErrorCode, FetchOptions, Progress, RemoteCallbacks,
    RemoteConnection, Repository,
};

use super::{Generation, Rewritten, ancestry, origins, problem, sparse};
use crate::ration;
use crate::session::Session;
use crate::{Choice, Commit, CommitId, RefSpec, SourceError};

/// Depths tried, one after the other, when the store cannot tell whether a branch was rewritten. Beyond
/// the last one the answer is [`Rewritten::Unknown`].
const DEEPER: [i32; 2] = [50, 500];

/// How deep a branch is fetched of which an earlier head is held. A server leaves out what is held only where it meets that head on its
/// way down (pack-objects marks what the edges of its walk hold, and without a thin pack nothing else); of more commits at once, all of the
/// tree comes again. Of one that is fetched for the first time the head is enough.
pub(super) const NEWS: i32 = 10;

/// Fetches what `reference` points to, to `depth`, unless `held` is that commit. Writes no ref.
pub(crate) fn head(
    generation: &Generation,
    session: &Session,
    reference: &RefSpec,
    held: Option<CommitId>,
    depth: i32,
) -> Result<(Choice, Commit), SourceError> {
    let repository = generation.open()?;
    let choice = match download(&repository, session, reference, depth, held) {
        Err(SourceError::CommitNotServed(commit)) => by_history(&repository, session, reference, commit)?,
        result => result?,
    };
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let commit = Commit::read(&odb, choice.id)?;
    match commit {
        Some(commit) if odb.exists(commit.tree.oid()) => {
            if held != Some(choice.id) {
                sparse::complete(&repository, session, &[choice.id])?;
            }
            Ok((choice, commit))
        }
        _ if held == Some(choice.id) => Err(SourceError::Store("the head's objects are gone".into())),
        _ => Err(SourceError::NotGit(
            "the pack does not hold the commit that the ref names".into(),
        )),
    }
}

/// A commit that the remote does not serve by its name, from the history of the remote's default branch.
fn by_history(
    repository: &Repository,
    session: &Session,
    reference: &RefSpec,
    commit: String,
) -> Result<Choice, SourceError> {
    let RefSpec::Commit(id) = reference else {
        return Err(SourceError::CommitNotServed(commit));
    };
    for depth in DEEPER {
        let head = download_ref(repository, session, "HEAD", depth)?;
        let odb = repository.odb().map_err(|error| problem(&error))?;
        let read = Commit::read(&odb, *id)?;
        // Not what the store has from elsewhere, or from before: the remote does not give that to who asks for it.
        let is_part = || match head {
            Some(head) => ancestry::relation(&odb, &(*id).into(), head)
                .map(|relation| relation == ancestry::Relation::Descends),
            None => Ok(false),
        };
        if read.is_some_and(|commit| odb.exists(commit.tree.oid())) && is_part()? {
            return Ok(Choice::commit(*id));
        }
        if session.is_local() {
            break;
        }
    }
    Err(SourceError::CommitNotServed(commit))
}

/// A commit of the branch's history with its files; more history is fetched if it must be. Only what the branch holds
/// counts: a host serves the commits of forks under the same address.
pub(super) fn past(
    generation: &Generation,
    session: &Session,
    reference: &RefSpec,
    held: Option<CommitId>,
    wanted: CommitId,
) -> Result<Commit, SourceError> {
    let repository = generation.open()?;
    let mut head = match held {
        Some(head) => head,
        None => download(&repository, session, reference, 1, None)?.id,
    };
    for depth in DEEPER.map(Some).into_iter().chain([None]) {
        // A fresh view each time: the boundary of a shallow store moves.
        let odb = repository.odb().map_err(|error| problem(&error))?;
        match ancestry::relation(&odb, &wanted.into(), head)? {
            ancestry::Relation::Descends => match Commit::read(&odb, wanted)? {
                Some(commit) if odb.exists(commit.tree.oid()) => {
                    sparse::complete(&repository, session, &[wanted])?;
                    return Ok(commit);
                }
                _ => {}
            },
            ancestry::Relation::Rewritten => break,
            ancestry::Relation::Undecided => {}
        }
        let Some(depth) = depth.filter(|_| !session.is_local()) else {
            break;
        };
        head = download(&repository, session, reference, depth, None)?.id;
    }
    let [.., deepest] = DEEPER;
    Err(SourceError::NotInHistory(wanted.to_string(), deepest))
}

/// Whether `new` descends from `old`, with more history fetched if it must be.
pub(super) fn rewritten(
    generation: &Generation,
    session: &Session,
    reference: &RefSpec,
    old: CommitId,
    new: CommitId,
) -> Rewritten {
    match decide(generation, session, reference, old, new) {
        Ok(answer) => answer,
        Err(error) => {
            // The head itself is here: not knowing its history is no reason to fail.
            tracing::debug!(%error, "history cannot be compared");
            Rewritten::Unknown
        }
    }
}

fn decide(
    generation: &Generation,
    session: &Session,
    reference: &RefSpec,
    old: CommitId,
    new: CommitId,
) -> Result<Rewritten, SourceError> {
    let repository = generation.open()?;
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let mut depths = DEEPER.iter();
    loop {
        match ancestry::relation(&odb, &old.into(), new)? {
            ancestry::Relation::Descends => return Ok(Rewritten::No),
            ancestry::Relation::Rewritten => return Ok(Rewritten::Yes),
            ancestry::Relation::Undecided => {}
        }
        let Some(depth) = depths.next().filter(|_| !session.is_local()) else {
            return Ok(Rewritten::Unknown);
        };
        // The branch may have moved on meanwhile: its newer head's history holds this one's.
        download(&repository, session, reference, *depth, None)?;
    }
}

/// Connects, finds the ref, and downloads its history to `depth` unless it points to `held`.
pub(super) fn download(
    repository: &Repository,
    session: &Session,
    reference: &RefSpec,
    depth: i32,
    held: Option<CommitId>,
) -> Result<Choice, SourceError> {
    let explain = |error: git2::Error| session.explain(&error);
    let mut remote = repository.remote_anonymous(&session.url()).map_err(explain)?;
    let mut connection = remote
        .connect_auth(Direction::Fetch, None, None)
        .map_err(explain)?;
    let choice = session.pick(&connection, reference)?;
    if held == Some(choice.id) {
        return Ok(choice);
    }
    origins::note(repository.path(), session.address())?;
    leave_files(repository, session)?;
    match pack(&mut connection, session, &choice.wanted, depth) {
        Ok(()) => Ok(choice),
        // Asked for by its name, which servers need not allow: libgit2's words for one that says so, or the server's own.
        Err(error) if choice.is_by_name() => Err(match explain(error) {
            SourceError::Store(_) | SourceError::NotGit(_) => {
                SourceError::CommitNotServed(choice.id.to_string())
            }
            other => other,
        }),
        Err(error) => Err(explain(error)),
    }
}

/// Downloads the history of a ref to `depth`: that of the remote's default branch for a commit that is not served by its name.
pub(super) fn deepen(
    repository: &Repository,
    session: &Session,
    reference: &RefSpec,
    depth: i32,
) -> Result<(), SourceError> {
    match download(repository, session, reference, depth, None) {
        Err(SourceError::CommitNotServed(_)) => download_ref(repository, session, "HEAD", depth).map(drop),
        result => result.map(drop),
    }
}

/// Downloads the history of a commit that is not held, if the remote serves it by its name: no ref may lead to it any more.
pub(super) fn beside(
    repository: &Repository,
    session: &Session,
    id: CommitId,
    depth: i32,
) -> Result<(), SourceError> {
    let odb = repository.odb().map_err(|error| problem(&error))?;
    if Commit::read(&odb, id)?.is_some() {
        return Ok(());
    }
    match download_ref(repository, session, &id.to_string(), depth) {
        // What a server says that does not serve it, and what libgit2 says of that; and what will not get less.
        Err(error @ (SourceError::NotGit(_) | SourceError::Store(_) | SourceError::TooLarge(_))) => {
            tracing::debug!(%error, "a commit is not had by its name");
            Ok(())
        }
        result => result.map(drop),
    }
}

/// Downloads the history of a ref by its name, to `depth`, and says what it points to, if it is listed.
fn download_ref(
    repository: &Repository,
    session: &Session,
    name: &str,
    depth: i32,
) -> Result<Option<CommitId>, SourceError> {
    let explain = |error: git2::Error| session.explain(&error);
    let mut remote = repository.remote_anonymous(&session.url()).map_err(explain)?;
    let mut connection = remote
        .connect_auth(Direction::Fetch, None, None)
        .map_err(explain)?;
    let listed = connection.list().map_err(explain)?;
    let found = listed.iter().find(|head| head.name() == name);
    let found = found.map(|head| CommitId::of(head.oid()));
    origins::note(repository.path(), session.address())?;
    leave_files(repository, session)?;
    pack(&mut connection, session, name, depth).map_err(explain)?;
    Ok(found)
}

/// Has files left out of what comes next where nobody reads them.
fn leave_files(repository: &Repository, session: &Session) -> Result<(), SourceError> {
    let leave = session.is_without_files() || sparse::filters(repository, session)?.is_some();
    session.operation().leave_files(leave);
    Ok(())
}

/// Asks for one thing, and takes in the pack that comes.
fn pack(
    connection: &mut RemoteConnection<'_, '_, '_>,
    session: &Session,
    wanted: &str,
    depth: i32,
) -> Result<(), git2::Error> {
    if session.is_local() {
        // Packed by libgit2 itself, out of objects that are each there once.
        return connection
            .remote()
            .download(&[wanted], Some(&mut options(session, 0)));
    }
    match receive(connection, session, wanted, depth) {
        // A server that cannot do shallow fetches (libgit2's own words for it).
        Err(error) if depth > 0 && is_shallow_refusal(&error) => receive(connection, session, wanted, 0),
        result => result,
    }
}

fn receive(
    connection: &mut RemoteConnection<'_, '_, '_>,
    session: &Session,
    wanted: &str,
    depth: i32,
) -> Result<(), git2::Error> {
    rationed(session, || {
        connection
            .remote()
            .download(&[wanted], Some(&mut options(session, depth)))
    })
}

/// Has libgit2 take in a pack with no more memory and time than that may take. Why it was ended is the session's failure.
pub(super) fn rationed<T>(
    session: &Session,
    receive: impl FnOnce() -> Result<T, git2::Error>,
) -> Result<T, git2::Error> {
    let operation = session.operation();
    let (result, why) = ration::rationed(operation.budget(), operation.owner(), receive);
    if let (Err(_), Some(why)) = (&result, why) {
        operation.fail(why);
    }
    result
}

fn is_shallow_refusal(error: &git2::Error) -> bool {
    error.class() == ErrorClass::Net
        && error.code() == ErrorCode::Invalid
        && error.message().ends_with("shallow")
}

fn options(session: &Session, depth: i32) -> FetchOptions<'_> {
    let mut callbacks = RemoteCallbacks::new();
    callbacks.transfer_progress(move |progress| match check(session, &progress) {
        Ok(()) => true,
        Err(error) => {
            session.operation().fail(error);
            false
        }
    });
    let mut options = FetchOptions::new();
    options.remote_callbacks(callbacks);
    options
        .download_tags(AutotagOption::None)
        .update_fetchhead(false)
        .depth(depth);
    options
}

/// Stops a pack of too many objects, and one that takes too long to index.
fn check(session: &Session, progress: &Progress<'_>) -> Result<(), SourceError> {
    let limits = session.operation().limits();
    if progress.total_objects() > limits.objects {
        return Err(SourceError::TooLarge(format!("over {} objects", limits.objects)));
    }
    if session.is_local() && u64::try_from(progress.received_bytes()).unwrap_or(u64::MAX) > limits.pack_bytes
    {
        return Err(SourceError::TooLarge(format!(
            "packs over {} bytes",
            limits.pack_bytes
        )));
    }
    session.operation().remaining().map(drop)
}
