//! A Sync that is being deleted takes its objects along, or lets them go.

use super::execute::Hand;
use super::farewell::Moment;
use super::hooks::DELETION;
use super::inside::Inside;
use super::leave::{self, Departure};
use super::names::{Heir, Lodger, syncs};
use super::prune_walk::STRANGERS_PAUSE;
use super::send::Pruned;
use super::status::{self, Verdict};
use super::strangers::Look;
use super::strays::Strays;
use super::worker::{End, Worker};
use crate::events::Severity;
use apply::plan::Seen;
use apply::words::OwnWord;
use apply::{ApiError, Catalog, DeleteOutcome, Key, KindInfo};
use crds::{Sync, SyncStatus, label};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

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
            Departure::Wait { why } => self.deletion_waits(next, generation, why, false).await,
            Departure::DeleteObjects => match self.window(sync) {
                Ok(None) => self.delete_objects(sync, generation, next).await,
                Ok(Some(why)) | Err(why) => {
                    let message = format!(
                        "{why} Set spec.deletionPolicy to Orphan to let the Sync go without its objects."
                    );
                    self.deletion_waits(next, generation, message, false).await
                }
            },
        }
    }

    async fn delete_objects(&mut self, sync: &Sync, generation: i64, mut next: SyncStatus) -> End {
        // What was to be applied is not, any more.
        next.plan = None;
        let records = self.checkpoint.records().values();
        let uids = records.filter_map(|record| record.uid.clone());
        self.had.extend(uids);
        // Read anew where that may tell more: a kind that is not known may be served by now.
        let known = self.rooms.kinds.current();
        let serves = |key: &Key| known.preferred(&key.kind).is_some();
        let catalog = if self.checkpoint.records().keys().all(serves)
            && known.resolve("", "v1", "Namespace").is_some()
        {
            known
        } else {
            match self.rooms.kinds.refresh().await {
                Ok(fresh) => fresh,
                Err(_) => return End::Retry { transient: true },
            }
        };
        let strays = if self.checkpoint.lost {
            self.strays(sync, None, &catalog).await
        } else {
            Strays::default()
        };
        if !strays.is_empty() {
            let message = format!(
                "A part of what is written down of the Sync's objects is lost. These carry its label, and whether they are its own is \
                 not known: {}. Delete them, or take the label {} off what is to stay; or set spec.deletionPolicy to Orphan to let all \
                 objects stay. If the Secret signet-digest-key was changed, restore it and restart the controller.",
                strays.names(),
                label::APPLYSET_PART_OF
            );
            return self.deletion_waits(next, generation, message, false).await;
        }
        let hand = self.hand(sync);
        // An object whose definition is gone is gone with it. One whose kind is only not served now is waited for.
        let kinds = self.checkpoint.records().keys().map(|key| &key.kind);
        let unserved: HashSet<_> = kinds
            .filter(|kind| catalog.preferred(kind).is_none())
            .cloned()
            .collect();
        if !unserved.is_empty() {
            let gone = self.gone_kinds(&unserved, &catalog).await.unwrap_or_default();
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
                return self.deletion_waits(next, generation, message, true).await;
            }
        }
        if let Some(end) = self.waits_for_heirs(sync, generation, &next).await {
            return end;
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
        let mut batch = leave::next_batch(self.checkpoint.records(), &home, account, |_| true);
        if batch.is_empty() {
            self.event(Severity::Normal, "Deleted", &farewell(&self.left_behind));
            return self.let_go(sync).await;
        }
        let of = (DELETION.to_owned(), generation, Vec::new());
        let anew = next.last_handled_request != self.status.last_handled_request;
        let known = self.look.take().filter(|look| !anew && look.counts(&of));
        let mut look = known.unwrap_or_else(|| Look::new(of, HashMap::new()));
        let (mut waiting, mut asked, mut failed) = (Vec::new(), Vec::new(), None);
        // Those that are refused again and again do not hide the others.
        let past = (self.attempts as usize).saturating_mul(REFUSED) % batch.len();
        batch.rotate_left(past);
        let mut refused = 0;
        for key in batch {
            if self.is_changed_since(generation) || refused >= REFUSED {
                // Something else is wanted now, or nothing can be deleted: what is left is looked at again.
                break;
            }
            let Some(info) = catalog.preferred(&key.kind) else {
                continue;
            };
            let uid = self.checkpoint.only_uid(&key);
            // What the watch shows as going is not asked for: it tells as well when it is gone.
            if let Seen::Present {
                uid: live,
                deleting: true,
                ..
            } = self.rooms.observer.seen(&key)
                && uid.as_deref() == Some(&*live)
                // A watch that is broken shows it for ever.
                && self.left.is_none_or(|(_, rounds)| rounds < 2)
            {
                self.rooms.observer.release(&key, &self.mailbox);
                self.rooms.observer.attend(&key, &self.mailbox, None);
                waiting.push(key);
                continue;
            }
            if let Some(heir) = self.rooms.names.heir(&self.id.manager, &key) {
                self.leave_behind_around(&key, &catalog);
                self.let_object_go(&key);
                let (Heir::Takes(other) | Heir::LeavesAlone(other)) = heir;
                self.left_behind.push((key, format!("Sync {other} holds it")));
                continue;
            }
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
                Ok(Some(found)) => OwnWord::of(&found.0),
                Err(error) => {
                    failed = Some((key, error));
                    continue;
                }
            };
            if word.is_some() {
                self.leave_behind_around(&key, &catalog);
                self.let_object_go(&key);
                self.left_behind.push((key, "it says so itself".to_owned()));
                continue;
            }
            let inside = Inside::of(&key, &catalog);
            if let Some(inside) = &inside {
                // What gives the account its rights goes last; its own word is read before the Namespace around it goes.
                match self.word_inside(&hand, inside, &key, &catalog).await {
                    Ok(None) => {}
                    Ok(Some(stays)) => {
                        self.let_object_go(&key);
                        self.left_behind.push((key, format!("{stays} stays in it")));
                        continue;
                    }
                    Err(error) => {
                        refused += 1;
                        failed = Some((key, error));
                        continue;
                    }
                }
            }
            let lodger = match &inside {
                Some(inside) => self.rooms.names.lodger(&self.id.manager, inside),
                None => Lodger::Nobody,
            };
            match lodger {
                Lodger::Nobody => {}
                Lodger::Syncs(others) => {
                    self.let_object_go(&key);
                    let have = if others.len() == 1 { "has" } else { "have" };
                    let why = format!("{} {have} objects that would go with it", syncs(&others));
                    self.left_behind.push((key, why));
                    continue;
                }
                // All are known soon: then this is looked at again.
                Lodger::Unknown => {
                    waiting.push(key);
                    continue;
                }
            }
            if let Some(inside) = &inside {
                // What no Sync has is in nobody's plan. Who is known to be there is not looked for at every wake.
                if let Some(known) = look.found.get(&key) {
                    asked.push((key, known.clone()));
                    continue;
                }
                let found = self.strangers(&hand.identity, inside, &catalog, &self.had);
                match found.await {
                    Ok(found) if found.is_empty() => {}
                    Ok(found) => {
                        look.found.insert(key.clone(), found.clone());
                        asked.push((key, found));
                        continue;
                    }
                    Err(error) => {
                        refused += 1;
                        failed = Some((key, error));
                        continue;
                    }
                }
            }
            match self.delete_one(&hand, info, &key).await {
                Ok(true) => waiting.push(key),
                Ok(false) => {}
                Err(error) => {
                    refused += 1;
                    failed = Some((key, error));
                }
            }
        }
        let mut news = false;
        // Of what is wanted now nobody has been asked.
        if !asked.is_empty() && !self.is_changed_since(generation) {
            match self.let_go_with(sync, asked) {
                Ok(approved) => {
                    for key in approved {
                        if self.is_changed_since(generation) {
                            break;
                        }
                        let Some(info) = catalog.preferred(&key.kind) else {
                            continue;
                        };
                        // Somebody may have moved in since: whoever approved did not know of that.
                        match self.holds_only(&look, &hand, &key, &catalog).await {
                            Ok(true) => {}
                            Ok(false) => {
                                news = true;
                                continue;
                            }
                            Err(error) => {
                                failed = Some((key, error));
                                continue;
                            }
                        }
                        match self.delete_one(&hand, info, &key).await {
                            Ok(true) => waiting.push(key),
                            Ok(false) => {}
                            Err(error) => failed = Some((key, error)),
                        }
                    }
                }
                // Until all else of this step is gone.
                Err(plan) if failed.is_none() && waiting.is_empty() => {
                    let (reason, message) = ("DeletionWaits", plan.reason.clone());
                    next.plan = Some(plan);
                    self.look = Some(look);
                    self.save_soon();
                    // An approval wakes this worker. Nobody tells when those are gone who are in it.
                    self.wake_in(STRANGERS_PAUSE);
                    let held = Verdict::Held { reason, message };
                    return self.leaving(next, generation, held, End::Wait).await;
                }
                Err(_) => {}
            }
        }
        self.look = (!news).then_some(look);
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
        let left = self.checkpoint.records().len();
        let rounds = match self.left {
            Some((known, rounds)) if known == left => rounds.saturating_add(1),
            _ => 0,
        };
        self.left = Some((left, rounds));
        self.wake_in(patience(rounds));
        self.leaving(next, generation, Verdict::Progressing { message }, End::Wait)
            .await
    }

    /// Whether the Sync has been changed since this generation of it.
    fn is_changed_since(&self, generation: i64) -> bool {
        self.spec.borrow().metadata.generation.unwrap_or_default() != generation
    }

    /// Whether what is in an object now, and no Sync has, was found in it by this look.
    async fn holds_only(
        &self,
        look: &Look,
        hand: &Hand,
        key: &Key,
        catalog: &Catalog,
    ) -> Result<bool, ApiError> {
        let Some(inside) = Inside::of(key, catalog) else {
            return Ok(true);
        };
        let now = self
            .strangers(&hand.identity, &inside, catalog, &self.had)
            .await?;
        Ok(look.found.get(key).is_some_and(|known| known.know(&now)))
    }

    /// Deletes one object, and says whether it is waited for.
    async fn delete_one(&mut self, hand: &Hand, info: &KindInfo, key: &Key) -> Result<bool, ApiError> {
        let known = self.checkpoint.records().get(key);
        let is_ours = |live: &str| known.is_some_and(|record| record.may_be(live));
        let pruned = hand
            .prune_unless(info, key, is_ours, |meta| OwnWord::of(&meta.0))
            .await?;
        match pruned {
            Pruned::Deleted(DeleteOutcome::Gone) => self.let_object_go(key),
            Pruned::Deleted(DeleteOutcome::NotOurs) => {
                self.let_object_go(key);
                let why = "it is not the one that was applied";
                self.left_behind.push((key.clone(), why.to_owned()));
            }
            Pruned::Deleted(DeleteOutcome::Deleted | DeleteOutcome::Leaving) | Pruned::Leaving => {
                return Ok(true);
            }
            // Said since it was looked at: the next pass leaves it behind, with what is around it.
            Pruned::Spared(_) => {}
        }
        Ok(false)
    }

    /// From now on this Sync wants nothing. Some: another Sync of its Repository may want what it has, and has not been heard yet;
    /// the pass ends so.
    async fn waits_for_heirs(&mut self, sync: &Sync, generation: i64, next: &SyncStatus) -> Option<End> {
        self.rooms.names.abandons(&self.id.manager);
        let repository = (self.id.namespace.to_string(), sync.spec.source_ref.name.clone());
        // Where there is no commit, nobody can be waited for.
        let head = self.rooms.context.heads.get(&repository).head().cloned()?;
        let looked = self.looked(sync, &head);
        let names = &self.rooms.names;
        let message = if let Some(other) = names.behind(&self.id.manager, &looked) {
            format!(
                "Deleting: waits until {other} has looked at {}: it may want what is here.",
                head.revision.short()
            )
        } else {
            let all = || self.checkpoint.records().keys().cloned().collect();
            self.wanted_perhaps(&head, &looked, all).await?
        };
        self.wake_in(Duration::from_secs(30));
        let verdict = Verdict::Progressing { message };
        Some(self.leaving(next.clone(), generation, verdict, End::Wait).await)
    }

    /// Nothing is deleted until something else has changed: it is looked at again.
    pub(super) async fn deletion_waits(
        &mut self,
        next: SyncStatus,
        generation: i64,
        message: String,
        transient: bool,
    ) -> End {
        let reason = "DeletionWaits";
        let held = Verdict::Held { reason, message };
        self.leaving(next, generation, held, End::Retry { transient })
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

impl Worker {
    /// An object that is still recorded, would go with this one, and says that it stays.
    async fn word_inside(
        &self,
        hand: &Hand,
        inside: &Inside,
        around: &Key,
        catalog: &Catalog,
    ) -> Result<Option<Key>, ApiError> {
        let records = self.checkpoint.records().keys();
        for key in records.filter(|key| *key != around && inside.holds(key)) {
            let Some(info) = catalog.preferred(&key.kind) else {
                continue;
            };
            let found = self.rooms.server.metadata(&hand.identity, info, key).await?;
            if found.is_some_and(|found| OwnWord::of(&found.0).is_some()) {
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }

    /// What an object is in, or is of a kind of, stays with it: in one record with that, so that a restart changes nothing.
    fn leave_behind_around(&mut self, key: &Key, catalog: &Catalog) {
        let records = self.checkpoint.records().keys();
        let around: Vec<Key> = records
            .filter(|other| Inside::of(other, catalog).is_some_and(|inside| inside.holds(key)))
            .cloned()
            .collect();
        for other in around {
            self.let_object_go(&other);
            self.left_behind.push((other, format!("{key} stays in it")));
        }
    }
}

/// Deletions that fail before a round of them ends.
const REFUSED: usize = 8;

/// Objects that are named of those that stay.
const NAMED: usize = 5;

/// What is said of a Sync's objects at its end.
fn farewell(stayed: &[(Key, String)]) -> String {
    if stayed.is_empty() {
        return "All objects of the Sync are gone.".to_owned();
    }
    let named: Vec<_> = stayed
        .iter()
        .take(NAMED)
        .map(|(key, why)| format!("{key} ({why})"))
        .collect();
    let rest = match stayed.len().saturating_sub(NAMED) {
        0 => String::new(),
        rest => format!(", and {rest} more"),
    };
    let noun = if stayed.len() == 1 { "stays" } else { "stay" };
    format!(
        "The objects of the Sync are gone, but for {} that {noun}: {}{rest}.",
        stayed.len(),
        named.join(", ")
    )
}

/// How long an object that goes away by itself is waited for before somebody looks: a watch tells sooner. `rounds`: how many
/// looks there were in which nothing was gone.
fn patience(rounds: u32) -> Duration {
    Duration::from_secs(5)
        .saturating_mul(1 << rounds.min(6))
        .min(Duration::from_mins(5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use apply::GroupKind;
    use std::sync::Arc;

    #[test]
    fn what_stays_is_named_at_the_end() {
        let key = |n: usize| Key {
            kind: Arc::new(GroupKind::new("", "ConfigMap")),
            namespace: Some("shop".into()),
            name: format!("m{n}").into(),
        };
        let stayed: Vec<_> = (0..7).map(|n| (key(n), "it says so itself".to_owned())).collect();
        assert_eq!(farewell(&[]), "All objects of the Sync are gone.");
        assert_eq!(
            farewell(&stayed[..1]),
            "The objects of the Sync are gone, but for 1 that stays: ConfigMap shop/m0 (it says so itself)."
        );
        let all = farewell(&stayed);
        assert!(all.contains("but for 7 that stay: ConfigMap shop/m0"), "{all}");
        assert!(all.ends_with("m4 (it says so itself), and 2 more."), "{all}");
    }

    #[test]
    fn what_does_not_go_is_looked_at_ever_more_rarely() {
        let all: Vec<_> = (0..9).map(|rounds| patience(rounds).as_secs()).collect();
        assert_eq!(all, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }
}
