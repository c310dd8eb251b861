//! The walk through a Sync's groups: apply one, see it ready, go on to the next. It never waits inside: what is not ready
//! yet wakes the worker when it is, and the next pass walks again, quickly, to where this one stood.

use super::attempt::Attempt;
use super::execute::Hand;
use super::health::Ready;
use super::hooks::{self, Standing};
use super::inputs::Inputs;
use super::order::Group;
use super::report::Failure;
use super::restart::waits_for;
use super::worker::Worker;
use crate::repository::Head;
use apply::plan::{Plan, Step};
use crds::{HealthReport, Sync};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a walk came to.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) attempt: Attempt,
    /// What the next step waits for.
    pub(super) waits: Vec<HealthReport>,
    /// Where it stands, if it did not come to the end.
    pub(super) stopped: Option<Group>,
    /// Why it goes no further, in a word and a sentence: a hook, or an object, failed, or took too long.
    pub(super) fatal: Option<(&'static str, String)>,
}

impl Walk {
    /// Everything is applied and ready, and every hook has succeeded.
    pub(super) fn is_complete(&self) -> bool {
        self.stopped.is_none() && self.fatal.is_none() && self.attempt.failures.is_empty()
    }
}

/// What a walk is about.
pub(super) struct Errand<'a> {
    pub(super) sync: &'a Sync,
    pub(super) inputs: &'a Arc<Inputs>,
    pub(super) plan: &'a Plan,
    pub(super) head: &'a Head,
    pub(super) generation: i64,
    pub(super) hand: Arc<Hand>,
}

