//! What is watched: SealedSecrets, and the metadata of Secrets, everywhere or in some namespaces.

use super::object::Format;
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
    Sealed(Format, Option<Arc<str>>, Event<DynamicObject>),
    Secret(Option<Arc<str>>, Event<PartialObjectMeta<Secret>>),
}

/// A list that a watch begins with: of SealedSecrets of one kind, or of Secrets; and the namespace.
pub(super) type List = (Option<Format>, Option<Arc<str>>);

/// The lists that have to be complete before anything is decided.
pub(super) fn lists(scope: &SealedScope) -> HashSet<List> {
    let all = |namespace: Option<Arc<str>>| {
        let kinds = [Some(Format::V1), Some(Format::V2), None];
        kinds.map(|kind| (kind, namespace.clone()))
    };
    namespaces(scope).into_iter().flat_map(all).collect()
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
        let objects = Format::ALL.map(|format| {
            let objects: Api<DynamicObject> = match &namespace {
                Some(name) => Api::namespaced_with(client.clone(), name, &format.resource()),
                None => Api::all_with(client.clone(), &format.resource()),
            };
            let here = namespace.clone();
            watch::watch(objects, sealed.clone())
                .filter_map(move |event| {
                    std::future::ready(event.ok().map(|event| Seen::Sealed(format, here.clone(), event)))
                })
                .boxed()
        });
        let secrets: Api<PartialObjectMeta<Secret>> = match &namespace {
            Some(name) => Api::namespaced(client.clone(), name),
            None => Api::all(client.clone()),
        };
        let secrets = watch::watch(secrets, watcher::Config::default()).filter_map(move |event| {
            std::future::ready(event.ok().map(|event| Seen::Secret(namespace.clone(), event)))
        });
        objects.into_iter().chain([secrets.boxed()])
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
