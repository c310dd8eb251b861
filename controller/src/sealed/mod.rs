//! SealedSecret objects of `bitnami.com/v1alpha1` that live in the cluster, as Bitnami's controller opens them: applied by
//! kubectl, Argo CD or Flux, and made into Secrets with the controller's own rights. Off unless it is asked for.
//!
//! One task holds the [`board`] and listens to the [`watches`]; what is due takes a turn in [`work`]. What is to be done is
//! [decided](decide) from metadata alone, and a [`record`] in the status proves that nothing is: so a restart opens and
//! writes nothing.

mod board;
mod claims;
mod decide;
mod live;
mod object;
mod record;
mod status;
mod takeover;
mod watches;
mod work;

pub use claims::Claims;

use crate::Context;
use apply::Server;
use board::Board;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use object::{Name, Object, name_of};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use watches::Seen;
use work::{Done, Tools};

/// The list that a watch is about to complete.
type Listing = HashMap<Option<Arc<str>>, HashSet<Name>>;

/// Follows SealedSecrets until shutdown.
pub async fn run(context: Context) {
    let scope = &context.config.sealed_secrets;
    let mut room = Room::new(&context);
    let mut events = watches::start(
        &context.client,
        scope,
        context.config.sealed_secrets_selector.as_deref(),
    );
    let mut keys = context.keys.clone();
    keys.mark_unchanged();
    let at_once = usize::from(context.config.concurrency);
    loop {
        while room.running.len() < at_once && room.lists_to_come.is_empty() {
            let Some(turn) = room.board.next(Instant::now()) else {
                break;
            };
            let tools = Arc::clone(&room.tools);
            let ring = Arc::clone(&keys.borrow());
            let name = turn.name.clone();
            let task = room
                .running
                .spawn(async move { tools.turn(&turn.name, turn.object, turn.live, ring).await });
            room.names.insert(task.id(), name);
        }
        let retry = room.board.next_retry();
        tokio::select! {
            () = context.shutdown.requested() => return,
            Some(seen) = events.next() => room.see(seen),
            Ok(()) = keys.changed() => room.board.keys_changed(),
            Some(ended) = room.running.join_next_with_id() => match ended {
                Ok((id, done)) => room.ended(id, Some(done)),
                Err(broken) => room.ended(broken.id(), None),
            },
            () = until(retry) => {}
        }
    }
}

struct Room {
    board: Board,
    tools: Arc<Tools>,
    running: JoinSet<Done>,
    /// Whose turns are running.
    names: HashMap<Id, Name>,
    sealed: Listing,
    secrets: Listing,
    /// First lists that are not complete. Nothing is decided before: what is not there may only not have been shown.
    /// Each is told by whether it is of SealedSecrets, and its namespace.
    lists_to_come: HashSet<(bool, Option<Arc<str>>)>,
}

impl Room {
    fn new(context: &Context) -> Self {
        let server = Server::new(context.client.clone(), usize::from(context.config.concurrency));
        Self {
            board: Board::new(context.digest_key.expose(), context.claims.clone()),
            tools: Arc::new(Tools::new(
                server,
                &context.namespace,
                context.digest_key.clone(),
                context.events.clone(),
                Arc::clone(&context.metrics),
            )),
            running: JoinSet::new(),
            names: HashMap::new(),
            sealed: HashMap::new(),
            secrets: HashMap::new(),
            lists_to_come: watches::lists(&context.config.sealed_secrets),
        }
    }

    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Sealed(scope, event) => self.see_sealed(scope, event),
            Seen::Secret(scope, event) => self.see_secret(scope, event),
        }
    }

    fn see_sealed(&mut self, scope: Option<Arc<str>>, event: Event<DynamicObject>) {
        match event {
            Event::Init => {
                self.sealed.insert(scope, HashSet::new());
            }
            Event::InitApply(object) => {
                if let Some(name) = name_of(&object.metadata) {
                    self.sealed.entry(scope).or_default().insert(name);
                }
                self.put(object);
            }
            Event::InitDone => {
                let seen = self.sealed.remove(&scope).unwrap_or_default();
                let gone = self
                    .board
                    .sealed_listed(&seen, |name| is_within(scope.as_ref(), name));
                for name in gone {
                    self.forget(&name);
                }
                self.lists_to_come.remove(&(true, scope));
            }
            Event::Apply(object) => self.put(object),
            Event::Delete(object) => {
                if let Some(name) = name_of(&object.metadata) {
                    self.board.sealed_gone(&name);
                    self.forget(&name);
                }
            }
        }
    }

    fn see_secret(&mut self, scope: Option<Arc<str>>, event: Event<PartialObjectMeta<Secret>>) {
        match event {
            Event::Init => {
                self.secrets.insert(scope, HashSet::new());
            }
            Event::InitApply(secret) => {
                if let Some(name) = name_of(&secret.metadata) {
                    self.secrets.entry(scope).or_default().insert(name.clone());
                    self.look(&name, &secret.metadata);
                }
            }
            Event::InitDone => {
                let seen = self.secrets.remove(&scope).unwrap_or_default();
                self.board
                    .secrets_listed(&seen, |name| is_within(scope.as_ref(), name));
                self.lists_to_come.remove(&(false, scope));
            }
            Event::Apply(secret) => {
                if let Some(name) = name_of(&secret.metadata) {
                    self.look(&name, &secret.metadata);
                }
            }
            Event::Delete(secret) => {
                let version = secret.metadata.resource_version.as_deref();
                let version = version
                    .and_then(|version| version.parse().ok())
                    .unwrap_or(u64::MAX);
                if let Some(name) = name_of(&secret.metadata) {
                    self.board.secret_gone(&name, version);
                }
            }
        }
    }

    fn put(&mut self, object: DynamicObject) {
        let Some(name) = name_of(&object.metadata) else {
            return;
        };
        if let Some(object) = Object::read(object, self.tools.digest_key.expose()) {
            let synced = object.brief.observed.map(|_| object.brief.synced);
            let instance = object.brief.instance.clone();
            self.tools
                .metrics
                .sealed
                .condition(&name, instance.as_deref(), synced);
            self.board.sealed(&name, object);
        }
    }

    fn look(&mut self, name: &Name, metadata: &ObjectMeta) {
        if let Some(live) = live::Live::read(metadata) {
            self.board.secret(name, live);
        }
    }

    fn forget(&self, name: &Name) {
        self.tools.metrics.sealed.forget(name);
    }

    fn ended(&mut self, id: Id, done: Option<Done>) {
        if let Some(name) = self.names.remove(&id) {
            self.board.finished(&name, done, Instant::now());
        }
    }
}

fn is_within(scope: Option<&Arc<str>>, name: &Name) -> bool {
    scope.is_none_or(|namespace| *namespace == name.0)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
