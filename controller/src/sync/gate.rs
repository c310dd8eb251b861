//! Whether a Sync may write now: what it depends on, its windows, its mode, an approval.

use super::board::Standing as Posted;
use super::hooks;
use super::inputs::Inputs;
use super::inside::{Inside, Lodged};
use super::names::{Lodger, syncs};
use super::order::Group;
use super::pruning;
use super::strangers::{Look, Strangers};
use super::windows::{Standing, Windows};
use super::worker::Worker;
use crate::repository::Head;
use apply::plan::{Plan, Reason};
use apply::{ApiError, Key};
use crds::condition::READY;
use crds::{ConditionStatus, Mode, PlanReport, PrunePolicy, Sync, WindowKind};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// What a plan report shows of single objects.
pub(super) const SHOWN: usize = 50;

/// Whether a walk may begin.
pub(super) enum Gate {
    /// It may. What left Git is deleted beyond its limit where a person approved.
    Open { approved: bool },
    /// It may not.
    Held { reason: &'static str, message: String },
}

/// What the gate is asked about.
pub(super) struct Question<'a> {
    pub(super) sync: &'a Sync,
    pub(super) inputs: &'a Arc<Inputs>,
    pub(super) plan: &'a Plan,
    pub(super) head: &'a Head,
    /// The plan's digest.
    pub(super) digest: &'a str,
    /// Who else has something in what it deletes.
    pub(super) lodged: &'a Lodged,
    /// Whether hooks are still to run, those of an operation that has begun among them.
    pub(super) hooks: bool,
    /// Whether the spec is another one than that which was approved.
    pub(super) respecified: bool,
    /// Whether the hooks for the Sync's deletion are others than those that were approved.
    pub(super) farewell: bool,
}

impl Question<'_> {
    /// Whether it takes a person's word in mode Approval. Drift from what was approved needs no approval of its own.
    fn asks(&self) -> bool {
        let new = |step: &apply::plan::Step| step.reason != Reason::Drifted;
        self.hooks
            || self.respecified
            || self.farewell
            || self.plan.apply.iter().any(new)
            || !self.plan.prune.is_empty()
    }

    /// Whether nothing is left to be written: only how it stands is said.
    pub(super) fn is_idle(&self) -> bool {
        let plan = self.plan.apply.is_empty() && self.plan.prune.is_empty();
        plan && self.inputs.failures.is_empty() && !self.hooks && !self.respecified && !self.farewell
    }
}

impl Worker {
    /// Answers, and sets a timer where time alone will change the answer.
    pub(super) fn gate(&mut self, question: &Question<'_>) -> Gate {
        if let Some(message) = self.unmet(question.sync, question.head) {
            return Gate::Held {
                reason: "DependencyNotReady",
                message,
            };
        }
        let spec = &question.sync.spec;
        let approval = self.rooms.approvals.approved(
            &self.id.namespace,
            &self.id.name,
            question.digest,
            Timestamp::now(),
        );
        if let Some(expires) = approval.as_ref().and_then(|approval| approval.expires) {
            self.wake_at(Some(expires));
        }
        if spec.mode == Mode::Approval && question.asks() && approval.is_none() {
            let message = format!(
                "{} waits for an approval of plan {}: signet approve {} -n {}.",
                question.head.revision.short(),
                question.digest.get(..12).unwrap_or_default(),
                self.id.name,
                self.id.namespace,
            );
            return Gate::Held {
                reason: "AwaitingApproval",
                message,
            };
        }
        match self.window(question.sync) {
            Ok(None) => Gate::Open {
                approved: approval.is_some(),
            },
            Ok(Some(message)) => Gate::Held {
                reason: "WindowClosed",
                message,
            },
            Err(message) => Gate::Held {
                reason: "InvalidSpec",
                message,
            },
        }
    }

    /// What the Sync waits for, if a Sync that it depends on is not ready. Its own standing is posted first.
    fn unmet(&self, sync: &Sync, head: &Head) -> Option<String> {
        let names: Vec<String> = sync.spec.depends_on.iter().map(|on| on.name.clone()).collect();
        if names.is_empty() {
            return None;
        }
        self.post(sync, self.looked_at.as_ref().or(Some(head)), false);
        if names.iter().any(|needed| *needed == *self.id.name) {
            return Some("The Sync depends on itself. Remove it from spec.dependsOn.".to_owned());
        }
        let (namespace, name) = (&self.id.namespace, &self.id.name);
        if let Some(circle) = self.rooms.board.cycle(namespace, name) {
            return Some(format!(
                "The Syncs wait for one another: {}. Remove one of them from spec.dependsOn.",
                circle.join(" \u{2192} ")
            ));
        }
        let repository = &sync.spec.source_ref.name;
        // A Sync that is pinned comes after the newest commit, as the others have it.
        let head = self.looked_at.as_ref().unwrap_or(head);
        let unmet = self
            .rooms
            .board
            .unmet(namespace, name, &names, repository, &head.revision.commit);
        let sentences: Vec<_> = unmet.iter().take(5).map(|unmet| unmet.why.as_str()).collect();
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }

