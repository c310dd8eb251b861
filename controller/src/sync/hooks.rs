//! Hooks: which runs next, and what became of those that ran. Pure; written down in the journal.
//!
//! An operation is the walk over one set of inputs. Its hooks run once: not again for drift, not after a restart. An
//! operation whose hook failed is over until a new commit, or a request, begins another.

use super::inputs::Inputs;
use super::order::Group;
use crds::HookReport;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is written down of the operation that is under way, or was last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// The keyed digest of the inputs.
    pub(super) operation: String,
    /// When it began, in milliseconds since 1970: tells its hooks from those of an earlier one over the same inputs.
    #[serde(default)]
    pub(super) began: u64,
    pub(super) runs: Vec<Run>,
    /// Runs of earlier operations whose objects could not be deleted yet. They hold up nothing but a new run of the same object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) remains: Vec<Run>,
    /// Whether the operation is over.
    pub(super) over: bool,
    /// Whether the inputs have hooks for the Sync's deletion: then it is not deleted without having read them.
    #[serde(default)]
    pub(super) at_deletion: bool,
    /// What those hooks are made of: a keyed digest. Empty where there are none, or where that was not written down yet.
    #[serde(default)]
    pub(super) farewell: String,
    /// In mode Approval: the digest of the spec that was let in last. Another one takes an approval, whatever it changes.
    #[serde(default)]
    pub(super) approved: String,
}

/// What is kept of runs whose objects cannot be deleted, the newest ones: each commit may make one of another name.
const REMAINS: usize = 64;

/// The operation of a Sync's deletion: whatever Git holds meanwhile, its hooks run once.
pub(super) const DELETION: &str = "deletion";

/// One hook's run in one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// `Kind namespace/name`, for people, and the parts of the key.
    pub(super) object: String,
    pub(super) key: (String, String, Option<String>, String),
    pub(super) group: String,
    pub(super) state: State,
    pub(super) uid: String,
    /// When it was created, in seconds since 1970.
    pub(super) began: u64,
    #[serde(default)]
    pub(super) message: String,
    /// Whether it has ended and its object is still to be deleted, or told when to go.
    #[serde(default)]
    pub(super) clear: bool,
    /// After how many seconds its object goes by itself. None: it stays, or is deleted at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<u32>,
}

/// How a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// About to be created.
    Intended,
    /// Created.
    Running,
    /// It came to its good end.
    Succeeded,
    /// It came to a bad end.
    Failed,
    /// It did not end in time.
    TimedOut,
    /// A newer revision came.
    Cancelled,
}

impl State {
    pub(super) fn is_over(self) -> bool {
        !matches!(self, Self::Intended | Self::Running)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Intended => "Waiting",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::TimedOut => "TimedOut",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// What a group's hooks are waiting for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// All have succeeded, or there are none.
    Passed,
    /// These have to be created, by their place among the inputs' hooks.
    Create(Vec<usize>),
    /// Some are running.
    Running,
    /// One has failed: the operation goes no further.
    Failed(String),
}

impl Journal {
    /// The journal of an operation that begins now, and later than this one did. What is still to be cleared away stays known.
    pub(super) fn begin(&self, operation: &str, now: u64) -> Self {
        Self {
            operation: operation.to_owned(),
            began: now.max(self.began.saturating_add(1)),
            at_deletion: self.at_deletion,
            farewell: self.farewell.clone(),
            approved: self.approved.clone(),
            remains: self.to_clear().take(REMAINS).cloned().collect(),
            ..Self::default()
        }
    }

    /// What the objects of a group's hooks carry, by which they are known as this operation's.
    pub(super) fn mark(&self, group: &str) -> String {
        format!("{}/{}/{group}", self.operation, self.began)
    }

    pub(super) fn run(&self, object: &str, group: Group) -> Option<&Run> {
        let group = name(group);
        self.runs
            .iter()
            .find(|run| run.object == object && run.group == group)
    }

    pub(super) fn run_mut(&mut self, object: &str, group: Group) -> Option<&mut Run> {
        let group = name(group);
        self.runs
            .iter_mut()
            .find(|run| run.object == object && run.group == group)
    }

    /// How the hooks of a group stand.
    pub(super) fn standing(&self, inputs: &Inputs, group: Group) -> Standing {
        let mut create = Vec::new();
        let mut running = false;
        for (index, hook) in inputs.hooks.iter().enumerate() {
            if !hook.groups.contains(&group) {
                continue;
            }
            let object = inputs.desired[hook.at].key.to_string();
            match self.run(&object, group) {
                None => create.push(index),
                Some(run) => match run.state {
                    State::Intended => create.push(index),
                    State::Running => running = true,
                    State::Succeeded => {}
                    State::Failed | State::TimedOut | State::Cancelled => {
                        let why = if run.message.is_empty() {
                            run.state.word()
                        } else {
                            &run.message
                        };
                        return Standing::Failed(format!("hook {object} failed: {why}"));
                    }
                },
            }
        }
        match (create.is_empty(), running) {
            (false, _) => Standing::Create(create),
            (true, true) => Standing::Running,
            (true, false) => Standing::Passed,
        }
    }

    /// Runs that were to be created, and may have been.
    pub(super) fn intended(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.state == State::Intended)
    }

    /// Runs that have ended and whose objects are still to be deleted, or told when to go.
    pub(super) fn to_clear(&self) -> impl Iterator<Item = &Run> {
        self.all().filter(|run| run.clear)
    }

    /// Runs of this operation, and what is left of earlier ones.
    pub(super) fn all(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().chain(&self.remains)
    }

