//! A commit that another store has fetched, taken over from there: its packs get a second name on the disk (a hard link), so that
//! neither the network carries nor the disk holds them twice.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::sync::{Arc, PoisonError};

use super::{
    Fetched, Generation, Rewritten, Store, boundary, disk, fetch, held, key, open, origins, problem, record,
};
use crate::session::Session;
use crate::{Commit, CommitId, RefSpec, Remote, Snapshot, SourceError};

impl Store {
    /// Brings a commit here that another store of this disk has fetched as the head of the same ref of the same remote, found at
    /// `label`. The remote is asked for nothing but history, if that has to say whether the branch was rewritten.
    ///
    /// # Errors
    /// [`SourceError::Store`] where it cannot be taken from there, whatever the reason: then it is to be fetched.
    pub fn take(
        &self,
        from: &Snapshot,
        label: &str,
        remote: &Remote,
        reference: &RefSpec,
    ) -> Result<Fetched, SourceError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let session = Session::open(remote)?;
        let key = key(remote, reference)?;
        let id = from.commit().id;
        if !origins::is_only(from.generation().dir(), &remote.url)? {
            return Err(SourceError::Store(
                "the other store has more than this remote's".into(),
            ));
        }
        let old = self.current();
        let previous = if old.is_damaged() {
            None
        } else {
            old.with(|repository| held(repository, &key))?
        };
        let sparse = from.generation().sparse();
        if !from.generation().is_of(&remote.sparse) {
            return Err(SourceError::Store("the other store is of something else".into()));
        }
        let fits = old.sparse() == sparse;
        if fits {
            link(from.generation(), &old, remote)?;
        }
        // The other store has been built anew when it was full; so is this one.
        let generation = if old.is_damaged() || self.is_full() || !fits {
            let fresh = open::create(&self.dir, old.number() + 1, sparse)?;
            link(from.generation(), &fresh, remote)?;
            self.move_to(fresh)?
        } else {
            old
        };
        let commit = read(&generation, id)?;
        let forced = match previous {
            Some(old) if old != id && reference.has_history() => {
                fetch::rewritten(&generation, &session, reference, old, id)
            }
            _ => Rewritten::No,
        };
        record(&generation, &key, id)?;
        Ok(Fetched {
            snapshot: Snapshot::new(generation, commit)?,
            label: label.to_owned(),
            previous,
            forced,
        })
    }
}

fn read(generation: &Arc<Generation>, id: CommitId) -> Result<Commit, SourceError> {
    let commit = generation.with(|repository| {
        let odb = repository.odb().map_err(|error| problem(&error))?;
        let commit = Commit::read(&odb, id)?;
        Ok(commit.filter(|commit| odb.exists(commit.tree.oid())))
    })??;
    commit.ok_or_else(|| SourceError::Store("the other store does not hold the commit".into()))
}

/// Gives the packs of one repository a place in another one. Where history ends is written down before there is any that ends there.
fn link(from: &Generation, to: &Generation, remote: &Remote) -> Result<(), SourceError> {
    origins::note(to.dir(), &remote.url)?;
    let known = boundary::ends(to)?;
    let mut ends = boundary::ends(from)?;
    ends.retain(|commit| !known.contains(commit));
    boundary::add(to, &ends)?;
    let files = fs::read_dir(from.pack_dir()).map_err(|error| disk(&error))?;
    for file in files {
        let index = file.map_err(|error| disk(&error))?.path();
        if index.extension() != Some(OsStr::new("idx")) {
            continue;
        }
        // Git looks for indexes: the pack comes first.
        for file in [index.with_extension("pack"), index] {
            let Some(name) = file.file_name() else { continue };
            match fs::hard_link(&file, to.pack_dir().join(name)) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(disk(&error)),
                _ => {}
            }
        }
    }
    Ok(())
}
