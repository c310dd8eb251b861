//! What holds for every kind: kstatus's generic rules (`pkg/kstatus/status/generic.go`, `status.go`).

use crate::object::{Condition, Object};
use crate::verdict::{Status, Verdict};

/// An object with a deletion timestamp is going away, whatever its status says.
pub(crate) fn deletion(object: &Object<'_>) -> Option<Verdict> {
    (!object.text("metadata.deletionTimestamp").is_empty())
        .then(|| Verdict::new(Status::Terminating, "Deleted", "The object is being deleted."))
}

/// A status that speaks of an older spec says nothing of this one. Where the status has no generation it is believed.
pub(crate) fn generation(object: &Object<'_>) -> Option<Verdict> {
    let (generation, observed) = (
        object.int("metadata.generation")?,
        object.int("status.observedGeneration")?,
    );
    (observed < generation).then(|| {
        let message =
            format!("The status is of generation {observed}, the spec is of generation {generation}.");
        Verdict::in_progress("NotObserved", &message)
    })
}

/// The two abnormal conditions that kstatus proposes to every controller. The first that is set decides.
pub(crate) fn progress(object: &Object<'_>) -> Option<Verdict> {
    object
        .conditions()
        .filter(Condition::is_true)
        .find_map(|c| match c.name {
            "Reconciling" => Some(Verdict::in_progress(c.reason(), &c.say())),
            "Stalled" => Some(Verdict::failed(c.reason(), &c.say())),
            _ => None,
        })
}

/// The condition `Ready`, else current: most kinds have no status at all.
///
/// `False` cannot be told from "not yet", so it is never a failure here.
pub(crate) fn ready(object: &Object<'_>) -> Verdict {
    match object.condition("Ready") {
        Some(c) if c.is_true() => Verdict::current(c.reason(), &c.say()),
        Some(c) if matches!(c.status, "False" | "Unknown") => Verdict::in_progress(c.reason(), &c.say()),
        _ => Verdict::current("Exists", "The object exists."),
    }
}
