//! What is said of one object: which, where it stands in Git, what is wrong, what to do.

use crate::text;
use apply::Key;
use crds::ObjectReport;
use manifest::Origin;

/// How many reports a status holds.
pub(super) const KEPT: usize = 50;
const MESSAGE_BYTES: usize = 512;

/// A failure, and whether time alone may heal it.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) report: ObjectReport,
    /// Worth an early retry.
    pub(super) transient: bool,
}

impl Failure {
    pub(super) fn of(key: &Key, origin: Option<&Origin>, message: &str, hint: &str, transient: bool) -> Self {
        Self {
            report: report(Some(key), origin, message, hint),
            transient,
        }
    }

    /// One that is no object's, and that time alone may heal.
    pub(super) fn passing(message: &str, hint: &str) -> Self {
        Self {
            report: report(None, None, message, hint),
            transient: true,
        }
    }

    pub(super) fn permanent(report: ObjectReport) -> Self {
        Self {
            report,
            transient: false,
        }
    }
}

/// Applied, but worth a word.
#[derive(Clone, Debug)]
pub(super) struct Warning {
    /// One word, for events.
    pub(super) reason: &'static str,
    pub(super) report: ObjectReport,
}

/// Puts the pieces together, bounded and without control characters.
pub(super) fn report(key: Option<&Key>, origin: Option<&Origin>, message: &str, hint: &str) -> ObjectReport {
    ObjectReport {
        object: key.map(ToString::to_string).unwrap_or_default(),
        source: origin.map(ToString::to_string).unwrap_or_default(),
        message: text::bounded_bytes(message, MESSAGE_BYTES),
        hint: hint.to_owned(),
    }
}

/// One line: `object (file document n): message`.
pub(super) fn line(report: &ObjectReport) -> String {
    match (report.object.is_empty(), report.source.is_empty()) {
        (false, false) => format!("{} ({}): {}", report.object, report.source, report.message),
        (true, true) => report.message.clone(),
        _ => format!("{}{}: {}", report.object, report.source, report.message),
    }
}
