//! A Repository's status: pure, from what was there before and what happened.

use super::failure::Failure;
use super::revision::short;
use crate::condition;
use crds::condition::{READY, RECONCILING, STALLED};
use crds::{ConditionStatus, DeployKeyStatus, RepositoryStatus, Revision};

/// What a status speaks of.
#[derive(Clone, Debug)]
pub(super) struct Now<'a> {
    pub(super) generation: i64,
    /// The request that this look answers; empty if none was ever made.
    pub(super) request: &'a str,
    pub(super) time: &'a str,
    /// The deploy key, as far as it is known.
    pub(super) deploy_key: Option<&'a DeployKeyStatus>,
}

/// The head is here.
pub(super) fn ready(
    before: &RepositoryStatus,
    now: &Now<'_>,
    head: &Revision,
    message: &str,
) -> RepositoryStatus {
    let mut status = begin(before, now);
    now.request.clone_into(&mut status.last_handled_request);
    status.revision = head.short();
    status.head = Some(head.clone());
    set(&mut status, now, READY, ConditionStatus::True, "Fetched", message);
    set(
        &mut status,
        now,
        RECONCILING,
        ConditionStatus::False,
        "Fetched",
        "Nothing is under way.",
    );
    set(
        &mut status,
        now,
        STALLED,
        ConditionStatus::False,
        "Fetched",
        "Nothing is in the way.",
    );
    status
}

/// The remote or the specification fails. What `status` says of the head stays: it is still in use.
pub(super) fn failed(before: &RepositoryStatus, now: &Now<'_>, failure: &Failure) -> RepositoryStatus {
    let mut status = begin(before, now);
    now.request.clone_into(&mut status.last_handled_request);
    let kept = if status.revision.is_empty() {
        String::new()
    } else {
        format!(" {} stays in use.", status.revision)
    };
    let message = format!("{}{kept}", failure.message);
    set(
        &mut status,
        now,
        READY,
        ConditionStatus::False,
        failure.reason,
        &message,
    );
    if failure.temporary {
        set(
            &mut status,
            now,
            RECONCILING,
            ConditionStatus::True,
            failure.reason,
            "It is tried again.",
        );
        set(
            &mut status,
            now,
            STALLED,
            ConditionStatus::False,
            failure.reason,
            "It may pass by itself.",
        );
    } else {
        set(
            &mut status,
            now,
            RECONCILING,
            ConditionStatus::False,
            failure.reason,
            "Somebody has to act first.",
        );
        set(
            &mut status,
            now,
            STALLED,
            ConditionStatus::True,
            failure.reason,
            &failure.message,
        );
    }
    status
}

/// The first look at this specification is under way.
pub(super) fn looking(before: &RepositoryStatus, now: &Now<'_>, url: &str) -> RepositoryStatus {
    let mut status = begin(before, now);
    let message = format!("Looking at {url}.");
    if condition::get(&status.conditions, READY).is_none() {
        set(
            &mut status,
            now,
            READY,
            ConditionStatus::Unknown,
            "Looking",
            &message,
        );
    }
    set(
        &mut status,
        now,
        RECONCILING,
        ConditionStatus::True,
        "Looking",
        &message,
    );
    set(
        &mut status,
        now,
        STALLED,
        ConditionStatus::False,
        "Looking",
        "Nothing is in the way.",
    );
    status
}

/// Nobody looks, because the specification says so.
pub(super) fn suspended(before: &RepositoryStatus, now: &Now<'_>) -> RepositoryStatus {
    let mut status = begin(before, now);
    let message = "spec.suspend is true: the remote is not looked at.";
    if condition::get(&status.conditions, READY).is_none() {
        set(
            &mut status,
            now,
            READY,
            ConditionStatus::Unknown,
            "Suspended",
            message,
        );
    }
    set(
        &mut status,
        now,
        RECONCILING,
        ConditionStatus::False,
        "Suspended",
        message,
    );
    set(
        &mut status,
        now,
        STALLED,
        ConditionStatus::False,
        "Suspended",
        message,
    );
    status
}

