//! The watch of one kind: how far it is, who wants it, and the task that follows it.

use super::mailbox::Mailbox;
use super::objects::{At, Objects, Sight};
use super::rules::Rulebook;
use super::shown::{self, Shown};
use super::{Kinds, lock};
use crate::watch;
use apply::{Key, KindInfo};
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::runtime::watcher::{self, Event};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a watch that the API server refuses is left alone, at first and at most. An API server that has just started
/// refuses for a moment; otherwise rights change rarely, and asking is not silent.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_REFUSED_PAUSE: Duration = Duration::from_mins(5);

/// How long a watch that nobody wants any more goes on: a Sync may take its kind up again at once.
const GRACE: Duration = Duration::from_secs(10);

/// How far the watch of a kind is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// It has not been listed yet.
    Starting,
    /// It is listed and followed.
    Following,
    /// The API server does not let us watch it.
    Refused,
    /// It cannot be listed, for this reason. It is tried again and again.
    Failing(Arc<str>),
}

pub(super) struct KindWatch {
    pub(super) objects: Mutex<Objects>,
    /// The served version that was asked for last: a definition may stop serving one.
    info: Mutex<Arc<KindInfo>>,
    state: Mutex<State>,
    /// Wakes the task, to look at what follows and at who wants the watch.
    nudge: Notify,
    /// Whether the task should list anew: it was refused, or is to judge by other rules.
    restart: AtomicBool,
}

struct State {
    now: WatchState,
    /// Who is woken when it is listed.
    waiting: Mailboxes,
    /// Who wants the kind to be watched.
    interested: Mailboxes,
}

/// Mailboxes by address, which is nobody else's while the weak reference is kept.
type Mailboxes = HashMap<usize, Weak<Mailbox>>;

/// What the task needs besides the watch.
pub(super) struct Room {
    pub(super) client: Client,
    pub(super) rules: Rulebook,
    pub(super) kinds: Kinds,
}

impl KindWatch {
    pub(super) fn new(info: &Arc<KindInfo>) -> Self {
        Self {
            objects: Mutex::default(),
            info: Mutex::new(Arc::clone(info)),
            state: Mutex::new(State {
                now: WatchState::Starting,
                waiting: Mailboxes::new(),
                interested: Mailboxes::new(),
            }),
            nudge: Notify::new(),
            restart: AtomicBool::new(false),
        }
    }

    /// Takes note that `mailbox` wants this kind watched, in this version. Until it is, `mailbox` waits for it.
    pub(super) fn follow(&self, info: &Arc<KindInfo>, mailbox: &Arc<Mailbox>) -> WatchState {
        *lock(&self.info) = Arc::clone(info);
        let mut state = lock(&self.state);
        put(&mut state.interested, mailbox);
        if state.now != WatchState::Following {
            put(&mut state.waiting, mailbox);
        }
        state.now.clone()
    }

    /// `mailbox` does not want this kind any more.
    pub(super) fn drop_interest(&self, mailbox: &Arc<Mailbox>) {
        {
            let mut state = lock(&self.state);
            state.waiting.remove(&address(mailbox));
            state.interested.remove(&address(mailbox));
        }
        if !self.is_wanted() {
            self.nudge.notify_one();
        }
    }

    /// Lists anew, at once.
    pub(super) fn restart(&self) {
        self.restart.store(true, Ordering::Relaxed);
        self.nudge.notify_one();
    }

    /// Has the task look at what is due.
    pub(super) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Whether it was listed, cannot be followed any more, and `mailbox` relies on it.
    pub(super) fn is_lost_to(&self, mailbox: &Arc<Mailbox>) -> bool {
        self.is_stuck() && lock(&self.state).interested.contains_key(&address(mailbox))
    }

    pub(super) fn is_stuck(&self) -> bool {
        matches!(
            lock(&self.state).now,
            WatchState::Refused | WatchState::Failing(_)
        )
    }

    pub(super) fn is_wanted(&self) -> bool {
        let interested = &mut lock(&self.state).interested;
        interested.retain(|_, mailbox| mailbox.strong_count() > 0);
        !interested.is_empty()
    }

    fn settle(&self, now: WatchState) {
        let (waiting, interested) = {
            let mut state = lock(&self.state);
            let before = std::mem::replace(&mut state.now, now);
            let same = before == state.now;
            let first = before == WatchState::Starting || state.now == WatchState::Following;
            let lost = !same && before == WatchState::Following;
            (
                (first && !same).then(|| std::mem::take(&mut state.waiting)),
                lost.then(|| state.interested.clone()),
            )
        };
        for mailbox in waiting.iter().flat_map(HashMap::values) {
            mailbox.upgrade().inspect(|mailbox| mailbox.wake());
        }
        for mailbox in interested.iter().flat_map(HashMap::values) {
            // A whole pass says that these are not watched any more.
            mailbox.upgrade().inspect(|mailbox| mailbox.wake());
        }
    }

