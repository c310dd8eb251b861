//! Sends what a plan says: phase by phase, many at once within a phase, every failure kept.

use super::body::{self, Marks, Run};
use super::inputs::Inputs;
use super::names::Names;
use super::policy::{Policy, PolicyError};
use super::report::Failure;
use super::restart::Contents;
use super::send::{Answer, Answered, Notes};
use crate::observe::{Mailbox, Observer};
use apply::checkpoint::OpenedBy;
use apply::fields;
use apply::plan::{Reason, Step};
use apply::{ApiError, Applied, Identity, Key, Server};
use futures::stream::{self, StreamExt};
use render::{Limits, Loader};
use sealing::KeyRing;
use source::Snapshot;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Requests of one Sync under way at once; the whole controller has a bound of its own.
const AT_ONCE: usize = 32;
/// Paths of lost fields that are named of one object.
const LOST_SHOWN: usize = 20;

/// As whom, and for whom, objects are applied.
pub(super) struct Hand {
    pub(super) server: Server,
    pub(super) observer: Observer,
    pub(super) identity: Identity,
    pub(super) manager: String,
    pub(super) applyset: String,
    /// `namespace/name` of the Sync.
    pub(super) sync: String,
    /// The controller's own namespace.
    pub(super) home: String,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) names: Names,
    /// The operation under way, which hooks carry.
    pub(super) operation: String,
    /// Of drifted objects: the paths of the fields that were lost, by place in the inputs.
    pub(super) lost: Mutex<HashMap<usize, Vec<String>>>,
    /// Namespaces that could not be made: their members are not sent.
    pub(super) broken: Mutex<HashSet<Arc<str>>>,
    /// Objects that were applied, and whose step failed all the same.
    pub(super) half: Mutex<HashSet<Key>>,
    /// Objects that may be deleted to be made anew, with the uid that an apply of ours returned.
    pub(super) uids: Mutex<HashMap<Key, Box<str>>>,
    /// Of sealed objects: the keys that their values were opened with, by place in the inputs, until they are answered.
    pub(super) opened: Mutex<HashMap<usize, OpenedBy>>,
    /// What the Sync says of applying one object; nothing is applied by a spec that cannot be followed.
    pub(super) policy: Result<Policy, PolicyError>,
    /// What the Secrets hold that workloads are rolled for.
    pub(super) contents: Contents,
    /// Namespaces that were made, or could not be, since this hand was asked.
    pub(super) namespaces: tokio::sync::Mutex<HashMap<Arc<str>, Result<(), ApiError>>>,
    /// Requests in a row that had no usable answer.
    pub(super) silent: AtomicU32,
}

/// What became of one step.
pub(super) struct Sent {
    pub(super) step: Step,
    pub(super) result: Result<(Applied, Effect), Failure>,
    /// What is worth a word about an object that was applied.
    #[allow(dead_code)] // said by the status
    pub(super) notes: Notes,
    /// Whether the object was applied although the step failed: what came after that was refused.
    pub(super) half: bool,
    /// The sealing keys that its values were opened with.
    pub(super) opened: OpenedBy,
}

/// What an apply did to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Created,
    Changed,
    Unchanged,
}

/// A step whose body is made, or why it could not be.
type Made = (Step, Result<Zeroizing<Vec<u8>>, Failure>);

impl Hand {
    pub(super) fn lost(&self) -> MutexGuard<'_, HashMap<usize, Vec<String>>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes which fields a drifted object has lost, before they are put back.
    fn note_lost(&self, step: Step, key: &Key, object: &serde_json::Value, secret: bool) {
        // A path names items of lists by their content; and what Git has of a sealed Secret has another shape than the
        // Secret.
        if step.reason != Reason::Drifted || secret || key.kind.is_secret() {
            return;
        }
        let Some(detail) = self.observer.drift_detail(key) else {
            return;
        };
        let Some(own) = &detail.own else { return };
        let paths = fields::lost(object, Some(own));
        let shown = paths.iter().take(LOST_SHOWN).map(ToString::to_string).collect();
        self.lost().insert(step.desired, shown);
    }

