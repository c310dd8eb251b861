//! The Repository reconciler: follows Git remotes and publishes their heads.
//!
//! One task a Repository looks at its remote, fetches what is new, and tells [`Heads`]. In steady state it costs the
//! remote one question an interval, however many follow the same, and the API server nothing: credentials are read once and kept, status and events
//! are written when they change.

mod app_login;
mod aside;
mod credentials;
mod deploy_key;
mod deploy_login;
mod failure;
mod follower;
mod heads;
mod intake;
mod look;
mod manager;
mod notes;
mod pushing;
mod reference;
mod revision;
mod shared;
mod spec;
mod status;
mod verified;
mod verify;
mod wait;
mod wanted;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use kube::Client;

use crate::config::Config;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::places::Places;
use crate::ready::Gate;
use crate::shutdown::Shutdown;
use crate::webhook::Webhooks;

pub(crate) use pushing::{remote_to_ask, remote_to_push, remote_to_read, signing_key};
pub(crate) use verified::signers;

pub use heads::{Change, Changes, Head, Heads, Key, Pinned, SourceState};
pub use notes::Notes;

/// What the room works with.
pub struct Room {
    client: Client,
    events: Events,
    metrics: Arc<Metrics>,
    heads: Heads,
    webhooks: Webhooks,
    notes: Notes,
    shutdown: Shutdown,
    /// One directory a Repository lies in here.
    stores: PathBuf,
    files: source::FileRemotes,
    /// What all stores together may take.
    disk: source::Disk,
    /// Bounds the remotes that are talked to at a time.
    looks: Places,
    /// What remotes have said, for all that ask the same.
    tables: shared::Tables,
}

impl Room {
    /// A room that publishes to `heads`, tells `webhooks` who wants to be told of pushes, and `notes` who wants to be written to.
    #[must_use]
    #[allow(clippy::too_many_arguments)] // the rooms beside it
    pub fn new(
        client: Client,
        config: &Config,
        events: Events,
        metrics: Arc<Metrics>,
        heads: Heads,
        webhooks: Webhooks,
        notes: Notes,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            client,
            events,
            metrics,
            heads,
            webhooks,
            notes,
            shutdown,
            stores: stores(config),
            files: files(config),
            disk: source::Disk::new(config.data_limit),
            looks: places(config.concurrency.into()),
            tables: shared::Tables::default(),
        }
    }

    /// Follows every Repository until the controller stops. `gate` opens when all of them are known.
    pub async fn run(self, gate: Gate) {
        manager::Manager::new(Arc::new(self), gate).run().await;
    }
}

/// So many, of which one namespace leaves a quarter to others: its remotes may take as long as it allows them to.
fn places(count: usize) -> Places {
    Places::shared(count, count.saturating_sub((count / 4).max(1)))
}

/// Where the stores of all Repositories lie.
fn stores(config: &Config) -> PathBuf {
    config.data_dir.join("repositories")
}

/// Which directories may be remotes.
pub(crate) fn files(config: &Config) -> source::FileRemotes {
    if config.allow_file_remotes.is_empty() {
        source::FileRemotes::Refused
    } else {
        source::FileRemotes::Below(config.allow_file_remotes.clone())
    }
}
