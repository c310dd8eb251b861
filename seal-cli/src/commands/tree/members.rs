//! The objects of a Sync, by the labels and annotations of KEP-3659, and what workloads among them own.

use super::node::Node;
use crate::command_error::CommandError;
use crate::kinds::{self, CONCURRENCY};
use crate::syncs::{Syncs, current_status};
use apply::{Catalog, GroupKind, Key, KindInfo, applyset};
use crds::{Sync, annotation, label};
use futures::StreamExt as _;
use futures::stream;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, ResourceExt as _};
use manifest::Phase;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Kinds and namespaces that are read of a Sync's annotations.
const MOST: usize = 1000;
/// Above this, a kind is listed once for the whole cluster, if that is allowed.
const FEW: usize = 4;

/// Group and kind.
type Name = (&'static str, &'static str);

/// Kinds that own others, and the kinds that they own.
const OWNERS: [(Name, &[Name]); 6] = [
    (("apps", "Deployment"), &[("apps", "ReplicaSet"), ("", "Pod")]),
    (("apps", "ReplicaSet"), &[("", "Pod")]),
    (("apps", "StatefulSet"), &[("", "Pod")]),
    (("apps", "DaemonSet"), &[("", "Pod")]),
    (("batch", "Job"), &[("", "Pod")]),
    (("batch", "CronJob"), &[("batch", "Job"), ("", "Pod")]),
];

/// What was found.
pub(super) struct Members {
    pub(super) nodes: Vec<Node>,
    /// What could not be listed, and why.
    pub(super) unread: Vec<String>,
}

/// Lists the members of a Sync, and what they own.
pub(super) async fn find(syncs: &Syncs, sync: &Sync) -> Result<Members, CommandError> {
    let catalog = kinds::catalog(&syncs.client).await?;
    let Members {
        mut nodes,
        mut unread,
    } = own(syncs, sync, &catalog).await;
    nodes.sort_by_cached_key(|node| {
        let kind = &node.key.kind;
        (Phase::of(&kind.group, &kind.kind), node.key.clone())
    });
    for node in &mut nodes {
        node.judge(current_status(sync));
    }
    let owned = list(&syncs.client, owned_kinds(&nodes, &catalog), None, &mut unread).await;
    hang(&mut nodes, owned);
    Ok(Members { nodes, unread })
}

/// The members only.
pub(super) async fn own(syncs: &Syncs, sync: &Sync, catalog: &Catalog) -> Members {
    let names = |annotation: &str| -> BTreeSet<String> {
        let text = sync.annotations().get(annotation).map(String::as_str);
        let parts = text
            .unwrap_or_default()
            .split(',')
            .filter(|part| !part.is_empty());
        parts.take(MOST).map(str::to_owned).collect()
    };
    let mut namespaces = names(annotation::APPLYSET_NAMESPACES);
    namespaces.insert(syncs.namespace.clone());
    let mut unread = Vec::new();
    let mut wanted = Vec::new();
    for name in names(annotation::APPLYSET_KINDS) {
        let (kind, group) = name.split_once('.').unwrap_or((&name, ""));
        match catalog.preferred(&GroupKind::new(group, kind)) {
            Some(info) => wanted.push((Arc::clone(info), namespaces.clone())),
            None => unread.push(format!("the API server does not know kind {name} any more")),
        }
    }
    let id = sync
        .labels()
        .get(label::APPLYSET_ID)
        .cloned()
        .unwrap_or_else(|| applyset::id(&syncs.namespace, &sync.name_any()));
    let labels = format!("{}={id}", label::APPLYSET_PART_OF);
    let nodes = list(&syncs.client, wanted, Some(&labels), &mut unread).await;
    Members { nodes, unread }
}

/// Objects of these kinds, each in these namespaces.
async fn list(
    client: &Client,
    wanted: Vec<(Arc<KindInfo>, BTreeSet<String>)>,
    labels: Option<&str>,
    unread: &mut Vec<String>,
) -> Vec<Node> {
    let lists = wanted
        .into_iter()
        .map(|(info, namespaces)| list_kind(client, info, namespaces, labels));
    let mut lists = stream::iter(lists).buffered(CONCURRENCY);
    let mut nodes = Vec::new();
    while let Some((found, reasons)) = lists.next().await {
        nodes.extend(found);
        unread.extend(reasons);
    }
    nodes
}

