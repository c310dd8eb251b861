//! Deletes what left Git, in the reverse of apply order, and step by step: what goes away slowly is gone before what it may need goes.

use super::attempt::Attempt;
use super::execute::Hand;
use super::inside::{Inside, Lodged};
use super::names::Lodger;
use super::pruning::Asks;
use super::report::{Failure, report};
use super::send::Pruned;
use super::walk::Errand;
use super::worker::Worker;
use crate::events::Severity;
use apply::checkpoint::Wave;
use apply::plan::{Plan, Reason, Seen};
use apply::words::OwnWord;
use apply::{Catalog, DeleteOutcome, Key, KindInfo, Meta};
use crds::ObjectReport;
use manifest::Phase;
use std::collections::HashSet;
use std::time::Duration;

/// How long until somebody looks whether what is in a Namespace, or of a kind, has gone.
pub(super) const STRANGERS_PAUSE: Duration = Duration::from_mins(5);

/// What became of the objects that were to be deleted.
#[derive(Default)]
pub(super) struct PruneWalk {
    /// Those that wait for an approval, with the reason.
    pub(super) waiting: Vec<(Key, Asks)>,
    /// Those that are being deleted, and that others come after.
    pub(super) going: Vec<Key>,
    /// How many come after them.
    pub(super) after: usize,
    /// Whether somebody is in what was to be deleted who was not when that was looked at.
    pub(super) news: bool,
}

impl PruneWalk {
    /// What is waited for, as a sentence about this revision.
    pub(super) fn waits(&self, revision: &str) -> Option<String> {
        let (first, more) = self.going.split_first()?;
        let more = match more.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let noun = if self.after == 1 { "object" } else { "objects" };
        Some(format!(
            "{revision}: waits for {first}{more} to be gone, which left Git; {} {noun} more go after that.",
            self.after
        ))
    }
}

/// Whether something that left Git stays for what is in it.
enum Stays {
    No,
    /// It does, with the reason.
    Kept(String),
    /// As long as that waits for an approval.
    Waits,
}

/// The rest of a plan that is being carried out. What is left of it is still that plan, and so is its approval; until something in it
/// waits for a person, who is asked about what is left, or until a restart.
#[derive(Clone)]
pub(super) struct Underway {
    /// The digest of the inputs, and the spec's generation.
    pub(super) of: (String, i64),
    /// What it deletes, sorted.
    pub(super) keys: Vec<Key>,
    pub(super) digest: String,
    /// Who had objects in what it deletes, when it was looked at.
    pub(super) lodged: Lodged,
}

impl Underway {
    /// Whether a plan is the rest of this one.
    pub(super) fn goes_on(&self, inputs: &str, generation: i64, plan: &Plan) -> bool {
        let known = |key: &Key| self.keys.binary_search(key).is_ok();
        !plan.prune.is_empty()
            && self.of.0 == inputs
            && self.of.1 == generation
            && plan.apply.iter().all(|step| step.reason == Reason::Drifted)
            && plan.prune.iter().all(known)
    }
}

