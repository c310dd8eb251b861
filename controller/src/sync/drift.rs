//! Drift that stays: reported only, fought over, or impossible to repair.

use super::report::KEPT;
use super::worker::Worker;
use crate::condition;
use crate::events::Severity;
use crate::observe::Drift;
use apply::Key;
use crds::condition::DRIFT_UNRESOLVED;
use crds::{ConditionStatus, DriftReport, SyncStatus};
use std::time::{Duration, Instant};

/// Drift of one object that has not been repaired.
pub(super) struct Open {
    since: Instant,
    pub(super) drift: Drift,
    pub(super) report: DriftReport,
}

impl Worker {
    /// Notes drift that is not repaired now, and why.
    pub(super) fn note_drift(&mut self, key: &Key, drift: &Drift, fields: Vec<String>, why: &str) {
        let (change, by) = match drift {
            Drift::Deleted => ("Deleted", None),
            Drift::Replaced { by } => ("Replaced", by.clone()),
            Drift::Changed { by } | Drift::Suspect { by } => ("Changed", by.clone()),
        };
        let status = &self.status;
        let open = self.drifts.entry(key.clone()).or_insert_with(|| {
            let object = key.to_string();
            // The controller may have been started anew since it was first seen.
            let known = status.drift.iter().find(|known| known.object == object);
            let age = known.and_then(|known| age(&known.since));
            let since = match known {
                Some(known) if age.is_some() => known.since.clone(),
                _ => condition::now(),
            };
            let now = Instant::now();
            Open {
                since: age.and_then(|age| now.checked_sub(age)).unwrap_or(now),
                drift: drift.clone(),
                report: DriftReport {
                    object,
                    since,
                    ..DriftReport::default()
                },
            }
        });
        change.clone_into(&mut open.report.change);
        let at = self.rooms.observer.drift_detail(key).and_then(|detail| detail.at);
        open.report.changed_at = at.map(|at| at.to_string()).unwrap_or_default();
        open.report.manager = by.map(|by| crate::text::bounded(&by, 128)).unwrap_or_default();
        open.report.message = crate::text::bounded_bytes(why, 512);
        if !fields.is_empty() {
            open.report.fields = fields;
        }
    }

    /// Notes drift of an object that cannot be put back before others are applied, if there is any for certain.
    pub(super) fn note_waiting_drift(&mut self, key: &Key, why: &str) {
        let drift = self.rooms.observer.drift(key);
        if let Some(drift) = drift.filter(|drift| !matches!(drift, Drift::Suspect { .. })) {
            self.note_drift(key, &drift, Vec::new(), why);
        }
    }

    /// The fields of an object that were lost, as paths. Never a value.
    pub(super) fn lost_fields(hand: &super::execute::Hand, desired: usize) -> Vec<String> {
        hand.lost().remove(&desired).unwrap_or_default()
    }

    /// Forgets drift that is no more.
    pub(super) fn forget_drift(&mut self) {
        let observer = self.rooms.observer.clone();
        self.drifts.retain(|key, _| observer.drift(key).is_some());
    }

    /// Puts into the status what has drifted and stays so; says once when it has stayed for too long.
    pub(super) fn list_drift(&mut self, next: &mut SyncStatus, generation: i64) {
        self.forget_drift();
        let limit =
            crate::duration::parse(&self.spec.borrow().spec.drift_timeout).unwrap_or(Duration::from_mins(2));
        let mut reports: Vec<_> = self.drifts.values().map(|open| open.report.clone()).collect();
        reports.sort_by(|a, b| a.object.cmp(&b.object));
        reports.truncate(KEPT);
        next.drift = reports;
        let oldest = self.drifts.values().map(|open| open.since).min();
        let late = oldest.is_some_and(|since| since.elapsed() >= limit);
        let known = condition::get(&next.conditions, DRIFT_UNRESOLVED).map(|known| known.status);
        if late {
            let count = self
                .drifts
                .values()
                .filter(|open| open.since.elapsed() >= limit)
                .count();
            let first = next.drift.first().map_or_else(String::new, |report| {
                let by = if report.manager.is_empty() {
                    String::new()
                } else {
                    format!(" by {}", report.manager)
                };
                format!(
                    ": {} is {}{by}: {}",
                    report.object,
                    report.change.to_lowercase(),
                    report.message
                )
            });
            let noun = if count == 1 {
                "object differs"
            } else {
                "objects differ"
            };
            let message = format!(
                "{count} {noun} from Git for longer than {} s{first}",
                limit.as_secs()
            );
            let now = condition::now();
            if known != Some(ConditionStatus::True) {
                self.event(Severity::Warning, DRIFT_UNRESOLVED, &message);
            }
            let conditions = &mut next.conditions;
            condition::set(
                conditions,
                DRIFT_UNRESOLVED,
                ConditionStatus::True,
                generation,
                "DriftTimeout",
                message,
                &now,
            );
        } else {
            if let Some(since) = oldest {
                self.wake_in(limit.saturating_sub(since.elapsed()) + Duration::from_millis(50));
            }
            next.conditions
                .retain(|condition| condition.type_ != DRIFT_UNRESOLVED);
        }
    }
}

/// How long ago a time was, as the status writes it.
fn age(since: &str) -> Option<Duration> {
    let since: jiff::Timestamp = since.parse().ok()?;
    Duration::try_from(jiff::Timestamp::now().duration_since(since)).ok()
}