    /// Posts how this Sync stands, for those that depend on it; without a head it has seen no commit yet.
    pub(super) fn post(&self, sync: &Sync, head: Option<&Head>, settled: bool) {
        let ready = crate::condition::get(&self.status.conditions, READY)
            .is_some_and(|ready| ready.status == ConditionStatus::True);
        let standing = Posted {
            generation_observed: Some(self.status.observed_generation) == sync.metadata.generation,
            ready: ready && settled,
            repository: sync.spec.source_ref.name.clone(),
            commit: head.map(|head| head.revision.commit.clone()).unwrap_or_default(),
            depends_on: sync.spec.depends_on.iter().map(|on| on.name.clone()).collect(),
            mailbox: Arc::clone(&self.mailbox),
        };
        self.rooms.board.post(&self.id.namespace, &self.id.name, standing);
    }

    /// Whether something may be written outside of a walk: the mode and the windows let it, and the account is there. In mode
    /// Approval only a walk writes: it was approved.
    pub(super) async fn may_write(&mut self, sync: &Sync) -> bool {
        sync.spec.mode == Mode::Automatic
            && !sync.spec.suspend
            && matches!(self.window(sync), Ok(None))
            && self.admit(sync).await.is_ok()
    }

    /// Why nothing may be written now, if a window says so. An error is the spec's.
    pub(super) fn window(&mut self, sync: &Sync) -> Result<Option<String>, String> {
        if sync.spec.windows.is_empty() {
            return Ok(None);
        }
        let windows = Windows::parse(&sync.spec.windows).map_err(|error| format!("{error}."))?;
        match windows.at(Timestamp::now()) {
            Standing::Open { until } => {
                self.wake_at(until);
                Ok(None)
            }
            Standing::Closed { until, by, kind } => {
                self.wake_at(until);
                let schedule = sync.spec.windows.get(by).map_or("", |window| &window.schedule);
                let until =
                    until.map_or_else(String::new, |until| format!(", at the earliest until {until:.0}"));
                Ok(Some(match kind {
                    WindowKind::Deny => {
                        format!("Nothing is written inside the window Deny {schedule:?}{until}.")
                    }
                    WindowKind::Allow => {
                        format!("Nothing is written outside of the window Allow {schedule:?}{until}.")
                    }
                }))
            }
        }
    }

    pub(super) fn wake_at(&mut self, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        let pause = at.duration_since(Timestamp::now());
        // A little later: a clock that is asked too early says the same as before.
        let pause = Duration::try_from(pause).unwrap_or_default() + Duration::from_millis(50);
        self.wake_in(pause.min(Duration::from_hours(24)));
    }

    /// The digest of a plan: what an approval names.
    pub(super) fn plan_digest(&self, sync: &Sync, inputs: &str, plan: &Plan, lodged: &Lodged) -> String {
        let records = self.checkpoint.records();
        let uids: Vec<(String, String)> = plan
            .prune
            .iter()
            .filter_map(|key| {
                // What was never answered has no uid, and is deleted all the same.
                let uid = records.get(key)?.whose();
                // Whoever approves has to know what goes with it.
                Some((key.to_string(), format!("{uid} {}", lodged.mark(key))))
            })
            .collect();
        pruning::plan_digest(self.rooms.context.digest_key.expose(), &sync.spec, inputs, &uids)
    }

    /// Who has objects that would go with what left Git: the plan of these inputs. A plan that waits is not looked at anew at every
    /// wake, unless somebody asks: `anew`.
    pub(super) async fn lodged(
        &mut self,
        sync: &Sync,
        plan: &Plan,
        inputs: &str,
        anew: bool,
    ) -> Result<Lodged, ApiError> {
        let catalog = self.rooms.kinds.current();
        let look = self.look.take();
        let inside = |key: &Key| Some((key.clone(), Inside::of(key, &catalog)?));
        let insides: Vec<_> = plan.prune.iter().filter_map(inside).collect();
        if insides.is_empty() || sync.spec.prune.policy == PrunePolicy::Orphan {
            return Ok(Lodged::default());
        }
        let records = self.checkpoint.records().values();
        let uids = records.filter_map(|record| record.uid.as_deref());
        let ours: HashSet<Box<str>> = uids.map(Into::into).collect();
        let generation = sync.metadata.generation.unwrap_or_default();
        let of = (inputs.to_owned(), generation, plan.prune.clone());
        let look = if let Some(look) = look.filter(|look| !anew && look.counts(&of)) {
            look
        } else {
            let identity = self.hand(sync).identity.clone();
            let mut found = HashMap::new();
            for (key, inside) in &insides {
                let strangers = self.strangers(&identity, inside, &catalog, &ours).await?;
                found.insert(key.clone(), strangers);
            }
            Look::new(of, found)
        };
        let all = insides.into_iter().map(|(key, _)| {
            let strangers = look.found.get(&key).cloned().unwrap_or_default();
            let lodgers = self.lodgers(&key);
            (key, lodgers, strangers)
        });
        let lodged = Lodged::new(all, ours);
        self.look = Some(look);
        Ok(lodged)
    }

