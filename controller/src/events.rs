//! Events (events.k8s.io/v1) about our objects: bounded, sent once, and never waited for.
//!
//! [`Events::publish`] only queues. One task sends, so a slow API server delays events and nothing else; a full queue
//! drops them, because an event is a courtesy and the status holds the truth. Good news waits until nobody is at work.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use crate::calm::Calm;
use crate::shutdown::Shutdown;
use crate::text;

/// The API server's limit on a note, in bytes.
const NOTE_LIMIT: usize = 1024;
/// The same event about the same object is not sent again for this long.
const QUIET: Duration = Duration::from_mins(10);
/// How many sent events are remembered.
const REMEMBERED: usize = 4096;
/// How many events may wait to be sent.
const QUEUE: usize = 2048;
/// How long good news waits at most while Syncs are at work.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often one is tried, with pauses of 1, 2, 3, 4, then 5 seconds: what happened while the API server was away is still
/// said when it is back.
const ATTEMPTS: u64 = 10;
const LONGEST_PAUSE: u64 = 5;

/// What kind of news an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}

/// Where events are handed in. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    /// What somebody should look at.
    warnings: mpsc::Sender<Event>,
    /// The rest, each with when it was handed in.
    news: mpsc::Sender<(Instant, Event)>,
    sent: Arc<Mutex<Sent>>,
    instance: Arc<str>,
}

impl Events {
    /// Starts the sending task. `instance` names this process, as a pod's name does.
    #[must_use]
    pub fn start(client: Client, instance: &str, calm: Calm, shutdown: Shutdown) -> Self {
        let (warnings, warnings_queue) = mpsc::channel(QUEUE);
        let (news, news_queue) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.requested() => {}
                () = send_all(client, warnings_queue, news_queue, calm) => {}
            }
        });
        Self {
            warnings,
            news,
            sent: Arc::default(),
            instance: text::bounded_bytes(instance, 128).into(),
        }
    }

    /// Queues an event about an object, unless the same was sent in the last ten minutes. `reason` is one word in
    /// CamelCase; `message` is a sentence, bounded here.
    pub fn publish(
        &self,
        about: &ObjectReference,
        severity: Severity,
        reason: &str,
        message: impl AsRef<str>,
    ) {
        let note = text::bounded_bytes(message.as_ref(), NOTE_LIMIT);
        let first_time = self
            .sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .first_time(Instant::now(), about, reason, &note);
        if first_time {
            let event = event(about, severity, reason, note, &self.instance);
            let queued = match severity {
                Severity::Warning => self.warnings.try_send(event).is_ok(),
                Severity::Normal => self.news.try_send((Instant::now(), event)).is_ok(),
            };
            if !queued {
                debug!(reason, "an event is dropped: too many are waiting");
            }
        }
    }
}

/// What was sent lately, by digest: the texts themselves need not be kept.
#[derive(Default)]
struct Sent {
    hasher: RandomState,
    at: HashMap<u64, Instant>,
}

impl Sent {
    fn first_time(&mut self, now: Instant, about: &ObjectReference, reason: &str, note: &str) -> bool {
        let key = self.hasher.hash_one((
            &about.kind,
            &about.namespace,
            &about.name,
            &about.uid,
            reason,
            note,
        ));
        if self
            .at
            .get(&key)
            .is_some_and(|at| now.duration_since(*at) < QUIET)
        {
            return false;
        }
        if self.at.len() >= REMEMBERED {
            self.at.retain(|_, at| now.duration_since(*at) < QUIET);
        }
        if self.at.len() >= REMEMBERED {
            // A flood of different events: forgetting costs a repetition, remembering costs memory.
            self.at.clear();
        }
        self.at.insert(key, now);
        true
    }
}

