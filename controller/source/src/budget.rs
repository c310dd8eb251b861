//! What one look at a remote has cost so far: everything that is asked for it counts together.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Agent;

use crate::{RemoteLimits, SourceError};

/// Counted against the limits of a [`Remote`](crate::Remote). Copies count together.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    deadline: Instant,
    received: AtomicU64,
    unpacked: AtomicU64,
    objects: AtomicU64,
    /// Shared with what comes after it.
    end: Arc<End>,
}

/// Whether nobody waits any more, and what waits for a remote meanwhile.
#[derive(Default)]
struct End {
    cancelled: AtomicBool,
    agents: Mutex<HashMap<u64, Agent>>,
    /// How many there were.
    count: AtomicU64,
}

/// Has what is asked with an agent end with a budget, as long as it is held.
#[derive(Debug)]
pub(crate) struct Ends(Arc<End>, u64);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.agents().remove(&self.1);
    }
}

impl End {
    fn agents(&self) -> MutexGuard<'_, HashMap<u64, Agent>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("End").field(&self.cancelled).finish()
    }
}

impl Budget {
    /// Time begins to run.
    pub(crate) fn begin(limits: &RemoteLimits) -> Self {
        Self::begin_with(limits, Arc::default())
    }

    /// Another one, which ends with this one when it is cancelled.
    pub(crate) fn next(&self, limits: &RemoteLimits) -> Self {
        Self::begin_with(limits, Arc::clone(&self.0.end))
    }

    fn begin_with(limits: &RemoteLimits, end: Arc<End>) -> Self {
        Self(Arc::new(Counts {
            deadline: Instant::now() + limits.total,
            received: AtomicU64::new(0),
            unpacked: AtomicU64::new(0),
            objects: AtomicU64::new(0),
            end,
        }))
    }

    /// Nobody waits for it any more: it ends as if its time were over, also where it waits for an answer over HTTP just now.
    pub fn cancel(&self) {
        self.0.end.cancelled.store(true, Ordering::Relaxed);
        let agents = mem::take(&mut *self.0.end.agents());
        agents.into_values().for_each(Agent::shutdown);
    }

    /// What is asked with this agent ends when it is cancelled.
    pub(crate) fn ends(&self, agent: &Agent) -> Ends {
        let end = &self.0.end;
        let number = end.count.fetch_add(1, Ordering::Relaxed);
        let mut agents = end.agents();
        if self.is_cancelled() {
            agent.clone().shutdown();
        } else {
            agents.insert(number, agent.clone());
        }
        drop(agents);
        Ends(Arc::clone(end), number)
    }

    /// Whether nobody waits for it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.end.cancelled.load(Ordering::Relaxed)
    }

    /// What is left of the total time, or the error that nothing is.
    pub(crate) fn remaining(&self) -> Result<Duration, SourceError> {
        if self.is_cancelled() {
            return Err(SourceError::Timeout("nobody waits for it"));
        }
        let left = self.0.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(SourceError::Timeout("total time"))
        } else {
            Ok(left)
        }
    }

    /// Bytes that came.
    pub(crate) fn receive(&self, bytes: u64, limits: &RemoteLimits) -> Result<(), SourceError> {
        let limit = limits.pack_bytes;
        add(&self.0.received, bytes, limit, || {
            format!("packs over {limit} bytes")
        })
    }

    /// Bytes that packs hold.
    pub(crate) fn unpack(&self, bytes: u64, limits: &RemoteLimits) -> Result<(), SourceError> {
        let Some(limit) = limits.unpacked_bytes else {
            return Ok(());
        };
        add(&self.0.unpacked, bytes, limit, || {
            format!("packs that hold over {limit} bytes")
        })
    }

    /// Objects that a pack says to have.
    pub(crate) fn expect(&self, objects: u32, limits: &RemoteLimits) -> Result<(), SourceError> {
        let limit = limits.objects;
        add(
            &self.0.objects,
            objects.into(),
            u64::try_from(limit).unwrap_or(u64::MAX),
            || format!("over {limit} objects"),
        )
    }
}

fn add(sum: &AtomicU64, more: u64, limit: u64, what: impl FnOnce() -> String) -> Result<(), SourceError> {
    let before = sum.fetch_add(more, Ordering::Relaxed);
    if before.saturating_add(more) > limit {
        return Err(SourceError::TooLarge(what()));
    }
    Ok(())
}
