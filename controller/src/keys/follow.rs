//! Following the key Secrets: loaded once before anything is opened, then kept current by a watch.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher::{Config as WatchConfig, Event};
use kube::{Api, Client};
use sealing::KeyRing;
use tokio::sync::watch as channel;
use tracing::{info, warn};

use super::create::{Recipe, create};
use super::document::{document, signers};
use super::labelled::{Home, Stored, selector};
use super::native::{self, NativeKey, NativeKeys, until_done};
use super::renew::{KeyOrder, Renewal, Schedule, until};
use super::stored::{KeySet, RsaKey};
use crate::config::Config;
use crate::events::Events;
use crate::leader::Fence;
use crate::metrics::Metrics;
use crate::ready::Gate;
use crate::request::bounded;
use crate::watch::watch;

/// How long after a failure to make a key the next attempt comes.
const RETRY: Duration = Duration::from_secs(2);
/// How long keys of format v1 wait, at the start, for those of format v2 to be listed: so that the first pass can open
/// both. No longer: what is known has to be published whatever becomes of the rest.
const GRACE: Duration = Duration::from_secs(5);

/// Keeps the ring current.
pub struct Follower {
    api: Api<Secret>,
    home: Home,
    recipe: Recipe,
    order: KeyOrder,
    renewal: Renewal,
    schedule: Schedule,
    metrics: Arc<Metrics>,
    publish: channel::Sender<Arc<KeyRing>>,
    gate: Gate,
    /// The keys of format v2, once they are known.
    natives: channel::Receiver<Option<NativeKeys>>,
    found: channel::Sender<Option<NativeKeys>>,
    /// Whether those of format v1 still wait for them.
    waits: bool,
    /// Bitnami's first versions used one Secret with this very name and no label. Read at the start of every list.
    legacy: Option<Secret>,
    /// Nobody makes a key but who acts.
    fence: Fence,
}

/// A follower, and where the rings it makes can be had. The first one is empty.
#[must_use]
pub fn first_load(
    client: Client,
    config: &Config,
    events: Events,
    metrics: Arc<Metrics>,
    gate: Gate,
    fence: Fence,
) -> (Follower, channel::Receiver<Arc<KeyRing>>) {
    let (publish, receiver) = channel::channel(Arc::new(KeyRing::new([])));
    let (found, natives) = channel::channel(None);
    let renewal = Renewal {
        period: config.key_renew_period,
        cutoff: config.key_cutoff_time,
    };
    let follower = Follower {
        api: Api::namespaced(client, &config.namespace),
        home: Home {
            namespace: config.namespace.clone(),
            events,
        },
        recipe: Recipe::of(config),
        order: config.key_order_priority,
        renewal,
        schedule: Schedule::new(renewal),
        metrics,
        publish,
        gate,
        natives,
        found,
        waits: true,
        legacy: None,
        fence,
    };
    (follower, receiver)
}

impl Follower {
    /// Follows the key Secrets, for ever. A key is made only when the first whole list holds none that can be used:
    /// keys that are removed later were removed by somebody who may be about to restore others.
    pub async fn run(self) {
        let natives = native::follow(
            self.api.clone(),
            self.home.clone(),
            self.renewal,
            self.found.clone(),
            self.fence.clone(),
        );
        tokio::select! {
            () = natives => {}
            () = self.follow() => {}
        }
    }

    async fn follow(mut self) {
        let mut stream = Box::pin(watch(
            self.api.clone(),
            WatchConfig::default().labels(&selector(RsaKey::LABEL)),
        ));
        let mut current = KeySet::default();
        let mut listing = KeySet::default();
        let mut first = true;
        let grace = tokio::time::sleep(GRACE);
        tokio::pin!(grace);
        let mut making = None;
        loop {
            let due = if first {
                None
            } else {
                self.schedule.next(self.newest())
            };
            let event = tokio::select! {
                event = stream.next() => match event {
                    Some(event) => event,
                    None => return,
                },
                () = until_done(&mut making) => {
                    making = None;
                    continue;
                }
                () = until(due) => {
                    self.renew(&current).await;
                    continue;
                }
                // Its sender lives as long as we do.
                _ = self.natives.changed() => {
                    self.offer(&current, &mut first);
                    continue;
                }
                () = &mut grace, if self.waits => {
                    self.waits = false;
                    if first {
                        self.offer(&current, &mut first);
                    }
                    continue;
                }
            };
            let changed = match event {
                Err(_) => false, // the watch has logged it and tries again
                Ok(Event::Init) => {
                    listing = KeySet::default();
                    self.read_legacy().await;
                    false
                }
                Ok(Event::InitApply(secret)) => {
                    listing.take(&secret, &self.home);
                    false
                }
                Ok(Event::InitDone) => {
                    let mut listed = std::mem::take(&mut listing);
                    // What the list shows is newer.
                    if let Some(secret) = self.legacy.as_ref().filter(|_| !listed.has(&self.recipe.prefix)) {
                        listed.take(secret, &self.home);
                    }
                    let changed = first || listed != current;
                    current = listed;
                    if first && current.ring(self.order).newest().is_none() {
                        // The watch brings it, and with it the first ring.
                        let (api, recipe, fence) =
                            (self.api.clone(), self.recipe.clone(), self.fence.clone());
                        making = Some(make(api, recipe, fence).boxed());
                        continue;
                    }
                    changed
                }
                Ok(Event::Apply(secret)) => current.take(&secret, &self.home),
                Ok(Event::Delete(secret)) => current.remove(&secret.metadata.name.unwrap_or_default()),
            };
            if current.ring(self.order).newest().is_some() {
                // Somebody brought one.
                making = None;
            }
            if changed {
                self.offer(&current, &mut first);
            }
        }
    }

