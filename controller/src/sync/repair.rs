//! Drift: what the cluster changed is put back at once, unless somebody keeps changing it.

use super::attempt::{Done, attempt_done};
use super::execute::Effect;
use super::fights;
use super::restart::waits_for;
use super::worker::{End, Worker};
use crate::events::Severity;
use crate::observe::Drift;
use apply::Key;
use apply::plan::{Reason, Step};
use crds::{Mode, ObjectReport};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many restored objects are named in so long.
const RESTORED_NAMED: usize = 5;
const RESTORED_WINDOW: Duration = Duration::from_secs(10);
/// From when on, in seconds, an event about what was restored says when it was changed: the event's own time does not.
const LONG_AGO: i64 = 60;
/// How soon the status speaks of drift that is not repaired.
const TELL: Duration = Duration::from_secs(1);

/// What is told of objects that were restored.
#[derive(Default)]
pub(super) struct Restored {
    /// When the first of them was.
    since: Option<Instant>,
    named: usize,
    unsaid: usize,
}

impl Worker {
    /// Puts back what the cluster changed.
    pub(super) async fn repair(&mut self, drifted: HashMap<Key, Drift>) {
        let sync = self.spec.borrow().clone();
        let idle = sync.spec.suspend || sync.metadata.deletion_timestamp.is_some();
        let Some(head) = self.head.clone().filter(|_| !idle) else {
            return;
        };
        if sync.spec.mode == Mode::Detect || !matches!(self.window(&sync), Ok(None)) {
            // A whole pass reports it.
            self.settled = None;
            if let Some(detected) = &mut self.detected {
                detected.outdate();
            }
            self.mailbox.wake();
            return;
        }
        // What was let in by the gate is put back as it was let in: by that account, and with its word on conflicts. The
        // next pass is for what the spec says since.
        let now = Arc::clone(&sync);
        let sync = self.taken_as.clone().unwrap_or(sync);
        let inputs = Arc::clone(&self.inputs);
        let mut steps = Vec::new();
        let mut why: HashMap<usize, Drift> = HashMap::new();
        let mut long_ago: HashMap<usize, Timestamp> = HashMap::new();
        for key in drifted.into_keys() {
            // It may have been put right meanwhile, or have left Git; or a newer version of it waits for its turn.
            let (Some(drift), Some(desired)) = (self.rooms.observer.drift(&key), inputs.find(&key)) else {
                continue;
            };
            if !self.is_applied(&inputs, desired) {
                // It is put back with the newer version. Where that has to wait for a Secret, it may for long.
                if let Some(secret) = self.awaits_secret(&inputs, desired) {
                    self.note_waiting_drift(&key, &waits_for(secret));
                    self.look_again(TELL);
                }
                continue;
            }
            // An autoscaler writes all the time, and what it takes is yielded: its writes are not suspected. One that
            // writes the same field again leaves no new mark: then its having a field at all tells.
            if let Drift::Suspect { by } = &drift {
                let trusted = &sync.spec.trusted_managers;
                let known = match by {
                    Some(by) => apply::fields::is_trusted(by, trusted),
                    None => self.rooms.observer.contested(&key, trusted),
                };
                if known {
                    self.rooms.observer.settle(&key);
                    continue;
                }
            }
            if let Some(pause) = self.fight(&key) {
                let message = "It is changed again each time it is restored.";
                self.note_drift(&key, &drift, Vec::new(), message);
                self.look_again(TELL);
                self.later(key, drift, pause);
                continue;
            }
            steps.push(Step {
                desired,
                reason: Reason::Drifted,
            });
            long_ago.extend(self.long_ago(&key).map(|at| (desired, at)));
            why.insert(desired, drift);
        }
        if steps.is_empty() {
            return;
        }
        if self.admit(&sync).await.is_err() {
            // A whole pass says what is wrong.
            self.settled = None;
            self.mailbox.wake();
            return;
        }
        steps.sort_by_key(|step| step.desired);
        // What is made anew is another object: whoever starts after a crash has to know that it may be there.
        let may_replace = |step: &&Step| self.may_replace(&sync, &inputs, **step);
        let anew: Vec<Step> = steps.iter().filter(may_replace).copied().collect();
        if self.intend(&sync, &inputs, &anew).await.is_err() {
            self.settled = None;
            self.plan_retry(&End::Retry { transient: true });
            return;
        }
        let ring = self.rooms.context.keys.borrow().clone();
        let hand = self.hand(&sync);
        self.entrust(&hand, &sync, &inputs, &steps);
        let intended = std::mem::take(&mut self.intended);
        let (halt, checkpoint) = (self.halt(&now, None), &mut self.checkpoint);
        let mut done = Done::default();
        let (mut repaired, mut unrepaired) = (Vec::new(), Vec::new());
        let lost = hand
            .apply(&inputs, &steps, &head.snapshot, &ring, halt, |sent| {
                // A suspicion may turn out to be none, and a field may be yielded to who took it: then nothing was put back.
                // So it is where what the watch does not see is there: somebody else's, without our label.
                let suspect = matches!(why[&sent.step.desired], Drift::Suspect { .. } | Drift::Deleted);
                let idle = |effect: Effect| {
                    effect == Effect::Unchanged && (suspect || !sent.notes.yielded.is_empty())
                };
                if sent.result.as_ref().is_ok_and(|(_, effect)| !idle(*effect)) {
                    repaired.push(sent.step.desired);
                }
                if let Err(failure) = &sent.result {
                    unrepaired.push((sent.step.desired, failure.report.message.clone()));
                }
                attempt_done(&mut done, checkpoint, &inputs, &intended, sent);
            })
            .await;
        if done.anew {
            self.save_now().await;
        }
        self.rooms
            .context
            .metrics
            .drift_repaired
            .inc_by(repaired.len() as u64);
        let named = self.names_restored(repaired.len());
        for desired in repaired.iter().take(named) {
            let fields = Self::lost_fields(&hand, *desired);
            let sentence = verdict(&why[desired], &fields, long_ago.get(desired));
            self.event(
                Severity::Normal,
                "Restored",
                &format!("Restored {}, {sentence}.", inputs.desired[*desired].key),
            );
        }
        for (desired, message) in unrepaired {
            let fields = Self::lost_fields(&hand, desired);
            self.note_drift(&inputs.desired[desired].key, &why[&desired], fields, &message);
        }
        self.save_soon();
        let namespace_restored = repaired
            .iter()
            .any(|at| inputs.wanted[*at].phase == manifest::Phase::Namespaces);
        // Once for all of them: each look is at all that were repaired lately.
        self.repairs.tidy(Instant::now());
        for desired in &repaired {
            let by = match &why[desired] {
                Drift::Deleted => None,
                Drift::Changed { by } | Drift::Replaced { by } | Drift::Suspect { by } => by.as_deref(),
            };
            self.repaired(&inputs.desired[*desired].key, by);
        }
        if namespace_restored {
            // A whole pass fills it.
            self.settled = None;
            self.mailbox.wake();
        } else if lost.is_some() || done.answered < steps.len() || !done.failures.is_empty() {
            // A whole pass says what is wrong and tries again: soon, then ever more slowly.
            self.settled = None;
            let due = self.retry_at;
            self.plan_retry(&End::Retry { transient: true });
            self.retry_at = [due, self.retry_at].into_iter().flatten().min();
        }
    }

