//! The Lease: of all controllers of one namespace, one acts.
//!
//! The rules are client-go's (`k8s.io/client-go/tools/leaderelection`), with its times but for the pace of renewals: who holds the
//! Lease renews it; who wants it takes it once it has not changed for [`TERM`] by the taker's own clock, so that clocks need not
//! agree. Who could not renew for [`DEADLINE`] writes nothing any more, and goes on when it renews again before anybody else has
//! taken the Lease. A Lease does not call back what was sent already: deletes and updates carry preconditions of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::ready::Readiness;
use crate::request::{RequestError, within};

/// The Lease's name, in the controller's own namespace.
pub const NAME: &str = "signet-controller";

/// How long a Lease counts after it was renewed last, for others.
const TERM: Duration = Duration::from_secs(15);

/// How long it counts for who holds it.
const DEADLINE: Duration = Duration::from_secs(10);

/// Between renewals that succeed: twelve a minute are all that an idle controller asks for beside its watches.
const PACE: Duration = Duration::from_secs(5);

/// How long a request about the Lease may take: two of them fit between a renewal and the [`DEADLINE`].
const PATIENCE: Duration = Duration::from_secs(2);

/// Between tries.
const RETRY: Duration = Duration::from_secs(2);

/// Whether this controller may write. Cheap to clone; shut until the Lease is ours.
#[derive(Clone, Debug)]
pub struct Fence {
    /// When it shuts, in milliseconds after `epoch`. 0: it is shut.
    until: Arc<AtomicU64>,
    epoch: Instant,
    held: watch::Sender<bool>,
    /// Where Leases of the namespace are made.
    leases: Arc<str>,
}

impl Fence {
    /// A fence that the Lease in this namespace opens.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        Self {
            until: Arc::default(),
            epoch: Instant::now(),
            held: watch::Sender::new(false),
            leases: format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases").into(),
        }
    }

    /// Whether a request may be sent now. Who only reads, asks who somebody is or renews the Lease always may.
    #[must_use]
    pub fn lets_through(&self, method: &Method, path: &str) -> bool {
        *method == Method::GET
            || self.is_the_lease(method, path)
            || path.starts_with("/apis/authentication.k8s.io/")
            || path.starts_with("/apis/authorization.k8s.io/")
            || self.is_open(Instant::now())
    }

    /// Whether it is this very Lease that is made or renewed.
    fn is_the_lease(&self, method: &Method, path: &str) -> bool {
        match path.strip_prefix(&*self.leases) {
            Some("") => *method == Method::POST,
            Some(name) => *method == Method::PUT && name.strip_prefix('/') == Some(NAME),
            None => false,
        }
    }

    /// Returns once the Lease has been ours.
    pub async fn opened(&self) {
        // The sender lives as long as this does.
        let _ = self.held.subscribe().wait_for(|held| *held).await;
    }

    /// Whether the Lease is ours now.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.is_open(Instant::now())
    }

    fn is_open(&self, now: Instant) -> bool {
        self.millis(now) < self.until.load(Ordering::Acquire)
    }

    /// The Lease counts from this time on.
    fn open(&self, from: Instant) {
        self.until.store(self.millis(from + DEADLINE), Ordering::Release);
        self.held.send_replace(true);
    }

    fn shut(&self) {
        self.until.store(0, Ordering::Release);
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }
}

/// What was seen of the Lease, and since when it is unchanged.
#[derive(Debug)]
struct Sight {
    lease: Lease,
    since: Instant,
}

impl Sight {
    fn holder(&self) -> &str {
        let spec = self.lease.spec.as_ref();
        spec.and_then(|spec| spec.holder_identity.as_deref())
            .unwrap_or_default()
    }

    /// None: it is gone. It counts for as long as it would have counted otherwise.
    fn version(&self) -> Option<&str> {
        self.lease.metadata.resource_version.as_deref()
    }

    fn acquired(&self) -> Option<&MicroTime> {
        self.lease.spec.as_ref()?.acquire_time.as_ref()
    }

    /// Whether `identity` may hold it now.
    fn is_free_for(&self, identity: &str, now: Instant) -> bool {
        let holder = self.holder();
        holder.is_empty() || holder == identity || now.saturating_duration_since(self.since) >= TERM
    }
}

