//! A Sync that is being deleted takes its objects along, or lets them go.

use super::farewell::Moment;
use super::leave::{self, Departure};
use super::pruning::{OwnWord, own_word};
use super::status::{self, Verdict};
use super::worker::{End, Worker};
use crate::events::Severity;
use apply::{ApiError, DeleteOutcome, Key};
use crds::{Sync, SyncStatus};
use std::collections::HashSet;

impl Worker {
    /// Sees to it that a Sync whose objects go with it is held until they have.
    pub(super) async fn hold(&self, sync: &Sync) -> Result<(), ApiError> {
        let wants = leave::wants_finalizer(&sync.spec);
        if wants == leave::is_held(sync) || sync.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        if wants {
            leave::hold(&self.rooms.server, sync).await
        } else {
            leave::release(&self.rooms.server, sync).await
        }
    }

    /// One step of leaving. Objects that go away wake this worker for the next.
    pub(super) async fn depart(&mut self, sync: &Sync, generation: i64, next: SyncStatus) -> End {
        if !leave::is_held(sync) {
            return End::Wait;
        }
        let (namespace, account) = (
            self.id.namespace.to_string(),
            sync.spec.service_account_name.clone(),
        );
        let exists = self
            .rooms
            .server
            .service_account_exists(&namespace, &account)
            .await;
        let going = leave::namespace_is_going(&self.rooms.server, &namespace).await;
        let suspended = sync.spec.suspend;
        match leave::departure(
            &sync.spec,
            exists.as_ref().map(|exists| *exists),
            going.as_ref().map(|going| *going),
            suspended,
        ) {
            Departure::LetGo { why } => {
                self.event(Severity::Warning, "Released", &why);
                self.let_go(sync).await
            }
            Departure::Wait { why } => {
                let held = Verdict::Held {
                    reason: "DeletionWaits",
                    message: why,
                };
                self.leaving(next, generation, held, End::Retry { transient: false })
                    .await
            }
            Departure::DeleteObjects => self.delete_objects(sync, generation, next).await,
        }
    }

    async fn delete_objects(&mut self, sync: &Sync, generation: i64, mut next: SyncStatus) -> End {
        let Ok(catalog) = self.rooms.kinds.refresh().await else {
            return End::Retry { transient: true };
        };
        let hand = self.hand(sync);
        // An object whose definition is gone is gone with it. One whose kind is only not served now is waited for.
        let kinds = self.checkpoint.records().keys().map(|key| &key.kind);
        let unserved: HashSet<_> = kinds
            .filter(|kind| catalog.preferred(kind).is_none())
            .cloned()
            .collect();
        if !unserved.is_empty() {
            let gone = self.gone_kinds(&unserved).await.unwrap_or_default();
            let keys: Vec<Key> = self
                .checkpoint
                .records()
                .keys()
                .filter(|key| gone.contains(&key.kind))
                .cloned()
                .collect();
            for key in keys {
                self.let_object_go(&key);
            }
            if let Some(kind) = unserved.iter().find(|kind| !gone.contains(*kind)) {
                let message = format!(
                    "Objects of kind {kind} cannot be deleted: the API server does not serve it now. Set spec.deletionPolicy to \
                     Orphan to let the Sync go without them."
                );
                let held = Verdict::Held {
                    reason: "DeletionWaits",
                    message,
                };
                return self
                    .leaving(next, generation, held, End::Retry { transient: true })
                    .await;
            }
        }
        if let Some(end) = self.say_farewell(sync, &catalog, Moment::Before, &mut next).await {
            return end;
        }
        let (home, account) = (self.id.namespace.clone(), &sync.spec.service_account_name);
        // Hooks need the account's rights as well.
        if leave::only_rights_left(self.checkpoint.records(), &home, account) {
            if let Some(end) = self.say_farewell(sync, &catalog, Moment::After, &mut next).await {
                return end;
            }
            if let Err(error) = self.clear_farewell(sync).await {
                // What is gone from Git may have held a secret.
                let message = format!("A hook's object cannot be deleted: {}.", error.in_own_words());
                let reason = "DeletionFailed";
                let (verdict, end) = (
                    Verdict::Failed { reason, message },
                    End::Retry { transient: true },
                );
                return self.leaving(next, generation, verdict, end).await;
            }
        }
        let batch = leave::next_batch(self.checkpoint.records(), &home, account, |_| true);
        if batch.is_empty() {
            self.event(Severity::Normal, "Deleted", "All objects of the Sync are gone.");
            return self.let_go(sync).await;
        }
        let (mut waiting, mut failed) = (Vec::new(), None);
        for key in batch {
            let Some(info) = catalog.preferred(&key.kind) else {
                continue;
            };
            let uid = self
                .checkpoint
                .records()
                .get(&key)
                .and_then(|record| record.uid.clone());
            // From here on its disappearance is no drift, and wakes this worker.
            self.rooms.observer.release(&key, &self.mailbox);
            self.rooms.observer.attend(&key, &self.mailbox, None);
            let word = match self.rooms.server.metadata(&hand.identity, info, &key).await {
                Ok(None) => {
                    self.let_object_go(&key);
                    continue;
                }
                Ok(Some(found)) if found.0.deletion_timestamp.is_some() => {
                    waiting.push(key);
                    continue;
                }
                Ok(Some(found)) => own_word(
                    &found.0.annotations.unwrap_or_default(),
                    &found.0.labels.unwrap_or_default(),
                ),
                Err(error) => {
                    failed = Some((key, error));
                    continue;
                }
            };
            if matches!(word, Some(OwnWord::Keep | OwnWord::Orphan | OwnWord::Confirm)) {
                self.let_object_go(&key);
                continue;
            }
            match hand.prune(info, &key, uid.as_deref()).await {
                Ok(DeleteOutcome::Gone | DeleteOutcome::NotOurs) => self.let_object_go(&key),
                Ok(_) => waiting.push(key),
                Err(error) => failed = Some((key, error)),
            }
        }
        self.save_soon();
        if let Some((key, error)) = failed {
            let message = format!(
                "{key} cannot be deleted: {}; {}.",
                self.said_of(&key, &error),
                error.hint()
            );
            let verdict = Verdict::Failed {
                reason: "DeletionFailed",
                message,
            };
            let transient = error.is_transient();
            return self
                .leaving(next, generation, verdict, End::Retry { transient })
                .await;
        }
        let Some(first) = waiting.first() else {
            // The next step at once.
            self.mailbox.wake();
            return End::Wait;
        };
        let message = format!(
            "Deleting: {} objects are left; waits for {first} to be gone.",
            self.checkpoint.records().len()
        );
        // A watch tells; where it cannot, looking again does.
        self.wake_in(std::time::Duration::from_secs(5));
        self.leaving(next, generation, Verdict::Progressing { message }, End::Wait)
            .await
    }

    pub(super) async fn leaving(
        &mut self,
        mut next: SyncStatus,
        generation: i64,
        verdict: Verdict<'_>,
        end: End,
    ) -> End {
        self.settled = None;
        status::conclude(&mut next, generation, verdict);
        self.say(next).await.unwrap_or(end)
    }

    async fn let_go(&mut self, sync: &Sync) -> End {
        match leave::release(&self.rooms.server, sync).await {
            Ok(()) => End::Wait,
            Err(error) => {
                tracing::warn!(sync = self.id.full, %error, "the finalizer of a deleted Sync could not be removed; it is tried again");
                End::Retry { transient: true }
            }
        }
    }
}