impl Worker {
    /// Deletes what left Git. What cannot be deleted stops what would go after its wave, and what is not gone yet what would go
    /// after it. `lodged`: who was known of in what is deleted; `approved`: whether a person has approved that.
    pub(super) async fn prune(
        &mut self,
        errand: &Errand<'_>,
        keys: &[Key],
        (lodged, approved): (&Lodged, bool),
        catalog: &Catalog,
        attempt: &mut Attempt,
    ) -> PruneWalk {
        let mut did = PruneWalk::default();
        let Some(first) = keys.first() else {
            return did;
        };
        if let Some((message, hint)) = self.no_account(errand).await {
            let message = format!("left Git and is not deleted: {message}");
            attempt
                .failures
                .push(Failure::of(first, None, &message, hint, true));
            return did;
        }
        let mut order: Vec<&Key> = keys.iter().collect();
        order.sort_by_cached_key(|key| std::cmp::Reverse(self.place(key)));
        // A newer commit may want again what this one would delete.
        let halt = self.halt(errand.sync, Some(errand.head));
        let (mut failed_in, mut others, mut broke) = (None, Vec::new(), false);
        for (at, key) in order.iter().copied().enumerate() {
            let (left, place) = (order.len() - at, self.place(key));
            if failed_in.is_some_and(|failed| failed != place.0) {
                let noun = if left == 1 { "object" } else { "objects" };
                let message =
                    format!("{left} more {noun} that left Git: not deleted before what comes first is");
                attempt
                    .failures
                    .push(Failure::passing(&message, "mend the failed deletion first"));
                broke = true;
                break;
            }
            if did.going.first().is_some_and(|going| self.place(going) != place) {
                did.after = left;
                break;
            }
            if halt() {
                attempt.cut = true;
                attempt.failures.push(Failure::passing(
                    "pruning was cut short",
                    "this is tried again by itself",
                ));
                broke = true;
                break;
            }
            let before = self.kept.remove(key);
            let Some(info) = catalog.preferred(&key.kind) else {
                // Its kind is not served: gone, or its API server is away. The record stays until that is known.
                continue;
            };
            if self.is_going(key) {
                did.going.push(key.clone());
                continue;
            }
            if let Some(inside) = Inside::of(key, catalog) {
                match self.stays_for(errand, key, &inside, &did.waiting) {
                    Stays::No => {}
                    Stays::Kept(why) => {
                        self.keep(key, why, before.as_ref());
                        continue;
                    }
                    Stays::Waits => {
                        if lodged.strangers(key).is_some() {
                            // Nobody tells when they are gone.
                            self.wake_in(STRANGERS_PAUSE);
                        }
                        did.waiting.push((key.clone(), Asks::about(key, lodged)));
                        continue;
                    }
                }
                match self.rooms.names.lodger(&self.id.manager, &inside) {
                    Lodger::Nobody => {}
                    // Somebody may have moved in since.
                    Lodger::Syncs(others) if approved && lodged.knows(key, &others) => {}
                    Lodger::Syncs(others) => {
                        did.news |= !lodged.knows(key, &others);
                        did.waiting.push((key.clone(), Asks::Others(others)));
                        continue;
                    }
                    // What is not known is waited for; pruning does so before it begins.
                    Lodger::Unknown => continue,
                }
                let found = match lodged.strangers(key) {
                    // Whom a person has to know of is known.
                    Some(known) if !approved && !known.is_empty() => Ok(known.clone()),
                    _ => {
                        let identity = &errand.hand.identity;
                        self.strangers(identity, &inside, catalog, &lodged.ours).await
                    }
                };
                match found {
                    Ok(now) if now.is_empty() || (approved && lodged.knows_strangers(key, &now)) => {}
                    Ok(now) => {
                        // Nobody tells when they are gone.
                        self.wake_in(STRANGERS_PAUSE);
                        did.news |= !lodged.knows_strangers(key, &now);
                        let names = now.names().unwrap_or_default();
                        did.waiting.push((key.clone(), Asks::Strangers(names)));
                        continue;
                    }
                    Err(error) => {
                        failed_in = Some(place.0);
                        let message = format!(
                            "left Git and is not deleted, since what is in it cannot be looked at: {error}"
                        );
                        let failure = Failure::of(key, None, &message, error.hint(), true);
                        attempt.failures.push(failure);
                        continue;
                    }
                }
            }
            match self.prune_one(&errand.hand, info, key, approved).await {
                Ok(Pruned::Deleted(DeleteOutcome::Leaving)) => {
                    attempt.counts.pruned += 1;
                    self.attend_end(key);
                    did.going.push(key.clone());
                }
                Ok(Pruned::Leaving) => {
                    self.attend_end(key);
                    did.going.push(key.clone());
                }
                Ok(Pruned::Deleted(outcome)) => {
                    if outcome == DeleteOutcome::NotOurs {
                        others.push(key.clone());
                    }
                    self.let_object_go(key);
                    attempt.counts.pruned += u32::from(outcome == DeleteOutcome::Deleted);
                }
                Ok(Pruned::Spared(OwnWord::Orphan)) if !Self::holds_up(key, keys, catalog) => {
                    self.let_object_go(key);
                }
                // It stays ours: what it says of itself may change.
                Ok(Pruned::Spared(OwnWord::Keep | OwnWord::Orphan)) => {
                    self.keep(key, "it says so itself".to_owned(), before.as_ref());
                }
                Ok(Pruned::Spared(OwnWord::Confirm)) => did.waiting.push((key.clone(), Asks::Itself)),
                Err(error) => {
                    failed_in = Some(place.0);
                    let message = format!("left Git and cannot be deleted: {}", self.said_of(key, &error));
                    attempt.failures.push(Failure::of(
                        key,
                        None,
                        &message,
                        error.hint(),
                        error.is_transient(),
                    ));
                }
            }
        }
        if did.after == 0 && !broke {
            // Nothing comes after what goes away by itself.
            for key in did.going.drain(..) {
                self.let_object_go(&key);
            }
        }
        self.tell_others(&others);
        self.rooms
            .context
            .metrics
            .objects_pruned
            .inc_by(attempt.counts.pruned.into());
        did
    }