    /// Whether this is the object of a run of an earlier operation that is still to be deleted.
    pub(super) fn remains_of(&self, uid: &str) -> bool {
        self.remains.iter().any(|run| run.uid == uid)
    }

    /// The object of a run is gone, knows when to go, or is left to itself.
    pub(super) fn cleared(&mut self, of: &Run) {
        let same = |run: &Run| run.object == of.object && run.group == of.group && run.uid == of.uid;
        self.remains.retain(|run| !same(run));
        if let Some(run) = self.runs.iter_mut().find(|run| same(run)) {
            run.clear = false;
        }
    }

    /// Runs that are under way.
    pub(super) fn running(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.state == State::Running)
    }

    /// Whether a hook has failed. Those for a failure come after it, and change nothing about it.
    pub(super) fn failed(&self) -> bool {
        let bad = |run: &Run| matches!(run.state, State::Failed | State::TimedOut);
        self.runs
            .iter()
            .any(|run| bad(run) && !run.group.starts_with("Fail"))
    }

    /// Whether no hook is left that could be created.
    pub(super) fn is_done(&self) -> bool {
        self.over || self.operation.is_empty()
    }

    /// For the status.
    pub(super) fn reports(&self) -> Vec<HookReport> {
        self.runs
            .iter()
            .take(super::report::KEPT)
            .map(|run| HookReport {
                object: run.object.clone(),
                phase: run.group.split(' ').next().unwrap_or_default().to_owned(),
                state: run.state.word().to_owned(),
                message: run.message.clone(),
            })
            .collect()
    }
}

/// How a group stands in the journal: phase and wave.
pub(super) fn name(group: Group) -> String {
    match group {
        Group::Early => "Early".to_owned(),
        Group::Pre(wave) => format!("Pre {wave}"),
        Group::Wave(wave) => format!("Sync {wave}"),
        Group::Post(wave) => format!("Post {wave}"),
        Group::Fail(wave) => format!("Fail {wave}"),
        Group::PreDelete(wave) => format!("PreDelete {wave}"),
        Group::PostDelete(wave) => format!("PostDelete {wave}"),
    }
}

/// Whether a run has taken longer than it may.
pub(super) fn is_late(run: &Run, limit: Duration, now: u64) -> bool {
    now.saturating_sub(run.began) > limit.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(object: &str, group: Group, state: State) -> Run {
        Run {
            object: object.into(),
            key: (String::new(), "Job".into(), None, "x".into()),
            group: name(group),
            state,
            uid: "u".into(),
            began: 100,
            message: String::new(),
            clear: false,
            ttl: None,
        }
    }

    #[test]
    fn runs_are_found_by_object_and_group() {
        let mut journal = Journal::default().begin("op", 7);
        journal.runs.push(run("Job n/a", Group::Pre(0), State::Succeeded));
        journal.runs.push(run("Job n/a", Group::Post(0), State::Running));
        assert_eq!(
            journal.run("Job n/a", Group::Post(0)).unwrap().state,
            State::Running
        );
        assert!(journal.run("Job n/a", Group::Post(1)).is_none());
        assert_eq!(journal.running().count(), 1);
        assert!(!journal.failed());
        journal.run_mut("Job n/a", Group::Post(0)).unwrap().state = State::TimedOut;
        assert!(journal.failed());
    }

    #[test]
    fn a_hook_for_a_failure_that_fails_is_no_failure_of_its_own() {
        let mut journal = Journal::default().begin("op", 7);
        journal.runs.push(run("Job n/a", Group::Fail(0), State::Failed));
        assert!(!journal.failed());
    }

    #[test]
    fn the_same_inputs_once_more_are_another_operation() {
        let first = Journal::default().begin("op", 7);
        // The clock may have been put back.
        let second = first.begin("op", 3);
        assert_ne!(first.mark("Pre 0"), second.mark("Pre 0"));
        assert_ne!(first.mark("Pre 0"), first.mark("Post 0"));
    }

    #[test]
    fn what_is_left_of_a_run_is_no_run_of_the_next_operation() {
        let mut first = Journal::default().begin("op", 7);
        let mut stuck = run("Job n/a", Group::Pre(0), State::Succeeded);
        stuck.clear = true;
        first.runs = vec![stuck.clone(), run("Job n/b", Group::Pre(0), State::Failed)];
        let mut third = first.begin("next", 8).begin("last", 9);
        assert!(third.run("Job n/a", Group::Pre(0)).is_none() && !third.failed());
        assert!(third.remains_of("u") && third.reports().is_empty());
        // A new run of the same object is another one.
        third.runs.push(Run {
            uid: "v".into(),
            ..stuck.clone()
        });
        assert_eq!(third.to_clear().count(), 2);
        third.cleared(&stuck);
        assert!(!third.remains_of("u"));
        assert_eq!(third.to_clear().count(), 1);
    }

    #[test]
    fn a_run_is_late_after_its_limit() {
        let one = run("a", Group::Pre(0), State::Running);
        assert!(!is_late(&one, Duration::from_mins(1), 160));
        assert!(is_late(&one, Duration::from_mins(1), 161));
    }

    #[test]
    fn the_journal_is_read_as_written() {
        let mut journal = Journal::default().begin("op", 7);
        journal.runs.push(run("Job n/a", Group::Pre(-3), State::Failed));
        let text = serde_json::to_string(&journal).unwrap();
        assert_eq!(serde_json::from_str::<Journal>(&text).unwrap(), journal);
    }
}
