//! Records of objects whose kind the API server does not serve now: gone with their definition, or only out of sight.

use super::report::report;
use super::worker::Worker;
use apply::plan::Plan;
use apply::{ApiError, Catalog, GroupKind, Identity, Key};
use crds::ObjectReport;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

impl Worker {
    /// Takes out of the plan what cannot be deleted now, and forgets what went with its definition.
    pub(super) async fn settle_unserved(&mut self, plan: &mut Plan, catalog: &Catalog) {
        let unserved: HashSet<Arc<GroupKind>> = plan
            .prune
            .iter()
            .filter(|key| catalog.preferred(&key.kind).is_none())
            .map(|key| Arc::clone(&key.kind))
            .collect();
        if unserved.is_empty() {
            return;
        }
        let gone = self.gone_kinds(&unserved).await.unwrap_or_default();
        let keys: Vec<Key> = plan
            .prune
            .iter()
            .filter(|key| gone.contains(&key.kind))
            .cloned()
            .collect();
        for key in keys {
            self.let_object_go(&key);
        }
        for kind in unserved.iter().filter(|kind| !gone.contains(*kind)) {
            let count = plan.prune.iter().filter(|key| key.kind == *kind).count();
            let message = format!(
                "{count} of this kind left Git and cannot be deleted: the API server does not serve it now"
            );
            let hint = "this is done by itself once the kind is served again";
            self.unwatched.push(ObjectReport {
                object: kind.to_string(),
                ..report(None, None, &message, hint)
            });
        }
        plan.prune.retain(|key| !unserved.contains(&key.kind));
        self.save_soon();
    }

    /// Which of these kinds are gone for good: no definition makes them, and no aggregated API server is registered for
    /// their group. What cannot be found out is an error, and then nothing is gone.
    pub(super) async fn gone_kinds(
        &self,
        kinds: &HashSet<Arc<GroupKind>>,
    ) -> Result<HashSet<Arc<GroupKind>>, ApiError> {
        let defined = self
            .names_in("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
            .await?;
        let served = self
            .names_in("/apis/apiregistration.k8s.io/v1/apiservices")
            .await?;
        // A definition is named `plural.group`, an aggregated API `version.group`. Built-in groups stay.
        let has = |names: &[String], group: &str| {
            names
                .iter()
                .any(|name| name.split_once('.').is_some_and(|(_, of)| of == group))
        };
        let is_gone = |kind: &&Arc<GroupKind>| {
            kind.group.contains('.') && !has(&defined, &kind.group) && !has(&served, &kind.group)
        };
        Ok(kinds.iter().filter(is_gone).map(Arc::clone).collect())
    }

    async fn names_in(&self, path: &str) -> Result<Vec<String>, ApiError> {
        let answer = self
            .rooms
            .server
            .metadata_list(&Identity::Controller, path)
            .await?;
        let list: Value = serde_json::from_slice(&answer)
            .map_err(|_| ApiError::unavailable("the API server's list cannot be read"))?;
        let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(items
            .iter()
            .filter_map(|item| item["metadata"]["name"].as_str().map(ToOwned::to_owned))
            .collect())
    }
}