    /// Why nothing is deleted, and what to do, if the Sync's account is not there. The watch may be behind, and an account that is
    /// gone still has the rights that its bindings give it.
    async fn no_account(&self, errand: &Errand<'_>) -> Option<(String, &'static str)> {
        let account = &errand.sync.spec.service_account_name;
        let server = &self.rooms.server;
        match server.service_account_exists(&self.id.namespace, account).await {
            Ok(true) => None,
            Ok(false) => Some((format!("there is no service account {account}"), "create it")),
            Err(error) => Some((error.to_string(), error.hint())),
        }
    }

    /// Where an object stands in apply order.
    fn place(&self, key: &Key) -> (Option<Wave>, Phase) {
        let wave = self.checkpoint.records().get(key).map(|record| record.wave);
        (wave, Phase::of(&key.kind.group, &key.kind.kind))
    }

    /// Whether the watch shows the recorded object as being deleted. It tells as well when it is gone.
    fn is_going(&self, key: &Key) -> bool {
        let seen = self.rooms.observer.seen(key);
        let Seen::Present {
            uid, deleting: true, ..
        } = seen
        else {
            return false;
        };
        let ours = self.checkpoint.only_uid(key).as_deref() == Some(&*uid);
        if ours {
            self.attend_end(key);
        }
        ours
    }

    /// From here on an object's disappearance is no drift, and wakes this worker.
    fn attend_end(&self, key: &Key) {
        self.rooms.observer.release(key, &self.mailbox);
        self.rooms.observer.attend(key, &self.mailbox, None);
    }

    async fn prune_one(
        &self,
        hand: &Hand,
        info: &KindInfo,
        key: &Key,
        approved: bool,
    ) -> Result<Pruned, apply::ApiError> {
        let known = self.checkpoint.records().get(key).cloned();
        let is_ours = |uid: &str| known.as_ref().is_some_and(|known| known.may_be(uid));
        let forbids =
            |meta: &Meta| OwnWord::of(&meta.0).filter(|word| !(approved && *word == OwnWord::Confirm));
        hand.prune_unless(info, key, is_ours, forbids).await
    }

