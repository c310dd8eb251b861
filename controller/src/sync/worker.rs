//! One Sync's worker: wakes, looks at what changed, does what is to be done, says what became of it.

use super::Rooms;
use super::inputs::Inputs;
use super::inside::Places;
use super::pin;
use super::store::{Checkpoint, Found};
use super::strays;
use super::variables::Sources;
use crate::observe::{Mailbox, Pending};
use crate::repository::Head;
use apply::{ApiError, Catalog, Key, applyset};
use crds::{Counts, ObjectReport, Sync, SyncStatus, annotation};
use render::Rendered;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch as channel};

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_TRANSIENT_RETRY: Duration = Duration::from_secs(30);
/// An object that was refused may be let in when rights or policies change, which nobody tells us of.
const LONGEST_RETRY: Duration = Duration::from_mins(1);
/// How long changed records wait for company before they are written.
const SAVE_DELAY: Duration = Duration::from_secs(2);
/// How much longer they wait while others are at work, and how often that is looked at.
const SAVE_PATIENCE: Duration = Duration::from_secs(5);
const SAVE_PAUSE: Duration = Duration::from_millis(500);
/// How often they are written in a minute. Losing the newest ones costs a verification, and no object.
const SAVES_A_MINUTE: u32 = 5;

/// How often changes of health are looked at while something waits for them, and while nothing does.
const WAITING_PACE: Duration = Duration::from_millis(20);
const HEALTH_PACE: Duration = Duration::from_secs(1);

/// Whose worker this is.
pub(super) struct SyncId {
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
    /// `namespace/name`.
    pub(super) full: String,
    pub(super) applyset: String,
    pub(super) manager: String,
}

impl SyncId {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        let applyset = applyset::id(namespace, name);
        Self {
            full: format!("{namespace}/{name}"),
            manager: applyset::manager(&applyset),
            applyset,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// What the last pass that left nothing to do had looked at.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) tree: source::TreeId,
    pub(super) generation: i64,
    /// The digest of the variables.
    pub(super) variables: Option<[u8; 32]>,
}

/// What was rendered last: from which tree, path and variables.
pub(super) type LastRendered = ((source::TreeId, String, Option<[u8; 32]>), Arc<Rendered>);

/// What is wanted, with what it was made of: what was rendered, the kinds that are served, and the spec's generation.
pub(super) struct Resolved {
    rendered: Arc<Rendered>,
    catalog: Arc<Catalog>,
    generation: i64,
    inputs: Arc<Inputs>,
}

impl Resolved {
    pub(super) fn new(
        rendered: &Arc<Rendered>,
        catalog: &Arc<Catalog>,
        generation: i64,
        inputs: &Arc<Inputs>,
    ) -> Self {
        Self {
            rendered: Arc::clone(rendered),
            catalog: Arc::clone(catalog),
            generation,
            inputs: Arc::clone(inputs),
        }
    }

