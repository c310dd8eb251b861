//! What `${name}` stands for in a Sync's manifests: read as its service account, kept in memory, and read again only when a
//! watch says that something changed.

mod follow;

use super::worker::Worker;
use crate::client;
use crate::events::Severity;
use apply::{ApiError, Identity, Values, ValuesOf};
use crds::{Sync, VariableKind};
use follow::{Followed, Follower};
use futures::stream::{self, StreamExt};
use render::Variables;
use render::gather::{self, GatherError, kind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sources that are read at once.
const AT_ONCE: usize = 8;

/// What reading one source came to.
type Read = Result<Option<Values>, ApiError>;

/// What a worker keeps of its Sync's variables. Values are wiped when they are dropped.
#[derive(Default)]
pub(super) struct Sources {
    /// Generation and service account that they were read for.
    of: (i64, String),
    known: Option<Known>,
    /// Of each ConfigMap and Secret that could be read.
    followers: BTreeMap<(&'static str, String), Follower>,
}

/// Variables, with their digest.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) variables: Arc<Variables>,
    pub(super) digest: [u8; 32],
}

/// Why variables are not known.
pub(super) struct Unknown {
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// Whether time alone may heal it.
    pub(super) transient: bool,
    /// Whether what heals it wakes the Sync.
    pub(super) told: bool,
}

impl Worker {
    /// What `${name}` stands for now; none where the Sync does not substitute.
    pub(super) async fn variables(&mut self, sync: &Sync, requested: bool) -> Result<Option<Known>, Unknown> {
        let Some(substitute) = &sync.spec.substitute else {
            self.sources = Sources::default();
            return Ok(None);
        };
        let account = &sync.spec.service_account_name;
        let of = (sync.metadata.generation.unwrap_or_default(), account.clone());
        if self.sources.of.1 != of.1 {
            // Watches are its account's as well.
            self.sources = Sources::default();
        }
        self.tell_unwatched(account);
        if self.sources.of == of
            && let Some(known) = &self.sources.known
            && !self.sources.followers.values().any(|one| one.is_stale(requested))
        {
            return Ok(Some(known.clone()));
        }
        (self.sources.of, self.sources.known) = (of, None);
        let failed = |message: String, transient, told| Unknown {
            reason: "SubstituteFailed",
            message,
            transient,
            told,
        };
        gather::check(substitute)
            .map_err(|error: GatherError<ApiError>| failed(format!("Variables: {error}."), false, true))?;
        if !substitute.from.is_empty() {
            let admitted = self.admit(sync).await;
            admitted.map_err(|(reason, message)| Unknown {
                reason,
                message,
                transient: true,
                told: false,
            })?;
        }
        let reads = self.read_sources(sync).await;
        self.follow(sync, &reads);
        let transient = reads
            .iter()
            .any(|read| read.as_ref().is_err_and(apply::ApiError::is_transient));
        let key = self.rooms.context.digest_key.expose();
        let reads = reads
            .into_iter()
            .map(|read| read.map(|found| found.map(|values| values.data)));
        let reader = format!("service account {account}");
        match gather::gather(substitute, reads, (&self.id.namespace, &reader), key) {
            Ok(variables) => {
                let known = Known {
                    digest: variables.digest(),
                    variables: Arc::new(variables),
                };
                self.sources.known = Some(known.clone());
                Ok(Some(known))
            }
            Err(error) => {
                let sources = &self.sources.followers;
                let told = substitute.from.iter().all(|source| {
                    let follower = sources.get(&(kind(source.kind), source.name.clone()));
                    follower.is_some_and(Follower::follows)
                });
                Err(failed(format!("Variables: {error}."), transient, told))
            }
        }
    }

    /// Reads each of `from`, in their order.
    async fn read_sources(&self, sync: &Sync) -> Vec<Read> {
        let from = sync.spec.substitute.iter().flat_map(|found| &found.from);
        let identity = Identity::ServiceAccount {
            namespace: Arc::clone(&self.id.namespace),
            name: sync.spec.service_account_name.as_str().into(),
        };
        let (server, namespace, identity) = (&self.rooms.server, &self.id.namespace, &identity);
        let requests: Vec<_> = from
            .map(|source| {
                let of = match source.kind {
                    VariableKind::ConfigMap => ValuesOf::ConfigMap,
                    VariableKind::Secret => ValuesOf::Secret,
                };
                server.values_in_plain_text(identity, of, namespace, &source.name)
            })
            .collect();
        stream::iter(requests).buffered(AT_ONCE).collect().await
    }

    /// Follows what could be read, and nothing else.
    fn follow(&mut self, sync: &Sync, reads: &[Read]) {
        let from = sync.spec.substitute.iter().flat_map(|found| &found.from);
        let account = &sync.spec.service_account_name;
        let mut before = std::mem::take(&mut self.sources.followers);
        for (source, read) in from.zip(reads) {
            let place = (kind(source.kind), source.name.clone());
            let Ok(read) = read else { continue };
            let version = read.as_ref().map(|values| values.version.clone());
            let follower = if let Some(follower) = before.remove(&place) {
                follower.was_read(version);
                follower
            } else if self.sources.followers.contains_key(&place) {
                // Named twice.
                continue;
            } else {
                let client = &self.rooms.context.client;
                let Some(client) = client::acting_as(client, &self.id.namespace, account) else {
                    continue;
                };
                let followed = Followed {
                    client,
                    namespace: self.id.namespace.to_string(),
                    kind: place.0,
                    name: place.1.clone(),
                    mailbox: Arc::clone(&self.mailbox),
                };
                Follower::start(followed, version)
            };
            self.sources.followers.insert(place, follower);
        }
    }

    fn tell_unwatched(&self, account: &str) {
        for ((kind, name), follower) in &self.sources.followers {
            if follower.is_newly_refused() {
                let sentence = format!(
                    "Service account {account} may not list and watch {kind} {name}: a change is noticed at the next pass."
                );
                self.event(Severity::Warning, "SubstituteUnwatched", &sentence);
            }
        }
    }
}
