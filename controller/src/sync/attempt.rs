//! An attempt: intent written down, objects applied, each answer recorded.

use super::OWN_MANAGER;
use super::execute::{Effect, Hand, Sent};
use super::inputs::Inputs;
use super::policy::Policy;
use super::report::Failure;
use super::restart::Contents;
use super::status::{self, Verdict};
use super::store::Checkpoint;
use super::strays::marked;
use super::walk::Errand;
use super::worker::Worker;
use crate::events::Severity;
use apply::checkpoint::Record;
use apply::plan::{Plan, Reason, Seen, Step};
use apply::{ApiError, Identity, Key, applyset};
use crds::{Counts, Immutable, Sync, annotation, label};
use kube::ResourceExt;
use serde_json::json;
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

impl Worker {
    /// Writes down the intent to create, before it is sent: only of what is sent now. A record without a uid says that an
    /// object may be there, one that is marked says that another object may have taken its place; whoever starts after a
    /// crash looks.
    pub(super) async fn intend(
        &mut self,
        sync: &Sync,
        inputs: &Inputs,
        steps: &[Step],
    ) -> Result<(), ApiError> {
        for step in steps {
            let key = &inputs.desired[step.desired].key;
            let known = self.checkpoint.records().get(key);
            // An earlier request that was not answered may have made what stands there now: then nothing is added to its intent.
            if known.is_some_and(|known| known.only_uid().is_none() || !self.may_replace(sync, inputs, *step))
            {
                continue;
            }
            let recorded = known.and_then(|known| known.uid.clone());
            let but = match self.rooms.observer.seen(key) {
                Seen::Present { uid, .. } => Some(uid).filter(|live| recorded.as_ref() != Some(live)),
                Seen::Absent | Seen::Unwatched => None,
            };
            if recorded.is_some() {
                // What was there before says nothing of what is about to be made in its place.
                self.checkpoint
                    .change(key, |record| (record.anew, record.but) = (true, but));
            } else {
                let record = Record {
                    beside: self.leaving,
                    but,
                    ..inputs.record(step.desired)
                };
                self.checkpoint.set(key.clone(), record);
            }
            self.intended.insert(key.clone());
        }
        if steps.is_empty() {
            return Ok(());
        }
        self.checkpoint.save().await?;
        self.save_at = None;
        Ok(())
    }

    /// Whether a step may put another object in the place of the one that is recorded.
    pub(super) fn may_replace(&self, sync: &Sync, inputs: &Inputs, step: Step) -> bool {
        let key = &inputs.desired[step.desired].key;
        let known = self.checkpoint.records().get(key);
        let Some(uid) = known.and_then(|known| known.uid.as_ref()) else {
            return false;
        };
        match self.rooms.observer.seen(key) {
            Seen::Absent | Seen::Unwatched => true,
            Seen::Present { uid: live, .. } => *uid != live || replaces(sync, inputs, step),
        }
    }

    /// Tells a hand which objects it may delete to make them anew: those whose uid an apply of ours returned.
    pub(super) fn entrust(&self, hand: &Hand, sync: &Sync, inputs: &Inputs, steps: &[Step]) {
        let mut uids = hand.uids();
        for step in steps.iter().filter(|step| replaces(sync, inputs, **step)) {
            let key = &inputs.desired[step.desired].key;
            let known = self.checkpoint.records().get(key);
            if let Some(uid) = known.and_then(|known| known.uid.clone()) {
                uids.insert(key.clone(), uid);
            }
        }
    }

    /// Before anything is sent: the ApplySet's marks on the Sync, and beside them the intent of what comes first. A Sync that is
    /// marked has a shard, or has lost it: so its first one comes before the marks.
    pub(super) async fn prepare(
        &mut self,
        errand: &Errand<'_>,
        kinds: &[Arc<apply::KindInfo>],
    ) -> Result<(), ApiError> {
        let inputs = errand.inputs;
        let server = self.rooms.server.clone();
        let path = status::path(&self.id.namespace, &self.id.name);
        let marks = self.marks(errand.sync, inputs, kinds);
        let mark = async {
            match &marks {
                Some(marks) => server.apply_own(&path, OWN_MANAGER, marks).await.map(|_| ()),
                None => Ok(()),
            }
        };
        let first = first_steps(errand);
        if marks.is_some() && self.checkpoint.begin() {
            self.intend(errand.sync, inputs, &first).await?;
            self.checkpoint.save().await?;
            return mark.await;
        }
        let (marked, intended) = tokio::join!(mark, self.intend(errand.sync, inputs, &first));
        marked.and(intended)
    }

