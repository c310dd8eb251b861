//! The Deployment of Bitnami's controller.

use crate::cluster;
use crate::command_error::CommandError;
use crate::follow::{Seen, follow};
use crate::syncs::MANAGER;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use sealing::Printable;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::timeout;

/// Where its manifests put it.
const PLACE: &str = "kube-system";
/// As its Helm chart and its manifests label and name it.
const LABEL: &str = "app.kubernetes.io/name=sealed-secrets";
const NAME: &str = "sealed-secrets-controller";
/// A Pod gets 30 seconds to end by default.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where it is, and how many replicas it is to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Workload {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) replicas: i32,
}

/// Finds it, if there is just one that it can be.
pub(super) async fn find(
    client: &Client,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<Option<Workload>, CommandError> {
    let api: Api<Deployment> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let by_name = ListParams::default().fields(&format!("metadata.name={}", name.unwrap_or(NAME)));
    let wanted = match name {
        Some(_) => vec![by_name],
        None => vec![by_name, ListParams::default().labels(LABEL)],
    };
    let mut found = BTreeMap::new();
    for params in wanted {
        let listed = api.list(&params).await;
        for deployment in listed.map_err(|err| cluster::explain(&err, "list Deployments"))? {
            let place = (
                deployment.metadata.namespace.unwrap_or_default(),
                deployment.metadata.name.unwrap_or_default(),
            );
            let replicas = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1);
            found.insert(place, replicas);
        }
    }
    if found.len() > 1 {
        let names = found
            .keys()
            .map(|(namespace, name)| format!("{namespace}/{name}"));
        return Err(CommandError::user(
            format!(
                "there are several Deployments that it can be: {}",
                names.collect::<Vec<_>>().join(", ")
            ),
            "say which with --from-namespace and --from-name",
        ));
    }
    let found = found.into_iter().next();
    Ok(found.map(|((namespace, name), replicas)| Workload {
        namespace,
        name,
        replicas,
    }))
}

impl Workload {
    /// Whether it is where its manifests put it, by the name that they give it: in that namespace nobody but the cluster's
    /// administrators makes anything.
    pub(super) fn is_where_it_belongs(&self) -> bool {
        (self.namespace.as_str(), self.name.as_str()) == (PLACE, NAME)
    }

    /// `namespace/name`, safe to print.
    pub(super) fn shown(&self) -> String {
        format!("{}/{}", Printable(&self.namespace), Printable(&self.name))
    }

    /// Gives it so many replicas, and waits until it has them, or none.
    pub(super) async fn scale(&self, client: &Client, replicas: i32) -> Result<(), CommandError> {
        let api: Api<Deployment> = Api::namespaced(client.clone(), &self.namespace);
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let scaled = api.patch(&self.name, &params, &patch).await;
        let generation = scaled
            .map_err(|err| cluster::explain(&err, "scale Bitnami's controller"))?
            .metadata
            .generation;
        let is_so = |deployment: &Deployment| {
            let status = deployment.status.as_ref();
            let observed = status.and_then(|status| status.observed_generation);
            let there = status.and_then(|status| status.replicas).unwrap_or(0);
            let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
            observed >= generation
                && if replicas == 0 {
                    there == 0
                } else {
                    ready >= replicas
                }
        };
        let fields = format!("metadata.name={}", self.name);
        let followed = follow(&api, Some(&fields), "follow Bitnami's controller", |seen| {
            let done = match &seen {
                Seen::All(all) => all.iter().any(is_so) || all.is_empty(),
                Seen::One(one) => is_so(one),
                Seen::Gone(_) => true,
            };
            if done {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        match timeout(PATIENCE, followed).await {
            Ok(followed) => followed,
            Err(_) => Err(CommandError::user(
                format!("Deployment {} does not come to {replicas} replicas", self.shown()),
                "look at its Pods, and run it again: what was done stays done",
            )),
        }
    }

    /// How many replicas it is to have now.
    pub(super) async fn replicas(&self, client: &Client) -> Result<i32, CommandError> {
        let api: Api<Deployment> = Api::namespaced(client.clone(), &self.namespace);
        let found = api.get_opt(&self.name).await;
        let found = found.map_err(|err| cluster::explain(&err, "read Bitnami's controller"))?;
        Ok(found.map_or(0, |found| found.spec.and_then(|spec| spec.replicas).unwrap_or(1)))
    }
}
