//! Which Repositories there are: one task for each, started, told of changes, and stopped.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crds::Repository;
use futures::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Resource, ResourceExt};
use source::Part;
use tokio::sync::watch as channel;
use tokio::task::{Id, JoinSet};
use tracing::{error, warn};

use super::follower::Follower;
use super::wanted::Order;
use super::{Key, Room, SourceState};
use crate::events::Severity;
use crate::ready::Gate;
use crate::watch::watch;

/// After a task's panic, before it is started again.
const RESTART: Duration = Duration::from_secs(5);

pub(super) struct Manager {
    room: Arc<Room>,
    gate: Gate,
    known: HashMap<Key, Running>,
    tasks: JoinSet<()>,
    /// Which Repository a task follows.
    owners: HashMap<Id, (Key, String)>,
}

struct Running {
    uid: String,
    /// What its stores take of the disk: what it follows, and its notes.
    part: Part,
    orders: channel::Sender<Order>,
}

impl Manager {
    pub(super) fn new(room: Arc<Room>, gate: Gate) -> Self {
        Self {
            room,
            gate,
            known: HashMap::new(),
            tasks: JoinSet::new(),
            owners: HashMap::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let api: Api<DeserializeGuard<Repository>> = Api::all(self.room.client.clone());
        let mut events = Box::pin(watch(api, Config::default()));
        let mut listed: HashSet<Key> = HashSet::new();
        let shutdown = self.room.shutdown.clone();
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                Some(ended) = self.tasks.join_next_with_id() => self.ended(&ended),
                event = events.next() => match event {
                    None => return,
                    Some(Err(_)) => {} // logged by the watch, which tries again
                    Some(Ok(Event::Init)) => listed.clear(),
                    Some(Ok(Event::InitApply(guard))) => {
                        listed.insert(key(guard.meta()));
                        self.apply(guard);
                    }
                    Some(Ok(Event::InitDone)) => self.listed(&listed),
                    Some(Ok(Event::Apply(guard))) => self.apply(guard),
                    Some(Ok(Event::Delete(guard))) => self.remove(&key(guard.meta())),
                }
            }
        }
    }

    fn apply(&mut self, guard: DeserializeGuard<Repository>) {
        match guard.0 {
            Ok(object) => self.follow(object),
            Err(invalid) => {
                let reference = DeserializeGuard::<Repository>(Err(invalid)).object_ref(&());
                let key = (
                    reference.namespace.clone().unwrap_or_default(),
                    reference.name.clone().unwrap_or_default(),
                );
                let uid = reference.uid.clone().unwrap_or_default();
                let message = "This Repository cannot be read by this version of the controller. Compare it with \
                               the installed CustomResourceDefinition.";
                warn!(namespace = key.0, name = key.1, "{message}");
                self.room
                    .events
                    .publish(&reference, Severity::Warning, "Unreadable", message);
                // Its task ends; its store and its head stay. What counts of the disk is counted anew by who goes on.
                self.room.notes.forget(&key);
                self.known.remove(&key);
                self.room.heads.begin(&key, &uid);
                let last = self.room.heads.get(&key).head().cloned();
                let message = message.to_owned();
                self.room
                    .heads
                    .set(&key, &uid, SourceState::Failed { message, last });
            }
        }
        self.count();
    }

    fn follow(&mut self, object: Repository) {
        let key = key(object.meta());
        let uid = object.uid().unwrap_or_default();
        self.room.webhooks.register(&key, &object);
        let object = Arc::new(object);
        let order = Order::Follow(Arc::clone(&object));
        match self.known.get(&key) {
            Some(running) if running.uid == uid => {
                running.orders.send_replace(order);
            }
            other => {
                if other.is_some() {
                    self.end(&key);
                }
                let part = self.room.disk.part(&key.0);
                self.start(key.clone(), uid, order, part, Duration::ZERO);
            }
        }
        if let Some(running) = self.known.get(&key) {
            self.room.notes.register(&key, &object, &running.part);
        }
    }

    fn start(&mut self, key: Key, uid: String, order: Order, part: Part, delay: Duration) {
        self.room.heads.begin(&key, &uid);
        let (orders, receiver) = channel::channel(order);
        let room = Arc::clone(&self.room);
        let follower = Follower::new(room, key.clone(), uid.clone(), part.clone(), receiver);
        let task = self.tasks.spawn(async move {
            tokio::time::sleep(delay).await;
            Box::pin(follower.run()).await;
        });
        self.owners.insert(task.id(), (key.clone(), uid.clone()));
        self.known.insert(key, Running { uid, part, orders });
    }

    fn remove(&mut self, key: &Key) {
        self.room.webhooks.forget(key);
        self.room.notes.forget(key);
        self.end(key);
    }

    fn end(&mut self, key: &Key) {
        if let Some(running) = self.known.remove(key) {
            running.orders.send_replace(Order::Remove);
            self.room.heads.end(key, &running.uid);
        }
        self.count();
    }

    /// The list is whole: what is not in it is gone.
    fn listed(&mut self, listed: &HashSet<Key>) {
        let gone: Vec<Key> = self
            .known
            .keys()
            .filter(|key| !listed.contains(*key))
            .cloned()
            .collect();
        for key in gone {
            self.remove(&key);
        }
        let uids: HashSet<String> = self.owners.values().map(|(_, uid)| uid.clone()).collect();
        let stores = self.room.stores.clone();
        tokio::task::spawn_blocking(move || sweep(&stores, &uids));
        self.room.heads.listed();
        self.gate.open();
    }

    fn ended(&mut self, ended: &Result<(Id, ()), tokio::task::JoinError>) {
        let id = ended
            .as_ref()
            .map_or_else(tokio::task::JoinError::id, |(id, ())| *id);
        let Some((key, uid)) = self.owners.remove(&id) else {
            return;
        };
        if ended.is_ok() {
            return;
        }
        error!(
            namespace = key.0,
            name = key.1,
            "the task of a Repository stopped unexpectedly; it is started again"
        );
        if let Some(running) = self.known.get(&key).filter(|running| running.uid == uid) {
            let order = running.orders.borrow().clone();
            let part = running.part.clone();
            self.start(key, uid, order, part, RESTART);
        }
    }

    fn count(&self) {
        self.room
            .metrics
            .repositories
            .set(i64::try_from(self.known.len()).unwrap_or(i64::MAX));
    }
}

fn key(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Key {
    (
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}

/// Removes the stores of Repositories that went away while nobody watched. Whatever does not look like one of ours
/// stays.
fn sweep(stores: &Path, uids: &HashSet<String>) {
    let Ok(entries) = std::fs::read_dir(stores) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name
            .to_str()
            .is_some_and(|name| is_uid(name) && !uids.contains(name));
        if ours
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            warn!(%error, "the store of a Repository that is gone cannot be removed");
        }
    }
}

fn is_uid(name: &str) -> bool {
    name.len() == 36 && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::sweep;
    use std::collections::HashSet;

    #[test]
    fn only_stores_of_the_gone_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let kept = "00000000-0000-4000-8000-000000000001";
        let gone = "00000000-0000-4000-8000-000000000002";
        for name in [kept, gone, "lost+found", "somebody-elses"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        sweep(dir.path(), &HashSet::from([kept.to_owned()]));
        assert!(!dir.path().join(gone).exists());
        for name in [kept, "lost+found", "somebody-elses"] {
            assert!(dir.path().join(name).exists(), "{name}");
        }
        sweep(&dir.path().join("nowhere"), &HashSet::new());
    }
}