/// One of those who want the Lease.
pub struct Candidate {
    api: Api<Lease>,
    identity: String,
    fence: Fence,
    sight: Option<Sight>,
    leads: bool,
    /// When this process took the Lease, as the Lease says: another one of the same name takes it anew.
    acquired: Option<MicroTime>,
    /// Until the next try.
    pause: Duration,
}

impl Candidate {
    /// `identity`: who this is; no two controllers may be the same.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: String, fence: Fence) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            identity,
            fence,
            sight: None,
            leads: false,
            acquired: None,
            pause: Duration::ZERO,
        }
    }

    /// One try before anything else is begun: mostly the Lease is free, and nobody has to wait for it.
    pub async fn begin(&mut self) {
        if let Ok(pause) = tokio::time::timeout(RETRY, self.step()).await {
            self.pause = pause;
        }
    }

    /// The next renewal is due now: nobody knows how long ago the last one was.
    pub fn hurry(&mut self) {
        self.pause = Duration::ZERO;
    }

    /// Wants the Lease, and keeps it. Returns when somebody else has taken it from us.
    pub async fn run(&mut self, readiness: &Readiness) {
        let mut said = String::new();
        loop {
            let holder = self.holder();
            readiness.stand_by(!self.leads && !holder.is_empty());
            if said != holder {
                match (self.leads, holder) {
                    (true, _) => info!(identity = holder, "this controller holds the Lease"),
                    (false, "") => {}
                    (false, _) => info!(holder, "standing by: another controller holds the Lease"),
                }
                said = holder.to_owned();
            }
            tokio::time::sleep(self.pause).await;
            let led = self.leads;
            self.pause = self.step().await;
            if led && !self.leads {
                warn!(holder = self.holder(), "another controller has taken the Lease");
                return;
            }
        }
    }

    /// Gives the Lease back, so that who comes next need not wait for it to run out.
    pub async fn release(&mut self) {
        self.fence.shut();
        if !std::mem::take(&mut self.leads) {
            return;
        }
        let Some(sight) = &self.sight else { return };
        let mut lease = sight.lease.clone();
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
        }
        // Whoever has it by now keeps it: the resourceVersion differs.
        let _ = within(PATIENCE, self.api.replace(NAME, &PostParams::default(), &lease)).await;
    }

    fn holder(&self) -> &str {
        self.sight.as_ref().map(Sight::holder).unwrap_or_default()
    }

    /// One try. Gives the time until the next.
    async fn step(&mut self) -> Duration {
        let begun = Instant::now();
        match self.ask().await {
            Ok(true) => {
                self.leads = true;
                self.fence.open(begun);
                PACE
            }
            Ok(false) => {
                self.fence.shut();
                self.leads = false;
                RETRY
            }
            // What was looked at has changed meanwhile.
            Err(error) if error.is_conflict() => Duration::from_millis(100),
            Err(error) => {
                warn!(%error, "the Lease cannot be renewed or read");
                RETRY
            }
        }
    }

    /// Whether the Lease is ours.
    async fn ask(&mut self) -> Result<bool, RequestError> {
        // Who leads renews what was seen last, in one request.
        if !self.leads || self.sight.is_none() {
            self.look().await?;
        }
        if self.is_lost() {
            return Ok(false);
        }
        if let Some(sight) = &self.sight
            && !sight.is_free_for(&self.identity, Instant::now())
        {
            return Ok(false);
        }
        let seen = self.sight.as_ref().map(|sight| &sight.lease);
        let lease = self.claimed(seen);
        let there = lease.metadata.resource_version.is_some();
        let params = PostParams::default();
        let answer = if there {
            within(PATIENCE, self.api.replace(NAME, &params, &lease)).await
        } else {
            within(PATIENCE, self.api.create(&params, &lease)).await
        };
        match answer {
            Ok(renewed) => {
                self.acquired = renewed.spec.as_ref().and_then(|spec| spec.acquire_time.clone());
                self.saw(renewed);
                Ok(true)
            }
            Err(error) if error.is_conflict() || error.is_not_found() => {
                // Somebody else was there; who, a look tells.
                self.look().await?;
                match &self.sight {
                    Some(sight) if sight.holder() != self.identity || self.is_lost() => Ok(false),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the Lease, which this process took, was taken since: by another one, or by one that gives itself the same name.
    fn is_lost(&self) -> bool {
        let Some(sight) = self.sight.as_ref().filter(|_| self.leads) else {
            return false;
        };
        sight.holder() != self.identity
            || (sight.version().is_some() && sight.acquired() != self.acquired.as_ref())
    }

    async fn look(&mut self) -> Result<(), RequestError> {
        match within(PATIENCE, self.api.get_opt(NAME)).await? {
            Some(lease) => self.saw(lease),
            None => {
                // Who held it may not know yet.
                if let Some(sight) = &mut self.sight {
                    sight.lease.metadata = ObjectMeta {
                        name: Some(NAME.to_owned()),
                        ..ObjectMeta::default()
                    };
                }
            }
        }
        Ok(())
    }

    /// The clock of others is not read: what counts is for how long the Lease has not changed, from when that was answered.
    fn saw(&mut self, lease: Lease) {
        let new = Sight {
            lease,
            since: Instant::now(),
        };
        let known = self.sight.take();
        self.sight = Some(match known {
            Some(known) if known.version() == new.version() => known,
            _ => new,
        });
    }

    /// The Lease as it is when we hold it.
    fn claimed(&self, seen: Option<&Lease>) -> Lease {
        let now = Some(MicroTime(Timestamp::now()));
        let old = seen.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        // A process that was started again takes it anew, whatever its name.
        let ours = self.leads && old.holder_identity.as_deref() == Some(self.identity.as_str());
        let taken = i32::from(seen.is_some());
        let metadata = seen.map_or_else(
            || ObjectMeta {
                name: Some(NAME.to_owned()),
                ..ObjectMeta::default()
            },
            |lease| lease.metadata.clone(),
        );
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(TERM.as_secs()).ok(),
                acquire_time: if ours { old.acquire_time } else { now.clone() },
                renew_time: now,
                lease_transitions: if ours {
                    old.lease_transitions
                } else {
                    Some(old.lease_transitions.unwrap_or_default().saturating_add(taken))
                },
                ..LeaseSpec::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(holder: &str, since: Instant) -> Sight {
        let lease = Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        };
        Sight { lease, since }
    }

    #[test]
    fn a_lease_is_taken_when_it_is_free_ours_or_has_run_out() {
        let since = Instant::now();
        for (holder, age, free) in [
            ("", 0, true),
            ("a", 0, true),
            ("b", 0, false),
            ("b", 14, false),
            ("b", 15, true),
        ] {
            let now = since + Duration::from_secs(age);
            let sight = held_by(holder, since);
            assert_eq!(sight.is_free_for("a", now), free, "{holder:?} for {age} s");
        }
    }

    #[test]
    fn nothing_is_written_before_the_lease_is_ours_nor_after_it_ran_out() {
        let fence = Fence::new("signet-system");
        let lease = "/apis/coordination.k8s.io/v1/namespaces/signet-system/leases/signet-controller";
        let map = "/api/v1/namespaces/shop/configmaps/a";
        let review = "/apis/authentication.k8s.io/v1/tokenreviews";
        let cases = |open: bool| {
            assert!(fence.lets_through(&Method::GET, map));
            assert!(fence.lets_through(&Method::PUT, lease));
            assert!(fence.lets_through(&Method::POST, lease.strip_suffix("/signet-controller").unwrap()));
            assert_eq!(fence.lets_through(&Method::PATCH, lease), open);
            assert_eq!(fence.lets_through(&Method::PUT, &format!("{lease}-2")), open);
            assert!(fence.lets_through(&Method::POST, review));
            assert_eq!(fence.lets_through(&Method::PATCH, map), open);
            assert_eq!(fence.lets_through(&Method::DELETE, map), open);
        };
        cases(false);
        let now = Instant::now();
        fence.open(now);
        cases(true);
        assert!(fence.is_open(now + Duration::from_secs(9)));
        assert!(!fence.is_open(now + DEADLINE));
        fence.shut();
        cases(false);
    }
}
