//! Syncs: each has a worker of its own that sleeps until something wakes it.
//!
//! A worker takes a Sync from snapshot to status in one direction: [`inputs`] (what Git wants) → `apply::plan` (what to
//! do) → [`execute`] (doing it, bodies made in [`body`]) → [`status`]. What it owns is kept in its [`store`].

mod accounts;
mod admit;
mod asked;
mod attempt;
mod beside;
mod board;
pub(crate) mod body;
mod depart;
mod detect;
mod drift;
mod execute;
mod farewell;
mod fights;
mod foreign;
mod gate;
mod handover;
mod health;
mod hook_run;
mod hooks;
mod inputs;
mod inside;
mod leave;
mod listing;
mod mentions;
mod names;
mod order;
mod pass;
mod pin;
mod policy;
mod prune_walk;
mod pruning;
mod repair;
mod report;
mod restart;
mod results;
mod say;
mod sealed;
mod send;
mod status;
mod store;
mod strangers;
mod strays;
mod unseen;
mod unserved;
mod variables;
mod walk;
mod watched;
mod windows;
mod worker;

use crate::Context;
use crate::approvals::Approvals;
use crate::kinds::Kinds;
use crate::observe::{Mailbox, Observer};
use crate::places::Places;
use crate::ready::Gate;
use crate::repository::Change;
use crate::watch;
use accounts::Accounts;
use apply::Server;
use board::Board;
use crds::{Sync, annotation};
use futures::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};
use names::Names;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Found;
use tokio::sync::{Mutex, watch as channel};
use tokio::task::JoinSet;
use worker::{SyncId, Worker};

/// The field manager of what the controller writes for itself: status, ApplySet marks.
const OWN_MANAGER: &str = "signet-controller";
/// Requests of the whole controller under way at once.
const REQUESTS_AT_ONCE: usize = 64;

/// How long the list of service accounts may hold up the start. Without it each pass asks.
const ACCOUNTS_WAIT: Duration = Duration::from_secs(2);

/// What every worker uses.
#[derive(Clone)]
pub(crate) struct Rooms {
    pub(crate) context: Context,
    pub(crate) server: Server,
    pub(crate) observer: Observer,
    pub(crate) kinds: Kinds,
    /// Which Sync a field manager is.
    pub(crate) names: Names,
    /// How every Sync stands, for those that depend on it.
    pub(crate) board: Board,
    pub(crate) approvals: Approvals,
    /// Which service accounts exist.
    pub(crate) accounts: Accounts,
    /// How many Syncs may be at work at once.
    pub(crate) places: Places,
}

/// A running worker.
struct Handle {
    spec: channel::Sender<Arc<Sync>>,
    mailbox: Arc<Mailbox>,
    /// Dropped to end the worker for good: its Sync is gone.
    _alive: channel::Sender<()>,
    /// The Sync's field manager.
    manager: String,
}

/// How long a worker that panicked rests: what made it panic may do so again.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

type Name = (String, String);

/// Follows all Syncs until shutdown; returns when every worker has written down what it owns.
pub async fn run(context: Context) {
    let server = Server::new(context.client.clone(), REQUESTS_AT_ONCE);
    let rooms = Rooms {
        observer: Observer::new(context.client.clone(), context.shutdown.clone()),
        kinds: Kinds::start(server.clone(), context.shutdown.clone()),
        names: Names::beside(context.claims.clone()),
        board: Board::default(),
        approvals: Approvals::start(
            context.client.clone(),
            context.readiness.gate("the watch on Approvals"),
            context.shutdown.clone(),
        ),
        accounts: Accounts::start(context.client.clone(), context.shutdown.clone()),
        places: Places::new(usize::from(context.config.concurrency)),
        server,
        context,
    };
    let listed = rooms.context.readiness.gate("the watch on Syncs");
    let Some(found) = checkpoints(&rooms).await else {
        return;
    };
    let mut workers = Workers {
        rooms: rooms.clone(),
        found,
        handles: HashMap::new(),
        turns: HashMap::new(),
        tasks: JoinSet::new(),
        fallen_at: None,
    };
    rooms.accounts.listed(ACCOUNTS_WAIT).await;
    workers.follow(&listed).await;
    let left = async { while workers.tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(15), left).await.is_err() {
        tracing::warn!(
            "some Syncs could not write down what they own in time; they check their objects at the next start"
        );
    }
}