    /// KEP-3659: the parent names its set, tool, kinds and namespaces before members are made. None: it does.
    fn marks(
        &self,
        sync: &Sync,
        inputs: &Inputs,
        kinds: &[Arc<apply::KindInfo>],
    ) -> Option<serde_json::Value> {
        let mut names: BTreeSet<String> = kinds
            .iter()
            .map(|info| match &*info.kind.group {
                "" => info.kind.kind.to_string(),
                group => format!("{}.{group}", info.kind.kind),
            })
            .collect();
        let mut namespaces: BTreeSet<&str> = inputs
            .desired
            .iter()
            .map(|desired| &desired.key)
            .chain(self.checkpoint.records().keys())
            .filter_map(|key| key.namespace.as_deref())
            .filter(|namespace| *namespace != &*self.id.namespace)
            .collect();
        if self.checkpoint.lost {
            // What is not known any more is found by what was said before.
            names.extend(marked(sync, annotation::APPLYSET_KINDS).map(str::to_owned));
            namespaces.extend(marked(sync, annotation::APPLYSET_NAMESPACES));
        }
        let annotations = json!({
            annotation::APPLYSET_TOOLING: applyset::TOOLING,
            annotation::APPLYSET_KINDS: names.into_iter().collect::<Vec<_>>().join(","),
            annotation::APPLYSET_NAMESPACES: namespaces.into_iter().collect::<Vec<_>>().join(","),
        });
        let carries = |(name, value): (&String, &serde_json::Value)| {
            sync.annotations().get(name).map(String::as_str) == value.as_str()
        };
        let marked = annotations.as_object().is_some_and(|all| all.iter().all(carries))
            && sync.labels().get(label::APPLYSET_ID) == Some(&self.id.applyset);
        if marked {
            return None;
        }
        Some(json!({
            "apiVersion": "signet.dev/v1alpha1", "kind": "Sync",
            "metadata": {
                "namespace": *self.id.namespace, "name": *self.id.name, "uid": sync.metadata.uid,
                "labels": {label::APPLYSET_ID: self.id.applyset}, "annotations": annotations,
            },
        }))
    }

    pub(super) fn hand(&self, sync: &Sync) -> Arc<Hand> {
        self.hand_for(sync, self.checkpoint.journal.operation.clone())
    }

    /// For hooks, which carry what they were made for.
    pub(super) fn hand_for(&self, sync: &Sync, operation: String) -> Arc<Hand> {
        Arc::new(Hand {
            server: self.rooms.server.clone(),
            observer: self.rooms.observer.clone(),
            identity: Identity::ServiceAccount {
                namespace: Arc::clone(&self.id.namespace),
                name: sync.spec.service_account_name.as_str().into(),
            },
            manager: self.id.manager.clone(),
            applyset: self.id.applyset.clone(),
            sync: self.id.full.clone(),
            home: self.rooms.context.namespace.clone(),
            mailbox: Arc::clone(&self.mailbox),
            names: self.rooms.names.clone(),
            operation,
            lost: Mutex::default(),
            broken: Mutex::default(),
            half: Mutex::default(),
            uids: Mutex::default(),
            opened: Mutex::default(),
            policy: Policy::of(&sync.spec),
            contents: Contents::new(self.rooms.context.digest_key.expose()),
            namespaces: tokio::sync::Mutex::default(),
            silent: AtomicU32::new(0),
        })
    }

