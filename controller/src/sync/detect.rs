//! Mode Detect: what would be done is asked of the API server by dry runs, and only said.

use super::execute::Hand;
use super::gate::Question;
use super::inputs::Inputs;
use super::report::{Failure, KEPT};
use super::send::{Answer, DryRun};
use super::status::{self, Verdict};
use super::worker::{End, Settled, Worker};
use crate::events::Severity;
use apply::Key;
use apply::plan::{Reason, Step};
use crds::condition::READY;
use crds::{Counts, SyncStatus};
use futures::stream::{self, StreamExt};
use render::Limits;
use sealing::KeyRing;
use source::Snapshot;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Dry runs under way at once.
const AT_ONCE: usize = 16;
/// Objects that we do not own are not watched: how often they are compared anew. Each comparison is a request, so many objects are
/// compared more rarely: 200 in a minute.
const AGAIN: Duration = Duration::from_mins(10);
const AGAIN_EACH: Duration = Duration::from_millis(300);
/// How often at most they are where something drifts.
const PACE: Duration = Duration::from_secs(10);

/// How long until so many objects are compared anew.
fn again(objects: usize) -> Duration {
    let each = AGAIN_EACH.saturating_mul(u32::try_from(objects).unwrap_or(u32::MAX));
    each.max(AGAIN)
}

/// What was compared last.
pub(super) struct Detected {
    /// What was compared: what is wanted, as it was resolved with the kinds that were served, and the keys that opened it.
    of: (Arc<Inputs>, Arc<KeyRing>),
    at: Instant,
    /// What had drifted, by place in the inputs.
    drifted: Vec<usize>,
    /// Whether something has drifted since, maybe the same.
    stale: bool,
}

impl Detected {
    /// Something drifted.
    pub(super) fn outdate(&mut self) {
        self.stale = true;
    }

    /// How long what was found still counts; none where it has to be compared anew.
    fn rest(&self, inputs: &Arc<Inputs>, ring: &Arc<KeyRing>, drifted: &[usize]) -> Option<Duration> {
        let lasts = if self.stale || self.drifted != drifted {
            PACE
        } else {
            again(inputs.groups.len())
        };
        let rest = lasts
            .checked_sub(self.at.elapsed())
            .filter(|rest| !rest.is_zero());
        let same = Arc::ptr_eq(&self.of.0, inputs) && Arc::ptr_eq(&self.of.1, ring);
        rest.filter(|_| same)
    }
}

impl Worker {
    /// Compares, and says what differs. Writes nothing but the Sync's own status.
    pub(super) async fn detect(
        &mut self,
        question: &Question<'_>,
        inputs_digest: &str,
        now: Settled,
        mut next: SyncStatus,
        requested: bool,
    ) -> End {
        let drifted = question
            .plan
            .apply
            .iter()
            .filter(|step| step.reason == Reason::Drifted);
        let drifted: Vec<usize> = drifted.map(|step| step.desired).collect();
        let ring = self.rooms.context.keys.borrow().clone();
        if !requested
            && self.is_told(question)
            && let Some(known) = &self.detected
            && let Some(rest) = known.rest(question.inputs, &ring, &drifted)
        {
            self.wake_in(rest);
            self.settled = None;
            return self.say(next).await.unwrap_or(End::Wait);
        }
        let (sync, inputs, head) = (question.sync, question.inputs, question.head);
        let generation = now.generation;
        let hand = self.hand(sync);
        let trials = hand
            .trials(inputs, &question.plan.apply, &head.snapshot, &ring)
            .await;
        let mut report = self.plan_report(question, "Nothing is written in mode Detect.");
        (report.create, report.update, report.run) = (0, 0, 0);
        report.actions.retain(|action| action.starts_with("delete "));
        let (mut failures, mut differing) = (inputs.failures.clone(), 0u32);
        for (at, trial) in trials {
            let key = &inputs.desired[at].key;
            match trial {
                Ok(trial) if trial.creates => {
                    (report.create, differing) = (report.create + 1, differing + 1);
                    report.actions.push(format!("create {key}"));
                    self.note_detected(&hand, at, key);
                }
                Ok(trial) if trial.differs => {
                    (report.update, differing) = (report.update + 1, differing + 1);
                    // Paths name items of lists by their content.
                    let shown = if inputs.wanted[at].item.holds_secret() {
                        0
                    } else {
                        3
                    };
                    let taken: Vec<_> = trial
                        .taken
                        .iter()
                        .take(shown)
                        .map(|c| format!("{} from {}", super::names::shown(&c.field), c.manager))
                        .collect();
                    let taking = if taken.is_empty() {
                        String::new()
                    } else {
                        format!(" (takes {})", taken.join(", "))
                    };
                    report.actions.push(format!("update {key}{taking}"));
                    self.note_detected(&hand, at, key);
                }
                Ok(_) => {}
                Err(Answer::Refused(failure)) => failures.push(failure),
                Err(Answer::Lost(error)) => {
                    let message = format!("Nothing can be compared: {error}.");
                    let end = End::Retry { transient: true };
                    return self.fail(next, generation, "DetectFailed", message, end).await;
                }
            }
        }
        report
            .actions
            .sort_by_key(|action| !action.starts_with("delete "));
        report.actions.truncate(KEPT);
        for action in &mut report.actions {
            *action = crate::text::bounded_bytes(action, 512);
        }
        differing += report.delete;
        let counts = Counts {
            objects: u32::try_from(inputs.found).unwrap_or(u32::MAX),
            unchanged: u32::try_from(inputs.groups.len())
                .unwrap_or(u32::MAX)
                .saturating_sub(report.create + report.update),
            ..Counts::default()
        };
        status::list(&mut next, counts, &failures, &self.warnings(inputs));
        self.list_drift(&mut next, generation);
        inputs_digest.clone_into(&mut next.inputs);
        next.last_attempted_revision = Some(head.revision.clone());
        self.detected = Some(Detected {
            of: (Arc::clone(question.inputs), Arc::clone(&ring)),
            at: Instant::now(),
            drifted,
            stale: false,
        });
        self.wake_in(again(inputs.groups.len()));
        let short = head.revision.short();
        let verdict = self.verdict(&failures, differing, inputs.found, &short);
        next.plan = (differing > 0).then_some(report);
        status::conclude(&mut next, generation, verdict);
        self.settled = None;
        self.say(next).await.unwrap_or(End::Wait)
    }

