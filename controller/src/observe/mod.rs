//! Watches: one a kind, shared by all Syncs, label-selected, metadata only. They find drift and wake its owner.

mod mailbox;
mod objects;

pub use mailbox::{Mailbox, Pending};

use crate::shutdown::Shutdown;
use crate::watch;
use apply::plan::Seen;
use apply::{Key, KindInfo, LiveMeta, applyset, newest_other_manager};
use crds::label;
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use objects::Objects;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a watch that the API server refuses is left alone, at first and at most. An API server that has just started
/// refuses for a moment; otherwise rights change rarely, and asking is not silent.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_REFUSED_PAUSE: Duration = Duration::from_mins(5);

/// How an object differs from what our apply left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Somebody deleted it.
    Deleted,
    /// Somebody changed or removed a field that we own.
    Changed {
        /// The field manager that wrote last.
        by: Option<String>,
    },
    /// Somebody deleted it and made another of the same name.
    Replaced {
        /// The field manager that wrote last.
        by: Option<String>,
    },
}

/// How far the watch of a kind is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// It has not been listed yet.
    Starting,
    /// It is listed and followed.
    Following,
    /// The API server does not let us watch it.
    Refused,
}

struct KindWatch {
    objects: Mutex<Objects>,
    /// The served version that was asked for last: a definition may stop serving one.
    info: Mutex<Arc<KindInfo>>,
    state: Mutex<State>,
    /// Wakes a watch that was refused.
    again: Notify,
}

struct State {
    now: WatchState,
    waiting: Vec<Arc<Mailbox>>,
}

/// The watches of all kinds that some Sync holds objects of.
#[derive(Clone)]
pub struct Observer {
    client: Client,
    shutdown: Shutdown,
    kinds: Arc<Mutex<HashMap<Arc<apply::GroupKind>, Arc<KindWatch>>>>,
}

impl Observer {
    /// No watch runs until [`Observer::follow`] asks for one.
    #[must_use]
    pub fn new(client: Client, shutdown: Shutdown) -> Self {
        Self {
            client,
            shutdown,
            kinds: Arc::default(),
        }
    }

    /// Sees to it that a kind is watched. While its first listing is under way the answer is `Starting`, and `waiting`
    /// is woken when it is done.
    pub fn follow(&self, info: &Arc<KindInfo>, waiting: &Arc<Mailbox>) -> WatchState {
        let watch = {
            let mut kinds = lock(&self.kinds);
            let known = kinds.get(&info.kind).map(Arc::clone);
            known.unwrap_or_else(|| {
                let watch = Arc::new(KindWatch {
                    objects: Mutex::default(),
                    info: Mutex::new(Arc::clone(info)),
                    state: Mutex::new(State {
                        now: WatchState::Starting,
                        waiting: Vec::new(),
                    }),
                    again: Notify::new(),
                });
                kinds.insert(Arc::clone(&info.kind), Arc::clone(&watch));
                let (client, task) = (self.client.clone(), Arc::clone(&watch));
                let shutdown = self.shutdown.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = shutdown.requested() => {}
                        () = follow_kind(client, task) => {}
                    }
                });
                watch
            })
        };
        *lock(&watch.info) = Arc::clone(info);
        let mut state = lock(&watch.state);
        if state.now == WatchState::Starting && !state.waiting.iter().any(|known| Arc::ptr_eq(known, waiting))
        {
            state.waiting.push(Arc::clone(waiting));
        }
        state.now
    }

    /// Tries the watches again that were refused: a definition has changed.
    pub fn retry_refused(&self) {
        for watch in lock(&self.kinds).values() {
            if lock(&watch.state).now == WatchState::Refused {
                watch.again.notify_one();
            }
        }
    }

    /// What is known of an object without asking.
    #[must_use]
    pub fn seen(&self, key: &Key) -> Seen {
        self.with(key, |objects| objects.as_seen(key))
            .unwrap_or(Seen::Unwatched)
    }

    /// The newest metadata of an object that is known without asking.
    #[must_use]
    pub fn live(&self, key: &Key) -> Option<LiveMeta> {
        self.with(key, |objects| objects.live(key)).flatten()
    }

    /// How an object differs from what our apply left, if it does.
    #[must_use]
    pub fn drift(&self, key: &Key) -> Option<Drift> {
        self.with(key, |objects| objects.drift(key)).flatten()
    }

    /// A request about this object is about to be sent; [`Observer::finish`] must follow.
    pub fn begin(&self, key: &Key) {
        self.with(key, |objects| objects.begin(key));
    }

    /// The request was answered; with `live`, the object is `owner`'s and as `live` says.
    pub fn finish(&self, key: &Key, owner: &Arc<Mailbox>, live: Option<LiveMeta>) {
        self.with(key, |objects| objects.finish(key, owner, live));
    }

    /// The object is `owner`'s and as a checkpoint recorded it.
    pub fn expect(&self, key: &Key, owner: &Arc<Mailbox>, live: LiveMeta) {
        self.with(key, |objects| objects.expect(key, owner, live));
    }

    /// The object is not `owner`'s any more. If it is somebody else's, it stays that.
    pub fn release(&self, key: &Key, owner: &Arc<Mailbox>) {
        self.with(key, |objects| objects.release(key, owner));
    }

    fn with<T>(&self, key: &Key, act: impl FnOnce(&mut Objects) -> T) -> Option<T> {
        let watch = lock(&self.kinds).get(&key.kind).map(Arc::clone)?;
        let mut objects = lock(&watch.objects);
        Some(act(&mut objects))
    }
}

