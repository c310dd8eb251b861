//! Objects by what Flux and Argo CD write on them.

use super::Tool;
use crate::command_error::CommandError;
use crate::kinds::{self, CONCURRENCY};
use apply::{Catalog, GroupKind, Key, KindInfo};
use futures::{StreamExt as _, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use sealing::Printable;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Argo CD, tracking by annotation, its default since 3.0: `application:group/kind:namespace/name`.
const TRACKING: &str = "argocd.argoproj.io/tracking-id";
/// Argo CD, tracking by label. Helm and others write it too, so it counts only where an Application has that name.
const INSTANCE: &str = "app.kubernetes.io/instance";
/// Flux: kind, and the labels with name and namespace.
const FLUX: [(&str, &str, &str); 2] = [
    (
        "Kustomization",
        "kustomize.toolkit.fluxcd.io/name",
        "kustomize.toolkit.fluxcd.io/namespace",
    ),
    (
        "HelmRelease",
        "helm.toolkit.fluxcd.io/name",
        "helm.toolkit.fluxcd.io/namespace",
    ),
];
/// What the cluster itself makes, in great numbers.
const MADE: [&str; 8] = [
    "ControllerRevision",
    "EndpointSlice",
    "Endpoints",
    "Event",
    "Lease",
    "Node",
    "Pod",
    "ReplicaSet",
];

/// A Kustomization, HelmRelease or Application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub(super) kind: &'static str,
    /// Empty where nothing says it.
    pub(super) namespace: String,
    pub(super) name: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", Printable(&self.namespace))?;
        }
        write!(f, "{}", Printable(&self.name))
    }
}

/// What was found.
pub(super) struct Found {
    /// Objects, as `Kind namespace/name`.
    pub(super) owners: BTreeMap<Owner, Vec<String>>,
    /// What could not be listed, and why.
    pub(super) unread: Vec<String>,
}

/// The Applications of Argo CD: namespaces by name.
type Applications = BTreeMap<String, String>;

pub(super) async fn find(
    client: &Client,
    tool: Tool,
    namespace: Option<&str>,
) -> Result<Found, CommandError> {
    let catalog = kinds::catalog(client).await?;
    let mut found = Found {
        owners: BTreeMap::new(),
        unread: Vec::new(),
    };
    let applications = match tool {
        Tool::Argocd => applications(client, &catalog, &mut found.unread).await,
        Tool::Flux => Applications::new(),
    };
    let selectors: &[Option<&str>] = match tool {
        Tool::Flux => &[Some(FLUX[0].1), Some(FLUX[1].1)],
        // Annotations cannot be selected by.
        Tool::Argocd => &[None],
    };
    let mut wanted: Vec<&Arc<KindInfo>> = catalog
        .all()
        .filter(|info| info.watchable && (info.namespaced || namespace.is_none()))
        .filter(|info| tool == Tool::Flux || !MADE.contains(&&*info.kind.kind))
        .collect();
    wanted.sort_by(|one, other| one.kind.cmp(&other.kind));
    let requests =
        wanted
            .iter()
            .flat_map(|info| selectors.iter().map(move |selector| (*info, *selector)))
            .map(|(info, selector)| async move {
                (info, kinds::metadata(client, info, namespace, selector).await)
            });
    let mut answers = stream::iter(requests).buffered(CONCURRENCY);
    while let Some((info, answer)) = answers.next().await {
        match answer {
            Ok(objects) => take(tool, info, objects, &applications, &mut found),
            Err(err) => {
                let reason = kinds::unread(info, namespace, &err);
                if !found.unread.contains(&reason) {
                    found.unread.push(reason);
                }
            }
        }
    }
    for objects in found.owners.values_mut() {
        objects.sort();
        objects.dedup();
    }
    Ok(found)
}

async fn applications(client: &Client, catalog: &Catalog, unread: &mut Vec<String>) -> Applications {
    let Some(info) = catalog.preferred(&GroupKind::new("argoproj.io", "Application")) else {
        return Applications::new();
    };
    match kinds::metadata(client, info, None, None).await {
        Ok(all) => all
            .into_iter()
            .filter_map(|metadata| Some((metadata.name?, metadata.namespace.unwrap_or_default())))
            .collect(),
        Err(err) => {
            unread.push(kinds::unread(info, None, &err));
            Applications::new()
        }
    }
}

fn take(
    tool: Tool,
    info: &KindInfo,
    objects: Vec<ObjectMeta>,
    applications: &Applications,
    found: &mut Found,
) {
    for metadata in objects {
        // Labels and annotations are copied to what an object owns, which is its business.
        let controlled = metadata
            .owner_references
            .iter()
            .flatten()
            .any(|owner| owner.controller == Some(true));
        if controlled {
            continue;
        }
        let owner = match tool {
            Tool::Flux => flux(&metadata),
            Tool::Argocd => argo(info, &metadata, applications),
        };
        if let Some(owner) = owner {
            let key = Key {
                kind: Arc::clone(&info.kind),
                namespace: metadata.namespace.as_deref().map(Into::into),
                name: metadata.name.as_deref().unwrap_or_default().into(),
            };
            found.owners.entry(owner).or_default().push(key.to_string());
        }
    }
}

fn flux(metadata: &ObjectMeta) -> Option<Owner> {
    let labels = metadata.labels.as_ref()?;
    FLUX.iter().find_map(|(kind, name, namespace)| {
        Some(Owner {
            kind,
            namespace: labels.get(*namespace)?.clone(),
            name: labels.get(*name)?.clone(),
        })
    })
}

fn argo(info: &KindInfo, metadata: &ObjectMeta, applications: &Applications) -> Option<Owner> {
    let application = |name: &str| {
        // An Application outside of Argo CD's own namespace is written `namespace_name`.
        let (namespace, name) = match name.split_once('_') {
            Some((namespace, name)) => (namespace.to_owned(), name),
            None => (applications.get(name).cloned().unwrap_or_default(), name),
        };
        Owner {
            kind: "Application",
            namespace,
            name: name.to_owned(),
        }
    };
    let annotations = metadata.annotations.as_ref();
    if let Some(tracking) = annotations.and_then(|all| all.get(TRACKING)) {
        let (name, object) = tracking.split_once(':')?;
        // A copy of another object's annotation says nothing about this one.
        let of = |field: &Option<String>| field.clone().unwrap_or_default();
        let own = format!("{}/{}:", info.kind.group, info.kind.kind);
        let place = object.strip_prefix(&own)?.split_once('/')?;
        let same = place.1 == of(&metadata.name) && (!info.namespaced || place.0 == of(&metadata.namespace));
        return same.then(|| application(name));
    }
    let instance = metadata.labels.as_ref()?.get(INSTANCE)?;
    applications.contains_key(instance).then(|| application(instance))
}
