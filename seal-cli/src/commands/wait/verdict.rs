//! Whether a Sync is what is waited for, or cannot become it, or why not yet.

use super::Goal;
use super::revision::Wanted;
use crate::commands::status::readiness;
use crate::syncs::current_status;
use crds::{Condition, ConditionStatus, HealthReport, Revision, Sync, SyncStatus, condition};
use sealing::Printable;

/// Objects that are named of those that a Sync waits for.
const NAMED: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Verdict {
    Done,
    /// Why it will not come by itself.
    Failed(String),
    /// Why it is not so yet.
    Waiting(String),
}

pub(in crate::commands) fn of(sync: &Sync, goal: Goal, mut wanted: Option<&mut Wanted>) -> Verdict {
    if sync.metadata.deletion_timestamp.is_some() {
        return Verdict::Failed("it is being deleted".to_owned());
    }
    if sync.spec.suspend {
        return Verdict::Failed("it is suspended, so nothing would happen".to_owned());
    }
    let Some(status) = current_status(sync) else {
        return Verdict::Waiting("the controller has not looked at it as it is now".to_owned());
    };
    let mut is_of_commit = |revision: &Option<Revision>| match &mut wanted {
        None => true,
        Some(wanted) => wanted.is_in(sync, revision.as_ref()),
    };
    // What failed may be what the commit mends.
    let tried = is_of_commit(&status.last_attempted_revision);
    if tried && let Some(reason) = failure(sync, status, goal) {
        return Verdict::Failed(reason);
    }
    let applied = is_of_commit(&status.last_applied_revision);
    if !applied && let Some(wanted) = wanted {
        if let Some(pinned) = holds(sync, status, condition::PINNED) {
            return Verdict::Failed(format!(
                "{} is not applied: {}",
                wanted.short(),
                Printable(&pinned.message)
            ));
        }
        let now = status
            .last_applied_revision
            .as_ref()
            .map_or_else(|| "nothing".to_owned(), Revision::short);
        return Verdict::Waiting(with_message(
            sync,
            format!("{} is not applied yet, {} is", wanted.short(), Printable(&now)),
        ));
    }
    if reached(sync, status, goal) {
        return Verdict::Done;
    }
    Verdict::Waiting(waiting(sync, status))
}

fn reached(sync: &Sync, status: &SyncStatus, goal: Goal) -> bool {
    let id = |revision: &Option<Revision>| revision.as_ref().map(|revision| revision.commit.clone());
    let applied = status.last_applied_revision.is_some()
        && id(&status.last_applied_revision) == id(&status.last_attempted_revision)
        && status.counts.failed == 0
        && status.plan.is_none();
    match goal {
        Goal::Applied => applied,
        Goal::Ready => readiness(sync).0 == Some(true),
        Goal::Healthy => applied && holds(sync, status, condition::HEALTHY).is_some(),
    }
}

/// What no waiting mends.
fn failure(sync: &Sync, status: &SyncStatus, goal: Goal) -> Option<String> {
    if let Some(stalled) = holds(sync, status, condition::STALLED) {
        return Some(Printable(&stalled.message).to_string());
    }
    // An object may be well before the Sync says so.
    if goal == Goal::Applied || status.health.failed == 0 || reached(sync, status, goal) {
        return None;
    }
    let failed = status.unhealthy.iter().filter(|report| report.status == "Failed");
    Some(named(failed, status.health.failed as usize))
}

fn holds<'a>(sync: &Sync, status: &'a SyncStatus, type_: &str) -> Option<&'a Condition> {
    let generation = sync.metadata.generation.unwrap_or(0);
    status.conditions.iter().find(|found| {
        found.type_ == type_
            && found.status == ConditionStatus::True
            && found.observed_generation >= generation
    })
}

fn waiting(sync: &Sync, status: &SyncStatus) -> String {
    if let Some(plan) = &status.plan {
        let reason = if plan.reason.is_empty() {
            "its plan is not carried out"
        } else {
            &plan.reason
        };
        return Printable(reason).to_string();
    }
    if !status.unhealthy.is_empty() {
        let all = (status.health.in_progress + status.health.failed) as usize;
        return named(status.unhealthy.iter(), all);
    }
    with_message(sync, "it is not ready".to_owned())
}

fn with_message(sync: &Sync, text: String) -> String {
    match readiness(sync) {
        (Some(true), _) | (_, "") => text,
        (_, message) => format!("{text}: {}", Printable(message)),
    }
}

/// The first few, and how many more.
fn named<'a>(reports: impl Iterator<Item = &'a HealthReport>, all: usize) -> String {
    let texts: Vec<String> = reports
        .take(NAMED)
        .map(|report| {
            let message = match report.message.as_str() {
                "" => &report.status,
                message => message,
            };
            format!("{}: {}", Printable(&report.object), Printable(message))
        })
        .collect();
    if texts.is_empty() {
        return format!("{all} objects have failed");
    }
    let more = all.saturating_sub(texts.len());
    let tail = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("{}{tail}", texts.join("; "))
}