    /// When an object was changed, where that is not now: the controller may have been away.
    fn long_ago(&self, key: &Key) -> Option<Timestamp> {
        let at = self.rooms.observer.drift_detail(key)?.at?;
        let age = Timestamp::now().duration_since(at);
        (age.as_secs() >= LONG_AGO).then_some(at)
    }

    /// How many of so many restored objects are told of by name: a storm is told of in one sentence later.
    fn names_restored(&mut self, count: usize) -> usize {
        let now = Instant::now();
        if self
            .restored
            .since
            .is_none_or(|since| now >= since + RESTORED_WINDOW)
        {
            self.tell_restored();
            self.restored.since = Some(now);
        }
        let named = count.min(RESTORED_NAMED.saturating_sub(self.restored.named));
        self.restored.named += named;
        self.restored.unsaid += count - named;
        named
    }

    /// When objects that were restored and not named are told of.
    pub(super) fn restored_at(&self) -> Option<Instant> {
        let since = self.restored.since.filter(|_| self.restored.unsaid > 0)?;
        Some(since + RESTORED_WINDOW)
    }

    /// Tells how many objects were restored beside those that were named.
    pub(super) fn tell_restored(&mut self) {
        let unsaid = std::mem::take(&mut self.restored).unsaid;
        if unsaid > 0 {
            let noun = if unsaid == 1 { "object" } else { "objects" };
            let sentence = format!("Restored {unsaid} more {noun}.");
            self.event(Severity::Normal, "Restored", &sentence);
        }
    }

