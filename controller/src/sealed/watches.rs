//! What is watched: SealedSecrets, and the metadata of Secrets, everywhere or in some namespaces.

use super::object::resource;
use crate::config::SealedScope;
use crate::watch;
use futures::stream::{BoxStream, SelectAll, StreamExt, select_all};
use k8s_openapi::api::core::v1::Secret;
use kube::api::DynamicObject;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use std::collections::HashSet;
use std::sync::Arc;

/// One event of one watch. The namespace is that of the watch; none: all.
pub(super) enum Seen {
    Sealed(Option<Arc<str>>, Event<DynamicObject>),
    Secret(Option<Arc<str>>, Event<PartialObjectMeta<Secret>>),
}

/// The lists that have to be complete before anything is decided: whether of SealedSecrets, and the namespace.
pub(super) fn lists(scope: &SealedScope) -> HashSet<(bool, Option<Arc<str>>)> {
    let both = |namespace: Option<Arc<str>>| [(true, namespace.clone()), (false, namespace)];
    namespaces(scope).into_iter().flat_map(both).collect()
}

/// All watches as one stream. Errors are said and waited for by the watches themselves.
pub(super) fn start(
    client: &Client,
    scope: &SealedScope,
    selector: Option<&str>,
) -> SelectAll<BoxStream<'static, Seen>> {
    let mut sealed = watcher::Config::default();
    if let Some(selector) = selector {
        sealed = sealed.labels(selector);
    }
    let streams = namespaces(scope).into_iter().flat_map(|namespace| {
        let objects: Api<DynamicObject> = match &namespace {
            Some(name) => Api::namespaced_with(client.clone(), name, &resource()),
            None => Api::all_with(client.clone(), &resource()),
        };
        let secrets: Api<PartialObjectMeta<Secret>> = match &namespace {
            Some(name) => Api::namespaced(client.clone(), name),
            None => Api::all(client.clone()),
        };
        let here = namespace.clone();
        let objects = watch::watch(objects, sealed.clone()).filter_map(move |event| {
            std::future::ready(event.ok().map(|event| Seen::Sealed(here.clone(), event)))
        });
        let secrets = watch::watch(secrets, watcher::Config::default()).filter_map(move |event| {
            std::future::ready(event.ok().map(|event| Seen::Secret(namespace.clone(), event)))
        });
        [objects.boxed(), secrets.boxed()]
    });
    select_all(streams)
}

fn namespaces(scope: &SealedScope) -> Vec<Option<Arc<str>>> {
    match scope {
        SealedScope::Off => Vec::new(),
        SealedScope::All => vec![None],
        SealedScope::In(names) => names.iter().map(|name| Some(name.as_str().into())).collect(),
    }
}
