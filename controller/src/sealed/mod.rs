//! SealedSecret objects that live in the cluster, of both kinds, as Bitnami's controller opens its own: applied by kubectl,
//! Argo CD or Flux, and made into Secrets with the controller's own rights. Off unless it is asked for.
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
use object::{Format, Id, Name, Object, name_of};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use watches::{List, Seen};
use work::{Done, Tools};

/// How long one kind waits, at the start, for the list of the other: where a definition or a right is missing, it never comes.
const GRACE: Duration = Duration::from_secs(10);

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
        while room.running.len() < at_once {
            let Some(turn) = room.next() else {
                break;
            };
            let tools = Arc::clone(&room.tools);
            let ring = Arc::clone(&keys.borrow());
            let id = turn.id.clone();
            let task = room.running.spawn(async move { tools.turn(turn, ring).await });
            room.turns.insert(task.id(), id);
        }
        let retry = room.next_look();
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
    claims: Claims,
    tools: Arc<Tools>,
    running: JoinSet<Done>,
    /// Whose turns are running.
    turns: HashMap<tokio::task::Id, Id>,
    /// What the lists that watches are about to complete have shown.
    listing: HashMap<List, HashSet<Name>>,
    /// First lists that are not complete. Nothing is decided before: what is not there may only not have been shown.
    lists_to_come: HashSet<List>,
    /// Until when one kind waits for the other.
    grace: Instant,
}

impl Room {
    fn new(context: &Context) -> Self {
        let server = Server::new(context.client.clone(), usize::from(context.config.concurrency));
        Self {
            board: Board::new(context.digest_key.expose(), context.claims.clone()),
            claims: context.claims.clone(),
            tools: Arc::new(Tools::new(
                server,
                &context.namespace,
                context.digest_key.clone(),
                context.events.clone(),
                Arc::clone(&context.metrics),
            )),
            running: JoinSet::new(),
            turns: HashMap::new(),
            listing: HashMap::new(),
            lists_to_come: watches::lists(&context.config.sealed_secrets),
            grace: Instant::now() + GRACE,
        }
    }

    /// The next turn, of one about which all is known: its own list, that of Secrets, and in good time that of the other kind.
    fn next(&mut self) -> Option<board::Turn> {
        let now = Instant::now();
        if !self.lists_to_come.is_empty() {
            if now < self.grace {
                return None;
            }
            // A Sync waits no longer either.
            self.claims.awaits(&HashSet::new());
        }
        let to_come = &self.lists_to_come;
        self.board
            .next(now, |id| !to_come.iter().any(|list| concerns(list, id)))
    }

    /// When something is due by itself.
    fn next_look(&self) -> Option<Instant> {
        let waits = !self.lists_to_come.is_empty() && Instant::now() < self.grace;
        let grace = waits.then_some(self.grace);
        self.board.next_retry().into_iter().chain(grace).min()
    }

    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Sealed(format, scope, event) => self.see_sealed(format, scope, event),
            Seen::Secret(scope, event) => self.see_secret(scope, event),
        }
    }

    fn see_sealed(&mut self, format: Format, scope: Option<Arc<str>>, event: Event<DynamicObject>) {
        let list = (Some(format), scope);
        match event {
            Event::Init => {
                self.listing.insert(list, HashSet::new());
            }
            Event::InitApply(object) => {
                if let Some(name) = name_of(&object.metadata) {
                    self.listing.entry(list).or_default().insert(name);
                }
                self.put(format, object);
            }
            Event::InitDone => {
                let seen = self.listing.remove(&list).unwrap_or_default();
                let gone = self
                    .board
                    .sealed_listed(format, &seen, |name| is_within(list.1.as_ref(), name));
                for id in gone {
                    self.forget(&id);
                }
                self.arrived(&list);
            }
            Event::Apply(object) => self.put(format, object),
            Event::Delete(object) => {
                if let Some(name) = name_of(&object.metadata) {
                    let id = Id { format, name };
                    self.board.sealed_gone(&id);
                    self.forget(&id);
                }
            }
        }
    }

    fn see_secret(&mut self, scope: Option<Arc<str>>, event: Event<PartialObjectMeta<Secret>>) {
        let list = (None, scope);
        match event {
            Event::Init => {
                self.listing.insert(list, HashSet::new());
            }
            Event::InitApply(secret) => {
                if let Some(name) = name_of(&secret.metadata) {
                    self.listing.entry(list).or_default().insert(name.clone());
                    self.look(&name, &secret.metadata);
                }
            }
            Event::InitDone => {
                let seen = self.listing.remove(&list).unwrap_or_default();
                self.board
                    .secrets_listed(&seen, |name| is_within(list.1.as_ref(), name));
                self.arrived(&list);
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

    /// A first list is complete. What is known by now is looked through before any of it has a turn: a Sync may ask.
    fn arrived(&mut self, list: &List) {
        if self.lists_to_come.remove(list) {
            let to_come = &self.lists_to_come;
            self.board
                .claim(|id| !to_come.iter().any(|list| concerns(list, id)));
            self.claims.awaits(to_come);
        }
    }

    fn put(&mut self, format: Format, object: DynamicObject) {
        let Some(name) = name_of(&object.metadata) else {
            return;
        };
        if let Some(object) = Object::read(format, object, self.tools.digest_key.expose()) {
            let id = Id { format, name };
            if self.is_counted(&id) {
                let synced = object.brief.observed.map(|_| object.brief.synced);
                let instance = object.brief.instance.clone();
                self.tools
                    .metrics
                    .sealed
                    .condition(&id.name, instance.as_deref(), synced);
            }
            self.board.sealed(&id, object);
        }
    }

    /// Whether the metrics of its name are this one's: where there are two, they are those of Bitnami's kind.
    fn is_counted(&self, id: &Id) -> bool {
        id.format == Format::V1 || !self.board.has(&id.twin())
    }

    fn look(&mut self, name: &Name, metadata: &ObjectMeta) {
        if let Some(live) = live::Live::read(metadata) {
            self.board.secret(name, live);
        }
    }

    fn forget(&self, id: &Id) {
        if self.is_counted(id) {
            self.tools.metrics.sealed.forget(&id.name);
        }
    }

    fn ended(&mut self, task: tokio::task::Id, done: Option<Done>) {
        if let Some(id) = self.turns.remove(&task) {
            self.board.finished(&id, done, Instant::now());
        }
    }
}

/// Whether a list would show something of a namespace.
fn concerns_namespace((_, scope): &List, namespace: &str) -> bool {
    scope.as_deref().is_none_or(|own| own == namespace)
}

/// Whether a list would show something about it. A namespace that cannot be listed stops no other.
fn concerns((kind, scope): &List, id: &Id) -> bool {
    kind.is_none_or(|kind| kind == id.format) && is_within(scope.as_ref(), &id.name)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_does_not_come_stops_its_own_kind_and_namespace_only() {
        let id = |format, namespace: &str| Id {
            format,
            name: (namespace.into(), "db".into()),
        };
        let shops = (Some(Format::V1), Some("shop".into()));
        assert!(concerns(&shops, &id(Format::V1, "shop")));
        assert!(!concerns(&shops, &id(Format::V2, "shop")));
        assert!(!concerns(&shops, &id(Format::V1, "other")));
        let secrets = (None, Some("shop".into()));
        assert!(concerns(&secrets, &id(Format::V2, "shop")));
        assert!(!concerns(&secrets, &id(Format::V2, "other")));
        assert!(concerns(&(None, None), &id(Format::V2, "other")));
    }
}
