//! Drift: what the cluster changed is put back at once, unless somebody keeps changing it.

use super::attempt::{Done, attempt_done};
use super::worker::{End, Worker};
use crate::events::Severity;
use crate::observe::Drift;
use apply::Key;
use apply::plan::{Reason, Step};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Repairs of one object in quick succession before it counts as a fight.
const FIGHT: u32 = 5;
const FIGHT_WINDOW: Duration = Duration::from_secs(30);

impl Worker {
    /// Puts back what the cluster changed.
    pub(super) async fn repair(&mut self, drifted: HashMap<Key, Drift>) {
        let sync = self.spec.borrow().clone();
        let idle = sync.spec.suspend || sync.metadata.deletion_timestamp.is_some();
        let Some(head) = self.head.clone().filter(|_| !idle) else {
            return;
        };
        let inputs = Arc::clone(&self.inputs);
        let mut steps = Vec::new();
        let mut why: HashMap<usize, Drift> = HashMap::new();
        for key in drifted.into_keys() {
            // It may have been put right meanwhile, or have left Git.
            let (Some(drift), Some(desired)) = (self.rooms.observer.drift(&key), inputs.find(&key)) else {
                continue;
            };
            if let Some(pause) = self.fight(&key) {
                self.later(key, drift, pause);
                continue;
            }
            steps.push(Step {
                desired,
                reason: Reason::Drifted,
            });
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
        let ring = self.rooms.context.keys.borrow().clone();
        let (hand, halt, checkpoint) = (self.hand(&sync), self.halt(), &mut self.checkpoint);
        let mut done = Done::default();
        let mut repaired = Vec::new();
        let lost = hand
            .apply(&inputs, &steps, &head.snapshot, &ring, halt, |sent| {
                if sent.result.is_ok() {
                    repaired.push(sent.step.desired);
                }
                attempt_done(&mut done, checkpoint, &inputs, sent);
            })
            .await;
        self.rooms
            .context
            .metrics
            .drift_repaired
            .inc_by(repaired.len() as u64);
        for desired in repaired.iter().take(5) {
            let sentence = match &why[desired] {
                Drift::Deleted => "which somebody deleted".to_owned(),
                Drift::Changed { by } => format!("which {} changed", author(by.as_deref())),
                Drift::Replaced { by } => format!("which {} replaced", author(by.as_deref())),
            };
            self.event(
                Severity::Normal,
                "Restored",
                &format!("Restored {}, {sentence}.", inputs.desired[*desired].key),
            );
        }
        if repaired.len() > 5 {
            self.event(
                Severity::Normal,
                "Restored",
                &format!("Restored {} objects.", repaired.len()),
            );
        }
        self.save_soon();
        let namespace_restored = repaired
            .iter()
            .any(|at| inputs.wanted[*at].phase == manifest::Phase::Namespaces);
        for desired in &repaired {
            self.repaired(&inputs.desired[*desired].key);
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

    /// Somebody may change an object as often as we put it back. Then we slow down: how long this one has to wait.
    fn fight(&self, key: &Key) -> Option<Duration> {
        let (count, last) = self.repairs.get(key)?;
        let pause = Duration::from_secs(1) * (1 << count.checked_sub(FIGHT)?.min(4));
        pause.checked_sub(last.elapsed())
    }

    /// Counts a repair, and says once that there is a fight.
    fn repaired(&mut self, key: &Key) {
        let now = Instant::now();
        self.repairs
            .retain(|_, (_, last)| now.duration_since(*last) < FIGHT_WINDOW);
        let (count, last) = self.repairs.entry(key.clone()).or_insert((0, now));
        *count += 1;
        *last = now;
        if *count == FIGHT {
            let sentence =
                format!("{key} is changed again each time it is restored; it is restored more slowly now.");
            self.event(Severity::Warning, "Fight", &sentence);
        }
    }

    fn later(&self, key: Key, drift: Drift, pause: Duration) {
        let mailbox = Arc::clone(&self.mailbox);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            mailbox.drifted(key, drift);
        });
    }
}

fn author(manager: Option<&str>) -> &str {
    manager.unwrap_or("somebody")
}
