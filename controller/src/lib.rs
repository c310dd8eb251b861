//! The Signet controller: rooms that follow Git repositories, open sealed Secrets, and keep clusters as Git has them.

#![forbid(unsafe_code)]

pub mod approvals;
mod audit;
pub mod calm;
pub mod client;
pub mod condition;
pub mod config;
pub mod cron;
pub mod duration;
pub mod events;
pub mod histories;
pub mod http;
pub mod keys;
pub mod kinds;
pub mod leader;
pub mod logging;
mod mark;
pub mod metrics;
pub mod observe;
mod places;
pub mod ready;
pub mod repository;
pub mod request;
pub mod rotation;
pub mod sealed;
pub mod shutdown;
mod start;
pub mod sync;
pub mod text;
pub mod watch;
pub mod webhook;

pub use start::{Error, run};

/// What every room is given.
#[derive(Clone)]
pub struct Context {
    /// Client of the API server, with the controller's own rights.
    pub client: kube::Client,
    /// The controller's own namespace.
    pub namespace: String,
    /// The newest commits of all Repositories.
    pub heads: repository::Heads,
    /// What the stores of histories take of the disk.
    pub histories: histories::Histories,
    /// Where the results of commits are written down.
    pub notes: repository::Notes,
    /// The sealing keys in use.
    pub keys: tokio::sync::watch::Receiver<std::sync::Arc<sealing::KeyRing>>,
    /// The key of keyed digests and of checkpoints.
    pub digest_key: keys::DigestKey,
    /// Metrics.
    pub metrics: std::sync::Arc<metrics::Metrics>,
    /// Events.
    pub events: events::Events,
    /// Whether the controller has its hands full.
    pub calm: calm::Calm,
    /// Gates of `/readyz`: take one, open it when the room is up.
    pub readiness: ready::Readiness,
    /// Whether this controller may write, or push.
    pub fence: leader::Fence,
    /// Flags.
    pub config: config::Config,
    /// The Secrets that SealedSecret objects of the cluster make.
    pub claims: sealed::Claims,
    /// The wish to stop.
    pub shutdown: shutdown::Shutdown,
}