async fn list_kind(
    client: &Client,
    info: Arc<KindInfo>,
    namespaces: BTreeSet<String>,
    labels: Option<&str>,
) -> (Vec<Node>, Vec<String>) {
    let node = |metadata: ObjectMeta| {
        let key = Key {
            kind: Arc::clone(&info.kind),
            namespace: metadata.namespace.as_deref().map(Into::into),
            name: metadata.name.as_deref().unwrap_or_default().into(),
        };
        Node::new(key, metadata)
    };
    let mut reasons = Vec::new();
    if !info.namespaced || namespaces.len() > FEW {
        match kinds::metadata(client, &info, None, labels).await {
            Ok(found) => {
                let inside = |found: &ObjectMeta| {
                    let namespace = found.namespace.as_ref();
                    namespace.is_none_or(|namespace| labels.is_some() || namespaces.contains(namespace))
                };
                return (found.into_iter().filter(inside).map(node).collect(), reasons);
            }
            Err(kube::Error::Api(status)) if status.code == 403 && info.namespaced => {}
            Err(err) => {
                reasons.push(kinds::unread(&info, None, &err));
                return (Vec::new(), reasons);
            }
        }
    }
    let mut nodes = Vec::new();
    for namespace in &namespaces {
        match kinds::metadata(client, &info, Some(namespace), labels).await {
            Ok(found) => nodes.extend(found.into_iter().map(node)),
            Err(err) => reasons.push(kinds::unread(&info, Some(namespace), &err)),
        }
    }
    (nodes, reasons)
}

/// Which kinds to look for below the members, and in which namespaces.
fn owned_kinds(nodes: &[Node], catalog: &Catalog) -> Vec<(Arc<KindInfo>, BTreeSet<String>)> {
    let mut wanted: HashMap<(&str, &str), BTreeSet<String>> = HashMap::new();
    for node in nodes {
        let kind = &node.key.kind;
        let owner = OWNERS
            .iter()
            .find(|(owner, _)| *owner == (&*kind.group, &*kind.kind));
        let (Some((_, owned)), Some(namespace)) = (owner, &node.key.namespace) else {
            continue;
        };
        for kind in *owned {
            wanted.entry(*kind).or_default().insert(namespace.to_string());
        }
    }
    let mut wanted: Vec<_> = wanted
        .into_iter()
        .filter_map(|((group, kind), namespaces)| {
            let info = catalog.preferred(&GroupKind::new(group, kind))?;
            Some((Arc::clone(info), namespaces))
        })
        .collect();
    wanted.sort_by(|one, other| one.0.kind.cmp(&other.0.kind));
    wanted
}

/// Hangs what is owned below its owners.
fn hang(nodes: &mut [Node], owned: Vec<Node>) {
    let members: BTreeSet<String> = nodes.iter().map(|node| node.uid.clone()).collect();
    let mut by_owner: HashMap<String, Vec<Node>> = HashMap::new();
    for node in owned {
        if members.contains(&node.uid) {
            continue;
        }
        if let Some(owner) = node.controller.clone() {
            by_owner.entry(owner).or_default().push(node);
        }
    }
    for node in nodes {
        hang_below(node, &mut by_owner);
    }
}

fn hang_below(node: &mut Node, by_owner: &mut HashMap<String, Vec<Node>>) {
    let Some(mut children) = by_owner.remove(&node.uid) else {
        return;
    };
    for child in &mut children {
        hang_below(child, by_owner);
    }
    // Old ReplicaSets are kept for a rollback; those without Pods say nothing here, but for the newest.
    let newest = children.iter().map(|child| child.created.clone()).max();
    if &*node.key.kind.kind == "Deployment" {
        children.retain(|child| !child.children.is_empty() || Some(&child.created) == newest.as_ref());
    }
    children.sort_by(|one, other| one.key.cmp(&other.key));
    node.children = children;
}
