//! How a Sync's objects are: what a step of the walk waits for, and what the status says.

use super::inputs::Inputs;
use super::report::KEPT;
use super::worker::Worker;
use crate::condition;
use crate::observe::{Health, Judged};
use apply::plan::Seen;
use crds::{HealthCounts, HealthReport};
use health::Status;
use std::time::SystemTime;

/// Whether the next step may begin.
pub(super) enum Ready {
    Yes,
    /// Not yet.
    Waits(HealthReport),
    /// Not by itself.
    Failed(HealthReport),
}

/// How all objects of a Sync are.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) counts: HealthCounts,
    /// The first [`KEPT`] that are not as they should be, those that failed first.
    pub(super) reports: Vec<HealthReport>,
    /// Objects that are not applied as Git has them.
    pub(super) unapplied: u32,
    /// The first [`KEPT`] that somebody froze in the cluster, those among them that have left Git.
    pub(super) frozen: Vec<String>,
}

impl Worker {
    /// Whether an ordinary object is applied as Git has it, and is as it should be.
    pub(super) fn ready(&self, inputs: &Inputs, at: usize) -> Ready {
        let desired = &inputs.desired[at];
        let report = |status: &str, message: &str, since: Option<SystemTime>| HealthReport {
            object: desired.key.to_string(),
            status: status.to_owned(),
            message: crate::text::bounded_bytes(message, 256),
            since: since.map(condition::rfc3339).unwrap_or_default(),
        };
        // What somebody froze is nobody's to wait for.
        if self.rooms.observer.frozen(&desired.key) {
            return Ready::Yes;
        }
        if !self.is_applied(inputs, at) {
            return Ready::Waits(report("Waiting", "It is not applied yet.", None));
        }
        // An object that is only created may be somebody else's, and then no watch of ours shows it.
        if inputs.options(at).ignore_health || inputs.options(at).create_only {
            return Ready::Yes;
        }
        let secret = inputs.wanted[at].item.holds_secret();
        match self.rooms.observer.health(&desired.key) {
            // What cannot be watched cannot be waited for.
            Health::Unknown if self.rooms.observer.seen(&desired.key) == Seen::Unwatched => Ready::Yes,
            Health::Unknown => Ready::Waits(report("Unknown", "It has not been seen yet.", None)),
            Health::Absent => Ready::Waits(report("Waiting", "It is gone, and will be made again.", None)),
            Health::Current => Ready::Yes,
            Health::Of(judged) => match judged.status {
                Status::Current | Status::Suspended => Ready::Yes,
                Status::Failed => Ready::Failed(report("Failed", said(&judged, secret), Some(judged.since))),
                status => Ready::Waits(report(status.as_str(), said(&judged, secret), Some(judged.since))),
            },
        }
    }

    /// Whether an object was applied as Git has it now.
    pub(super) fn is_applied(&self, inputs: &Inputs, at: usize) -> bool {
        let desired = &inputs.desired[at];
        let record = self.checkpoint.records().get(&desired.key);
        record.is_some_and(|record| record.uid.is_some() && record.digest == desired.digest)
    }

    /// How all objects are.
    pub(super) fn summary(&self, inputs: &Inputs) -> Summary {
        let mut summary = Summary::default();
        let mut waiting = Vec::new();
        let left = self.spared.iter().filter(|key| inputs.find(key).is_none());
        let wanted = inputs.ordinary().iter().map(|desired| &desired.key);
        let frozen = wanted.chain(left).filter(|key| self.rooms.observer.frozen(key));
        summary.frozen = frozen.map(ToString::to_string).take(KEPT).collect();
        for at in 0..inputs.groups.len() {
            match self.ready(inputs, at) {
                Ready::Yes => summary.counts.current += 1,
                Ready::Waits(report) => {
                    summary.unapplied += u32::from(!self.is_applied(inputs, at));
                    summary.counts.in_progress += 1;
                    if waiting.len() < KEPT {
                        waiting.push(report);
                    }
                }
                Ready::Failed(report) => {
                    summary.counts.failed += 1;
                    if summary.reports.len() < KEPT {
                        summary.reports.push(report);
                    }
                }
            }
        }
        summary.reports.append(&mut waiting);
        summary.reports.truncate(KEPT);
        summary
    }
}

/// Why an object is as it is. A message may quote the object: of one that holds a secret, the status has to do.
pub(super) fn said(judged: &Judged, secret: bool) -> &str {
    if secret {
        judged.status.as_str()
    } else {
        &judged.message
    }
}

/// `3 of 12 objects are not ready: first; second; third.` Those of `waits` are named first.
pub(super) fn sentence(summary: &Summary, waits: &[HealthReport]) -> String {
    let counted = (summary.counts.in_progress + summary.counts.failed) as usize;
    let all = counted + summary.counts.current as usize;
    let named = |report: &&HealthReport| waits.iter().any(|wait| wait.object == report.object);
    let others = summary.reports.iter().filter(|report| !named(report));
    let mut shown: Vec<_> = waits.iter().chain(others).take(3).map(phrase).collect();
    let not_ready = counted.max(shown.len());
    if not_ready == 0 {
        return format!("All {all} objects are ready.");
    }
    let more = not_ready.saturating_sub(shown.len());
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    format!(
        "{not_ready} of {} objects are not ready: {}.",
        all.max(not_ready),
        shown.join("; ")
    )
}

fn phrase(report: &HealthReport) -> String {
    let message = report.message.trim_end_matches('.');
    if message.is_empty() {
        format!("{} is {}", report.object, report.status)
    } else {
        format!("{}: {message}", report.object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_object_with_a_secret_only_the_status_is_said() {
        let judged = Judged {
            status: Status::Failed,
            reason: "Odd".into(),
            message: "it is odd: hunter2".into(),
            since: SystemTime::UNIX_EPOCH,
        };
        assert_eq!(said(&judged, true), "Failed");
        assert_eq!(said(&judged, false), "it is odd: hunter2");
    }

    #[test]
    fn the_sentence_names_the_first_three() {
        let report = |object: &str, message: &str| HealthReport {
            object: object.into(),
            status: "InProgress".into(),
            message: message.into(),
            since: String::new(),
        };
        let summary = Summary {
            unapplied: 0,
            frozen: Vec::new(),
            counts: HealthCounts {
                current: 5,
                in_progress: 3,
                failed: 1,
            },
            reports: vec![
                report("a", "1 of 2 replicas."),
                report("b", ""),
                report("c", "x"),
                report("d", "y"),
            ],
        };
        assert_eq!(
            sentence(&summary, &[]),
            "4 of 9 objects are not ready: a: 1 of 2 replicas; b is InProgress; c: x; and 1 more."
        );
    }
}