/// Reads the checkpoints, again and again until the API server answers.
async fn checkpoints(rooms: &Rooms) -> Option<Found> {
    let mut pause = Duration::from_millis(200);
    loop {
        match Found::load(&rooms.server, &rooms.context.namespace).await {
            Ok(found) => return Some(found),
            Err(error) => {
                tracing::warn!(%error, "checkpoints cannot be read; nothing is applied before they are");
            }
        }
        tokio::select! {
            () = rooms.context.shutdown.requested() => return None,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
        }
    }
}

struct Workers {
    rooms: Rooms,
    found: Found,
    handles: HashMap<Name, Handle>,
    /// Held by the worker of a name while it works: a Sync that was deleted and made again waits for its forerunner.
    turns: HashMap<Name, Arc<Mutex<()>>>,
    tasks: JoinSet<()>,
    /// When a worker panicked that has not been started again.
    fallen_at: Option<Instant>,
}

impl Workers {
    async fn follow(&mut self, listed_once: &Gate) {
        let api: Api<DeserializeGuard<Sync>> = Api::all(self.rooms.context.client.clone());
        let mut syncs = std::pin::pin!(watch::watch(api, watcher::Config::default()));
        let mut heads = self.rooms.context.heads.changes();
        let mut approvals = self.rooms.approvals.changes();
        let mut accounts = self.rooms.accounts.made();
        let mut keys = self.rooms.context.keys.clone();
        let mut kinds = self.rooms.kinds.changes();
        let shutdown = self.rooms.context.shutdown.clone();
        let mut listed: HashSet<Name> = HashSet::new();
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                event = syncs.next() => match event {
                    Some(Ok(Event::Init)) => listed.clear(),
                    Some(Ok(Event::InitApply(sync))) => {
                        listed.insert(name(&sync));
                        self.take(sync);
                    }
                    Some(Ok(Event::InitDone)) => {
                        let gone: Vec<_> = self.handles.keys().filter(|name| !listed.contains(*name)).cloned().collect();
                        for name in gone {
                            self.drop_worker(&name);
                        }
                        self.rooms.names.complete();
                        self.sweep(&listed).await;
                        listed_once.open();
                    }
                    Some(Ok(Event::Apply(sync))) => self.take(sync),
                    Some(Ok(Event::Delete(sync))) => self.drop_worker(&name(&sync)),
                    Some(Err(_)) => {} // said and waited for by the watch itself
                    None => return,
                },
                changed = heads.next() => match changed {
                    Some(Change::One((namespace, repository))) => self.wake(|name, sync| {
                        name.0 == namespace && sync.spec.source_ref.name == repository
                    }),
                    // Nobody else has anything to do with it: many Syncs follow one Repository.
                    Some(Change::Looked((namespace, repository))) => self.wake(|name, sync| {
                        name.0 == namespace && sync.spec.source_ref.name == repository && is_asked(sync)
                    }),
                    Some(Change::Many) => self.wake(|_, _| true),
                    None => return,
                },
                changed = approvals.next() => match changed {
                    Some(Change::One((namespace, sync)) | Change::Looked((namespace, sync))) => {
                        self.wake(|name, _| name.0 == namespace && name.1 == sync);
                    }
                    Some(Change::Many) => self.wake(|_, _| true),
                    None => return,
                },
                Some((namespace, account)) = accounts.next() => self.wake(|name, sync| {
                    name.0 == namespace && sync.spec.service_account_name == account
                }),
                Ok(()) = keys.changed() => {
                    keys.mark_unchanged();
                    self.wake(|_, _| true);
                }
                Ok(()) = kinds.changed() => {
                    kinds.mark_unchanged();
                    self.rooms.observer.retry_refused();
                    self.wake(|_, _| true);
                }
                Some(ended) = self.tasks.join_next() => if let Err(error) = ended && error.is_panic() {
                    // The panic hook has said where.
                    tracing::error!("a Sync's worker ended abnormally; it is started again");
                    self.fallen_at.get_or_insert_with(|| Instant::now() + RESTART_PAUSE);
                },
                () = until(self.fallen_at) => {
                    self.fallen_at = None;
                    self.start_fallen().await;
                }
            }
        }
    }

    /// Starts the workers again that panicked, with what is written down of their objects.
    async fn start_fallen(&mut self) {
        let Some(found) = checkpoints(&self.rooms).await else {
            return;
        };
        let fallen: Vec<_> = self
            .handles
            .iter()
            .filter(|(_, handle)| handle.spec.is_closed())
            .map(|(name, _)| name.clone())
            .collect();
        let before = std::mem::replace(&mut self.found, found);
        for name in fallen {
            if let Some(handle) = self.handles.remove(&name) {
                let sync = handle.spec.borrow().clone();
                self.start(name, sync);
            }
        }
        self.found = before;
    }

    /// Removes checkpoints that no Sync will take. Those of a Sync that is there but cannot be read are kept.
    async fn sweep(&self, listed: &HashSet<Name>) {
        let held: HashSet<String> = self
            .handles
            .iter()
            .map(|(name, handle)| {
                let uid = handle.spec.borrow().metadata.uid.clone().unwrap_or_default();
                store::owner(&format!("{}/{}", name.0, name.1), &uid)
            })
            .collect();
        let unreadable: HashSet<String> = listed
            .iter()
            .filter(|name| !self.handles.contains_key(*name))
            .map(|name| format!("{}/{}", name.0, name.1))
            .collect();
        let keep = |owner: &str, sync: &str| held.contains(owner) || unreadable.contains(sync);
        self.found
            .sweep(&self.rooms.server, &self.rooms.context.namespace, keep)
            .await;
    }

    fn drop_worker(&mut self, name: &Name) {
        if let Some(handle) = self.handles.remove(name) {
            self.rooms.names.bury(&handle.manager);
            self.rooms.board.remove(&name.0, &name.1);
        }
        // A turn that nobody holds or waits for is not needed any more.
        self.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
    }

    fn wake(&self, whom: impl Fn(&Name, &Sync) -> bool) {
        for (name, handle) in &self.handles {
            if whom(name, &handle.spec.borrow()) {
                handle.mailbox.wake();
            }
        }
    }

    fn take(&mut self, sync: DeserializeGuard<Sync>) {
        let name = name(&sync);
        let Ok(sync) = sync.0.map(Arc::new) else {
            // Only a CRD older than this controller lets such an object in. Its content is not repeated.
            tracing::warn!(
                namespace = name.0,
                sync = name.1,
                "a Sync does not have the form of its CRD and is left alone"
            );
            return;
        };
        let handle = self.handles.get(&name);
        let worker = handle.map(|handle| Known {
            fallen: handle.spec.is_closed(),
            same: handle.spec.borrow().metadata.uid == sync.metadata.uid,
        });
        match (meaning(worker, self.fallen_at.is_some()), handle) {
            (Means::Tell, Some(handle)) => {
                let news = is_news(&handle.spec.borrow(), &sync);
                handle.spec.send_replace(sync);
                if news {
                    handle.mailbox.wake();
                }
                return;
            }
            (Means::Rest, Some(handle)) => {
                handle.spec.send_replace(sync);
                return;
            }
            _ => {}
        }
        self.handles.remove(&name);
        self.start(name, sync);
    }

    fn start(&mut self, name: Name, sync: Arc<Sync>) {
        let repository = (name.0.clone(), sync.spec.source_ref.name.clone());
        let (spec, spec_receiver) = channel::channel(sync);
        let (alive, alive_receiver) = channel::channel(());
        let mailbox = Arc::new(Mailbox::default());
        mailbox.wake();
        let id = SyncId::new(&name.0, &name.1);
        let manager = id.manager.clone();
        self.rooms.names.learn(&manager, &id.full, repository, &mailbox);
        let (rooms, letters) = (self.rooms.clone(), Arc::clone(&mailbox));
        let worker = Worker::new(rooms, id, letters, spec_receiver, alive_receiver, &self.found);
        let turn = Arc::clone(self.turns.entry(name.clone()).or_default());
        self.tasks.spawn(worker.run(turn));
        let handle = Handle {
            spec,
            mailbox,
            _alive: alive,
            manager,
        };
        self.handles.insert(name, handle);
    }
}

