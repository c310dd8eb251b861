//! The health of one Kubernetes object, as a pure function of its content.
//!
//! - [`of`]: one object's [`Verdict`];
//! - [`need()`]: whether a kind's content has to be watched for that, or its metadata is enough;
//! - [`Rules`]: CEL expressions of users for kinds that neither Kubernetes' habits nor the shipped table describe.
//!
//! The rules are those of kstatus (sigs.k8s.io/cli-utils, `pkg/kstatus`), with Argo CD's notion of `Suspended`, and with
//! completion where a Job or a Pod is meant to end. There is no clock: an object that makes no progress for long is
//! [`Status::InProgress`] for as long, and whoever waits has the time limit.
//!
//! Objects are written by anybody. Nothing in them panics or takes long, and what a verdict quotes of them is
//! bounded and printable.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod builtin;
mod generic;
mod need;
mod object;
mod rules;
mod run;
mod shipped;
mod verdict;
mod workload;

pub use need::{Need, need};
pub use rules::{RuleError, RuleSpec, Rules};
pub use verdict::{Status, Verdict};

use object::Object;
use serde_json::Value;

/// The verdict over one whole object.
///
/// In this order: deletion, `observedGeneration`, a user's rule for the kind, the conditions `Reconciling` and `Stalled`,
/// what is known of the kind, and the condition `Ready`. An object that says nothing of itself is current.
///
/// A Secret is current unless it is being deleted: its content is not looked at.
pub fn of(object: &Value, rules: &Rules) -> Verdict {
    let object = Object::new(object);
    if let Some(verdict) = generic::deletion(&object) {
        return verdict;
    }
    if need::is_secret(object.group(), object.kind()) {
        return Verdict::current("Exists", "The Secret exists.");
    }
    if let Some(verdict) = generic::generation(&object).or_else(|| rules.judge(&object)) {
        return verdict;
    }
    generic::progress(&object)
        .or_else(|| builtin::judge(&object))
        .or_else(|| shipped::judge(&object))
        .unwrap_or_else(|| generic::ready(&object))
}