/// `Raise the replicas (Ada <ada@example.org>)`, behind the commit's first digits.
pub(super) fn one_line(head: &Revision) -> String {
    let id = short(&head.commit);
    match (head.subject.is_empty(), head.author.is_empty()) {
        (true, true) => id.to_owned(),
        (false, true) => format!("{id}: {}", head.subject),
        (true, false) => format!("{id} by {}", head.author),
        (false, false) => format!("{id} by {}: {}", head.author, head.subject),
    }
}

fn begin(before: &RepositoryStatus, now: &Now<'_>) -> RepositoryStatus {
    RepositoryStatus {
        observed_generation: now.generation,
        deploy_key: now.deploy_key.cloned(),
        ..before.clone()
    }
}

fn set(
    status: &mut RepositoryStatus,
    now: &Now<'_>,
    type_: &str,
    value: ConditionStatus,
    reason: &str,
    message: &str,
) {
    condition::set(
        &mut status.conditions,
        type_,
        value,
        now.generation,
        reason,
        message,
        now.time,
    );
}

#[cfg(test)]
mod tests {
    use super::{Failure, Now, failed, looking, ready, suspended};
    use crate::condition::get;
    use crds::{ConditionStatus, RepositoryStatus, Revision};
    use source::SourceError;

    fn now(time: &str) -> Now<'_> {
        Now {
            generation: 2,
            request: "r1",
            time,
            deploy_key: None,
        }
    }

    fn head() -> Revision {
        Revision {
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            branch: "main".into(),
            author: "Ada <ada@example.org>".into(),
            subject: "Raise the replicas".into(),
            time: "2026-01-02T03:04:05Z".into(),
            signer: String::new(),
        }
    }

    #[test]
    fn ready_says_what_is_there_and_stays_the_same() {
        let first = ready(&RepositoryStatus::default(), &now("t1"), &head(), "It is here.");
        let condition = get(&first.conditions, "Ready").unwrap();
        assert_eq!(condition.message, "It is here.");
        assert_eq!(
            (first.revision.as_str(), first.observed_generation),
            ("main@0123456789ab", 2)
        );
        assert_eq!(first.last_handled_request, "r1");
        assert_eq!(
            ready(&first, &now("t2"), &head(), "It is here."),
            first,
            "nothing changed, nothing to write"
        );
    }

    #[test]
    fn a_failure_keeps_the_head_and_says_what_to_do() {
        let before = ready(&RepositoryStatus::default(), &now("t1"), &head(), "It is here.");
        let failure = Failure::from(&SourceError::NotFound);
        let after = failed(&before, &now("t2"), &failure);
        assert_eq!(after.head, before.head);
        let condition = get(&after.conditions, "Ready").unwrap();
        assert_eq!(condition.reason, "NotFound");
        assert_eq!(condition.last_transition_time, "t2");
        assert!(
            condition
                .message
                .starts_with("No repository at this address. Check the URL"),
            "{}",
            condition.message
        );
        assert!(
            condition.message.ends_with("main@0123456789ab stays in use."),
            "{}",
            condition.message
        );
        assert_eq!(
            get(&after.conditions, "Stalled").unwrap().status,
            ConditionStatus::True
        );
        assert_eq!(
            failed(&after, &now("t3"), &failure),
            after,
            "the same failure, nothing to write"
        );
    }

    #[test]
    fn what_may_pass_is_not_stalled() {
        let failure = Failure::from(&SourceError::Unreachable("connection refused".into()));
        let status = failed(&RepositoryStatus::default(), &now("t1"), &failure);
        assert_eq!(
            get(&status.conditions, "Stalled").unwrap().status,
            ConditionStatus::False
        );
        assert_eq!(
            get(&status.conditions, "Reconciling").unwrap().status,
            ConditionStatus::True
        );
    }

    #[test]
    fn looking_and_suspended_leave_ready_alone() {
        let before = ready(&RepositoryStatus::default(), &now("t1"), &head(), "It is here.");
        let ready = get(&before.conditions, "Ready").cloned();
        assert_eq!(
            get(&looking(&before, &now("t2"), "https://x").conditions, "Ready").cloned(),
            ready
        );
        let status = suspended(&before, &now("t2"));
        assert_eq!(get(&status.conditions, "Ready").cloned(), ready);
        assert_eq!(
            get(&status.conditions, "Reconciling").unwrap().reason,
            "Suspended"
        );
    }
}