/// Waits until a time; for ever where there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// The worker of a Sync that something was heard of.
#[derive(Clone, Copy)]
struct Known {
    /// It has ended abnormally.
    fallen: bool,
    /// It is that of the very Sync, and not of one of the same name before it.
    same: bool,
}

/// What news of a Sync mean for its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// It is told.
    Tell,
    /// It fell and rests. It is started again soon, with what is written down of its objects: started now, it would own
    /// nothing.
    Rest,
    /// One begins.
    Start,
}

fn meaning(worker: Option<Known>, resting: bool) -> Means {
    match worker {
        Some(Known { fallen: true, .. }) if resting => Means::Rest,
        Some(Known {
            fallen: false,
            same: true,
        }) => Means::Tell,
        _ => Means::Start,
    }
}

/// Whether a changed Sync is worth a pass: our own status and marks are not.
fn is_news(before: &Sync, after: &Sync) -> bool {
    let request = |sync: &Sync| sync.annotations().get(annotation::REQUESTED_AT).cloned();
    let hooks = |sync: &Sync| sync.annotations().get(annotation::DELETION_HOOKS).cloned();
    before.metadata.generation != after.metadata.generation
        || before.metadata.deletion_timestamp != after.metadata.deletion_timestamp
        || request(before) != request(after)
        || hooks(before) != hooks(after)
}