    /// What is wanted, if it is made of the very same.
    pub(super) fn of(
        &self,
        rendered: &Arc<Rendered>,
        catalog: &Arc<Catalog>,
        generation: i64,
    ) -> Option<Arc<Inputs>> {
        let same = Arc::ptr_eq(&self.rendered, rendered)
            && Arc::ptr_eq(&self.catalog, catalog)
            && self.generation == generation;
        same.then(|| Arc::clone(&self.inputs))
    }
}

/// How a pass ended.
pub(super) enum End {
    /// Nothing is left to do.
    Done,
    /// Something else will wake the worker.
    Wait,
    /// Look again by yourself.
    Retry {
        /// Whether time alone may heal it.
        transient: bool,
    },
}

pub(super) struct Worker {
    pub(super) rooms: Rooms,
    pub(super) id: SyncId,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) spec: channel::Receiver<Arc<Sync>>,
    /// Closed when the Sync is gone.
    alive: channel::Receiver<()>,
    pub(super) checkpoint: Checkpoint,
    /// A commit, a path, and the tree that it is there.
    pub(super) tree: Option<(source::TreeId, String, source::TreeId)>,
    pub(super) rendered: Option<LastRendered>,
    pub(super) inputs: Arc<Inputs>,
    pub(super) head: Option<Head>,
    /// The Repository's newest commit as the last pass saw it; `head` is the one that `inputs` are of.
    pub(super) looked_at: Option<Head>,
    /// The commit of which everything that the Sync wants is known.
    pub(super) known_at: Option<String>,
    /// The Repository that was asked for a commit that the Sync is pinned to.
    pub(super) pinned_in: Option<(String, String)>,
    /// The status as it was last read or written.
    pub(super) status: SyncStatus,
    pub(super) settled: Option<Settled>,
    /// A request that waits for a look at the remote, and the number of that look.
    pub(super) asked: Option<(String, u64)>,
    /// What the passes over one commit have done so far: a pass that has to wait is not the whole story.
    pub(super) so_far: (String, Counts),
    pub(super) attempts: u32,
    pub(super) waiting_since: Option<Instant>,
    pub(super) save_at: Option<Instant>,
    /// When changed records are written at the latest, whoever is at work.
    save_by: Instant,
    /// When the minute began that saves are counted in, and how many there were.
    saves: (Instant, u32),
    pub(super) retry_at: Option<Instant>,
    /// When something is due that no event tells of: a time limit, a window.
    pub(super) look_at: Option<Instant>,
    /// When health is looked at: changes come in bursts.
    pub(super) health_at: Option<Instant>,
    pub(super) health_seen: Instant,
    pub(super) health_news: bool,
    /// When the status was written last.
    pub(super) said_at: Option<Instant>,
    /// Since when a status was held back that says only that something is under way.
    pub(super) held_back: Option<Instant>,
    /// The operation and the group that wait for health, and since when.
    pub(super) unready_since: Option<(String, Instant)>,
    pub(super) repairs: super::fights::Repairs,
    /// What is told of repairs.
    pub(super) restored: super::repair::Restored,
    /// The generation whose spec was found good.
    pub(super) checked: Option<i64>,
    /// In mode Detect: the inputs that were compared last, and when.
    pub(super) detected: Option<super::detect::Detected>,
    /// What `${name}` stands for in the manifests.
    pub(super) sources: Sources,
    /// Something that has left Git was not deleted, by its own word.
    pub(super) stayed: bool,
    /// Objects that the last plan left out, since somebody froze them.
    pub(super) spared: Vec<Key>,
    /// Kinds that cannot be watched, or whose objects cannot be deleted now, for the status.
    pub(super) unwatched: Vec<crds::ObjectReport>,
    /// The Sync as it was when `inputs` were taken over: what is repaired is repaired as it says.
    pub(super) taken_as: Option<Arc<Sync>>,
    /// Drift that has not been repaired.
    pub(super) drifts: HashMap<Key, super::drift::Open>,
    /// Whether the last pass ended before a gate that is shut, or with something that waits for a person.
    pub(super) held: bool,
    /// What was wanted last, and of what that was made.
    pub(super) resolved: Option<Resolved>,
    /// Objects that a Sync which is deleted with its objects has let go of instead, with the reason.
    pub(super) left_behind: Vec<(Key, String)>,
    /// The uids of what such a Sync had: what they controlled is no stranger, whatever has gone since.
    pub(super) had: HashSet<Box<str>>,
    /// Objects whose intent was written down for what is sent next.
    pub(super) intended: HashSet<Key>,
    /// What the status says of records that were lost.
    pub(super) lost_said: Vec<ObjectReport>,
    /// Objects that carry the Sync's label and of which nothing is recorded, as far as that was looked for: only after a loss.
    pub(super) strays: Vec<Key>,
    /// Objects that no watch shows, that have fields of ours and are not what was applied.
    pub(super) others: HashSet<Key>,
    /// Objects that left Git and were looked for in vain.
    pub(super) gone: HashSet<Key>,
    /// Objects that left Git for another Sync: when they may be looked at again, and how long after that once more.
    pub(super) looks: HashMap<Key, (Instant, Duration)>,
    /// Whether something that left Git is still recorded: what is made meanwhile comes beside it.
    pub(super) leaving: bool,
    /// Objects on which fields of others stay that were to be removed.
    pub(super) unremoved: HashMap<Key, super::foreign::Unremoved>,
    /// The plan whose deletions have begun, as long as some are waited for.
    pub(super) underway: Option<super::prune_walk::Underway>,
    /// Who is in what the last plan would delete.
    pub(super) look: Option<super::strangers::Look>,
    /// Objects that left Git and stay ours, and why: by their own word, or for what is in them.
    pub(super) kept: BTreeMap<Key, String>,
    /// Of a Sync that is deleted with its objects: how many were left when it looked last, and how often it has looked since
    /// without any of them being gone.
    pub(super) left: Option<(usize, u32)>,
    /// Something in the store could not be read, and a look at the remote was asked for.
    pub(super) unreadable: bool,
    /// Whether what the status said when this process began is known to the notes in Git.
    pub(super) noted: bool,
}