fn event(about: &ObjectReference, severity: Severity, reason: &str, note: String, instance: &str) -> Event {
    let now = jiff::Timestamp::now();
    let name = about.name.as_deref().unwrap_or("signet");
    Event {
        metadata: ObjectMeta {
            namespace: Some(about.namespace.clone().unwrap_or_else(|| "default".into())),
            // The name of an object can be as long as an event's may be: leave room for the time.
            name: Some(format!(
                "{}.{:x}",
                name.get(..220).unwrap_or(name),
                now.as_nanosecond()
            )),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".into()),
        event_time: Some(MicroTime(now)),
        note: Some(note),
        reason: Some(reason.to_owned()),
        regarding: Some(about.clone()),
        reporting_controller: Some("signet.dev/controller".into()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(
            match severity {
                Severity::Normal => "Normal",
                Severity::Warning => "Warning",
            }
            .into(),
        ),
        ..Event::default()
    }
}

async fn send_all(
    client: Client,
    mut warnings: mpsc::Receiver<Event>,
    mut news: mpsc::Receiver<(Instant, Event)>,
    calm: Calm,
) {
    let mut next: Option<(Instant, Event)> = None;
    loop {
        let rest = next
            .as_ref()
            .map(|(since, _)| PATIENCE.saturating_sub(since.elapsed()));
        tokio::select! {
            biased;
            Some(event) = warnings.recv() => send(&client, &event).await,
            () = calm.wait(rest.unwrap_or_default()), if next.is_some() => {
                if let Some((_, event)) = next.take() {
                    send(&client, &event).await;
                }
            }
            Some(event) = news.recv(), if next.is_none() => next = Some(event),
            else => return,
        }
    }
}

async fn send(client: &Client, event: &Event) {
    let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    for attempt in 1..=ATTEMPTS {
        match timeout(REQUEST_TIMEOUT, api.create(&PostParams::default(), event)).await {
            Ok(Ok(_)) => return,
            // A namespace that is going away, a missing right: trying again would not help.
            Ok(Err(kube::Error::Api(status))) if status.code < 429 => {
                // An earlier attempt may have arrived without our knowing: that is AlreadyExists, and fine.
                debug!(
                    code = status.code,
                    reason = event.reason,
                    "the API server refused an event"
                );
                return;
            }
            Ok(Err(_)) | Err(_) => tokio::time::sleep(Duration::from_secs(attempt.min(LONGEST_PAUSE))).await,
        }
    }
    debug!(reason = event.reason, "an event could not be sent");
}

#[cfg(test)]
mod tests {
    use super::{Event, ObjectReference, Sent, Severity, event};
    use std::time::{Duration, Instant};

    fn about(name: &str) -> ObjectReference {
        ObjectReference {
            kind: Some("Repository".into()),
            namespace: Some("a".into()),
            name: Some(name.into()),
            ..ObjectReference::default()
        }
    }

    #[test]
    fn the_same_is_sent_once_in_ten_minutes() {
        let mut sent = Sent::default();
        let start = Instant::now();
        assert!(sent.first_time(start, &about("x"), "NewCommit", "one"));
        assert!(!sent.first_time(start + Duration::from_secs(599), &about("x"), "NewCommit", "one"));
        assert!(sent.first_time(start, &about("x"), "NewCommit", "two"));
        assert!(sent.first_time(start, &about("y"), "NewCommit", "one"));
        assert!(sent.first_time(start + Duration::from_mins(10), &about("x"), "NewCommit", "one"));
    }

    #[test]
    fn memory_is_bounded() {
        let mut sent = Sent::default();
        let now = Instant::now();
        for i in 0..20_000 {
            sent.first_time(now, &about("x"), "NewCommit", &i.to_string());
        }
        assert!(sent.at.len() <= super::REMEMBERED);
    }

    #[test]
    fn names_fit() {
        let Event { metadata, .. } = event(
            &about(&"n".repeat(253)),
            Severity::Warning,
            "R",
            "note".into(),
            "pod",
        );
        assert!(metadata.name.unwrap().len() <= 253);
    }
}