    /// Whether a Namespace or definition that left Git stays: what Git still holds, or what stays by its own word, would go with it,
    /// whoever approved. What waits for an approval itself, `waiting`, keeps it only until then.
    fn stays_for(&self, errand: &Errand<'_>, key: &Key, inside: &Inside, waiting: &[(Key, Asks)]) -> Stays {
        if inside.holds_sync_in(&self.id.namespace) {
            return Stays::Kept("the Sync itself is in it".to_owned());
        }
        if let Some(held) = errand.inputs.inside(inside) {
            return Stays::Kept(format!("Git still holds {held}"));
        }
        let records = self.checkpoint.records().keys();
        // What is gone already is forgotten after this.
        let gone = &errand.plan.forget;
        let stays = |other: &&Key| *other != key && inside.holds(other) && !gone.contains(other);
        let waiting: HashSet<&Key> = waiting.iter().map(|(key, _)| key).collect();
        let waits = |other: &&Key| waiting.contains(other);
        let (wait, stay): (Vec<&Key>, Vec<&Key>) = records.filter(stays).partition(waits);
        match stay.into_iter().min() {
            Some(left) => Stays::Kept(format!("{left} stays, and would go with it")),
            None if wait.is_empty() => Stays::No,
            None => Stays::Waits,
        }
    }

    /// Says of an object that left Git that it stays, and why: as long as it does in the status, and once as an event. `before`:
    /// why it stayed the last time.
    fn keep(&mut self, key: &Key, why: String, before: Option<&String>) {
        if before != Some(&why) && !self.status.warnings.contains(&kept(key, &why)) {
            let message = format!("Kept {key}, which left Git: {why}.");
            self.event(Severity::Warning, "Kept", &message);
        }
        self.kept.insert(key.clone(), why);
    }

    /// Whether an object that stays by its own word is in something that left Git as well. Then it stays ours, so that it is known
    /// why that one stays.
    fn holds_up(key: &Key, others: &[Key], catalog: &Catalog) -> bool {
        let mut insides = others.iter().filter_map(|other| Inside::of(other, catalog));
        insides.any(|inside| inside.holds(key))
    }
}

/// What the status says of an object that left Git and stays.
pub(super) fn kept(key: &Key, why: &str) -> ObjectReport {
    let hint = "once nothing keeps it any more, signet sync deletes it; so that it is nobody's, annotate it with signet.dev/prune: orphan";
    report(Some(key), None, &format!("left Git and stays: {why}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::config_map as key;
    use apply::plan::Step;

    #[test]
    fn what_is_waited_for_is_said() {
        let mut walk = PruneWalk::default();
        assert_eq!(walk.waits("main@abc"), None);
        (walk.going, walk.after) = (vec![key("a")], 1);
        assert_eq!(
            walk.waits("main@abc").unwrap(),
            "main@abc: waits for ConfigMap shop/a to be gone, which left Git; 1 object more go after that."
        );
        (walk.going, walk.after) = (vec![key("a"), key("b")], 7);
        assert!(walk.waits("m").unwrap().contains("shop/a and 1 more to be gone"));
    }

    #[test]
    fn the_rest_of_a_plan_is_that_plan() {
        let underway = Underway {
            of: ("inputs".into(), 3),
            keys: vec![key("a"), key("b")],
            digest: "digest".into(),
            lodged: Lodged::default(),
        };
        let plan = |prune: &[&str], apply: &[Reason]| Plan {
            prune: prune.iter().map(|name| key(name)).collect(),
            apply: apply
                .iter()
                .map(|reason| Step {
                    desired: 0,
                    reason: *reason,
                })
                .collect(),
            ..Plan::default()
        };
        assert!(underway.goes_on("inputs", 3, &plan(&["b"], &[])));
        assert!(underway.goes_on("inputs", 3, &plan(&["a", "b"], &[Reason::Drifted])));
        assert!(!underway.goes_on("inputs", 3, &plan(&["b", "c"], &[])));
        assert!(!underway.goes_on("inputs", 3, &plan(&["b"], &[Reason::New])));
        assert!(!underway.goes_on("others", 3, &plan(&["b"], &[])));
        assert!(!underway.goes_on("inputs", 4, &plan(&["b"], &[])));
    }
}
