//! Kinds that keep a number of pods: Deployment, StatefulSet, DaemonSet, ReplicaSet.
//!
//! As kstatus judges them (`pkg/kstatus/status/core.go`), and `kubectl rollout status`; differences are said where they are.

use crate::object::{Condition, Object};
use crate::verdict::Verdict;

/// A Deployment: the rollout is over, and what it made is available.
pub(crate) fn deployment(object: &Object<'_>) -> Verdict {
    // Argo CD: a paused rollout neither progresses nor misses its deadline.
    if object.flag("spec.paused") {
        return Verdict::suspended("Paused", "The Deployment is paused.");
    }
    let progressing = object.condition("Progressing");
    if let Some(c) = progressing.filter(|c| c.reason == "ProgressDeadlineExceeded") {
        return Verdict::failed(c.reason, &c.say());
    }
    let wanted = object.int("spec.replicas").unwrap_or(1);
    let all = object.count("status.replicas");
    let updated = object.count("status.updatedReplicas");
    let available = object.count("status.availableReplicas");
    let ready = object.count("status.readyReplicas");
    let behind = fewer("Created", all, wanted)
        .or_else(|| fewer("Updated", updated, wanted))
        .or_else(|| more(all, wanted))
        .or_else(|| fewer("Available", available, updated))
        .or_else(|| fewer("Ready", ready, wanted));
    if let Some(behind) = behind {
        // Pods that could not be made (a quota, a webhook) say more than their number.
        return replica_failure(object).unwrap_or(behind);
    }
    // Without a deadline the controller never writes the condition: 2^31-1 stands for none.
    let deadline = object
        .int("spec.progressDeadlineSeconds")
        .is_some_and(|s| s < i64::from(i32::MAX));
    let rolled_out = progressing.is_some_and(|c| c.is_true() && c.reason == "NewReplicaSetAvailable");
    if deadline && !rolled_out {
        return Verdict::in_progress("RollingOut", "The new ReplicaSet is not available yet.");
    }
    match object.condition("Available") {
        Some(c) if c.is_true() => Verdict::current("Available", &count("available", available)),
        Some(c) => Verdict::in_progress(c.reason(), &c.say()),
        None => Verdict::in_progress("NotAvailable", "The Deployment is not available yet."),
    }
}

/// A StatefulSet. Its controller writes no conditions, so failure cannot be told.
///
/// kstatus compares `currentReplicas` too; this does not, because the revisions say the same and that count has been
/// wrong after rollbacks. With `OnDelete` kstatus is content with any state; here the pods still have to be ready.
pub(crate) fn stateful_set(object: &Object<'_>) -> Verdict {
    if let Some(verdict) = unobserved(object) {
        return verdict;
    }
    let wanted = object.int("spec.replicas").unwrap_or(1);
    let all = object.count("status.replicas");
    let updated = object.count("status.updatedReplicas");
    let behind = fewer("Created", all, wanted)
        .or_else(|| fewer("Ready", object.count("status.readyReplicas"), wanted))
        .or_else(|| more(all, wanted));
    if let Some(behind) = behind {
        return behind;
    }
    if object.text("spec.updateStrategy.type") == "OnDelete" {
        return Verdict::current(
            "Ready",
            "All pods are ready; they are updated when somebody deletes them.",
        );
    }
    // Pods below the partition keep the old revision, so the revisions never meet.
    if let Some(partition) = object
        .int("spec.updateStrategy.rollingUpdate.partition")
        .filter(|p| *p > 0)
    {
        let above = wanted.saturating_sub(partition);
        return fewer("Updated", updated, above)
            .unwrap_or_else(|| Verdict::current("Partitioned", &count("updated", updated)));
    }
    if object.text("status.currentRevision") != object.text("status.updateRevision") {
        return Verdict::in_progress("RollingOut", "Not all pods are of the updated revision yet.");
    }
    Verdict::current("Ready", &count("ready", wanted))
}

/// A DaemonSet: one pod on every node that should have one.
pub(crate) fn daemon_set(object: &Object<'_>) -> Verdict {
    if let Some(verdict) = unobserved(object) {
        return verdict;
    }
    let Some(wanted) = object.int("status.desiredNumberScheduled") else {
        return Verdict::in_progress("NotObserved", "The nodes have not been counted yet.");
    };
    let on_delete = object.text("spec.updateStrategy.type") == "OnDelete";
    let updated = || fewer("Updated", object.count("status.updatedNumberScheduled"), wanted);
    fewer("Scheduled", object.count("status.currentNumberScheduled"), wanted)
        .or_else(|| if on_delete { None } else { updated() })
        .or_else(|| fewer("Available", object.count("status.numberAvailable"), wanted))
        .or_else(|| fewer("Ready", object.count("status.numberReady"), wanted))
        .unwrap_or_else(|| Verdict::current("Available", &count("available", wanted)))
}

/// A ReplicaSet, or a ReplicationController, which has the same status.
pub(crate) fn replica_set(object: &Object<'_>) -> Verdict {
    let wanted = object.int("spec.replicas").unwrap_or(1);
    let all = object.count("status.replicas");
    replica_failure(object)
        .or_else(|| fewer("Labelled", object.count("status.fullyLabeledReplicas"), wanted))
        .or_else(|| fewer("Available", object.count("status.availableReplicas"), wanted))
        .or_else(|| fewer("Ready", object.count("status.readyReplicas"), wanted))
        .or_else(|| more(all, wanted))
        .unwrap_or_else(|| Verdict::current("Available", &count("available", wanted)))
}

/// kstatus asks for it only of a DaemonSet; a fresh StatefulSet with no replicas looks finished without it.
fn unobserved(object: &Object<'_>) -> Option<Verdict> {
    object
        .int("status.observedGeneration")
        .is_none()
        .then(|| Verdict::in_progress("NotObserved", "The controller has not seen the object yet."))
}

/// The controller tries again, so this is not the end.
fn replica_failure(object: &Object<'_>) -> Option<Verdict> {
    let c = object.condition("ReplicaFailure").filter(Condition::is_true)?;
    Some(Verdict::in_progress("ReplicaFailure", &c.say()))
}

fn fewer(state: &str, have: i64, wanted: i64) -> Option<Verdict> {
    (have < wanted).then(|| {
        let message = format!("{have} of {wanted} pods are {}.", state.to_ascii_lowercase());
        Verdict::in_progress(&format!("Less{state}"), &message)
    })
}

fn more(all: i64, wanted: i64) -> Option<Verdict> {
    (all > wanted).then(|| {
        let message = format!("{} pods too many are still there.", all.saturating_sub(wanted));
        Verdict::in_progress("ExtraPods", &message)
    })
}

fn count(state: &str, pods: i64) -> String {
    match pods {
        1 => format!("1 pod is {state}."),
        _ => format!("{pods} pods are {state}."),
    }
}