/// Whether somebody asked for a pass that the status does not say was made.
fn is_asked(sync: &Sync) -> bool {
    let handled = sync.status.as_ref().map(|status| &status.last_handled_request);
    sync.annotations()
        .get(annotation::REQUESTED_AT)
        .is_some_and(|request| Some(request) != handled)
}

fn name(sync: &DeserializeGuard<Sync>) -> Name {
    (sync.namespace().unwrap_or_default(), sync.name_any())
}

/// A ConfigMap of this name, for tests.
#[cfg(test)]
fn config_map(name: &str) -> apply::Key {
    apply::Key {
        kind: Arc::new(apply::GroupKind::new("", "ConfigMap")),
        namespace: Some("shop".into()),
        name: name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_fell_is_not_begun_anew_by_an_event() {
        let of = |fallen, same| Some(Known { fallen, same });
        assert_eq!(meaning(None, false), Means::Start);
        assert_eq!(meaning(of(false, true), false), Means::Tell);
        assert_eq!(
            meaning(of(false, true), true),
            Means::Tell,
            "another one has fallen"
        );
        assert_eq!(
            meaning(of(false, false), false),
            Means::Start,
            "another Sync of the name"
        );
        assert_eq!(meaning(of(true, true), true), Means::Rest);
        assert_eq!(meaning(of(true, false), true), Means::Rest);
        // Nobody will start it: that was tried, and it is not among those that fell.
        assert_eq!(meaning(of(true, true), false), Means::Start);
    }
}
