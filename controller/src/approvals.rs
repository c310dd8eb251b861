//! Approvals, followed and held in memory: who has approved which plan of which Sync.

use crate::ready::Gate;
use crate::repository::Change;
use crate::shutdown::Shutdown;
use crate::watch;
use crds::{Approval, annotation};
use futures::StreamExt;
use jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::broadcast::{self, error::RecvError};

/// The most Approvals that are held. Where there are more, the oldest of the namespace that has most do not count.
const MOST: usize = 10_000;
/// The longest user name that is kept, in characters.
const LONGEST_NAME: usize = 256;
/// How many changes may wait for a slow listener before it is told to look at everything.
const BACKLOG: usize = 1024;

/// An approval that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedBy {
    /// The Approval's name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it, as its annotation says: the install's admission policy lets only the truth in.
    pub by: Option<String>,
    /// When it stops to count.
    pub expires: Option<Timestamp>,
}

/// All Approvals of the cluster. Cheap to clone.
#[derive(Clone)]
pub struct Approvals(Arc<Inner>);

struct Inner {
    held: RwLock<Held>,
    changes: broadcast::Sender<Change>,
}

/// A listener's end.
pub struct Changes(broadcast::Receiver<Change>);

impl Changes {
    /// The next Sync, by namespace and name, whose Approvals changed; `None` when the controller stops.
    pub async fn next(&mut self) -> Option<Change> {
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(_)) => Some(Change::Many),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Approvals {
    /// Follows the Approvals of all namespaces until shutdown. `listed` opens when they are known.
    #[must_use]
    pub fn start(client: Client, listed: Gate, shutdown: Shutdown) -> Self {
        let approvals = Self::empty();
        let followed = approvals.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.requested() => {}
                () = followed.follow(client, &listed) => {}
            }
        });
        approvals
    }

    /// Whether a plan of a Sync is approved at `now`: of the Approvals that name it, the one that counts longest.
    #[must_use]
    pub fn approved(&self, namespace: &str, sync: &str, digest: &str, now: Timestamp) -> Option<ApprovedBy> {
        let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner);
        held.of(namespace, sync, now)
            .filter(|(_, kept)| &*kept.digest == digest)
            .max_by_key(|((created, _), kept)| {
                (kept.expires.is_none(), kept.expires, std::cmp::Reverse(*created))
            })
            .map(|((created, name), kept)| ApprovedBy {
                name: name.to_string(),
                created: *created,
                by: kept.by.as_deref().map(str::to_owned),
                expires: kept.expires,
            })
    }

    /// When the next Approval of a Sync stops to count.
    #[must_use]
    pub fn next_expiry(&self, namespace: &str, sync: &str, now: Timestamp) -> Option<Timestamp> {
        let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner);
        held.of(namespace, sync, now)
            .filter_map(|(_, kept)| kept.expires)
            .min()
    }

    /// Every change from now on. An Approval that expires is no change: see [`Approvals::next_expiry`].
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.0.changes.subscribe())
    }

    fn empty() -> Self {
        let (changes, _) = broadcast::channel(BACKLOG);
        Self(Arc::new(Inner {
            held: RwLock::default(),
            changes,
        }))
    }

    async fn follow(&self, client: Client, listed: &Gate) {
        let api: Api<DeserializeGuard<Approval>> = Api::all(client);
        let mut events = std::pin::pin!(watch::watch(api, watcher::Config::default()));
        // What a list has shown so far; what was known before stays good until it is complete.
        let mut fresh = Held::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => fresh = Held::default(),
                Ok(Event::InitApply(approval)) => {
                    fresh.put(&read(&approval));
                }
                Ok(Event::InitDone) => {
                    self.replace(std::mem::take(&mut fresh));
                    listed.open();
                }
                Ok(Event::Apply(approval)) => self.put(&read(&approval)),
                Ok(Event::Delete(approval)) => self.put(&Seen {
                    kept: None,
                    ..read(&approval)
                }),
                Err(_) => {} // said and waited for by the watch itself
            }
        }
    }

    fn replace(&self, fresh: Held) {
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *held != fresh;
        *held = fresh;
        drop(held);
        if changed {
            let _ = self.0.changes.send(Change::Many);
        }
    }

    fn put(&self, seen: &Seen) {
        let touched = self
            .0
            .held
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .put(seen);
        for sync in touched {
            // An error means that nobody listens.
            let _ = self
                .0
                .changes
                .send(Change::One((seen.namespace.to_string(), sync.to_string())));
        }
    }
}

/// An Approval as it was seen.
struct Seen {
    namespace: Box<str>,
    name: Box<str>,
    /// None where it cannot count: it is going away, or has not the form of its CRD.
    kept: Option<(Timestamp, Kept)>,
}

