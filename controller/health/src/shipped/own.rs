//! Kinds that tell their health in a way of their own: phases, mostly.

use super::{all_true, route};
use crate::object::{Condition, Object, or};
use crate::verdict::Verdict;

/// The verdict over such a kind; nothing for others.
pub(super) fn judge(object: &Object<'_>) -> Option<Verdict> {
    Some(match (object.group(), object.kind()) {
        ("cert-manager.io", "Certificate") => certificate(object),
        ("argoproj.io", "Rollout") => rollout(object),
        ("argoproj.io", "Application") => application(object),
        ("argoproj.io", "Workflow") => workflow(object),
        ("flagger.app", "Canary") => canary(object),
        ("gateway.networking.k8s.io", "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute" | "UDPRoute") => {
            route(object)
        }
        ("postgresql.cnpg.io", "Cluster") => postgres(object),
        ("cluster.x-k8s.io", "Cluster" | "Machine" | "MachineDeployment" | "MachinePool") => machines(object),
        ("snapshot.storage.k8s.io", "VolumeSnapshot") => snapshot(object),
        _ => return None,
    })
}

/// Ready is whether the Secret holds a valid certificate; an attempt that failed is told in `Issuing`, and the next is hours
/// away. A renewal under way leaves the certificate as it is.
fn certificate(object: &Object<'_>) -> Verdict {
    let all: Vec<_> = object.conditions().collect();
    let Some(against) = all_true(object, &all, super::READY, &[]) else {
        return Verdict::current("Ready", "The certificate is valid.");
    };
    match object.condition("Issuing").filter(Condition::is_false) {
        Some(c) if c.reason == "Failed" => Verdict::failed("IssuingFailed", &c.say()),
        _ => against,
    }
}

/// Argo Rollouts writes its own verdict since 1.0 (<https://argo-rollouts.readthedocs.io>), and its observed generation as a
/// string.
fn rollout(object: &Object<'_>) -> Verdict {
    let observed = object.text("status.observedGeneration").parse::<i64>().ok();
    if observed.is_some() && observed < object.int("metadata.generation") {
        return Verdict::in_progress("NotObserved", "The status is of an older generation.");
    }
    let message = object.text("status.message");
    match object.text("status.phase") {
        "Healthy" => Verdict::current("Healthy", "The rollout is over."),
        "Paused" => Verdict::suspended("Paused", or(message, "The rollout is paused.")),
        "Degraded" => Verdict::failed("Degraded", or(message, "The rollout has failed.")),
        "Progressing" => Verdict::in_progress("Progressing", or(message, "The rollout goes on.")),
        _ => Verdict::in_progress("NotObserved", "The rollout has no phase yet."),
    }
}

/// An Application of Argo CD has a health of its own, which is missing since 1.8 where nobody has configured it.
fn application(object: &Object<'_>) -> Verdict {
    let message = object.text("status.health.message");
    match object.text("status.health.status") {
        "Healthy" => Verdict::current("Healthy", "The application is healthy."),
        "Suspended" => Verdict::suspended("Suspended", or(message, "The application is suspended.")),
        "Degraded" => Verdict::failed("Degraded", or(message, "The application is degraded.")),
        _ => Verdict::in_progress("Progressing", or(message, "The application is not healthy yet.")),
    }
}

fn workflow(object: &Object<'_>) -> Verdict {
    let message = object.text("status.message");
    match object.text("status.phase") {
        "Succeeded" => Verdict::current("Succeeded", "The workflow has succeeded."),
        "Failed" | "Error" => Verdict::failed("WorkflowFailed", or(message, "The workflow has failed.")),
        _ if object.flag("spec.suspend") => Verdict::suspended("Suspended", "The workflow is suspended."),
        _ => Verdict::in_progress("Running", or(message, "The workflow is running.")),
    }
}

/// Flagger's phases (<https://docs.flagger.app/usage/how-it-works#canary-status>).
fn canary(object: &Object<'_>) -> Verdict {
    if object.flag("spec.suspend") {
        return Verdict::suspended("Suspended", "The Canary is suspended.");
    }
    let said = object.condition("Promoted").map(|c| c.say()).unwrap_or_default();
    match object.text("status.phase") {
        "Initialized" => Verdict::current("Initialized", or(&said, "The Canary is initialised.")),
        "Succeeded" => Verdict::current("Succeeded", or(&said, "The new version is promoted.")),
        "Failed" => Verdict::failed("CanaryFailed", or(&said, "The new version was rolled back.")),
        "Terminating" | "Terminated" => Verdict::new(
            crate::Status::Terminating,
            "Terminating",
            "The Canary is being finalised.",
        ),
        "" => Verdict::in_progress("NotObserved", "The Canary has no phase yet."),
        phase => Verdict::in_progress(phase, or(&said, "The analysis goes on.")),
    }
}

/// CloudNativePG (<https://cloudnative-pg.io/documentation/current/>).
fn postgres(object: &Object<'_>) -> Verdict {
    let phase = object.text("status.phase");
    if object.annotation("cnpg.io/reconciliationLoop") == "disabled" {
        return Verdict::suspended("Suspended", "The cluster's reconciliation is switched off.");
    }
    if let Some(c) = object.condition("cnpg.io/hibernation").filter(Condition::is_true) {
        return Verdict::suspended("Hibernated", &c.say());
    }
    if phase.contains("unrecoverable") {
        return Verdict::failed("Unrecoverable", phase);
    }
    let all: Vec<_> = object.conditions().collect();
    match all_true(object, &all, super::READY, &[]) {
        None => Verdict::current("Ready", "The cluster is ready."),
        // The phase is a sentence, and says more than that it is not ready.
        Some(against) => Verdict::in_progress(&against.reason, or(phase, &against.message)),
    }
}

/// Cluster API (<https://cluster-api.sigs.k8s.io>): a phase, and `Ready` with a severity that tells an error from waiting.
fn machines(object: &Object<'_>) -> Verdict {
    if object.flag("spec.paused") {
        return Verdict::suspended("Paused", "The object is paused.");
    }
    let (phase, ready) = (object.text("status.phase"), object.condition("Ready"));
    let bad = ready.filter(Condition::is_false);
    if let Some(c) = bad.filter(|c| c.severity == "Error") {
        return Verdict::failed(c.reason(), &c.say());
    }
    match phase {
        "Failed" => Verdict::failed(
            or(object.text("status.failureReason"), "Failed"),
            or(object.text("status.failureMessage"), "The object has failed."),
        ),
        "Provisioned" if object.kind() == "Machine" => {
            Verdict::in_progress("Provisioned", "The machine is no node yet.")
        }
        "Provisioned" | "Running" => match bad {
            Some(c) => Verdict::in_progress(c.reason(), &c.say()),
            None => Verdict::current(phase, "The machines are as wanted."),
        },
        "" => Verdict::in_progress("NotObserved", "The object has no phase yet."),
        _ => Verdict::in_progress(phase, &format!("The phase is {phase}.")),
    }
}

fn snapshot(object: &Object<'_>) -> Verdict {
    if object.flag("status.readyToUse") {
        return Verdict::current("ReadyToUse", "The snapshot can be used.");
    }
    // The driver tries again.
    Verdict::in_progress(
        "NotReady",
        or(
            object.text("status.error.message"),
            "The snapshot is being taken.",
        ),
    )
}