impl Worker {
    pub(super) fn new(
        rooms: Rooms,
        id: SyncId,
        mailbox: Arc<Mailbox>,
        spec: channel::Receiver<Arc<Sync>>,
        alive: channel::Receiver<()>,
        found: &Found,
    ) -> Self {
        let checkpoint = Checkpoint::open(
            rooms.server.clone(),
            rooms.context.namespace.as_str().into(),
            rooms.context.digest_key.clone(),
            (
                &id.full,
                spec.borrow().metadata.uid.as_deref().unwrap_or_default(),
            ),
            // Written before the first object is applied, and kept.
            strays::marked(&spec.borrow(), annotation::APPLYSET_KINDS)
                .next()
                .is_some(),
            found,
        );
        let places = Places::of(checkpoint.records().keys(), checkpoint.lost);
        rooms.names.has(&id.manager, places);
        let status = spec.borrow().status.clone().unwrap_or_default();
        Self {
            rooms,
            id,
            mailbox,
            spec,
            alive,
            checkpoint,
            tree: None,
            rendered: None,
            inputs: Arc::default(),
            head: None,
            looked_at: None,
            known_at: None,
            pinned_in: None,
            status,
            settled: None,
            asked: None,
            so_far: Default::default(),
            attempts: 0,
            waiting_since: None,
            save_at: None,
            save_by: Instant::now(),
            saves: (Instant::now(), 0),
            retry_at: None,
            look_at: None,
            health_at: None,
            health_seen: Instant::now(),
            health_news: false,
            said_at: None,
            held_back: None,
            unready_since: None,
            repairs: super::fights::Repairs::default(),
            restored: super::repair::Restored::default(),
            checked: None,
            detected: None,
            sources: Sources::default(),
            stayed: false,
            spared: Vec::new(),
            unwatched: Vec::new(),
            taken_as: None,
            drifts: HashMap::new(),
            held: false,
            resolved: None,
            left_behind: Vec::new(),
            had: HashSet::new(),
            intended: HashSet::new(),
            lost_said: Vec::new(),
            strays: Vec::new(),
            others: HashSet::new(),
            gone: HashSet::new(),
            looks: HashMap::new(),
            leaving: false,
            unremoved: HashMap::new(),
            underway: None,
            look: None,
            kept: BTreeMap::new(),
            left: None,
            unreadable: false,
            noted: false,
        }
    }