/// What is kept of an Approval.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    sync: Box<str>,
    digest: Box<str>,
    expires: Option<Timestamp>,
    by: Option<Box<str>>,
}

fn read(approval: &DeserializeGuard<Approval>) -> Seen {
    let kept = || {
        let approval = approval.0.as_ref().ok()?;
        let metadata = &approval.metadata;
        if metadata.deletion_timestamp.is_some() {
            return None;
        }
        let by = approval.annotations().get(annotation::APPROVED_BY);
        let kept = Kept {
            sync: approval.spec.sync_ref.name.as_str().into(),
            digest: approval.spec.digest.as_str().into(),
            // A time that cannot be read is not "for ever".
            expires: match &approval.spec.expires {
                Some(text) => Some(text.parse().ok()?),
                None => None,
            },
            by: by.map(|name| crate::text::bounded(name, LONGEST_NAME).into()),
        };
        Some((metadata.creation_timestamp.as_ref()?.0, kept))
    };
    Seen {
        namespace: approval.namespace().unwrap_or_default().into(),
        name: approval.name_any().into(),
        kept: kept(),
    }
}

#[derive(Default, PartialEq, Eq)]
struct Held {
    namespaces: HashMap<Box<str>, Namespace>,
    count: usize,
}

#[derive(Default, PartialEq, Eq)]
struct Namespace {
    /// By age, so that the oldest is found.
    approvals: BTreeMap<(Timestamp, Box<str>), Kept>,
    /// When each was made.
    created: HashMap<Box<str>, Timestamp>,
}

impl Held {
    /// The Approvals of a Sync that have not expired.
    fn of(
        &self,
        namespace: &str,
        sync: &str,
        now: Timestamp,
    ) -> impl Iterator<Item = (&(Timestamp, Box<str>), &Kept)> {
        let all = self
            .namespaces
            .get(namespace)
            .into_iter()
            .flat_map(|namespace| &namespace.approvals);
        all.filter(move |(_, kept)| &*kept.sync == sync && kept.expires.is_none_or(|expires| expires > now))
    }

    /// Takes an Approval in, in another's place where there is no room; or out. Gives the Syncs whose Approvals changed.
    fn put(&mut self, seen: &Seen) -> Vec<Box<str>> {
        let place = self.namespaces.entry(seen.namespace.clone()).or_default();
        let before = place
            .created
            .remove(&seen.name)
            .and_then(|created| place.approvals.remove(&(created, seen.name.clone())));
        self.count -= usize::from(before.is_some());
        let after = seen.kept.clone().map(|(created, kept)| {
            place.created.insert(seen.name.clone(), created);
            place.approvals.insert((created, seen.name.clone()), kept.clone());
            self.count += 1;
            kept
        });
        if place.approvals.is_empty() {
            self.namespaces.remove(&seen.namespace);
        }
        if self.count > MOST {
            self.drop_oldest();
        }
        if before == after {
            return Vec::new();
        }
        let mut touched: Vec<_> = before.into_iter().chain(after).map(|kept| kept.sync).collect();
        touched.dedup();
        touched
    }

