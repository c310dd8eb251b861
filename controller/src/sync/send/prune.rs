//! Deletes one object that left Git, if it is ours.

use crate::sync::execute::Hand;
use apply::words::OwnWord;
use apply::{ApiError, DeleteOutcome, ErrorKind, Key, KindInfo, Meta};

/// What became of an object that was to be deleted.
pub(in crate::sync) enum Pruned {
    /// It is, or need not be.
    Deleted(DeleteOutcome),
    /// Somebody had asked for that already, and it is still there.
    Leaving,
    /// It says of itself that it is not.
    Spared(OwnWord),
}

impl Hand {
    /// Deletes one object that left Git, if it is still the one that was recorded with `uid`.
    pub(in crate::sync) async fn prune(
        &self,
        info: &KindInfo,
        key: &Key,
        uid: Option<&str>,
    ) -> Result<DeleteOutcome, ApiError> {
        let is_ours = |live: &str| uid.is_none_or(|uid| uid == live);
        match self.prune_unless(info, key, is_ours, |_| None).await? {
            Pruned::Deleted(outcome) => Ok(outcome),
            Pruned::Leaving => Ok(DeleteOutcome::Leaving),
            Pruned::Spared(_) => Ok(DeleteOutcome::NotOurs),
        }
    }

    /// Deletes one object whose uid is ours, unless what it says of itself forbids that.
    pub(in crate::sync) async fn prune_unless(
        &self,
        info: &KindInfo,
        key: &Key,
        is_ours: impl Fn(&str) -> bool,
        forbids: impl Fn(&Meta) -> Option<OwnWord>,
    ) -> Result<Pruned, ApiError> {
        for _ in 0..3 {
            // What the watch saw says nothing of whose it is: look, with our own manager's eyes.
            let Some(meta) = self.server.metadata(&self.identity, info, key).await? else {
                return Ok(Pruned::Deleted(DeleteOutcome::Gone));
            };
            let known = meta.live(&self.manager)?;
            // Ours is what our apply made and what our manager still owns fields of.
            if known.owned.is_none() || !is_ours(&known.uid) {
                return Ok(Pruned::Deleted(DeleteOutcome::NotOurs));
            }
            if meta.0.deletion_timestamp.is_some() {
                return Ok(Pruned::Leaving);
            }
            if let Some(word) = forbids(&meta) {
                return Ok(Pruned::Spared(word));
            }
            match self.server.delete(&self.identity, info, key, &known).await {
                // It changed since it was seen: look again, and delete what is there if it is still the same object.
                Err(error) if error.kind == ErrorKind::Precondition => {}
                outcome => return outcome.map(Pruned::Deleted),
            }
        }
        Err(ApiError::unavailable(
            "the object keeps changing while it is deleted",
        ))
    }
}