    /// Somebody may change an object as often as we put it back. Then we slow down: how long this one has to wait.
    pub(super) fn fight(&self, key: &Key) -> Option<Duration> {
        self.repairs.pause(key, Instant::now())
    }

    /// Counts a repair, and says once that there is a fight.
    pub(super) fn repaired(&mut self, key: &Key, by: Option<&str>) {
        if self.drifts.contains_key(key) {
            self.look_again(TELL);
        }
        if self.repairs.count(key, by, Instant::now()) {
            let by = crate::text::bounded(by.unwrap_or_default(), 128);
            let sentence = format!("{key} {}.", fights::sentence(&by));
            self.event(Severity::Warning, "Fight", &sentence);
            self.look_again(TELL);
        }
    }

    /// The objects that are fought over, for the status.
    pub(super) fn fights(&self) -> Vec<ObjectReport> {
        self.repairs.fights(Instant::now()).0
    }

    /// Whether the status tells of other fights than there are.
    pub(super) fn fights_differ(&mut self) -> bool {
        let (fights, over) = self.repairs.fights(Instant::now());
        if let Some(over) = over {
            self.wake_in(over + TELL);
        }
        let told = self.status.warnings.iter().filter(|told| fights::is_one(told));
        let told: Vec<&ObjectReport> = told.collect();
        told.len() != fights.len() || fights.iter().any(|fight| !told.contains(&fight))
    }

    /// Has the status speak of drift, and of fields of others, after a while, whether anything is to be applied or not.
    pub(super) fn look_again(&mut self, pause: Duration) {
        self.health_news = true;
        self.wake_in(pause);
    }

    fn later(&self, key: Key, drift: Drift, pause: Duration) {
        let mailbox = Arc::clone(&self.mailbox);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            mailbox.drifted(key, drift);
        });
    }
}

/// What happened to an object, and at which time if that was long ago, as the end of a sentence.
fn verdict(drift: &Drift, fields: &[String], at: Option<&Timestamp>) -> String {
    let by = |by: &Option<String>| {
        by.as_deref()
            .map_or_else(|| "somebody".to_owned(), |by| crate::text::bounded(by, 128))
    };
    let said = match drift {
        Drift::Deleted => "which somebody deleted".to_owned(),
        Drift::Replaced { by: who } => format!("which {} replaced", by(who)),
        Drift::Changed { by: who } | Drift::Suspect { by: who } => match fields {
            [] => format!("which {} changed", by(who)),
            [first] => format!("in which {} changed {first}", by(who)),
            [first, second] => format!("in which {} changed {first} and {second}", by(who)),
            [first, second, rest @ ..] => {
                format!(
                    "in which {} changed {first}, {second} and {} more fields",
                    by(who),
                    rest.len()
                )
            }
        },
    };
    match at {
        Some(at) => format!("{said} at {at}"),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_names_manager_and_fields() {
        let drift = Drift::Changed {
            by: Some("kubectl-edit".into()),
        };
        let fields: Vec<String> = [".spec.replicas", ".spec.paused", ".a", ".b"]
            .map(Into::into)
            .into();
        assert_eq!(
            verdict(&drift, &fields[..1], None),
            "in which kubectl-edit changed .spec.replicas"
        );
        assert_eq!(
            verdict(&drift, &fields, Some(&"2026-01-02T03:04:05Z".parse().unwrap())),
            "in which kubectl-edit changed .spec.replicas, .spec.paused and 2 more fields at 2026-01-02T03:04:05Z"
        );
        assert_eq!(verdict(&Drift::Deleted, &[], None), "which somebody deleted");
    }
}
