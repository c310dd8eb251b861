//! A Sync's status: sentences for people, written only when they change.

use super::report::{self, Failure, KEPT};
use crate::condition;
use apply::{ApiError, Server};
use crds::ConditionStatus::{False, True};
use crds::condition::{HEALTHY, READY, RECONCILING, STALLED};
use crds::{Counts, ObjectReport, SyncStatus};
use serde_json::json;

/// How an attempt ended.
pub(super) enum Verdict<'a> {
    /// Everything is as Git has it.
    Applied,
    /// Something failed; it is tried again.
    Failed {
        /// One word.
        reason: &'a str,
        /// A sentence.
        message: String,
    },
    /// Nothing will improve until a person changes something.
    Stalled {
        /// One word.
        reason: &'a str,
        /// A sentence.
        message: String,
    },
    /// It is applied as far as it can be, and waits for objects or hooks.
    Progressing {
        /// A sentence.
        message: String,
    },
    /// Nothing differs, and nothing is owned.
    Same {
        /// A sentence.
        message: String,
    },
    /// It may not be applied now.
    Held {
        /// One word.
        reason: &'a str,
        /// A sentence.
        message: String,
    },
    /// Work is under way.
    Working {
        /// A sentence.
        message: String,
    },
    /// The Sync is told to do nothing.
    Suspended,
}

/// Sets the conditions of `status` to say `verdict`.
pub(super) fn conclude(status: &mut SyncStatus, generation: i64, verdict: Verdict<'_>) {
    let now = condition::now();
    let mut set = |type_, value, reason: &str, message: String| {
        condition::set(
            &mut status.conditions,
            type_,
            value,
            generation,
            reason,
            message,
            &now,
        );
    };
    match verdict {
        Verdict::Applied => {
            let objects = status.counts.objects;
            let noun = if objects == 1 { "object is" } else { "objects are" };
            set(
                READY,
                True,
                "Applied",
                format!("{objects} {noun} as {} has them.", status.revision),
            );
            set(RECONCILING, False, "Applied", "Nothing is left to do.".into());
            set(STALLED, False, "Applied", "Nothing stands in the way.".into());
        }
        Verdict::Failed { reason, message } => {
            set(READY, False, reason, message);
            set(RECONCILING, True, reason, "It is tried again.".into());
            set(STALLED, False, reason, "It is tried again.".into());
        }
        Verdict::Stalled { reason, message } => {
            set(READY, False, reason, message.clone());
            set(
                RECONCILING,
                False,
                reason,
                "It is not tried again until something changes.".into(),
            );
            set(STALLED, True, reason, message);
        }
        Verdict::Progressing { message } => {
            set(READY, False, "Progressing", message.clone());
            set(RECONCILING, True, "Progressing", message);
            set(STALLED, False, "Progressing", "Nothing stands in the way.".into());
        }
        Verdict::Same { message } => {
            set(READY, True, "Same", message);
            set(RECONCILING, False, "Same", "Nothing is left to do.".into());
            set(STALLED, False, "Same", "Nothing stands in the way.".into());
        }
        Verdict::Held { reason, message } => {
            set(READY, False, reason, message.clone());
            set(RECONCILING, False, reason, message);
            set(STALLED, False, reason, "It goes on by itself when it may.".into());
        }
        Verdict::Working { message } => {
            // The verdict before it, with the generation that it is about, still stands.
            return set(RECONCILING, True, "Applying", message);
        }
        Verdict::Suspended => {
            set(RECONCILING, False, "Suspended", "The Sync is suspended.".into());
            set(STALLED, False, "Suspended", "The Sync is suspended.".into());
        }
    }
    status.observed_generation = generation;
}

/// Sets the condition Healthy from the counts in `status`.
pub(super) fn health(status: &mut SyncStatus, generation: i64, sentence: &str) {
    let counts = status.health;
    let (value, reason) = match (counts.failed, counts.in_progress) {
        (0, 0) => (True, "Current"),
        (0, _) => (False, "InProgress"),
        _ => (False, "Failed"),
    };
    let now = condition::now();
    condition::set(
        &mut status.conditions,
        HEALTHY,
        value,
        generation,
        reason,
        sentence,
        &now,
    );
}

