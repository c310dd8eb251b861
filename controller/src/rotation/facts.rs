//! What is known of a rotation and of the world around it, as one pass has found it out.

use std::collections::{BTreeMap, BTreeSet};

use crds::{Blocker, KeyRotationSpec, KeyRotationStatus, RepositoryRotation, RotationObjects, RotationStep};
use jiff::Timestamp;

use crate::keys::{KeyFormat, KeySecret};
use crate::repository::Key;

/// All of it. What is `None` has not been looked at yet: the machine asks for it when it needs it.
pub(super) struct Facts {
    /// The KeyRotation's name.
    pub(super) name: String,
    pub(super) now: Timestamp,
    pub(super) generation: i64,
    pub(super) spec: KeyRotationSpec,
    /// As the status has it, and as it is written next.
    pub(super) record: KeyRotationStatus,
    /// What cannot be carried out of the specification, as a sentence.
    pub(super) unusable: Option<String>,
    /// With a schedule: when the next run begins, unless one is under way.
    pub(super) due: Option<Timestamp>,
    /// The rotation that goes first.
    pub(super) ahead: Option<String>,
    /// What the KeyRotation's keys and archives are marked with.
    pub(super) mark: String,
    /// Ids of the keys that open, as the controller has them.
    pub(super) opening: BTreeSet<String>,
    /// The key that is sealed for, by format.
    pub(super) newest: BTreeMap<KeyFormat, String>,
    /// Ids of those that open and are not sealed for.
    pub(super) barred: BTreeSet<String>,
    /// Ids of keys that other rotations leave, or have left.
    pub(super) left_by_others: BTreeSet<String>,
    /// Those that are stored and open.
    pub(super) keys: Option<Vec<KeySecret>>,
    /// Those that are labelled compromised and open nothing.
    pub(super) shut: Vec<KeySecret>,
    /// Where a key leaked: up to which commit the report looked through each Repository, once it tells of all keys that are left.
    pub(super) walked: Option<BTreeMap<Key, String>>,
    /// Secrets of keys that were barred in this pass.
    pub(super) bars: BTreeSet<String>,
    /// Secrets that are labelled as keys and cannot be read: of which format, which, and why.
    pub(super) unread_keys: Vec<(KeyFormat, String, String)>,
    /// Whether every controller publishes the new keys; else, which does not.
    pub(super) published: Option<Result<(), String>>,
    pub(super) git: Option<Vec<Followed>>,
    pub(super) objects: Option<Objects>,
    /// Whether every remote was asked since nothing hung on the old keys any more.
    pub(super) fresh: bool,
    /// The value of the annotation `signet.dev/requestedAt`.
    pub(super) request: String,
    /// Something did not work: a sentence. It is tried again.
    pub(super) trouble: Option<String>,
}

/// A Repository.
#[derive(Clone, Debug)]
pub(super) struct Followed {
    pub(super) key: Key,
    /// The branch that it follows; empty where it follows something else.
    pub(super) branch: String,
    pub(super) may_push: bool,
    pub(super) merges: bool,
    /// Whether the host is to open a pull request of the branch that waits.
    pub(super) asks_for_a_pull: bool,
    /// The address of that, or why there is none, as a sentence.
    pub(super) pull: Option<Result<String, String>>,
    /// What is followed: the commit, or why nothing can be said of it.
    pub(super) head: Result<String, String>,
    /// Values of the head that are sealed for an old key and can be sealed again.
    pub(super) hanging: usize,
    /// Whether it hangs on an old key, be it in a submodule, whose values a commit of ours does not change.
    pub(super) needs: bool,
    /// What holds it up that no commit of ours changes.
    pub(super) blockers: Vec<Blocker>,
    /// Syncs that have applied a commit that hangs on an old key.
    pub(super) behind: Vec<Blocker>,
    /// What came of sealing it again in this pass.
    pub(super) outcome: Option<Outcome>,
    /// How often somebody was faster in this pass.
    pub(super) races: u32,
}

/// What came of sealing a Repository again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A commit was made. It is written down, and then pushed.
    Made {
        branch: String,
        commit: String,
        base: String,
        values: u64,
    },
    /// It was pushed.
    Pushed,
    /// A branch of its own waits to be merged, which somebody may have brought up to date.
    AwaitsMerge(Option<Tip>),
    /// The remote refused the push: somebody was faster, or does not allow it. A sentence.
    Raced(String),
    /// The branch has moved on: the Repository looks again.
    Behind,
    /// A person took the commit back: a sentence.
    RolledBack(String),
    /// The remote lets nobody push with these credentials: a sentence.
    NoRight(String),
    /// It did not work: a sentence.
    Failed(String),
}

/// The head of a branch, and the commit of the followed branch that it is on top of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    pub(super) commit: String,
    pub(super) base: String,
}

/// SealedSecret objects of the cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    pub(super) count: RotationObjects,
    /// How many of those that are left the report of a leaked key has not seen: they wait for it.
    pub(super) unseen: u64,
    /// Whether it has not seen one of them, or of those that others open.
    pub(super) is_news: bool,
    /// Whether those that can be were sealed again in this pass.
    pub(super) tried: bool,
    pub(super) blockers: Vec<Blocker>,
}

