//! What kinds the API server knows, and the metadata of objects of a kind.

use crate::cluster;
use crate::command_error::CommandError;
use crate::syncs::PAGE;
use apply::{Catalog, KindInfo, Server};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};
use sealing::Printable;

/// Requests that are under way at once.
pub(crate) const CONCURRENCY: usize = 8;
/// Objects that are read of one list.
const MOST: usize = 100_000;

/// Reads the API server's discovery documents.
pub(crate) async fn catalog(client: &Client) -> Result<Catalog, CommandError> {
    let server = Server::new(client.clone(), CONCURRENCY);
    Catalog::fetch(&server).await.map_err(|err| {
        CommandError::unreachable(
            format!(
                "cannot ask the API server for its kinds: {}",
                Printable(&err.to_string())
            ),
            "Kubernetes 1.27 or later is needed",
        )
    })
}

/// The metadata of all objects of a kind, in one namespace or, without one, everywhere. Nothing else is sent back.
pub(crate) async fn metadata(
    client: &Client,
    info: &KindInfo,
    namespace: Option<&str>,
    labels: Option<&str>,
) -> Result<Vec<ObjectMeta>, kube::Error> {
    let api = api(client, info, namespace);
    let mut params = ListParams {
        label_selector: labels.map(str::to_owned),
        limit: Some(PAGE),
        ..ListParams::default()
    };
    let mut objects = Vec::new();
    loop {
        let page = api.list_metadata(&params).await?;
        objects.extend(page.items.into_iter().map(|object| object.metadata));
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() && objects.len() < MOST => params.continue_token = Some(token),
            _ => return Ok(objects),
        }
    }
}

/// Why a list could not be read, as a part of a sentence.
pub(crate) fn unread(info: &KindInfo, namespace: Option<&str>, err: &kube::Error) -> String {
    let place = namespace
        .map(|namespace| format!(" in {namespace}"))
        .unwrap_or_default();
    let said = cluster::explain(err, &format!("list {}{place}", info.kind));
    said.message().to_owned()
}

fn api(client: &Client, info: &KindInfo, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: info.kind.group.to_string(),
        version: info.version.to_string(),
        api_version: info.api_version(),
        kind: info.kind.kind.to_string(),
        plural: info.plural.to_string(),
    };
    match namespace.filter(|_| info.namespaced) {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}
