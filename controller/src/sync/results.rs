//! What a status says of a commit that it did not say before, as lines for the notes in Git. Pure.
//!
//! Counts and no more: a note is read by whoever may read the repository, and a failure's words may quote what it is about.

use crate::condition;
use crds::condition::READY;
use crds::{ConditionStatus, Counts, Revision, SyncStatus};
use source::Line;
use std::fmt::Write as _;

/// Lines about the commits that `next` speaks of and `before` did not, or not so. `sync` is `namespace/name`.
pub(super) fn lines(sync: &str, before: &SyncStatus, next: &SyncStatus, now: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let (was, is) = (
        commit(before.last_applied_revision.as_ref()),
        commit(next.last_applied_revision.as_ref()),
    );
    let (tried, tries) = (
        commit(before.last_attempted_revision.as_ref()),
        commit(next.last_attempted_revision.as_ref()),
    );
    let did = did(next.counts);
    if was != is {
        let word = if ready(next) { "Ready" } else { "Applied" };
        lines.extend(line(sync, is, word, &did, now, false));
    } else if is == tries && ready(next) && !ready(before) {
        // Health comes and goes: the first time counts.
        lines.extend(line(sync, is, "Ready", &did, now, true));
    }
    if next.counts.failed > 0 && (tried != tries || before.counts.failed == 0) {
        let failed = format!("{} of {} objects", next.counts.failed, next.counts.objects);
        lines.extend(line(sync, tries, "Failed", &failed, now, false));
    }
    lines
}

fn commit(revision: Option<&Revision>) -> Option<&str> {
    revision.map(|revision| revision.commit.as_str())
}

/// What was applied before this process began, in case it is not written down yet.
pub(super) fn standing(sync: &str, status: &SyncStatus, now: &str) -> Option<Line> {
    let word = if ready(status) { "Ready" } else { "Applied" };
    let commit = commit(status.last_applied_revision.as_ref());
    let mut line = line(
        sync,
        commit,
        word,
        "found so when the controller started",
        now,
        false,
    )?;
    line.unless = Some(format!(" {sync} "));
    Some(line)
}

fn line(sync: &str, commit: Option<&str>, word: &str, what: &str, now: &str, once: bool) -> Option<Line> {
    let commit = commit?.parse().ok()?;
    Some(Line {
        commit,
        kind: format!(" {sync} {word}:"),
        text: format!("{now} {sync} {word}: {what}"),
        unless: once.then(|| format!(" {sync} {word}:")),
    })
}

fn did(counts: Counts) -> String {
    let parts = [
        (counts.created, "created"),
        (counts.changed, "changed"),
        (counts.pruned, "pruned"),
    ];
    let mut text = format!("{} objects", counts.objects);
    for (count, what) in parts.iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {count} {what}");
    }
    text
}

fn ready(status: &SyncStatus) -> bool {
    condition::get(&status.conditions, READY).is_some_and(|ready| ready.status == ConditionStatus::True)
}

#[cfg(test)]
mod tests {
    use super::{lines, standing};
    use crds::{ConditionStatus, Counts, Revision, SyncStatus};

    const ONE: &str = "0123456789abcdef0123456789abcdef01234567";
    const TWO: &str = "1123456789abcdef0123456789abcdef01234567";

    fn status(applied: &str, attempted: &str, ready: bool, failed: u32) -> SyncStatus {
        let revision = |commit: &str| {
            (!commit.is_empty()).then(|| Revision {
                commit: commit.into(),
                ..Revision::default()
            })
        };
        let mut status = SyncStatus {
            last_applied_revision: revision(applied),
            last_attempted_revision: revision(attempted),
            counts: Counts {
                objects: 3,
                created: 2,
                failed,
                ..Counts::default()
            },
            ..SyncStatus::default()
        };
        let value = if ready {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        };
        crate::condition::set(&mut status.conditions, "Ready", value, 1, "X", "hunter2", "t");
        status
    }

    fn said(before: &SyncStatus, next: &SyncStatus) -> Vec<String> {
        lines("shop/web", before, next, "T")
            .into_iter()
            .map(|line| line.text)
            .collect()
    }

    #[test]
    fn each_result_of_a_commit_is_one_line() {
        let nothing = SyncStatus::default();
        let applied = status(ONE, ONE, false, 0);
        let ready = status(ONE, ONE, true, 0);
        let failed = status(ONE, TWO, false, 1);
        assert_eq!(
            said(&nothing, &applied),
            ["T shop/web Applied: 3 objects, 2 created"]
        );
        assert_eq!(said(&applied, &ready), ["T shop/web Ready: 3 objects, 2 created"]);
        assert_eq!(
            said(&nothing, &ready),
            ["T shop/web Ready: 3 objects, 2 created"],
            "at once"
        );
        assert_eq!(said(&ready, &failed), ["T shop/web Failed: 1 of 3 objects"]);
        for (before, next) in [(&ready, &ready), (&failed, &failed), (&ready, &applied)] {
            assert_eq!(said(before, next), [""; 0], "no news");
        }
        let again = lines("shop/web", &applied, &ready, "T");
        assert_eq!(
            again[0].unless.as_deref(),
            Some(" shop/web Ready:"),
            "health that comes and goes is told once"
        );
        assert_eq!(again[0].commit.to_string(), ONE);
        assert_eq!(again[0].kind, " shop/web Ready:");
        assert_eq!(lines("shop/web", &ready, &failed, "T")[0].commit.to_string(), TWO);
    }

    #[test]
    fn what_stood_before_is_told_where_nothing_is_of_it() {
        assert_eq!(standing("shop/web", &SyncStatus::default(), "T"), None);
        let line = standing("shop/web", &status(ONE, ONE, true, 0), "T").unwrap();
        assert_eq!(line.unless.as_deref(), Some(" shop/web "));
        assert!(!line.text.contains("hunter2") && line.text.starts_with("T shop/web Ready: "));
    }
}
