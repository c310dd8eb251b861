//! What a pass asks of the watches: whether they are listed, and what to expect of each object.

use super::worker::Worker;
use crate::observe::WatchState;
use apply::LiveMeta;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a first listing of watches may hold up a pass.
const WATCHES_WAIT: Duration = Duration::from_secs(10);

impl Worker {
    /// Whether the watches of these kinds are listed; otherwise the first of them to be wakes this worker.
    pub(super) fn watches_ready(&mut self, kinds: &[Arc<apply::KindInfo>]) -> bool {
        let mut starting = false;
        for info in kinds.iter().filter(|info| info.watchable) {
            starting |= self.rooms.observer.follow(info, &self.mailbox) == WatchState::Starting;
        }
        if !starting {
            self.waiting_since = None;
            return true;
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        if since.elapsed() < WATCHES_WAIT {
            self.retry_at = Some(since + WATCHES_WAIT);
            return false;
        }
        true
    }

    /// Tells the watches what the checkpoint knows, as far as they do not know it better: after a restart, for a kind whose
    /// watch is new, for an object whose delete failed.
    pub(super) fn expect_recorded(&mut self) {
        for (key, record) in self.checkpoint.records() {
            if let (Some(uid), Some(owned)) = (&record.uid, record.owned) {
                let live = LiveMeta {
                    uid: uid.clone(),
                    resource_version: 0,
                    owned: Some(owned),
                    deleting: false,
                    generation: None,
                };
                self.rooms.observer.expect(key, &self.mailbox, &live);
            }
        }
    }
}