    pub(super) fn half(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.half.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn uids(&self) -> MutexGuard<'_, HashMap<Key, Box<str>>> {
        self.uids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<usize, OpenedBy>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broken(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies `steps`, which are in phase order. `done` is told of each answer as it comes. Stops sending when the API
    /// server cannot be reached, or when `halt` says so; what was not sent has no answer.
    pub(super) async fn apply(
        self: &Arc<Self>,
        inputs: &Arc<Inputs>,
        steps: &[Step],
        snapshot: &Snapshot,
        ring: &Arc<KeyRing>,
        halt: impl Fn() -> bool,
        mut done: impl FnMut(Sent),
    ) -> Option<ApiError> {
        let cut = Arc::new(AtomicBool::new(false));
        let mut lost: Option<ApiError> = None;
        for phase in steps.chunk_by(|a, b| inputs.wanted[a.desired].phase == inputs.wanted[b.desired].phase) {
            let mut waiting = Vec::new();
            let mut ready = Vec::with_capacity(phase.len());
            for step in phase {
                let key = &inputs.desired[step.desired].key;
                match key
                    .namespace
                    .as_ref()
                    .filter(|namespace| self.broken().contains(*namespace))
                {
                    Some(namespace) => {
                        waiting.push((*step, format!("waits for Namespace {namespace}, which failed")));
                    }
                    None => ready.push(*step),
                }
            }
            for (step, message) in waiting {
                let (key, origin) = (
                    &inputs.desired[step.desired].key,
                    &inputs.wanted[step.desired].item.origin,
                );
                let failure = Failure::of(key, Some(origin), &message, "mend the Namespace first", false);
                done(Sent {
                    step,
                    result: Err(failure),
                    notes: Notes::default(),
                    half: false,
                    opened: OpenedBy::default(),
                });
            }
            let mut answers = self.phase(inputs, &ready, snapshot, ring, &cut);
            while let Some((step, answer)) = answers.recv().await {
                let (result, notes) = match answer {
                    Ok((applied, effect, notes)) => (Ok((applied, effect)), notes),
                    Err(Answer::Refused(failure)) => (Err(failure), Notes::default()),
                    Err(Answer::Lost(error)) => {
                        lost = Some(error);
                        continue;
                    }
                };
                let key = &inputs.desired[step.desired].key;
                if result.is_err() && &*key.kind.kind == "Namespace" && key.kind.group.is_empty() {
                    self.broken().insert(Arc::clone(&key.name));
                }
                let half = result.is_err() && self.half().contains(key);
                done(Sent {
                    step,
                    result,
                    notes,
                    half,
                    opened: self.opened().remove(&step.desired).unwrap_or_default(),
                });
                if halt() {
                    cut.store(true, Ordering::Relaxed);
                }
            }
            if lost.is_some() || halt() {
                break;
            }
        }
        lost
    }

    /// Sends one phase. Bodies are made on blocking threads, a few ahead of what is sent, so that opened Secrets do not
    /// pile up in memory.
    fn phase(
        self: &Arc<Self>,
        inputs: &Arc<Inputs>,
        steps: &[Step],
        snapshot: &Snapshot,
        ring: &Arc<KeyRing>,
        cut: &Arc<AtomicBool>,
    ) -> mpsc::Receiver<(Step, Answered)> {
        let (made_sender, made) = mpsc::channel::<Made>(AT_ONCE);
        let threads = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(steps.len())
            .max(1);
        for part in steps.chunks(steps.len().div_ceil(threads).max(1)) {
            let (hand, inputs, part, sender) = (
                Arc::clone(self),
                Arc::clone(inputs),
                part.to_vec(),
                made_sender.clone(),
            );
            let (snapshot, ring, cut) = (snapshot.clone(), Arc::clone(ring), Arc::clone(cut));
            tokio::task::spawn_blocking(move || {
                let mut loader = Loader::with(snapshot, Limits::default(), inputs.variables.clone());
                for step in part {
                    if cut.load(Ordering::Relaxed) {
                        break;
                    }
                    let body = hand.make(&inputs, step, &mut loader, &ring);
                    if sender.blocking_send((step, body)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(made_sender);
        let (answer_sender, answers) = mpsc::channel(AT_ONCE);
        let (hand, inputs, cut) = (Arc::clone(self), Arc::clone(inputs), Arc::clone(cut));
        tokio::spawn(async move {
            let made = stream::unfold(made, |mut made| async move {
                made.recv().await.map(|one| (one, made))
            });
            let mut sent = std::pin::pin!(
                made.map(|(step, body)| {
                    let (hand, inputs, cut) = (&hand, &inputs, &cut);
                    async move {
                        let answer = match body {
                            Err(failure) => Err(Answer::Refused(failure)),
                            Ok(_) if cut.load(Ordering::Relaxed) => return None,
                            Ok(body) => hand.send(inputs, step, body).await,
                        };
                        if matches!(answer, Err(Answer::Lost(_))) {
                            cut.store(true, Ordering::Relaxed);
                        }
                        Some((step, answer))
                    }
                })
                .buffer_unordered(AT_ONCE)
            );
            while let Some(answer) = sent.next().await {
                if let Some(answer) = answer
                    && answer_sender.send(answer).await.is_err()
                {
                    break;
                }
            }
        });
        answers
    }

    pub(super) fn make(
        &self,
        inputs: &Inputs,
        step: Step,
        loader: &mut Loader,
        ring: &KeyRing,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let (wanted, key) = (&inputs.wanted[step.desired], &inputs.desired[step.desired].key);
        let origin = Some(&wanted.item.origin);
        let manifest = loader
            .load(&wanted.item)
            .map_err(|error| Failure::of(key, origin, &error.to_string(), error.hint(), true))?;
        self.note_lost(step, key, &manifest.object, wanted.item.holds_secret());
        let secrets = self.contents.of(inputs, step.desired, loader, ring)?;
        let is_hook = step.desired >= inputs.groups.len();
        let marks = Marks {
            applyset: &self.applyset,
            sync: &self.sync,
            home: &self.home,
            run: is_hook.then_some(Run {
                operation: &self.operation,
                name: &key.name,
            }),
            secrets,
        };
        let (body, opened) = body::make(wanted, manifest, key.namespace.as_deref(), &marks, ring)
            .map_err(|refusal| Failure::of(key, origin, &refusal.message, refusal.hint, false))?;
        if !opened.is_empty() {
            self.opened().insert(step.desired, opened);
        }
        Ok(body)
    }
}
