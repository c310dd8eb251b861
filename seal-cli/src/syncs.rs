//! The Syncs of one namespace: read by name, and patched.

use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crds::{Sync, SyncStatus};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use sealing::Printable;
use serde_json::Value;

/// The field manager of what people change by the command line.
pub(crate) const MANAGER: &str = "signet-cli";
/// Objects of one page of a list.
pub(crate) const PAGE: u32 = 500;

/// The Syncs of one namespace.
pub(crate) struct Syncs {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) api: Api<Sync>,
}

impl Syncs {
    /// Those of this namespace, or of the context's.
    pub(crate) async fn connect(global: &GlobalArgs, namespace: Option<&str>) -> Result<Self, CommandError> {
        Ok(Self::of(Cluster::connect(global).await?, namespace))
    }

    /// The same, with a client for watches.
    pub(crate) async fn connect_to_watch(
        global: &GlobalArgs,
        namespace: Option<&str>,
    ) -> Result<Self, CommandError> {
        Ok(Self::of(Cluster::connect_to_watch(global).await?, namespace))
    }

    fn of(cluster: Cluster, namespace: Option<&str>) -> Self {
        let namespace = namespace.map_or(cluster.namespace, str::to_owned);
        Self {
            api: Api::namespaced(cluster.client.clone(), &namespace),
            client: cluster.client,
            namespace,
        }
    }

    /// One Sync.
    pub(crate) async fn get(&self, name: &str) -> Result<Sync, CommandError> {
        let found = self.api.get_opt(name).await;
        found
            .map_err(|err| cluster::explain(&err, "read the Sync"))?
            .ok_or_else(|| self.missing(name))
    }

    /// That there is no such Sync.
    pub(crate) fn missing(&self, name: &str) -> CommandError {
        CommandError::user(
            format!("there is no Sync {}/{}", self.namespace, Printable(name)),
            "`signet status -A` lists all of them; -n chooses the namespace",
        )
    }

    /// Those named, or all where none is.
    pub(crate) async fn named(&self, names: &[String]) -> Result<Vec<Sync>, CommandError> {
        if names.is_empty() {
            let list = self.api.list(&ListParams::default()).await;
            return list
                .map(|list| list.items)
                .map_err(|err| cluster::explain(&err, "list Syncs"));
        }
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            found.push(self.get(name).await?);
        }
        Ok(found)
    }

    /// Merges a patch into a Sync.
    pub(crate) async fn patch(&self, name: &str, patch: &Value) -> Result<Sync, kube::Error> {
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.api.patch(name, &params, &Patch::Merge(patch)).await
    }
}

/// `namespace/name`, safe to print.
pub(crate) fn full_name(sync: &Sync) -> String {
    let of = |field: &Option<String>| Printable(field.as_deref().unwrap_or_default()).to_string();
    format!("{}/{}", of(&sync.metadata.namespace), of(&sync.metadata.name))
}

/// What the controller says of a Sync, if it speaks of the Sync as it is now.
pub(crate) fn current_status(sync: &Sync) -> Option<&SyncStatus> {
    sync.status
        .as_ref()
        .filter(|status| status.observed_generation >= sync.metadata.generation.unwrap_or(0))
}