impl Worker {
    /// An errand, with a hand of its own.
    pub(super) fn errand<'a>(
        &self,
        sync: &'a Sync,
        inputs: &'a Arc<Inputs>,
        plan: &'a Plan,
        head: &'a Head,
    ) -> Errand<'a> {
        Errand {
            sync,
            inputs,
            plan,
            head,
            generation: sync.metadata.generation.unwrap_or_default(),
            hand: self.hand(sync),
        }
    }

    pub(super) async fn walk(&mut self, errand: &Errand<'_>, operation: &str) -> Walk {
        let inputs = errand.inputs;
        let mut walk = Walk::default();
        let hooks = inputs.hooks.iter().flat_map(|hook| &hook.groups).copied();
        let groups: BTreeSet<Group> = inputs.groups.iter().copied().chain(hooks).collect();
        self.watch_hooks(errand, &mut walk.attempt).await;
        let mut hooks_run = false;
        for group in groups.iter().copied().filter(|group| group.is_step()) {
            if matches!(group, Group::Post(_)) && !inputs.failures.is_empty() {
                // What they come after is not whole.
                walk.stopped = Some(group);
                break;
            }
            let failed_before = walk.attempt.failures.len();
            self.apply_group(errand, group, &mut walk).await;
            if walk.attempt.cut {
                walk.stopped = Some(group);
                return walk;
            }
            match self.hook_group(errand, group, &mut walk.attempt).await {
                Standing::Passed => {}
                standing @ (Standing::Create(_) | Standing::Running) => {
                    hooks_run |= standing == Standing::Running;
                    walk.waits.extend(self.running_hooks());
                    walk.stopped = Some(group);
                }
                Standing::Failed(why) => walk.fatal = Some(("HookFailed", why)),
            }
            let members = (0..inputs.groups.len()).filter(|at| inputs.groups[*at] == group);
            for at in members {
                match self.ready(inputs, at) {
                    Ready::Yes => {}
                    // A namespace or a definition that failed stops only what needs it, and that fails by itself.
                    Ready::Failed(_) if group == Group::Early => {}
                    Ready::Waits(_) if group == Group::Early && !self.is_applied(inputs, at) => {}
                    Ready::Waits(report) => walk.waits.push(report),
                    Ready::Failed(report) => {
                        let message = report.message.trim_end_matches('.');
                        let why = format!("{} failed: {message}", report.object);
                        walk.fatal.get_or_insert(("HealthFailed", why));
                        walk.waits.push(report);
                    }
                }
            }
            let failed = walk.attempt.failures.len() > failed_before && group != Group::Early;
            let held = inputs.held_at.is_some_and(|held| held <= group) && group != Group::Early;
            if failed || held || walk.fatal.is_some() || !walk.waits.is_empty() {
                walk.stopped = Some(group);
                break;
            }
        }
        let fails = !walk.attempt.failures.is_empty() || !inputs.failures.is_empty();
        if let Some(stopped) = walk.stopped.filter(|_| walk.fatal.is_none() && !fails) {
            // A hook has a limit of its own.
            if hooks_run {
                self.unready_since = None;
            } else if self.is_late(errand.sync, operation, &hooks::name(stopped)) {
                let why = format!("{stopped} did not become ready in time");
                walk.fatal = Some(("HealthTimeout", why));
            }
        }
        // What time alone may heal has not failed yet.
        let mut failures = walk.attempt.failures.iter().chain(&inputs.failures);
        let refused = failures.any(|failure| !failure.transient);
        if walk.fatal.is_some() || refused {
            self.failure_hooks(errand, &groups, &mut walk.attempt).await;
        } else if walk.is_complete() {
            self.operation_ends(&mut walk.attempt).await;
        }
        walk
    }

    /// Whether a group has waited for longer than the Sync allows. Each has the whole time.
    pub(super) fn is_late(&mut self, sync: &Sync, operation: &str, group: &str) -> bool {
        let limit = crate::duration::parse(&sync.spec.timeout).unwrap_or(Duration::from_mins(5));
        let what = format!("{operation}/{group}");
        let since = match &self.unready_since {
            Some((of, since)) if *of == what => *since,
            _ => Instant::now(),
        };
        self.unready_since = Some((what, since));
        let left = limit.saturating_sub(since.elapsed());
        if !left.is_zero() {
            self.wake_in(left);
        }
        left.is_zero()
    }

    /// Applies what a group holds and the plan asks for; what depends on others, when those are ready.
    async fn apply_group(&mut self, errand: &Errand<'_>, group: Group, walk: &mut Walk) {
        let inputs = errand.inputs;
        let of_group =
            |step: &&Step| inputs.groups[step.desired] == group && !inputs.blocked.contains(&step.desired);
        let mut left: Vec<Step> = errand.plan.apply.iter().filter(of_group).copied().collect();
        while !left.is_empty() {
            let (now, later): (Vec<Step>, Vec<Step>) = left.into_iter().partition(|step| {
                let needs = inputs.needs.get(&step.desired);
                let awaits = self.awaits_secret(inputs, step.desired).is_some();
                !awaits
                    && needs.is_none_or(|needs| {
                        needs
                            .iter()
                            .all(|at| matches!(self.ready(inputs, *at), Ready::Yes))
                    })
            });
            left = later;
            if now.is_empty() {
                break;
            }
            if let Err(error) = self.intend(errand.sync, inputs, &now).await {
                let message = format!("what is about to be applied could not be written down: {error}");
                walk.attempt.fails(Failure::passing(&message, error.hint()));
                walk.attempt.cut = true;
                return;
            }
            let did = self.execute(errand, &now).await;
            walk.attempt.add(did);
            if walk.attempt.cut {
                return;
            }
        }
        for step in left {
            let key = &inputs.desired[step.desired].key;
            let first = inputs.needs.get(&step.desired).and_then(|needs| {
                needs
                    .iter()
                    .find(|at| !matches!(self.ready(inputs, **at), Ready::Yes))
            });
            let message = match (first, self.awaits_secret(inputs, step.desired)) {
                (Some(at), _) => format!("It depends on {}.", inputs.desired[*at].key),
                (None, Some(secret)) => waits_for(secret),
                (None, None) => String::new(),
            };
            self.note_waiting_drift(key, &message);
            walk.waits.push(HealthReport {
                object: key.to_string(),
                status: "Waiting".into(),
                message,
                since: String::new(),
            });
        }
    }
}

impl Attempt {
    fn add(&mut self, other: Self) {
        self.counts.created += other.counts.created;
        self.counts.changed += other.counts.changed;
        self.counts.unchanged += other.counts.unchanged;
        self.failures.extend(other.failures);
        self.cut |= other.cut;
    }

    /// Notes a failure that is no object's.
    pub(super) fn fails(&mut self, failure: Failure) {
        self.failures.push(failure);
    }
}
