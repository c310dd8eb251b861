//! Syncs: each has a worker of its own that sleeps until something wakes it.
//!
//! A worker takes a Sync from snapshot to status in one direction: [`inputs`] (what Git wants) → `apply::plan` (what to
//! do) → [`execute`] (doing it, bodies made in [`body`]) → [`status`]. What it owns is kept in its [`store`].

mod attempt;
mod body;
mod execute;
mod inputs;
mod names;
mod pass;
mod repair;
mod report;
mod say;
mod status;
mod store;
mod worker;

use crate::Context;
use crate::kinds::Kinds;
use crate::observe::{Mailbox, Observer};
use crate::ready::Gate;
use crate::repository::Change;
use crate::watch;
use apply::Server;
use crds::{Sync, annotation};
use futures::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};
use names::Names;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use store::Found;
use tokio::sync::{Semaphore, watch as channel};
use tokio::task::JoinSet;
use worker::{SyncId, Worker};

/// The field manager of what the controller writes for itself: status, ApplySet marks.
const OWN_MANAGER: &str = "signet-controller";
/// Requests of the whole controller under way at once.
const REQUESTS_AT_ONCE: usize = 64;

/// What every worker uses.
#[derive(Clone)]
pub(crate) struct Rooms {
    pub(crate) context: Context,
    pub(crate) server: Server,
    pub(crate) observer: Observer,
    pub(crate) kinds: Kinds,
    /// Which Sync a field manager is.
    pub(crate) names: Names,
    /// How many Syncs may be at work at once.
    pub(crate) places: Arc<Semaphore>,
}

/// A running worker.
struct Handle {
    spec: channel::Sender<Arc<Sync>>,
    mailbox: Arc<Mailbox>,
    /// Dropped to end the worker for good: its Sync is gone.
    _alive: channel::Sender<()>,
}

type Name = (String, String);

/// Follows all Syncs until shutdown; returns when every worker has written down what it owns.
pub async fn run(context: Context) {
    let server = Server::new(context.client.clone(), REQUESTS_AT_ONCE);
    let rooms = Rooms {
        observer: Observer::new(context.client.clone(), context.shutdown.clone()),
        kinds: Kinds::start(server.clone(), context.shutdown.clone()),
        names: Names::default(),
        places: Arc::new(Semaphore::new(usize::from(context.config.concurrency.max(1)))),
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
        tasks: JoinSet::new(),
    };
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
    tasks: JoinSet<()>,
}

impl Workers {
    async fn follow(&mut self, listed_once: &Gate) {
        let api: Api<DeserializeGuard<Sync>> = Api::all(self.rooms.context.client.clone());
        let mut syncs = std::pin::pin!(watch::watch(api, watcher::Config::default()));
        let mut heads = self.rooms.context.heads.changes();
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
                        self.handles.retain(|name, _| listed.contains(name));
                        listed_once.open();
                    }
                    Some(Ok(Event::Apply(sync))) => self.take(sync),
                    Some(Ok(Event::Delete(sync))) => {
                        self.handles.remove(&name(&sync));
                    }
                    Some(Err(_)) => {} // said and waited for by the watch itself
                    None => return,
                },
                changed = heads.next() => match changed {
                    Some(Change::One((namespace, repository))) => self.wake(|name, sync| {
                        name.0 == namespace && sync.spec.source_ref.name == repository
                    }),
                    Some(Change::Many) => self.wake(|_, _| true),
                    None => return,
                },
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
                    // The panic hook has said where. Its Sync is taken up again when anything changes about it.
                    tracing::error!("a Sync's worker ended abnormally");
                    self.handles.retain(|_, handle| !handle.spec.is_closed());
                },
            }
        }
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
        if let Some(handle) = self.handles.get(&name)
            && !handle.spec.is_closed()
            && handle.spec.borrow().metadata.uid == sync.metadata.uid
        {
            let news = is_news(&handle.spec.borrow(), &sync);
            handle.spec.send_replace(sync);
            if news {
                handle.mailbox.wake();
            }
            return;
        }
        let (spec, spec_receiver) = channel::channel(sync);
        let (alive, alive_receiver) = channel::channel(());
        let mailbox = Arc::new(Mailbox::default());
        mailbox.wake();
        let id = SyncId::new(&name.0, &name.1);
        self.rooms.names.learn(&id.manager, &id.full);
        let worker = Worker::new(
            self.rooms.clone(),
            id,
            Arc::clone(&mailbox),
            spec_receiver,
            &self.found,
        );
        self.tasks.spawn(worker.run(alive_receiver));
        self.handles.insert(
            name,
            Handle {
                spec,
                mailbox,
                _alive: alive,
            },
        );
    }
}

/// Whether a changed Sync is worth a pass: our own status and marks are not.
fn is_news(before: &Sync, after: &Sync) -> bool {
    let request = |sync: &Sync| sync.annotations().get(annotation::REQUESTED_AT).cloned();
    before.metadata.generation != after.metadata.generation || request(before) != request(after)
}

fn name(sync: &DeserializeGuard<Sync>) -> Name {
    (sync.namespace().unwrap_or_default(), sync.name_any())
}
