//! Kinds that run: Pod, Job, CronJob.

use crate::object::{Condition, Object, list, or, text};
use crate::verdict::Verdict;
use serde_json::Value;

/// A Pod, as Argo CD judges it (`gitops-engine/pkg/health/health_pod.go`): a pod that is meant to end is current when it
/// has succeeded, any other when it is ready. kstatus calls a failed pod current; here it is failed.
pub(crate) fn pod(object: &Object<'_>) -> Verdict {
    // `Always` is the API server's default.
    let ends = matches!(object.text("spec.restartPolicy"), "OnFailure" | "Never");
    if !ends && let Some(verdict) = stuck(object) {
        return verdict;
    }
    match object.text("status.phase") {
        "Succeeded" => Verdict::current("Succeeded", "The pod has succeeded."),
        "Failed" => pod_failed(object),
        "Running" if ends => Verdict::in_progress("Running", "The pod is running and has not ended yet."),
        "Running" => match object.condition("Ready") {
            Some(c) if c.is_true() => Verdict::current("Ready", "The pod is ready."),
            Some(c) => Verdict::in_progress(c.reason(), &c.say()),
            None => Verdict::in_progress("NotReady", "The pod is running but not ready."),
        },
        // Not a failure: a node may come. kstatus waits 15 seconds, but here is no clock.
        "Pending" => match object.condition("PodScheduled") {
            Some(c) if c.is_false() => Verdict::in_progress(c.reason(), &c.say()),
            _ => Verdict::in_progress("Pending", "The pod is starting."),
        },
        "" => Verdict::in_progress("NotObserved", "The pod has no phase yet."),
        _ => Verdict::in_progress("NoContact", "The pod's node does not answer."),
    }
}

/// A container that waits because of an error will most likely wait for ever: `CrashLoopBackOff`, `ImagePullBackOff`,
/// `ErrImagePull`, `CreateContainerConfigError`, and the like.
fn stuck(object: &Object<'_>) -> Option<Verdict> {
    containers(object).find_map(|container| {
        let reason = text(container, "state.waiting.reason");
        let bad = reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff");
        bad.then(|| {
            let (name, said) = (text(container, "name"), text(container, "state.waiting.message"));
            Verdict::failed(reason, &format!("Container {name} waits: {}", or(said, reason)))
        })
    })
}

fn pod_failed(object: &Object<'_>) -> Verdict {
    let (reason, message) = (
        or(object.text("status.reason"), "PodFailed"),
        object.text("status.message"),
    );
    if !message.is_empty() {
        return Verdict::failed(reason, message);
    }
    let ended = containers(object)
        .filter_map(|c| Some((text(c, "name"), c.get("state")?.get("terminated")?)))
        .find(|(_, end)| {
            end.get("exitCode")
                .and_then(Value::as_i64)
                .is_some_and(|code| code != 0)
        });
    match ended {
        Some((name, end)) => {
            let code = end.get("exitCode").and_then(Value::as_i64).unwrap_or(0);
            // Not the termination message: it is the container's own last output.
            Verdict::failed(
                or(text(end, "reason"), reason),
                &format!("Container {name} ended with code {code}."),
            )
        }
        None => Verdict::failed(reason, "The pod has failed."),
    }
}

fn containers<'a>(object: &Object<'a>) -> impl Iterator<Item = &'a Value> + use<'a> {
    let of = |field| list(object.value(), field).iter();
    of("status.initContainerStatuses").chain(of("status.containerStatuses"))
}

/// A Job is current when it is complete. kstatus calls it current from its start; Flux and Argo CD wait for the end, and so
/// does whatever comes after a migration.
pub(crate) fn job(object: &Object<'_>) -> Verdict {
    for c in object.conditions().filter(Condition::is_true) {
        match c.name {
            "Complete" => return Verdict::current("Complete", "The Job is complete."),
            "Failed" => return Verdict::failed(or(c.reason, "JobFailed"), &c.say()),
            _ => {}
        }
    }
    if object.flag("spec.suspend") {
        return Verdict::suspended("Suspended", "The Job is suspended.");
    }
    if object.text("status.startTime").is_empty() {
        return Verdict::in_progress("NotStarted", "The Job has not started yet.");
    }
    let count = |field| object.count(field);
    let message = format!(
        "The Job is running: {} active, {} succeeded, {} failed.",
        count("status.active"),
        count("status.succeeded"),
        count("status.failed")
    );
    Verdict::in_progress("Running", &message)
}

/// A CronJob is a timetable: what it once started does not make it unhealthy.
pub(crate) fn cron_job(object: &Object<'_>) -> Verdict {
    if object.flag("spec.suspend") {
        Verdict::suspended("Suspended", "The CronJob is suspended.")
    } else {
        Verdict::current("Scheduled", "The CronJob is scheduled.")
    }
}