async fn follow_kind(client: Client, watch: Arc<KindWatch>) {
    let mut pause = REFUSED_PAUSE;
    loop {
        let info = Arc::clone(&lock(&watch.info));
        let resource = ApiResource {
            group: info.kind.group.to_string(),
            version: info.version.to_string(),
            api_version: info.api_version(),
            kind: info.kind.kind.to_string(),
            plural: info.plural.to_string(),
        };
        let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client.clone(), &resource);
        let config = watcher::Config::default().labels(label::APPLYSET_PART_OF);
        let mut events = std::pin::pin!(watch::watch(api, config));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if matches!(event, Event::InitDone) {
                        pause = REFUSED_PAUSE;
                    }
                    take(&info, &watch, event);
                }
                Err(error) => {
                    let cause = watch::words(&error);
                    if cause.is_forbidden() || cause.is_not_found() {
                        tracing::warn!(kind = %info.kind, %cause, "objects of this kind cannot be watched");
                        lock(&watch.objects).blind();
                        settle(&watch, WatchState::Refused);
                        break;
                    }
                }
            }
        }
        let _ = tokio::time::timeout(pause, watch.again.notified()).await;
        pause = (pause * 2).min(LONGEST_REFUSED_PAUSE);
    }
}

fn take(info: &KindInfo, watch: &KindWatch, event: Event<PartialObjectMeta<DynamicObject>>) {
    let mut objects = lock(&watch.objects);
    match event {
        Event::Init => objects.listing_begins(),
        Event::InitDone => {
            objects.listing_ends();
            drop(objects);
            settle(watch, WatchState::Following);
        }
        Event::Apply(object) | Event::InitApply(object) => {
            let manager = manager_of(&object.metadata);
            if let (Some(key), Some(live)) = (
                key(info, &object.metadata),
                LiveMeta::read(&object.metadata, &manager),
            ) {
                objects.seen(&key, live, newest_other_manager(&object.metadata, &manager));
            }
        }
        Event::Delete(object) => {
            let version = object
                .metadata
                .resource_version
                .as_deref()
                .and_then(|v| v.parse().ok())
                .unwrap_or(u64::MAX);
            if let Some(key) = key(info, &object.metadata) {
                objects.vanished(&key, version);
            }
        }
    }
}

fn settle(watch: &KindWatch, now: WatchState) {
    let waiting = {
        let mut state = lock(&watch.state);
        state.now = now;
        std::mem::take(&mut state.waiting)
    };
    for mailbox in waiting {
        mailbox.wake();
    }
}

/// The field manager of the Sync whose label an object carries.
fn manager_of(metadata: &ObjectMeta) -> String {
    let id = metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(label::APPLYSET_PART_OF));
    id.map(|id| applyset::manager(id)).unwrap_or_default()
}

fn key(info: &KindInfo, metadata: &ObjectMeta) -> Option<Key> {
    Some(Key {
        kind: Arc::clone(&info.kind),
        namespace: metadata.namespace.as_deref().map(Into::into),
        name: metadata.name.as_deref()?.into(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
