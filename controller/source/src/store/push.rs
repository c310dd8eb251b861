//! Sending a commit to a remote.

use std::cell::RefCell;

use git2::{Direction, PushOptions, RemoteCallbacks};

use super::Store;
use crate::session::Session;
use crate::{CommitId, RefSpec, Remote, SourceError};

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
        let result = send(&generation.open()?, &session, &format!("{local}:{name}"));
        generation.with(|repository| {
            if let Ok(mut reference) = repository.find_reference(&local) {
                let _ = reference.delete();
            }
        })?;
        result
    }
}

fn send(repository: &git2::Repository, session: &Session, refspec: &str) -> Result<(), SourceError> {
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