    fn take(&self, info: &KindInfo, event: Event<Shown>) {
        let mut objects = lock(&self.objects);
        let at = At::now();
        match event {
            Event::Init => objects.listing_begins(),
            Event::InitDone => {
                objects.listing_ends(at);
                drop(objects);
                self.settle(WatchState::Following);
            }
            Event::Apply(shown) | Event::InitApply(shown) => {
                if let Some(key) = key(info, &shown.metadata)
                    && let Some(sight) = Sight::read(&shown.metadata, &shown.manager, shown.verdict)
                {
                    objects.seen(&key, sight, at);
                }
            }
            Event::Delete(Shown { metadata, .. }) => {
                let version = metadata.resource_version.as_deref();
                let version = version.and_then(|v| v.parse().ok()).unwrap_or(u64::MAX);
                if let Some(key) = key(info, &metadata) {
                    objects.vanished(&key, version, at);
                }
            }
        }
    }

    /// An error of the watch. Whether it is a refusal.
    fn fails(&self, info: &KindInfo, error: &watcher::Error) -> bool {
        let cause = watch::words(error);
        if cause.is_forbidden() || cause.is_not_found() {
            tracing::warn!(kind = %info.kind, %cause, "objects of this kind cannot be watched");
            lock(&self.objects).blind();
            self.settle(WatchState::Refused);
            return true;
        }
        // A watch that was listed once goes on from there.
        if lock(&self.state).now != WatchState::Following {
            self.settle(WatchState::Failing(cause.to_string().into()));
        }
        false
    }
}

/// How one stretch of a watch ended.
enum Ended {
    Restart,
    Refused,
    Unwanted,
}

/// Follows a kind until nobody wants that any more.
pub(super) async fn run(room: Room, watch: Arc<KindWatch>) {
    let mut pause = REFUSED_PAUSE;
    let mut unwanted_since = None;
    loop {
        match stretch(&room, &watch, &mut pause, &mut unwanted_since).await {
            Ended::Restart => {}
            Ended::Unwanted => return,
            Ended::Refused => {
                let until = Instant::now() + pause;
                pause = (pause * 2).min(LONGEST_REFUSED_PAUSE);
                if rest(&room, &watch, until, &mut unwanted_since).await {
                    return;
                }
            }
        }
    }
}

async fn stretch(
    room: &Room,
    watch: &Arc<KindWatch>,
    pause: &mut Duration,
    unwanted_since: &mut Option<Instant>,
) -> Ended {
    watch.restart.store(false, Ordering::Relaxed);
    let info = Arc::clone(&lock(&watch.info));
    let content = room.rules.need_content(&info.kind);
    lock(&watch.objects).show_content(content);
    let mut events = shown::stream(room.client.clone(), &info, room.rules.clone(), content);
    loop {
        let end = end_at(watch, unwanted_since);
        let due = lock(&watch.objects).next_due().map(Instant::from_std);
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    if matches!(event, Event::InitDone) {
                        *pause = REFUSED_PAUSE;
                    }
                    watch.take(&info, event);
                }
                Some(Err(error)) => if watch.fails(&info, &error) {
                    return Ended::Refused;
                },
                None => return Ended::Restart,
            },
            () = watch.nudge.notified() => if watch.restart.load(Ordering::Relaxed) {
                return Ended::Restart;
            },
            () = until(due) => lock(&watch.objects).due(At::now()),
            () = until(end) => if room.end(watch) {
                return Ended::Unwanted;
            } else {
                *unwanted_since = None;
            },
        }
    }
}

/// Leaves a refused watch alone for a while. Whether nobody wants it any more.
async fn rest(
    room: &Room,
    watch: &Arc<KindWatch>,
    over: Instant,
    unwanted_since: &mut Option<Instant>,
) -> bool {
    loop {
        let end = end_at(watch, unwanted_since);
        tokio::select! {
            () = until(Some(over)) => return false,
            () = watch.nudge.notified() => if watch.restart.load(Ordering::Relaxed) {
                return false;
            },
            () = until(end) => if room.end(watch) {
                return true;
            } else {
                *unwanted_since = None;
            },
        }
    }
}

/// When the watch may end, if nobody takes it up until then.
fn end_at(watch: &KindWatch, unwanted_since: &mut Option<Instant>) -> Option<Instant> {
    if watch.is_wanted() {
        *unwanted_since = None;
        return None;
    }
    Some(*unwanted_since.get_or_insert_with(Instant::now) + GRACE)
}

impl Room {
    /// Ends a watch that nobody wants, unless it knows of objects that somebody holds.
    fn end(&self, watch: &Arc<KindWatch>) -> bool {
        // Whoever takes a kind up holds this lock.
        let mut kinds = lock(&self.kinds);
        if watch.is_wanted() || !lock(&watch.objects).is_idle() {
            return false;
        }
        let kind = Arc::clone(&lock(&watch.info).kind);
        tracing::debug!(%kind, "nobody holds objects of this kind: it is not watched any more");
        kinds.remove(&kind);
        true
    }
}

/// Waits until a time; for ever where there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn put(mailboxes: &mut Mailboxes, mailbox: &Arc<Mailbox>) {
    mailboxes
        .entry(address(mailbox))
        .or_insert_with(|| Arc::downgrade(mailbox));
}

fn address(mailbox: &Arc<Mailbox>) -> usize {
    Arc::as_ptr(mailbox).addr()
}

fn key(info: &KindInfo, metadata: &ObjectMeta) -> Option<Key> {
    Some(Key {
        kind: Arc::clone(&info.kind),
        namespace: metadata.namespace.as_deref().map(Into::into),
        name: metadata.name.as_deref()?.into(),
    })
}
