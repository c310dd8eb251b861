//! The health of an object, as far as a watch has shown it.

use health::{Status, Verdict};
use std::sync::Arc;
use std::time::SystemTime;

/// What is known of an object's health without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing yet: its kind is not watched or not listed, or the watch has not shown the version that our own apply
    /// returned.
    Unknown,
    /// It is not there. Of an object that we applied or attend to also: another of the same name is.
    Absent,
    /// It is as its spec wants it.
    Current,
    /// It is there, and something is to be said of it.
    Of(Arc<Judged>),
}

/// The verdict over an object that is not simply current.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// How it is; never [`Status::Current`].
    pub status: Status,
    /// Why, as one word.
    pub reason: Box<str>,
    /// Why, as a sentence. It may quote the object.
    pub message: Box<str>,
    /// When it came to this status. Reason and message may be newer.
    pub since: SystemTime,
}

impl Health {
    /// The status, where there is one.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Unknown | Self::Absent => None,
            Self::Current => Some(Status::Current),
            Self::Of(judged) => Some(judged.status),
        }
    }
}

impl Judged {
    /// What is kept of `verdict`, which follows on `before`: nothing of a current object.
    pub(super) fn after(
        before: Option<&Arc<Self>>,
        verdict: Option<Verdict>,
        now: SystemTime,
    ) -> Option<Arc<Self>> {
        let verdict = verdict.filter(|verdict| verdict.status != Status::Current)?;
        let since = match before {
            Some(known) if known.status == verdict.status => {
                if known.reason == verdict.reason && known.message == verdict.message {
                    return Some(Arc::clone(known));
                }
                known.since
            }
            _ => now,
        };
        Some(Arc::new(Self {
            status: verdict.status,
            reason: verdict.reason,
            message: verdict.message,
            since,
        }))
    }
}