    /// Notes drift of an object that was applied before the Sync only detected.
    fn note_detected(&mut self, hand: &Hand, at: usize, key: &Key) {
        if let Some(drift) = self.rooms.observer.drift(key) {
            let fields = Self::lost_fields(hand, at);
            self.note_drift(key, &drift, fields, "The Sync only detects.");
        }
    }

    /// Whether the status speaks of what was compared last.
    fn is_told(&self, question: &Question<'_>) -> bool {
        let generation = question.sync.metadata.generation;
        Some(self.status.observed_generation) == generation
    }

    fn verdict(&self, failures: &[Failure], differing: u32, found: usize, short: &str) -> Verdict<'static> {
        if !failures.is_empty() {
            let message = format!("{short}: {}", status::summary(failures, found));
            return Verdict::Failed {
                reason: "DetectFailed",
                message,
            };
        }
        if differing == 0 {
            return Verdict::Same {
                message: format!("The cluster is as {short} has it."),
            };
        }
        let noun = if differing == 1 {
            "object differs"
        } else {
            "objects differ"
        };
        let message = format!("{differing} {noun} from {short}; nothing is written in mode Detect.");
        let known = crate::condition::get(&self.status.conditions, READY);
        if known.is_none_or(|known| known.message != message) {
            self.event(Severity::Warning, "Differs", &message);
        }
        Verdict::Held {
            reason: "Differs",
            message,
        }
    }
}

impl Hand {
    /// A dry run of each step, by place in the inputs.
    async fn trials(
        self: &Arc<Self>,
        inputs: &super::inputs::Inputs,
        steps: &[Step],
        snapshot: &Snapshot,
        ring: &Arc<KeyRing>,
    ) -> Vec<(usize, Result<DryRun, Answer>)> {
        // One body at a time on the worker's own thread: a comparison is in no hurry. A file with many objects is read once.
        let mut loader = render::Loader::with(snapshot.clone(), Limits::default(), inputs.variables.clone());
        let trial = |step: Step| {
            let body = tokio::task::block_in_place(|| self.make(inputs, step, &mut loader, ring));
            async move {
                let answer = match body {
                    Ok(body) => self.dry_run(inputs, step, body).await,
                    Err(failure) => Err(Answer::Refused(failure)),
                };
                (step.desired, answer)
            }
        };
        stream::iter(steps.iter().copied().map(trial))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_that_stands_is_not_compared_again_and_again() {
        let (inputs, ring) = (Arc::<Inputs>::default(), Arc::new(KeyRing::new([])));
        let mut known = Detected {
            of: (Arc::clone(&inputs), Arc::clone(&ring)),
            at: Instant::now(),
            drifted: vec![3],
            stale: false,
        };
        let is_long = |rest: Option<Duration>| rest.is_some_and(|rest| rest > PACE);
        let is_short = |rest: Option<Duration>| rest.is_some_and(|rest| rest <= PACE);
        assert!(is_long(known.rest(&inputs, &ring, &[3])));
        assert!(
            is_short(known.rest(&inputs, &ring, &[3, 4])),
            "another one drifted, a moment ago"
        );
        let other = Arc::new(KeyRing::new([]));
        assert_eq!(
            known.rest(&inputs, &other, &[3]),
            None,
            "with other keys it is compared at once"
        );
        assert_eq!(known.rest(&Arc::default(), &ring, &[3]), None, "other inputs too");
        known.outdate();
        assert!(is_short(known.rest(&inputs, &ring, &[3])));
        known.at = Instant::now().checked_sub(PACE).unwrap();
        assert_eq!(known.rest(&inputs, &ring, &[3]), None);
    }
}