    /// Works until shutdown, or until the Sync is gone. `turn` is held by the worker of an earlier Sync of this name until
    /// that has ended.
    pub(super) async fn run(mut self, turn: Arc<Mutex<()>>) {
        let shutdown = self.rooms.context.shutdown.clone();
        let _turn = tokio::select! {
            () = shutdown.requested() => return,
            turn = turn.lock_owned() => turn,
        };
        let mut alive = self.alive.clone();
        loop {
            let timers = [
                self.save_at,
                self.retry_at,
                self.look_at,
                self.health_at,
                self.restored_at(),
            ];
            let next = timers.into_iter().flatten().min();
            let patience = next.map(|at| at.saturating_duration_since(Instant::now()));
            let mailbox = Arc::clone(&self.mailbox);
            let pending = tokio::select! {
                () = shutdown.requested() => break,
                _ = alive.changed() => return self.retire().await,
                pending = mailbox.take(patience) => pending,
                answer = self.checkpoint.answered() => {
                    let saved = self.checkpoint.saved(answer).await;
                    self.note_saved(saved);
                    continue;
                }
            };
            let at_work = (pending.is_some() || self.is_due()).then(|| self.rooms.context.calm.begin());
            let places = self.rooms.places.clone();
            let _place = tokio::select! {
                () = shutdown.requested() => break,
                _ = alive.changed() => return self.retire().await,
                place = places.take(&self.id.namespace) => place,
            };
            // A pass is not cut off in the middle of a request by a shutdown: what it sends, it records.
            self.work(pending.unwrap_or_default()).await;
            drop(at_work);
        }
        if let Err(error) = self.checkpoint.save().await {
            tracing::warn!(sync = self.id.full, %error, "what this Sync owns could not be written down");
        }
    }