    /// Publishes a ring of what is known, once that is a key of format v1.
    fn offer(&self, current: &KeySet, first: &mut bool) {
        let natives = match self.natives.borrow().clone() {
            Some(natives) => natives,
            None if self.waits => return,
            None => NativeKeys::default(),
        };
        let native = natives.oldest_first();
        let leaving: Vec<_> = natives.leaving().map(|(_, key)| key).collect();
        let identities = native.iter().chain(&leaving).copied();
        let ring = current
            .ring(self.order)
            .with_native(identities.filter_map(NativeKey::identity))
            .barring(leaving.iter().map(|key| key.id().to_owned()));
        if *first && ring.newest().is_none() {
            return;
        }
        *first = false;
        let of_v1 = current.compromised().filter_map(RsaKey::endorsement);
        let of_v2 = natives.compromised().filter_map(NativeKey::endorsement);
        let gone = current.gone().chain(natives.gone()).cloned();
        let compromised = of_v1.chain(of_v2).chain(gone);
        let unusable = current.unusable() + natives.unusable();
        // Without a key nobody signs.
        let ring = if ring.newest().is_some() || !native.is_empty() {
            let of_v1 = current
                .active()
                .map(|(_, key)| (key.id(), key.endorsed.as_slice()));
            let of_v2 = native.iter().map(|key| (key.id(), key.endorsed.as_slice()));
            let document = document(&ring, &native, &of_v1.chain(of_v2).collect(), compromised);
            ring.with_document(document)
        } else {
            ring
        };
        let newest_native = native.last().map_or("none", |key| key.id());
        // What people compare with what they have pinned (docs/secrets.md).
        let signs: Vec<String> = signers(&ring, &native).map(String::from).collect();
        let made = native
            .iter()
            .map(|key| (key.id().to_owned(), key.created.as_second()))
            .collect();
        let ring = Arc::new(ring);
        self.metrics.keys.replaced(Arc::clone(&ring), made, unusable);
        self.publish(ring, unusable, newest_native, &signs);
    }

    fn publish(&self, ring: Arc<KeyRing>, unusable: usize, newest_native: &str, signs: &[String]) {
        info!(
            keys = ring.keys().len(),
            unusable,
            native = ring.native().iter().count(),
            newest = ring.newest().map_or("none", |key| key.fingerprint().as_str()),
            newest_native,
            signs = signs.join(", "),
            "sealing keys are loaded"
        );
        self.publish.send_replace(ring);
        self.gate.open();
    }

    async fn read_legacy(&mut self) {
        // On failure the one that was read before stays: a key does not vanish because the API server does.
        if let Ok(found) = bounded(self.api.get_opt(&self.recipe.prefix)).await {
            self.legacy = found.filter(|secret| {
                // With the label it comes in the list; labelled otherwise, it was retired on purpose.
                !secret
                    .metadata
                    .labels
                    .as_ref()
                    .is_some_and(|l| l.contains_key(crds::label::SEALING_KEY))
            });
        }
    }

    fn newest(&self) -> Option<SystemTime> {
        self.publish.borrow().newest().map(sealing::SealingKey::order)
    }

    async fn renew(&mut self, current: &KeySet) {
        if !self.schedule.begins(self.newest()) {
            return;
        }
        if !self.fence.is_ours() {
            // Who acts renews it.
            return;
        }
        info!("the newest sealing key is due to be renewed");
        if let Err(error) = create(&self.api, &self.recipe, |name| current.has(name)).await {
            warn!(%error, "the sealing key could not be renewed; it is tried again");
        }
    }
}

/// Makes a key; where that fails, again and again.
async fn make(api: Api<Secret>, recipe: Recipe, fence: Fence) {
    fence.opened().await;
    loop {
        match create(&api, &recipe, |_| false).await {
            Ok(()) => return,
            Err(error) => warn!(%error, "there is no sealing key yet; it is tried again"),
        }
        tokio::time::sleep(RETRY).await;
    }
}
