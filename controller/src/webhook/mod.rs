//! Webhooks of Git hosts: a verified delivery makes the Repositories that its secret belongs to look at their remotes.
//!
//! What a delivery says is a hint and no more. It chooses among the Repositories that name the secret it is signed
//! with; nothing in it is fetched, stored, shown or applied. Who has no secret costs one bounded body and one
//! comparison; who has one costs a question to the remote, at most five a second for each Repository.

mod choose;
mod push;
mod receiver;
mod replay;
mod secret;
mod signature;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;
use crds::Repository;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, Resource};

use crate::events::{Events, Severity};
use crate::metrics::{Metrics, WebhookOutcome, count};
use crate::repository::{Heads, Key};

use choose::Followed;
use push::{Read, read};
use receiver::Receiver;
use signature::Refusal;

/// A receiver's address: the namespace, and the name of the Secret.
type Address = (String, String);

/// Where deliveries arrive. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    client: Client,
    heads: Heads,
    events: Events,
    metrics: Arc<Metrics>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    receivers: HashMap<Address, Arc<Receiver>>,
    /// Where each Repository is registered.
    addresses: HashMap<Key, Address>,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not signed with the secret, or there is no such receiver: one answer for both.
    Refused,
    /// Signed, and too many of them. Seconds to wait.
    TooSoon(u64),
    /// Signed, and its body is not what the provider sends.
    Unreadable,
    /// Seen before.
    Replayed,
    /// The host tries whether the secret fits.
    Ping,
    /// Nothing follows what was pushed, or it is no push.
    Ignored,
    /// So many Repositories look at their remotes now.
    Taken(usize),
}

impl Webhooks {
    /// Nobody is registered yet.
    #[must_use]
    pub fn new(client: Client, heads: Heads, events: Events, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            client,
            heads,
            events,
            metrics,
            known: Mutex::default(),
        }))
    }

    /// Notes what a Repository wants to be told of. Called at every change of it.
    pub fn register(&self, key: &Key, object: &Repository) {
        let Some(webhook) = &object.spec.webhook else {
            return self.forget(key);
        };
        let address = (key.0.clone(), webhook.secret_ref.name.clone());
        let followed = Followed::new(object, webhook.provider);
        let about = object.object_ref(&());
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.addresses.get(key).is_some_and(|before| *before != address) {
            known.forget(key);
        }
        known.addresses.insert(key.clone(), address.clone());
        let receiver = known.receivers.entry(address.clone()).or_insert_with(|| {
            let (namespace, secret) = address;
            Arc::new(Receiver::new(namespace, secret))
        });
        receiver.follow(key.clone(), followed, about);
    }

    /// A Repository went away, or wants no webhook any more.
    pub fn forget(&self, key: &Key) {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.forget(key);
    }

    /// Takes a delivery in. `body` is bounded by the caller.
    pub async fn deliver(&self, namespace: &str, secret: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
        let answer = self.take(namespace, secret, headers, body).await;
        let outcome = match answer {
            Answer::Refused => WebhookOutcome::Refused,
            Answer::TooSoon(_) => WebhookOutcome::Limited,
            Answer::Unreadable => WebhookOutcome::Unreadable,
            Answer::Replayed => WebhookOutcome::Replayed,
            Answer::Ping | Answer::Ignored => WebhookOutcome::Ignored,
            Answer::Taken(_) => WebhookOutcome::Taken,
        };
        count(&self.0.metrics.webhooks, outcome, 1);
        answer
    }

    async fn take(&self, namespace: &str, secret: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
        let address = (namespace.to_owned(), secret.to_owned());
        let receiver = {
            let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.receivers.get(&address).cloned()
        };
        let Some(receiver) = receiver else {
            // As much work as for a receiver that is there.
            signature::spend(body);
            return Answer::Refused;
        };
        let verified = match receiver.verify(&self.0.client, headers, body).await {
            Ok(verified) => verified,
            Err(problem) => {
                if matches!(problem, Problem::Secret(_)) {
                    signature::spend(body);
                }
                self.say(&receiver, problem.reason(), &problem.sentence(namespace, secret));
                return Answer::Refused;
            }
        };
        if let Err(soon) = receiver.admit() {
            return Answer::TooSoon(soon.retry_after);
        }
        if receiver.is_replay(&verified.marks) {
            return Answer::Replayed;
        }
        match read(verified.provider, headers, body) {
            Read::Unreadable => Answer::Unreadable,
            Read::Ping => Answer::Ping,
            Read::Other => Answer::Ignored,
            Read::Push(push) => {
                let chosen = receiver.choose(verified.provider, &push);
                for key in &chosen {
                    self.0.heads.hint(key);
                }
                match chosen.len() {
                    0 => Answer::Ignored,
                    looks => Answer::Taken(looks),
                }
            }
        }
    }

    /// An event for everybody who waits for this webhook. The same is not said twice within ten minutes.
    fn say(&self, receiver: &Receiver, reason: &str, sentence: &str) {
        for about in receiver.about() {
            self.0.events.publish(&about, Severity::Warning, reason, sentence);
        }
    }
}

impl Known {
    fn forget(&mut self, key: &Key) {
        let Some(address) = self.addresses.remove(key) else {
            return;
        };
        if let Some(receiver) = self.receivers.get(&address)
            && receiver.leave(key)
        {
            self.receivers.remove(&address);
        }
    }
}

/// Why a delivery is not taken: for the people whose Repository it is, not for the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    Signature(Refusal),
    Secret(secret::Problem),
}

impl Problem {
    fn reason(&self) -> &'static str {
        match self {
            Self::Signature(_) => "WebhookRefused",
            Self::Secret(problem) => problem.reason,
        }
    }

    fn sentence(&self, namespace: &str, secret: &str) -> String {
        match self {
            Self::Signature(refusal) => {
                format!("A webhook at /v1/hooks/{namespace}/{secret} was refused: {refusal}.")
            }
            Self::Secret(problem) => format!("Webhooks cannot be verified: {}.", problem.message),
        }
    }
}

/// What a Repository is, in an event.
type About = ObjectReference;