    /// Applies `steps` as part of a walk, and says so in the status where it takes long.
    pub(super) async fn execute(&mut self, errand: &Errand<'_>, steps: &[Step]) -> Attempt {
        let (sync, inputs, head) = (errand.sync, errand.inputs, errand.head);
        let mut attempt = Attempt::default();
        if steps.is_empty() {
            return attempt;
        }
        // Only that work is under way: failures and revisions stay those of the last verdict, which belong together.
        let mut working = self.status.clone();
        let message = format!("Applying {} objects of {}.", steps.len(), head.revision.short());
        status::conclude(&mut working, errand.generation, Verdict::Working { message });
        let (finished, stop) = tokio::sync::oneshot::channel::<()>();
        let progress = tokio::spawn({
            let (server, namespace, name) = (
                self.rooms.server.clone(),
                Arc::clone(&self.id.namespace),
                Arc::clone(&self.id.name),
            );
            let uid = sync.metadata.uid.clone();
            let patience = self.patience();
            async move {
                // Once it is being written it is waited for: it must not arrive after the verdict.
                let quick = tokio::time::timeout(patience, stop).await.is_ok();
                if !quick {
                    let _ = status::write(&server, &namespace, &name, uid.as_deref(), &working).await;
                }
                !quick
            }
        });
        let ring = self.rooms.context.keys.borrow().clone();
        self.entrust(&errand.hand, sync, inputs, steps);
        let intended = std::mem::take(&mut self.intended);
        let (hand, halt, checkpoint) = (&errand.hand, self.halt(sync, Some(head)), &mut self.checkpoint);
        let (mut done, mut unrepaired) = (Done::default(), Vec::new());
        let lost = hand
            .apply(inputs, steps, &head.snapshot, &ring, halt, |sent| {
                if let (Reason::Drifted, Err(failure)) = (sent.step.reason, &sent.result) {
                    unrepaired.push((sent.step.desired, failure.report.message.clone()));
                }
                attempt_done(&mut done, checkpoint, inputs, &intended, sent);
            })
            .await;
        for (at, why) in unrepaired {
            let key = &inputs.desired[at].key;
            if let Some(drift) = self.rooms.observer.drift(key) {
                let fields = Self::lost_fields(hand, at);
                self.note_drift(key, &drift, fields, &why);
            }
        }
        if done.anew {
            self.save_now().await;
        }
        drop(finished);
        if progress.await.unwrap_or(true) {
            // What stands in the status now is not what we last said.
            self.status.conditions.clear();
        }
        attempt.counts = done.counts;
        attempt.failures = done.failures;
        let missing = steps.len().saturating_sub(done.answered);
        attempt.cut = missing > 0 || lost.is_some();
        if attempt.cut {
            let (why, hint) = match &lost {
                Some(lost) => (lost.to_string(), lost.hint()),
                None => (
                    "the attempt was cut short".to_owned(),
                    "this is tried again by itself",
                ),
            };
            let message = format!("{why}; {missing} of {} objects are not applied yet", steps.len());
            attempt.failures.push(Failure::passing(&message, hint));
        }
        attempt
    }

    /// What may be said of an error about an object that has left Git, or about a hook: of that nothing is recorded.
    pub(super) fn said_of(&self, key: &Key, error: &ApiError) -> String {
        let secret = self
            .checkpoint
            .records()
            .get(key)
            .is_none_or(|record| record.secret);
        if secret {
            error.in_own_words().to_owned()
        } else {
            error.to_string()
        }
    }

    pub(super) fn forget(&mut self, plan: &Plan) {
        let mut others = Vec::new();
        for key in &plan.forget {
            let known = self.checkpoint.records().get(key);
            let seen = self.rooms.observer.seen(key);
            if let Seen::Present {
                uid, owned: Some(_), ..
            } = &seen
                && known.is_some_and(|known| !known.may_be(uid))
            {
                others.push(key.clone());
            }
            self.let_object_go(key);
        }
        others.extend(self.others.drain());
        others.sort_unstable();
        self.tell_others(&others);
        self.save_soon();
    }

    /// Tells of objects that left Git and stay, though they have fields of ours.
    pub(super) fn tell_others(&mut self, others: &[Key]) {
        let Some(first) = others.first() else { return };
        let more = match others.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let message = format!("Kept {first}{more}, which left Git: not what was applied under this name.");
        self.event(Severity::Warning, "Kept", &message);
    }

    /// The object is nobody's from now on.
    pub(super) fn let_object_go(&mut self, key: &Key) {
        self.checkpoint.remove(key);
        self.rooms.observer.release(key, &self.mailbox);
    }
}

/// Whether an object is deleted and made anew where it cannot be changed.
fn replaces(sync: &Sync, inputs: &Inputs, step: Step) -> bool {
    let own = inputs.wanted[step.desired].item.options().replace;
    own.unwrap_or(sync.spec.immutable == Immutable::Replace)
}

/// The steps that the walk is sure to send first, if there are any: nothing comes before them that could stop it.
fn first_steps(errand: &Errand<'_>) -> Vec<Step> {
    let (inputs, steps) = (errand.inputs, &errand.plan.apply);
    let first = inputs.groups.iter().min();
    let sure = |step: &&Step| {
        inputs.groups.get(step.desired) == first
            && !inputs.blocked.contains(&step.desired)
            && !inputs.needs.contains_key(&step.desired)
            && !inputs.reads.contains_key(&step.desired)
    };
    if inputs.hooks.is_empty() {
        steps.iter().filter(sure).copied().collect()
    } else {
        Vec::new()
    }
}

/// What an attempt came to.
#[derive(Default)]
pub(super) struct Attempt {
    pub(super) counts: Counts,
    pub(super) failures: Vec<Failure>,
    /// Whether it ended before everything was sent.
    pub(super) cut: bool,
}

/// What the answers so far came to.
#[derive(Default)]
pub(super) struct Done {
    pub(super) counts: Counts,
    pub(super) failures: Vec<Failure>,
    pub(super) answered: usize,
    /// Whether an object was made anew, so that the uid that is written down is not its own any more.
    pub(super) anew: bool,
}