/// Puts failures and warnings into `status`, the first [`KEPT`] of each, in a stable order.
pub(super) fn list(status: &mut SyncStatus, counts: Counts, failures: &[Failure], warnings: &[ObjectReport]) {
    status.counts = Counts {
        failed: u32::try_from(failures.len()).unwrap_or(u32::MAX),
        ..counts
    };
    let mut failed: Vec<_> = failures.iter().map(|failure| failure.report.clone()).collect();
    failed.sort_by(|a, b| (&a.source, &a.object).cmp(&(&b.source, &b.object)));
    failed.truncate(KEPT);
    (status.failures, status.warnings) = (failed, listed(warnings.to_vec()));
}

/// Warnings as a status has them.
pub(super) fn listed(mut warnings: Vec<ObjectReport>) -> Vec<ObjectReport> {
    warnings.sort_by(|a, b| (&a.source, &a.object).cmp(&(&b.source, &b.object)));
    warnings.truncate(KEPT);
    warnings
}

/// `3 of 12 objects failed: first; second; third.`
pub(super) fn summary(failures: &[Failure], objects: usize) -> String {
    let mut lines: Vec<_> = failures
        .iter()
        .map(|failure| report::line(&failure.report))
        .collect();
    lines.sort();
    let more = lines.len().saturating_sub(3);
    lines.truncate(3);
    let tail = if more > 0 {
        format!("; and {more} more, see status.failures")
    } else {
        String::new()
    };
    let noun = if failures.len() == 1 {
        "failure"
    } else {
        "failures"
    };
    let things = if objects == 1 { "object" } else { "objects" };
    format!(
        "{} {noun}, {objects} {things} in Git: {}{tail}.",
        failures.len(),
        lines.join("; ")
    )
}

/// Writes the status of the Sync `namespace/name`, if it is still the one with this uid.
pub(super) async fn write(
    server: &Server,
    namespace: &str,
    name: &str,
    uid: Option<&str>,
    status: &SyncStatus,
) -> Result<(), ApiError> {
    let path = format!("{}/status", path(namespace, name));
    let body = json!({
        "apiVersion": "signet.dev/v1alpha1", "kind": "Sync",
        "metadata": {"namespace": namespace, "name": name, "uid": uid},
        "status": status,
    });
    server
        .apply_own(&path, super::OWN_MANAGER, &body)
        .await
        .map(|_| ())
}

/// The path of a Sync.
pub(super) fn path(namespace: &str, name: &str) -> String {
    format!("/apis/signet.dev/v1alpha1/namespaces/{namespace}/syncs/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(object: &str) -> Failure {
        Failure::permanent(ObjectReport {
            object: object.into(),
            message: "no".into(),
            ..ObjectReport::default()
        })
    }

    #[test]
    fn the_summary_names_the_first_three() {
        let failures: Vec<_> = ["b", "a", "d", "c"].map(failure).into();
        assert_eq!(
            summary(&failures, 9),
            "4 failures, 9 objects in Git: a: no; b: no; c: no; and 1 more, see status.failures."
        );
    }

    #[test]
    fn a_status_holds_a_bounded_sorted_part() {
        let failures: Vec<_> = (0..80).rev().map(|i| failure(&format!("o{i:02}"))).collect();
        let mut status = SyncStatus::default();
        list(&mut status, Counts::default(), &failures, &[]);
        assert_eq!((status.failures.len(), status.counts.failed), (KEPT, 80));
        assert_eq!(status.failures[0].object, "o00");
    }

    #[test]
    fn concluding_the_same_twice_changes_nothing() {
        let mut status = SyncStatus::default();
        conclude(&mut status, 3, Verdict::Applied);
        let before = status.clone();
        conclude(&mut status, 3, Verdict::Applied);
        assert_eq!(status, before);
        conclude(
            &mut status,
            3,
            Verdict::Failed {
                reason: "X",
                message: "y".into(),
            },
        );
        let ready = condition::get(&status.conditions, READY).unwrap();
        assert_eq!((ready.status, ready.message.as_str()), (False, "y"));
    }
}
