//! Records of objects whose kind the API server does not serve now: gone with their definition, or only out of sight.

use super::report::report;
use super::worker::Worker;
use apply::plan::Plan;
use apply::{ApiError, Catalog, ErrorKind, GroupKind, Identity, Key};
use crds::ObjectReport;
use http::Method;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
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
        let gone = self.gone_kinds(&unserved, catalog).await.unwrap_or_default();
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

    /// Which of these kinds are gone for good: no definition makes them, and no API server of its own is registered for
    /// their group. What cannot be found out is an error, and then nothing is gone.
    pub(super) async fn gone_kinds(
        &self,
        kinds: &HashSet<Arc<GroupKind>>,
        catalog: &Catalog,
    ) -> Result<HashSet<Arc<GroupKind>>, ApiError> {
        let defined = self.listed(DEFINITIONS).await?;
        let served = self.listed(SERVICES).await?;
        // An API is named `version.group`. Those of definitions come and go with the definitions.
        let serves = |group: &str| {
            let mut others = served.iter().filter(|api| api.automanaged != CONTINUOUSLY);
            others.any(|api| api.is_in(group))
        };
        let (mut gone, mut read) = (HashSet::new(), HashMap::new());
        for kind in kinds {
            let stays = !kind.group.contains('.') || serves(&kind.group);
            if !stays && !self.is_defined(kind, &defined, catalog, &mut read).await? {
                gone.insert(Arc::clone(kind));
            }
        }
        Ok(gone)
    }

    /// Whether one of these definitions makes the kind. Those whose kind is served need no look: it is another one. `read`: the kinds
    /// of those that were looked at; none, of one that is gone.
    async fn is_defined<'l>(
        &self,
        kind: &GroupKind,
        definitions: &'l [Listed],
        catalog: &Catalog,
        read: &mut HashMap<&'l str, Option<String>>,
    ) -> Result<bool, ApiError> {
        for definition in definitions.iter().filter(|one| one.is_in(&kind.group)) {
            let is_served = catalog.all().any(|info| {
                info.kind.group == kind.group && definition.name == format!("{}.{}", info.plural, kind.group)
            });
            if is_served {
                continue;
            }
            let makes = match read.get(&*definition.name) {
                Some(known) => known.clone(),
                None => self.kind_made_by(definition).await?,
            };
            let is_it = makes.as_deref() == Some(&*kind.kind);
            read.insert(&definition.name, makes);
            if is_it {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The kind that a definition makes, if it is still there.
    async fn kind_made_by(&self, definition: &Listed) -> Result<Option<String>, ApiError> {
        let path = format!("{DEFINITIONS}/{}", definition.name);
        let answer = match self.rooms.server.own(Method::GET, &path, None).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            answer => answer?,
        };
        let found: Value = serde_json::from_slice(&answer)
            .map_err(|_| ApiError::unavailable("the API server's definition cannot be read"))?;
        Ok(found["spec"]["names"]["kind"].as_str().map(ToOwned::to_owned))
    }

    async fn listed(&self, path: &str) -> Result<Vec<Listed>, ApiError> {
        let answer = self
            .rooms
            .server
            .metadata_list(&Identity::Controller, path)
            .await?;
        let list: Value = serde_json::from_slice(&answer)
            .map_err(|_| ApiError::unavailable("the API server's list cannot be read"))?;
        let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let read = |item: &Value| {
            Some(Listed {
                name: text(&item["metadata"]["name"])?,
                automanaged: text(&item["metadata"]["labels"][AUTOMANAGED]).unwrap_or_default(),
            })
        };
        Ok(items.iter().filter_map(read).collect())
    }
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
/// By whom an APIService is kept: `onstart` those that are built in, `true` those of definitions (kube-aggregator, `autoregister`).
const AUTOMANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";
const CONTINUOUSLY: &str = "true";

/// A definition or an APIService.
struct Listed {
    /// `plural.group`, or `version.group`.
    name: String,
    automanaged: String,
}

impl Listed {
    fn is_in(&self, group: &str) -> bool {
        self.name.split_once('.').is_some_and(|(_, of)| of == group)
    }
}
