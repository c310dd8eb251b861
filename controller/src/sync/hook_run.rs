//! Running hooks: created once, watched, cleared away as they ask for.

use super::attempt::Attempt;
use super::execute::Hand;
use super::hooks::{self, DELETION, Run, Standing, State};
use super::inputs::Inputs;
use super::order::Group;
use super::report::Failure;
use super::walk::Errand;
use super::worker::Worker;
use crate::events::Severity;
use crate::observe::Health;
use apply::plan::{Reason, Step};
use apply::words::OwnWord;
use apply::{ApiError, DeleteOutcome, ErrorKind, Key, KindInfo, Meta};
use crds::{HealthReport, annotation, label};
use health::Status;
use kube::api::ObjectMeta;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl Worker {
    /// Whether hooks of the walk over these inputs are still to run, or to end. `again`: as in [`Worker::begin_operation`].
    pub(super) fn hooks_to_run(&self, inputs: &Inputs, operation: &str, again: bool) -> bool {
        let journal = &self.checkpoint.journal;
        inputs.has_hooks(|group| group.is_step() || matches!(group, Group::Fail(_)))
            && (!journal.over || journal.operation != operation || (again && journal.failed()))
    }

    /// Sees to it that the journal speaks of this operation. A running hook of an earlier one is cancelled: the newer
    /// revision goes before it. `again`: a failed operation is tried anew.
    pub(super) async fn begin_operation(
        &mut self,
        errand: &Errand<'_>,
        operation: &str,
        again: bool,
    ) -> Result<(), ApiError> {
        let journal = &self.checkpoint.journal;
        let same = journal.operation == operation && !(again && journal.failed());
        let none = errand.inputs.hooks.is_empty() && journal.runs.is_empty() && !journal.at_deletion;
        let goes = operation == DELETION;
        let farewell = self.farewell_digest(errand.inputs);
        if same || none {
            if !goes && self.checkpoint.journal.farewell != farewell {
                self.checkpoint.journal.farewell = farewell;
                return self.checkpoint.save_journal().await;
            }
            return Ok(());
        }
        // What is still to be done about those that have ended: their remains would stand in the way of the next run. What cannot be
        // done now stays written down, and only that run waits for it.
        for run in self.clear_hooks(errand, &mut Attempt::default()).await {
            self.checkpoint.journal.cleared(&run);
        }
        let journal = &self.checkpoint.journal;
        // What was given up may still run. With the Sync, all of it goes.
        let runs = |run: &&Run| {
            matches!(run.state, State::Running | State::TimedOut) || (goes && !run.uid.is_empty())
        };
        let running: Vec<Run> = journal.all().filter(runs).cloned().collect();
        let hand = self.hand(errand.sync);
        for run in running {
            let Some((info, key)) = self.hook_key(&run) else {
                continue;
            };
            // A newer revision does not wait for a right that is missing.
            match hand.prune(&info, &key, Some(&run.uid)).await {
                Err(error) if error.is_transient() => return Err(error.unquoted()),
                Err(error) => {
                    let sentence = format!(
                        "Hook {} cannot be cancelled, and is left to itself: {}.",
                        run.object,
                        self.said_of(&key, &error)
                    );
                    self.event(Severity::Warning, "HookLeft", &sentence);
                }
                Ok(_) => {}
            }
            self.rooms.observer.release(&key, &self.mailbox);
            if !matches!(run.state, State::Running | State::TimedOut) {
                continue;
            }
            let why = if goes {
                "the Sync is deleted"
            } else if again {
                "it is tried anew"
            } else {
                "a newer revision goes before it"
            };
            let sentence = format!("Cancelled hook {}: {why}.", run.object);
            self.event(Severity::Normal, "HookCancelled", &sentence);
        }
        // What was about to be created when the controller was killed may be there.
        let intended: Vec<Run> = self.checkpoint.journal.intended().cloned().collect();
        for run in intended {
            let Some((info, key)) = self.hook_key(&run) else {
                continue;
            };
            let mark = self.checkpoint.journal.mark(&run.group);
            let other = |meta: &Meta| (run_of(&meta.0) != Some(&mark)).then_some(OwnWord::Keep);
            let pruned = hand.prune_unless(&info, &key, |_| true, other).await;
            pruned.map_err(ApiError::unquoted)?;
            self.rooms.observer.release(&key, &self.mailbox);
        }
        let mut journal = self.checkpoint.journal.begin(operation, milliseconds_now());
        // Without a journal, what the status calls applied had its hooks run.
        let known = self.checkpoint.journal.operation.is_empty();
        journal.over = known && !again && self.status.inputs == operation && self.speaks_of_a_walk();
        journal.at_deletion = errand.inputs.has_hooks(Group::is_farewell);
        if !goes {
            journal.farewell = farewell;
        }
        self.checkpoint.journal = journal;
        self.checkpoint.save_journal().await
    }

    /// How the hooks of a group stand; those that can be created are.
    pub(super) async fn hook_group(
        &mut self,
        errand: &Errand<'_>,
        group: Group,
        attempt: &mut Attempt,
    ) -> Standing {
        if self.checkpoint.journal.over {
            return match self.checkpoint.journal.standing(errand.inputs, group) {
                Standing::Failed(why) => Standing::Failed(why),
                _ => Standing::Passed,
            };
        }
        if let Standing::Create(indices) = self.checkpoint.journal.standing(errand.inputs, group)
            && let Err(error) = self.create_hooks(errand, group, &indices, attempt).await
        {
            attempt.fails(Failure::passing(
                &format!("hooks cannot be run: {error}"),
                error.hint(),
            ));
        }
        self.checkpoint.journal.standing(errand.inputs, group)
    }

    async fn create_hooks(
        &mut self,
        errand: &Errand<'_>,
        group: Group,
        indices: &[usize],
        attempt: &mut Attempt,
    ) -> Result<(), ApiError> {
        let inputs = errand.inputs;
        for index in indices {
            let key = &inputs.desired[inputs.hooks[*index].at].key;
            let object = key.to_string();
            if self.checkpoint.journal.run(&object, group).is_none() {
                self.checkpoint.journal.runs.push(Run {
                    object,
                    key: (
                        key.kind.group.to_string(),
                        key.kind.kind.to_string(),
                        key.namespace.as_deref().map(ToOwned::to_owned),
                        key.name.to_string(),
                    ),
                    group: hooks::name(group),
                    state: State::Intended,
                    uid: String::new(),
                    began: 0,
                    message: String::new(),
                    clear: false,
                    ttl: None,
                });
            }
        }
        // Intent first: whoever starts after a crash looks for what may have been created.
        self.checkpoint.save_journal().await?;
        let hand = self.hand(errand.sync);
        for index in indices {
            self.create_hook(errand, group, *index, &hand, attempt).await?;
        }
        // Some have ended already: what was found after a crash, and what is ready as soon as it is there.
        if !matches!(
            self.checkpoint.journal.standing(inputs, group),
            Standing::Create(_)
        ) {
            self.mailbox.health();
        }
        self.checkpoint.save_journal().await
    }

    async fn create_hook(
        &mut self,
        errand: &Errand<'_>,
        group: Group,
        index: usize,
        hand: &Arc<Hand>,
        attempt: &mut Attempt,
    ) -> Result<(), ApiError> {
        let inputs = errand.inputs;
        let (at, policy) = (inputs.hooks[index].at, inputs.hooks[index].hook.delete);
        let (key, info) = (&inputs.desired[at].key, &inputs.wanted[at].info);
        let object = key.to_string();
        if let Some(why) = self.blind_to(info) {
            // Its end would not be seen.
            let (origin, hint) = (&inputs.wanted[at].item.origin, "this is tried again by itself");
            let message = format!("the hook is not run, since its end would not be seen: {why}");
            attempt.fails(Failure::of(key, Some(origin), &message, hint, true));
            return Ok(());
        }
        self.rooms.observer.attend(key, &self.mailbox, None);
        if let Some(Meta(found)) = self.rooms.server.metadata(&hand.identity, info, key).await? {
            let uid = found.uid.clone().unwrap_or_default();
            let ours = found
                .labels
                .as_ref()
                .and_then(|all| all.get(label::APPLYSET_PART_OF))
                == Some(&self.id.applyset);
            let mark = self.checkpoint.journal.mark(&hooks::name(group));
            let stranger = "an object of this name exists and is no hook of this Sync";
            if ours && run_of(&found) == Some(&mark) {
                // Made by a request whose answer was lost.
                self.hook_began(&object, group, uid);
                attempt.counts.created += 1;
            } else if self.checkpoint.journal.remains_of(&uid) {
                // It could not be deleted just now, as the attempt says, and is tried again.
            } else if !ours {
                self.hook_ended(&object, group, State::Failed, stranger);
            } else if found.deletion_timestamp.is_none()
                && !policy.before_creation
                && !inputs.wanted[at].item.generate_name
            {
                let why = "an earlier run is still there, and its delete policy keeps it";
                self.hook_ended(&object, group, State::Failed, why);
            } else if found.deletion_timestamp.is_none()
                // Its disappearance wakes this worker.
                && hand.prune(info, key, Some(&uid)).await.map_err(ApiError::unquoted)? == DeleteOutcome::NotOurs
            {
                self.hook_ended(&object, group, State::Failed, stranger);
            }
            return Ok(());
        }
        let step = Step {
            desired: at,
            reason: Reason::New,
        };
        let ring = self.rooms.context.keys.borrow().clone();
        let mut answer = None;
        let hand = self.hook_hand(errand.sync, group);
        let lost = hand
            .apply(
                inputs,
                &[step],
                &errand.head.snapshot,
                &ring,
                || false,
                |sent| answer = Some(sent.result),
            )
            .await;
        // It is attended, not expected: a hook that goes away is no drift.
        let live = match &answer {
            Some(Ok((applied, _))) => Some(&applied.live),
            _ => None,
        };
        self.rooms.observer.release(key, &self.mailbox);
        self.rooms.observer.attend(key, &self.mailbox, live);
        match (answer, lost) {
            (Some(Ok((applied, _))), _) => {
                self.hook_began(&object, group, applied.live.uid.to_string());
                attempt.counts.created += 1;
            }
            (Some(Err(failure)), _) if !failure.transient => {
                let why = failure.report.message.clone();
                attempt.fails(failure);
                self.hook_ended(&object, group, State::Failed, &why);
            }
            (Some(Err(failure)), _) => attempt.fails(failure),
            (None, Some(lost)) => return Err(lost),
            (None, None) => {}
        }
        Ok(())
    }

    /// Looks at the hooks that run, and writes down how they ended.
    pub(super) async fn watch_hooks(&mut self, errand: &Errand<'_>, attempt: &mut Attempt) {
        let now = seconds_now();
        let spec = crate::duration::parse(&errand.sync.spec.timeout).unwrap_or(Duration::from_mins(5));
        let (mut ended, mut unserved) = (Vec::new(), Vec::new());
        let running: Vec<Run> = self.checkpoint.journal.running().cloned().collect();
        for run in &running {
            let Some((_, key)) = self.hook_key(run) else {
                // Its definition is gone, or only out of sight.
                if hooks::is_late(run, spec, now) {
                    unserved.push(run.clone());
                }
                continue;
            };
            self.rooms.observer.attend(&key, &self.mailbox, None);
            let hook = errand
                .inputs
                .hooks
                .iter()
                .find(|hook| errand.inputs.desired[hook.at].key == key);
            let limit = hook.and_then(|hook| hook.hook.timeout).unwrap_or(spec);
            let (state, message) = match self.rooms.observer.health(&key) {
                Health::Current => (State::Succeeded, String::new()),
                Health::Of(judged) if judged.status == Status::Failed => {
                    // A hook that is no more in Git may have held one.
                    let secret = hook.is_none_or(|hook| errand.inputs.wanted[hook.at].item.holds_secret());
                    (State::Failed, super::health::said(&judged, secret).to_owned())
                }
                Health::Absent => (State::Failed, "it disappeared before its end was seen".to_owned()),
                _ if hooks::is_late(run, limit, now) => (
                    State::TimedOut,
                    format!("it did not end within {} s", limit.as_secs()),
                ),
                _ => {
                    let left = limit.saturating_sub(Duration::from_secs(now.saturating_sub(run.began)));
                    self.wake_in(left + Duration::from_secs(1));
                    continue;
                }
            };
            ended.push((
                run.object.clone(),
                run.group.clone(),
                state,
                message,
                key,
                hook.is_some_and(|hook| match state {
                    State::Succeeded => hook.hook.delete.succeeded,
                    _ => hook.hook.delete.failed,
                }),
                hook.and_then(|hook| errand.inputs.options(hook.at).ttl),
            ));
        }
        for run in unserved {
            let why = format!(
                "it did not end within {} s, and its kind is not served now",
                spec.as_secs()
            );
            let object = run.object.clone();
            if let Some(run) = self
                .checkpoint
                .journal
                .runs
                .iter_mut()
                .find(|known| **known == run)
            {
                (run.state, run.message) = (State::TimedOut, why.clone());
            }
            self.event(
                Severity::Warning,
                "HookFailed",
                &format!("Hook {object} failed: {why}."),
            );
        }
        if ended.is_empty() {
            self.clear_hooks(errand, attempt).await;
            return;
        }
        for (object, group, state, message, key, goes, ttl) in &ended {
            let found = self
                .checkpoint
                .journal
                .runs
                .iter_mut()
                .find(|run| run.object == *object && run.group == *group);
            if let Some(run) = found {
                let ttl = ttl.filter(|_| !goes);
                (run.state, run.message) = (*state, message.clone());
                (run.clear, run.ttl) = (*goes || ttl.is_some(), ttl);
            }
            self.rooms.observer.release(key, &self.mailbox);
            if *state != State::Succeeded {
                let sentence = format!("Hook {object} failed: {message}.");
                self.event(Severity::Warning, "HookFailed", &sentence);
            }
        }
        // Before anything is cleared away: what is gone cannot be looked at again.
        if let Err(error) = self.checkpoint.save_journal().await {
            attempt.fails(Failure::passing(
                &format!("the end of a hook could not be written down: {error}"),
                error.hint(),
            ));
            return;
        }
        self.clear_hooks(errand, attempt).await;
    }

    /// Deletes what has ended and asks for that, and tells what asks for some time when to go. What cannot be done now is tried again,
    /// and is in the attempt. Those that time alone does not heal, for want of a right, are given back.
    async fn clear_hooks(&mut self, errand: &Errand<'_>, attempt: &mut Attempt) -> Vec<Run> {
        let ended: Vec<Run> = self.checkpoint.journal.to_clear().cloned().collect();
        let mut refused = Vec::new();
        if ended.is_empty() {
            return refused;
        }
        let hand = self.hand(errand.sync);
        for run in ended {
            let Some((info, key)) = self.hook_key(&run) else {
                continue;
            };
            let cleared = match run.ttl {
                Some(ttl) => expire(&hand, &info, &key, &run.uid, ttl).await,
                None => hand.prune(&info, &key, Some(&run.uid)).await.map(|_| ()),
            };
            match cleared {
                Ok(()) => self.checkpoint.journal.cleared(&run),
                Err(error) => {
                    let message = format!("the hook cannot be deleted: {}", self.said_of(&key, &error));
                    let transient = error.is_transient();
                    attempt.fails(Failure::of(&key, None, &message, error.hint(), transient));
                    if !transient {
                        refused.push(run);
                    }
                }
            }
        }
        // Where that is not written down, what is gone is looked for once more.
        let _ = self.checkpoint.save_journal().await;
        refused
    }

    /// Runs the hooks for a failure, once; then the operation is over.
    pub(super) async fn failure_hooks(
        &mut self,
        errand: &Errand<'_>,
        groups: &BTreeSet<Group>,
        attempt: &mut Attempt,
    ) {
        if self.checkpoint.journal.over || errand.inputs.hooks.is_empty() {
            return;
        }
        for group in groups
            .iter()
            .copied()
            .filter(|group| matches!(group, Group::Fail(_)))
        {
            match self.hook_group(errand, group, attempt).await {
                Standing::Passed => {}
                Standing::Create(_) | Standing::Running => return,
                Standing::Failed(_) => break,
            }
        }
        if self.checkpoint.journal.failed() {
            self.operation_ends(attempt).await;
        }
    }

    pub(super) async fn operation_ends(&mut self, attempt: &mut Attempt) {
        if self.checkpoint.journal.over || self.checkpoint.journal.operation.is_empty() {
            return;
        }
        self.checkpoint.journal.over = true;
        if let Err(error) = self.checkpoint.save_journal().await {
            self.checkpoint.journal.over = false;
            attempt.fails(Failure::passing(
                &format!("the end of the hooks could not be written down: {error}"),
                error.hint(),
            ));
        }
    }

    /// What waits for hooks, for the status.
    pub(super) fn running_hooks(&self) -> Vec<HealthReport> {
        let waiting = |run: &&Run| !run.state.is_over();
        self.checkpoint
            .journal
            .runs
            .iter()
            .filter(waiting)
            .map(|run| HealthReport {
                object: run.object.clone(),
                status: "Waiting".into(),
                message: "This hook has not ended yet.".into(),
                since: String::new(),
            })
            .collect()
    }

    fn hook_hand(&self, sync: &crds::Sync, group: Group) -> Arc<Hand> {
        self.hand_for(sync, self.checkpoint.journal.mark(&hooks::name(group)))
    }

    fn hook_began(&mut self, object: &str, group: Group, uid: String) {
        if let Some(run) = self.checkpoint.journal.run_mut(object, group) {
            (run.state, run.uid, run.began) = (State::Running, uid, seconds_now());
        }
        let sentence = format!("Started hook {object}.");
        self.event(Severity::Normal, "HookStarted", &sentence);
    }

    fn hook_ended(&mut self, object: &str, group: Group, state: State, why: &str) {
        if let Some(run) = self.checkpoint.journal.run_mut(object, group) {
            (run.state, run.message) = (state, why.to_owned());
        }
        let sentence = format!("Hook {object} failed: {why}.");
        self.event(Severity::Warning, "HookFailed", &sentence);
    }

    pub(super) fn hook_key(&self, run: &Run) -> Option<(Arc<apply::KindInfo>, Key)> {
        let (group, kind, namespace, name) = &run.key;
        let catalog = self.rooms.kinds.current();
        let info = catalog.preferred(&apply::GroupKind::new(group, kind))?;
        let key = Key {
            kind: Arc::clone(&info.kind),
            namespace: namespace.as_deref().map(Into::into),
            name: name.as_str().into(),
        };
        Some((Arc::clone(info), key))
    }
}

/// Has a Job go by itself, so many seconds after it has ended.
async fn expire(hand: &Hand, info: &KindInfo, key: &Key, uid: &str, ttl: u32) -> Result<(), ApiError> {
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": "/spec/ttlSecondsAfterFinished", "value": ttl},
    ]);
    let told = hand
        .server
        .edit(&hand.identity, info, key, &hand.manager, &patch)
        .await;
    match told {
        // It is gone, or another one stands in its place.
        Err(error)
            if matches!(
                error.kind,
                ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Precondition
            ) =>
        {
            Ok(())
        }
        answer => answer.map(|_| ()),
    }
}

/// The operation that a hook's object was made for.
fn run_of(metadata: &ObjectMeta) -> Option<&String> {
    metadata.annotations.as_ref()?.get(annotation::RUN)
}

fn seconds_now() -> u64 {
    milliseconds_now() / 1000
}

fn milliseconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