    /// Whoever makes many Approvals pushes out their own.
    fn drop_oldest(&mut self) {
        let fullest = self
            .namespaces
            .values_mut()
            .max_by_key(|namespace| namespace.approvals.len());
        if let Some(fullest) = fullest
            && let Some(((_, name), _)) = fullest.approvals.pop_first()
        {
            fullest.created.remove(&name);
            self.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DIGEST: &str = "0123456789abcdef0123456789abcdef";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn seen(namespace: &str, name: &str, created: i64, spec: &serde_json::Value) -> Seen {
        let approval = json!({
            "apiVersion": "signet.dev/v1alpha1", "kind": "Approval",
            "metadata": {
                "namespace": namespace, "name": name, "creationTimestamp": at(created).to_string(),
                "annotations": {"signet.dev/approved-by": "jana"},
            },
            "spec": spec,
        });
        read(&serde_json::from_value(approval).unwrap())
    }

    fn plain(name: &str, created: i64) -> Seen {
        seen(
            "shop",
            name,
            created,
            &json!({"syncRef": {"name": "web"}, "digest": DIGEST}),
        )
    }

    fn expiring(name: &str, expires: &str) -> Seen {
        let spec = json!({"syncRef": {"name": "web"}, "digest": DIGEST, "expires": expires});
        seen("shop", name, 1, &spec)
    }

    fn name(approvals: &Approvals, now: i64) -> Option<String> {
        approvals
            .approved("shop", "web", DIGEST, at(now))
            .map(|found| found.name)
    }

    #[tokio::test]
    async fn an_approval_counts_for_its_sync_and_digest() {
        let approvals = Approvals::empty();
        let mut changes = approvals.changes();
        approvals.put(&plain("a", 5));
        assert_eq!(
            changes.next().await,
            Some(Change::One(("shop".into(), "web".into())))
        );
        let found = approvals.approved("shop", "web", DIGEST, at(9)).unwrap();
        assert_eq!(
            (found.created, found.by.as_deref(), found.expires),
            (at(5), Some("jana"), None)
        );
        assert_eq!(
            approvals.approved("shop", "web", &DIGEST.replace('0', "1"), at(9)),
            None
        );
        assert_eq!(approvals.approved("shop", "api", DIGEST, at(9)), None);
        assert_eq!(approvals.approved("other", "web", DIGEST, at(9)), None);
        // The same again is no news; its end is.
        approvals.put(&plain("a", 5));
        approvals.put(&Seen {
            kept: None,
            ..plain("a", 5)
        });
        assert_eq!(name(&approvals, 9), None);
        assert_eq!(
            changes.next().await,
            Some(Change::One(("shop".into(), "web".into())))
        );
        assert!(changes.0.try_recv().is_err());
        assert!(
            approvals.0.held.read().unwrap().namespaces.is_empty(),
            "nothing is left behind"
        );
    }

    #[test]
    fn what_has_expired_does_not_count() {
        let approvals = Approvals::empty();
        approvals.put(&expiring("short", "1970-01-01T00:01:40Z"));
        approvals.put(&expiring("long", "1970-01-01T02:03:20+02:00"));
        assert_eq!(
            name(&approvals, 99).as_deref(),
            Some("long"),
            "the one that counts longest"
        );
        assert_eq!(approvals.next_expiry("shop", "web", at(99)), Some(at(100)));
        assert_eq!(approvals.next_expiry("shop", "web", at(100)), Some(at(200)));
        assert_eq!(name(&approvals, 199).as_deref(), Some("long"));
        assert_eq!(name(&approvals, 200), None);
        assert_eq!(approvals.next_expiry("shop", "web", at(200)), None);
        approvals.put(&plain("for-ever", 7));
        approvals.put(&plain("and-ever", 8));
        assert_eq!(
            name(&approvals, 99).as_deref(),
            Some("for-ever"),
            "the first of those"
        );
    }

    #[test]
    fn what_cannot_be_read_or_goes_away_does_not_count() {
        let approvals = Approvals::empty();
        approvals.put(&plain("a", 1));
        approvals.put(&expiring("a", "soon"));
        assert_eq!(name(&approvals, 1), None, "it took the place of one that counted");
        approvals.put(&seen("shop", "b", 1, &json!({"digest": DIGEST})));
        let mut leaving: DeserializeGuard<Approval> = serde_json::from_value(json!({
            "apiVersion": "signet.dev/v1alpha1", "kind": "Approval",
            "metadata": {"namespace": "shop", "name": "c", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"syncRef": {"name": "web"}, "digest": DIGEST},
        }))
        .unwrap();
        approvals.put(&read(&leaving));
        assert_eq!(name(&approvals, 1).as_deref(), Some("c"));
        let metadata = &mut leaving.0.as_mut().unwrap().metadata;
        metadata.deletion_timestamp = metadata.creation_timestamp.clone();
        approvals.put(&read(&leaving));
        assert_eq!(name(&approvals, 1), None);
    }

    #[tokio::test]
    async fn a_new_list_takes_the_place_of_what_was_known() {
        let approvals = Approvals::empty();
        approvals.put(&plain("a", 1));
        let mut changes = approvals.changes();
        let list = |names: &[&str]| {
            let mut held = Held::default();
            for name in names {
                held.put(&plain(name, 1));
            }
            held
        };
        approvals.replace(list(&["a"]));
        assert!(changes.0.try_recv().is_err(), "the same list is no news");
        approvals.replace(list(&[]));
        assert_eq!(changes.next().await, Some(Change::Many));
        assert_eq!(name(&approvals, 1), None);
    }

    #[test]
    fn only_so_many_are_held_and_the_oldest_of_the_fullest_namespace_go() {
        let spec = json!({"syncRef": {"name": "web"}, "digest": DIGEST});
        let mut held = Held::default();
        held.put(&seen("quiet", "only", 0, &spec));
        for i in (0..10_100).rev() {
            held.put(&plain(&format!("a{i}"), i));
        }
        assert_eq!(held.count, MOST);
        assert_eq!(held.of("quiet", "web", at(0)).count(), 1);
        let oldest = held.namespaces["shop"].approvals.first_key_value().unwrap();
        assert_eq!(oldest.0.0, at(101));
        let sum: usize = held
            .namespaces
            .values()
            .map(|namespace| namespace.created.len())
            .sum();
        assert_eq!(sum, MOST);
    }
}