    async fn work(&mut self, mut pending: Pending) {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.save_at) {
            self.begin_save();
        }
        if due(self.restored_at()) {
            self.tell_restored();
        }
        pending.whole |= due(self.retry_at) || due(self.look_at);
        if pending.health || pending.foreign || due(self.health_at) {
            // What waits goes on at once, and what only tells of itself comes in one piece.
            // What is held waits for something else.
            let pace = if self.settled.is_some() || self.held {
                HEALTH_PACE
            } else {
                WAITING_PACE
            };
            let at = self.health_seen + pace;
            if at <= now {
                (self.health_at, self.health_seen) = (None, now);
                self.health_news = true;
                // What failed is tried again in its own time, and looks at everything then.
                pending.whole |= self.retry_at.is_none();
            } else {
                self.health_at = Some(at);
            }
        }
        if !pending.drifted.is_empty() && self.head.is_some() {
            let drifted = std::mem::take(&mut pending.drifted);
            self.repair(drifted).await;
        }
        if pending.whole || !pending.drifted.is_empty() {
            (self.retry_at, self.look_at) = (None, None);
            let end = self.pass().await;
            self.plan_retry(&end);
        }
    }

    /// Whether there is work that nobody asked for: records that wait to be written are none.
    fn is_due(&self) -> bool {
        let timers = [self.retry_at, self.look_at, self.health_at];
        timers.into_iter().flatten().any(|at| at <= Instant::now())
    }

    /// Whether whatever is under way should end: the Sync is suspended, changed or gone, the controller stops, or a newer
    /// commit than `head` has come.
    pub(super) fn halt(
        &self,
        began: &Sync,
        head: Option<&Head>,
    ) -> impl Fn() -> bool + Send + std::marker::Sync + use<> {
        let (spec, alive) = (self.spec.clone(), self.alive.clone());
        let shutdown = self.rooms.context.shutdown.clone();
        let (heads, namespace) = (self.rooms.context.heads.clone(), self.id.namespace.to_string());
        let commit = head.map(|head| head.revision.commit.clone());
        let generation = began.metadata.generation;
        let newer = move |sync: &Sync, commit: &String| {
            if pin::in_force(sync).is_some() {
                return false;
            }
            let repository = (namespace.clone(), sync.spec.source_ref.name.clone());
            heads
                .get(&repository)
                .head()
                .is_some_and(|head| head.revision.commit != *commit)
        };
        move || {
            let sync = spec.borrow().clone();
            sync.spec.suspend
                || sync.metadata.generation != generation
                || alive.has_changed().is_err()
                || shutdown.is_requested()
                || commit.as_ref().is_some_and(|commit| newer(&sync, commit))
        }
    }

    /// Whether somebody else has the last word over `head`: what is newer, or, where the controller stops, its next start.
    pub(super) fn is_outdated(&self, began: &Sync, head: &Head) -> bool {
        self.rooms.context.shutdown.is_requested() || self.is_superseded(began, head)
    }

    /// Whether a newer commit than `head`, or another spec than that of `began`, has come.
    fn is_superseded(&self, began: &Sync, head: &Head) -> bool {
        if self.spec.borrow().metadata.generation != began.metadata.generation {
            return true;
        }
        if pin::in_force(began).is_some() {
            return false;
        }
        let repository = (
            self.id.namespace.to_string(),
            self.spec.borrow().spec.source_ref.name.clone(),
        );
        let newest = self.rooms.context.heads.get(&repository);
        newest
            .head()
            .is_some_and(|newest| newest.revision.commit != head.revision.commit)
    }

    /// Looks again after this time at the latest.
    pub(super) fn wake_in(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        self.look_at = Some(self.look_at.map_or(at, |known| known.min(at)));
    }

    pub(super) fn plan_retry(&mut self, end: &End) {
        self.retry_at = match end {
            End::Done => {
                self.attempts = 0;
                None
            }
            // The pass may have said how long at most.
            End::Wait => self.retry_at,
            End::Retry { transient } => {
                self.attempts = self.attempts.saturating_add(1);
                let longest = if *transient {
                    LONGEST_TRANSIENT_RETRY
                } else {
                    LONGEST_RETRY
                };
                let pause = FIRST_RETRY
                    .saturating_mul(1 << self.attempts.min(12))
                    .min(longest);
                Some(Instant::now() + pause)
            }
        };
    }

    /// The Sync is gone: its objects stay, but they are nobody's now.
    async fn retire(mut self) {
        if let Some(repository) = self.pinned_in.take() {
            self.rooms.context.heads.pin(&repository, &self.id.name, None);
        }
        self.rooms.board.remove(&self.id.namespace, &self.id.name);
        for key in self.checkpoint.records().keys() {
            self.rooms.observer.release(key, &self.mailbox);
        }
        self.rooms.observer.rules(&self.id.manager, None);
        self.rooms.observer.keep_only(&self.mailbox, &[]);
        // The last pass may have posted after the Sync was taken off; one of the same name has not begun yet.
        self.rooms.board.remove(&self.id.namespace, &self.id.name);
        if let Err(error) = self.checkpoint.destroy().await {
            tracing::warn!(sync = self.id.full, %error, "the checkpoint of a deleted Sync could not be removed");
        }
    }

    /// Has changed records written before long.
    pub(super) fn save_soon(&mut self) {
        if self.checkpoint.is_dirty() && self.save_at.is_none() {
            let (began, count) = self.saves;
            let now = Instant::now();
            let next_minute = began + Duration::from_mins(1);
            if now >= next_minute {
                self.saves = (now, 0);
            }
            let spent = now < next_minute && count >= SAVES_A_MINUTE;
            let at = if spent { next_minute } else { now + SAVE_DELAY };
            (self.save_at, self.save_by) = (Some(at), at + SAVE_PATIENCE);
        }
    }

    /// Writes changed records before anything else is done: killed now, this Sync would not know an object that it made.
    pub(super) async fn save_now(&mut self) {
        self.save_at = None;
        let saved = self.checkpoint.save().await;
        self.note_saved(saved);
    }

    /// Begins to write changed records beside this worker, unless others are at work: then a little later.
    fn begin_save(&mut self) {
        let now = Instant::now();
        if now < self.save_by && !self.rooms.context.calm.is_calm() {
            self.save_at = Some(now + SAVE_PAUSE);
            return;
        }
        self.save_at = None;
        self.saves.1 += 1;
        self.checkpoint.begin_save();
    }

    /// A part of the records is written, or could not be.
    fn note_saved(&mut self, saved: Result<(), ApiError>) {
        if let Err(error) = saved {
            tracing::warn!(sync = self.id.full, %error, "what this Sync owns could not be written down; it is tried again");
            self.save_at = Some(Instant::now() + SAVE_DELAY);
        } else if !self.checkpoint.is_saving() {
            // What changed meanwhile.
            self.save_soon();
        }
    }
}