    /// The Syncs that have objects which would go with this one.
    fn lodgers(&self, key: &Key) -> Vec<String> {
        let Some(inside) = Inside::of(key, &self.rooms.kinds.current()) else {
            return Vec::new();
        };
        match self.rooms.names.lodger(&self.id.manager, &inside) {
            Lodger::Syncs(names) => names,
            Lodger::Nobody | Lodger::Unknown => Vec::new(),
        }
    }

    /// Whether the Sync's spec, in mode Approval, is another one than that which was let in last. Where none is written down,
    /// it was let in by another mode: to change that takes the right to approve as well.
    pub(super) fn is_respecified(&self, sync: &Sync) -> bool {
        let approved = &self.checkpoint.journal.approved;
        sync.spec.mode == Mode::Approval && !approved.is_empty() && *approved != self.spec_digest(sync)
    }

    /// Writes down which spec was let in, before anything is done as it says.
    pub(super) async fn let_in(&mut self, sync: &Sync) -> Result<(), ApiError> {
        let digest = match sync.spec.mode {
            Mode::Approval => self.spec_digest(sync),
            Mode::Automatic | Mode::Detect => String::new(),
        };
        if self.checkpoint.journal.approved == digest {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.checkpoint.journal.approved, digest);
        let saved = self.checkpoint.save_journal().await;
        if saved.is_err() {
            self.checkpoint.journal.approved = before;
        }
        saved
    }

    /// The digest of a spec alone: of a plan that holds nothing.
    fn spec_digest(&self, sync: &Sync) -> String {
        pruning::plan_digest(self.rooms.context.digest_key.expose(), &sync.spec, "", &[])
    }

    /// What would be deleted once it is approved, after everything else was done: `held`. Whatever else the digest covers that somebody
    /// else is in is shown with it: an approval is of that as well.
    pub(super) fn prune_report(
        &self,
        question: &Question<'_>,
        inputs: &str,
        lodged: &Lodged,
        held: Vec<Key>,
        reason: &str,
    ) -> PlanReport {
        let recorded = |key: &&Key| self.checkpoint.records().contains_key(*key);
        let mut plan = Plan {
            prune: question.plan.prune.iter().filter(recorded).cloned().collect(),
            ..Plan::default()
        };
        // As the next pass will see it: what stays by its own word stays recorded.
        let digest = self.plan_digest(question.sync, inputs, &plan, lodged);
        let shown: HashSet<&Key> = held.iter().collect();
        // First: a long list is cut off at its end.
        plan.prune
            .retain(|key| lodged.anybody(key) && !shown.contains(key));
        plan.prune.extend(held);
        let question = Question {
            plan: &plan,
            digest: &digest,
            lodged,
            ..*question
        };
        self.plan_report(&question, reason)
    }

    /// What would be done, for the status. `reason` is a sentence.
    pub(super) fn plan_report(&self, question: &Question<'_>, reason: &str) -> PlanReport {
        let mut actions: Vec<String> = question
            .plan
            .prune
            .iter()
            .map(|key| deletion(key, question.lodged))
            .collect();
        let hooks = question
            .inputs
            .runs(|group| (question.hooks && group.is_step()) || (question.farewell && group.is_farewell()));
        // Before what is only put right: an approval lets them in.
        let run = |(key, group): &(&Key, Group)| format!("{} ({})", line("run", key), hooks::name(*group));
        actions.extend(hooks.iter().map(run));
        let (mut create, mut update) = (0, 0);
        for step in &question.plan.apply {
            let key = &question.inputs.desired[step.desired].key;
            let known = self
                .checkpoint
                .records()
                .get(key)
                .is_some_and(|record| record.uid.is_some());
            if known {
                update += 1;
            } else {
                create += 1;
            }
            if actions.len() < SHOWN {
                actions.push(line(if known { "update" } else { "create" }, key));
            }
        }
        actions.truncate(SHOWN);
        PlanReport {
            digest: question.digest.to_owned(),
            revision: question.head.revision.short(),
            reason: reason.to_owned(),
            create,
            update,
            delete: u32::try_from(question.plan.prune.len()).unwrap_or(u32::MAX),
            run: u32::try_from(hooks.len()).unwrap_or(u32::MAX),
            actions,
        }
    }
}

fn line(action: &str, key: &Key) -> String {
    format!("{action} {key}")
}

/// The deletion of an object, and what goes with it.
pub(super) fn deletion(key: &Key, lodged: &Lodged) -> String {
    let mut action = line("delete", key);
    if let lodgers @ [_, ..] = lodged.of(key) {
        let _ = write!(action, ", with what {} has in it", syncs(lodgers));
    }
    if let Some(names) = lodged.strangers(key).and_then(Strangers::names) {
        let _ = write!(action, ", and with it {names}");
    }
    action
}