impl Facts {
    /// Ids of the keys that are left.
    pub(super) fn leaving(&self) -> BTreeSet<String> {
        leaving(&self.record)
    }

    /// Whether a person asks for something that was not done in this Repository yet.
    pub(super) fn is_asked(&self, key: &Key) -> bool {
        let done = self.step_of(key).map(|known| &known.last_handled_request);
        // Before it is written down of each, it is of all of them.
        let done = done.filter(|done| !done.is_empty());
        !self.request.is_empty() && *done.unwrap_or(&self.record.last_handled_request) != self.request
    }

    /// What is written down of a Repository.
    pub(super) fn step_of(&self, key: &Key) -> Option<&RepositoryRotation> {
        let all = self.record.repositories.iter();
        all.into_iter()
            .find(|known| known.namespace == key.0 && known.name == key.1)
    }
}

/// Ids of the keys that are left, as it is written down.
pub(super) fn leaving(record: &KeyRotationStatus) -> BTreeSet<String> {
    record.old_keys.iter().map(|key| key.id.clone()).collect()
}

impl Followed {
    /// Whether what a person asks for is still to be done there. What cannot be read is as it was seen last: a revert that comes
    /// before it can be is not pushed over where nothing was to be done.
    pub(super) fn is_open(&self, known: Option<&RepositoryRotation>) -> bool {
        let open = |outcome: &Outcome| {
            matches!(
                outcome,
                Outcome::Behind | Outcome::Raced(_) | Outcome::Failed(_) | Outcome::RolledBack(_)
            )
        };
        let needed =
            |known: &RepositoryRotation| !known.last_needing.is_empty() && known.first_clean.is_empty();
        match &self.head {
            Ok(_) => self.outcome.as_ref().is_some_and(open),
            Err(_) => known.is_none_or(needed),
        }
    }

    /// Whether a commit of ours can change it.
    pub(super) fn is_branch(&self) -> bool {
        !self.branch.is_empty()
    }

    /// Whether something in it is to be sealed again by a commit of ours.
    pub(super) fn asks_for_a_commit(&self) -> bool {
        self.head.is_ok() && self.hanging > 0 && self.is_branch() && self.may_push
    }

    /// How far it is, and a sentence.
    pub(super) fn step(&self) -> (RotationStep, String) {
        let name = format!("{}/{}", self.key.0, self.key.1);
        match (&self.head, &self.outcome) {
            (Err(why), _) | (Ok(_), Some(Outcome::Failed(why) | Outcome::Raced(why))) => {
                (RotationStep::Unknown, why.clone())
            }
            (Ok(_), Some(Outcome::Made { commit, .. })) => (
                RotationStep::Pushing,
                format!("Commit {commit} is about to be pushed."),
            ),
            (Ok(_), Some(Outcome::Pushed)) => (
                RotationStep::Pushed,
                "The commit is pushed; the Repository has not fetched it yet.".into(),
            ),
            (Ok(_), Some(Outcome::AwaitsMerge(_))) => (
                RotationStep::AwaitingMerge,
                match &self.pull {
                    Some(Ok(url)) => format!("Merge {url}."),
                    Some(Err(why)) => format!("Merge the branch into {}. {why}", self.branch),
                    None => format!("Merge the branch into {}.", self.branch),
                },
            ),
            (Ok(_), Some(Outcome::Behind)) => (
                RotationStep::Unknown,
                "The branch has moved on; its new head is looked at.".into(),
            ),
            (Ok(_), Some(Outcome::RolledBack(why))) => (RotationStep::RolledBack, why.clone()),
            (Ok(_), Some(Outcome::NoRight(why))) => (RotationStep::AwaitingCommit, why.clone()),
            (Ok(_), None) if self.hanging > 0 && !self.is_branch() => (
                RotationStep::Blocked,
                format!(
                    "{} sealed for an old key, and it follows no branch: a commit does not change what it follows.",
                    values(self.hanging)
                ),
            ),
            (Ok(_), None) if self.hanging > 0 && self.may_push => (
                RotationStep::Unknown,
                format!("{} to be sealed again.", values(self.hanging)),
            ),
            (Ok(_), None) if self.hanging > 0 => (
                RotationStep::AwaitingCommit,
                format!(
                    "{} sealed for an old key, and spec.reseal names nothing that may push to Repository {name}: run the \
                     command in a clone of {}, commit and push.",
                    values(self.hanging),
                    self.branch
                ),
            ),
            (Ok(_), None) if !self.blockers.is_empty() => {
                (RotationStep::Blocked, things(self.blockers.len()))
            }
            (Ok(_), None) => (RotationStep::Clean, String::new()),
        }
    }
}

/// `1 value is`, `3 values are`.
pub(super) fn values(count: usize) -> String {
    match count {
        1 => "1 value is".into(),
        many => format!("{many} values are"),
    }
}

fn things(count: usize) -> String {
    match count {
        1 => "One thing in it holds the rotation up: status.blockers names it.".into(),
        many => format!("{many} things in it hold the rotation up: status.blockers names them."),
    }
}