/// Takes in an answer. `intended`: the intent of these was written down for this very attempt.
pub(super) fn attempt_done(
    done: &mut Done,
    checkpoint: &mut Checkpoint,
    inputs: &Inputs,
    intended: &HashSet<Key>,
    sent: Sent,
) {
    done.answered += 1;
    match sent.result {
        Ok((applied, effect)) => {
            match effect {
                Effect::Created => done.counts.created += 1,
                Effect::Changed => done.counts.changed += 1,
                Effect::Unchanged => done.counts.unchanged += 1,
            }
            let desired = &inputs.desired[sent.step.desired];
            let known = checkpoint.records().get(&desired.key);
            done.anew |= is_anew(known, &applied.live.uid);
            let record = Record {
                uid: Some(applied.live.uid),
                owned: applied.live.owned,
                beside: known.is_some_and(|known| known.beside),
                opened: sent.opened,
                ..inputs.record(sent.step.desired)
            };
            checkpoint.set(desired.key.clone(), record);
        }
        Err(failure) => {
            // What was refused for good was not made: its intent is taken back, and nothing of that name is ours to delete later.
            // An earlier try that was never answered may have made it, though.
            let key = &inputs.desired[sent.step.desired].key;
            if intended.contains(key) && !failure.transient && !sent.half {
                match checkpoint.records().get(key).map(|known| known.uid.is_some()) {
                    Some(true) => checkpoint.change(key, |record| (record.anew, record.but) = (false, None)),
                    Some(false) => checkpoint.remove(key),
                    None => {}
                }
            }
            done.failures.push(failure);
        }
    }
}

/// Whether an answer tells of another object than the one that is written down: it was made anew, or taken over. What was written
/// down as about to be made is found without its uid.
fn is_anew(known: Option<&Record>, uid: &str) -> bool {
    known.is_none_or(|record| !record.may_be(uid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::send::Notes;
    use apply::GroupKind;
    use apply::checkpoint::{InputDigest, OpenedBy, Wave};
    use apply::plan::Desired;

    fn record(uid: Option<&str>) -> Record {
        Record {
            uid: uid.map(Into::into),
            ..Record::intended(InputDigest([0; 16]), Wave::of(0))
        }
    }

    #[tokio::test]
    async fn only_what_was_refused_at_the_first_try_takes_its_intent_back() {
        let key = Key {
            kind: Arc::new(GroupKind::new("", "ConfigMap")),
            namespace: Some("shop".into()),
            name: "a".into(),
        };
        let mut inputs = Inputs::default();
        inputs.desired.push(Desired {
            key: key.clone(),
            digest: InputDigest([0; 16]),
        });
        let after = |before: Record, first: bool, transient: bool, half: bool| {
            let mut checkpoint = Checkpoint::for_tests();
            checkpoint.set(key.clone(), before);
            let intended = HashSet::from_iter(first.then(|| key.clone()));
            let sent = Sent {
                step: Step {
                    desired: 0,
                    reason: Reason::New,
                },
                result: Err(Failure::of(&key, None, "no", "", transient)),
                notes: Notes::default(),
                half,
                opened: OpenedBy::default(),
            };
            attempt_done(&mut Done::default(), &mut checkpoint, &inputs, &intended, sent);
            checkpoint.records().get(&key).cloned()
        };
        let marked = Record {
            anew: true,
            but: Some("b".into()),
            ..record(Some("a"))
        };
        assert_eq!(after(record(None), true, false, false), None);
        assert_eq!(after(marked.clone(), true, false, false), Some(record(Some("a"))));
        for before in [record(None), marked] {
            for (first, transient, half, why) in [
                (false, false, false, "an earlier try was not answered"),
                (true, true, false, "it may be made yet"),
                (true, false, true, "it carries our fields"),
            ] {
                let kept = after(before.clone(), first, transient, half);
                assert_eq!(kept.as_ref(), Some(&before), "{why}");
            }
        }
    }

    #[test]
    fn what_is_made_anew_is_known_by_its_uid() {
        assert!(!is_anew(Some(&record(Some("a"))), "a"));
        assert!(is_anew(Some(&record(Some("a"))), "b"));
        assert!(is_anew(None, "b"));
        assert!(!is_anew(Some(&record(None)), "b"), "its intent is written down");
        let marked = Record {
            anew: true,
            ..record(Some("a"))
        };
        assert!(!is_anew(Some(&marked), "b"), "so is this one's");
        let taken = Record {
            but: Some("b".into()),
            ..record(None)
        };
        assert!(is_anew(Some(&taken), "b"), "it was there before");
    }
}
