//! Kubernetes' own kinds that have a status of their own. Those that are not here have none, or a condition `Ready`.

use crate::object::{Condition, Object};
use crate::verdict::{Status, Verdict};
use crate::{run, workload};

/// The verdict over a kind of Kubernetes itself; nothing for any other kind.
pub(crate) fn judge(object: &Object<'_>) -> Option<Verdict> {
    Some(match (object.group(), object.kind()) {
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workload::replica_set(object),
        ("", "Pod") => run::pod(object),
        ("batch", "Job") => run::job(object),
        ("batch", "CronJob") => run::cron_job(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "PersistentVolume") => volume(object),
        ("", "Service") => service(object),
        ("", "Namespace") => namespace(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("apiregistration.k8s.io", "APIService") => api_service(object),
        ("policy", "PodDisruptionBudget") => budget(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        _ => return None,
    })
}

/// A claim of a class that binds to its first consumer stays pending until a pod uses it.
fn claim(object: &Object<'_>) -> Verdict {
    match object.text("status.phase") {
        "Bound" => Verdict::current("Bound", "The claim is bound."),
        "Lost" => Verdict::failed("Lost", "The claim's volume is gone."),
        _ => Verdict::in_progress("NotBound", "The claim is not bound yet."),
    }
}

fn volume(object: &Object<'_>) -> Verdict {
    match object.text("status.phase") {
        "Available" | "Bound" | "Released" => Verdict::current("Available", "The volume is there."),
        "Failed" => Verdict::failed("ReclaimFailed", object.text("status.message")),
        _ => Verdict::in_progress("Pending", "The volume is not available yet."),
    }
}

/// kstatus waits for a cluster address only; what is wanted of a load balancer is its outer one, as in Argo CD.
fn service(object: &Object<'_>) -> Verdict {
    let balanced = object.text("spec.type") == "LoadBalancer";
    if balanced && object.list("status.loadBalancer.ingress").is_empty() {
        return Verdict::in_progress("NoAddress", "The load balancer has no address yet.");
    }
    Verdict::current("Exists", "The Service is there.")
}

fn namespace(object: &Object<'_>) -> Verdict {
    if object.text("status.phase") == "Terminating" {
        return Verdict::new(Status::Terminating, "Deleted", "The Namespace is being deleted.");
    }
    Verdict::current("Active", "The Namespace is active.")
}

fn definition(object: &Object<'_>) -> Verdict {
    if let Some(c) = object.condition("NamesAccepted").filter(Condition::is_false) {
        return Verdict::failed(c.reason(), &c.say());
    }
    match object.condition("Established") {
        Some(c) if c.is_true() => Verdict::current("Established", "The definition is established."),
        Some(c) if c.is_false() && c.reason != "Installing" => Verdict::failed(c.reason(), &c.say()),
        _ => Verdict::in_progress("Installing", "The definition is not established yet."),
    }
}

/// What is behind an API may still start, so that it does not answer is no failure. As in Argo CD.
fn api_service(object: &Object<'_>) -> Verdict {
    match object.condition("Available") {
        Some(c) if c.is_true() => Verdict::current("Available", "The API is available."),
        Some(c) => Verdict::in_progress(c.reason(), &c.say()),
        None => Verdict::in_progress("NotObserved", "The API has not been tried yet."),
    }
}

/// A budget that allows no disruption now is doing its work. `SyncFailed` is the controller's word for one that it cannot
/// compute (Argo CD: every reason but `InsufficientPods`).
fn budget(object: &Object<'_>) -> Verdict {
    match object.condition("DisruptionAllowed") {
        Some(c) if c.is_false() && c.reason == "SyncFailed" => Verdict::failed(c.reason, &c.say()),
        _ => Verdict::current("Computed", "The budget is in force."),
    }
}

/// Failed is what will not mend by itself. Argo CD also calls missing metrics a failure, but every fresh workload has none
/// at first. `autoscaling/v1` has no conditions.
fn autoscaler(object: &Object<'_>) -> Verdict {
    let bad = object.conditions().filter(Condition::is_false).find(|c| {
        matches!(
            (c.name, c.reason),
            ("AbleToScale", "FailedGetScale" | "FailedUpdateScale")
                | ("ScalingActive", "InvalidSelector" | "AmbiguousSelector")
        )
    });
    if let Some(c) = bad {
        return Verdict::failed(c.reason, &c.say());
    }
    match object
        .condition("ScalingActive")
        .or_else(|| object.condition("AbleToScale"))
    {
        // Scaled to none: that is somebody's will.
        Some(c) if c.is_true() || c.reason == "ScalingDisabled" => Verdict::current(c.reason(), &c.say()),
        Some(c) => Verdict::in_progress(c.reason(), &c.say()),
        None if object.text("apiVersion") == "autoscaling/v1" => {
            Verdict::current("Exists", "The autoscaler is there.")
        }
        None => Verdict::in_progress("NotObserved", "The autoscaler has not looked at its target yet."),
    }
}
