//! One object's requests: apply, with what to do about fields that others own; delete, if it is ours.

use super::execute::{Effect, Hand};
use super::inputs::Inputs;
use super::report::Failure;
use apply::plan::Step;
use apply::{ApiError, Applied, DeleteOutcome, ErrorKind, Key, KindInfo};
use std::sync::atomic::Ordering;
use std::time::Duration;
use zeroize::Zeroizing;

/// How often, and after how long at most, a request is sent again because the API server asked for patience. A worker does
/// not wait longer: its next pass does.
const PATIENCE: u32 = 2;
const PATIENCE_PAUSE: Duration = Duration::from_secs(2);
/// So many requests in a row without a usable answer, and the rest is not sent.
const SILENCE: u32 = 8;

/// An answer to a step.
pub(super) type Answered = Result<(Applied, Effect), Answer>;

/// Why a step has no result.
pub(super) enum Answer {
    /// The object is refused.
    Refused(Failure),
    /// The API server cannot be reached.
    Lost(ApiError),
}

impl Hand {
    /// Applies one object. Fields that others own are taken over, but not those of another Sync.
    pub(super) async fn send(&self, inputs: &Inputs, step: Step, mut body: Zeroizing<Vec<u8>>) -> Answered {
        let (wanted, key) = (&inputs.wanted[step.desired], &inputs.desired[step.desired].key);
        let before = self.observer.live(key);
        self.observer.begin(key);
        let mut force = false;
        let mut tries = 0;
        let result = loop {
            // The copy is wiped by the allocator when the request is done with it (`zeroizing_alloc`).
            let copy = if force {
                std::mem::take(&mut *body)
            } else {
                body.to_vec()
            };
            let result = self
                .server
                .apply(&self.identity, &wanted.info, key, &self.manager, force, copy)
                .await;
            match &result {
                Err(error)
                    if error.kind == ErrorKind::Conflict
                        && !force
                        && self.names.claim(&error.conflicts).is_none() =>
                {
                    force = true;
                }
                Err(error) if error.kind == ErrorKind::TooManyRequests && tries < PATIENCE && !force => {
                    tries += 1;
                    let asked = error.retry_after.unwrap_or(PATIENCE_PAUSE);
                    tokio::time::sleep(asked.min(PATIENCE_PAUSE)).await;
                }
                _ => break result,
            }
        };
        match result {
            Ok(applied) => {
                self.silent.store(0, Ordering::Relaxed);
                self.observer
                    .finish(key, &self.mailbox, Some(applied.live.clone()));
                let effect = match (applied.created, before) {
                    (true, _) => Effect::Created,
                    (false, Some(before)) if before.resource_version == applied.live.resource_version => {
                        Effect::Unchanged
                    }
                    (false, _) => Effect::Changed,
                };
                Ok((applied, effect))
            }
            Err(error) => {
                self.observer.finish(key, &self.mailbox, None);
                // These are the same for every object, and are said once.
                let silent = error.kind == ErrorKind::Unavailable
                    && self.silent.fetch_add(1, Ordering::Relaxed) + 1 >= SILENCE;
                if silent || matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Impersonation) {
                    return Err(Answer::Lost(error));
                }
                let origin = Some(&wanted.item.origin);
                let message = self
                    .names
                    .claim(&error.conflicts)
                    .unwrap_or_else(|| error.message.clone());
                Err(Answer::Refused(Failure::of(
                    key,
                    origin,
                    &message,
                    error.hint(),
                    error.is_transient(),
                )))
            }
        }
    }

    /// Deletes one object that left Git, if it is still the one that was recorded with `uid`.
    pub(super) async fn prune(
        &self,
        info: &KindInfo,
        key: &Key,
        uid: Option<&str>,
    ) -> Result<DeleteOutcome, ApiError> {
        for _ in 0..3 {
            // What the watch saw says nothing of whose it is: look, with our own manager's eyes.
            let Some(known) = self.server.look(&self.identity, info, key, &self.manager).await? else {
                return Ok(DeleteOutcome::Gone);
            };
            // Ours is what our apply made and what our manager still owns fields of. An apply that was never answered
            // has no uid to compare.
            let ours = known.owned.is_some() && uid.is_none_or(|uid| uid == &*known.uid);
            if !ours {
                return Ok(DeleteOutcome::NotOurs);
            }
            match self.server.delete(&self.identity, info, key, &known).await {
                // It changed since it was seen: look again, and delete what is there if it is still the same object.
                Err(error) if error.kind == ErrorKind::Precondition => {}
                outcome => return outcome,
            }
        }
        Err(ApiError::unavailable(
            "the object keeps changing while it is deleted",
        ))
    }
}
