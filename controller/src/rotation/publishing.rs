//! Whether every controller publishes the new keys: those behind the Service are asked, one by one.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{Request, StatusCode, Uri};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use sealing::keyset::KeySet;
use tokio::time::timeout;

use crate::request::bounded;

/// The Service that leads to the public listeners, and its port.
const SERVICE: &str = "signet";
const PORT: &str = "http";
/// How long one may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A key set is smaller.
const LARGEST: usize = 1 << 20;
/// More replicas than anybody runs.
const MOST: usize = 64;

/// Asks all of them. Gives the first that does not publish these keys yet, or still offers one of the old ones to seal for, or,
/// where those leaked, publishes one at all, as a sentence.
pub(super) async fn ask(
    client: &Client,
    namespace: &str,
    new: &BTreeSet<String>,
    old: &BTreeSet<String>,
    leaked: bool,
) -> Result<(), String> {
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let selected = ListParams::default().labels(&format!("kubernetes.io/service-name={SERVICE}"));
    let slices = bounded(api.list(&selected))
        .await
        .map_err(|error| format!("The controllers behind Service {SERVICE} cannot be listed: {error}."))?;
    let addresses: BTreeSet<String> = slices.items.iter().flat_map(addresses).take(MOST).collect();
    for address in addresses {
        let published = published(&address)
            .await
            .ok_or_else(|| format!("The controller at {address} does not say which keys it publishes."))?;
        if let Some(missing) = new
            .iter()
            .find(|id| !published.iter().any(|(known, _)| known == *id))
        {
            return Err(format!(
                "The controller at {address} does not publish key {missing} yet."
            ));
        }
        if let Some((id, _)) = published.iter().find(|(id, _)| leaked && old.contains(id)) {
            return Err(format!("The controller at {address} still publishes key {id}."));
        }
        // Newest first within each format.
        for native in [false, true] {
            let first = published.iter().find(|(_, of)| *of == native);
            if let Some((id, _)) = first.filter(|(id, _)| old.contains(id)) {
                return Err(format!("The controller at {address} still offers key {id}."));
            }
        }
    }
    Ok(())
}

/// Those that count: one that is not ready serves nobody.
fn addresses(slice: &EndpointSlice) -> Vec<String> {
    let ports = slice.ports.iter().flatten();
    let port = ports
        .filter(|port| port.name.as_deref() == Some(PORT))
        .find_map(|port| port.port);
    let Some(port) = port else {
        return Vec::new();
    };
    let ready = slice.endpoints.iter().filter(|endpoint| {
        let conditions = endpoint.conditions.as_ref();
        conditions.and_then(|conditions| conditions.ready) != Some(false)
    });
    let all = ready.flat_map(|endpoint| &endpoint.addresses);
    all.map(|address| {
        if address.contains(':') {
            format!("[{address}]:{port}")
        } else {
            format!("{address}:{port}")
        }
    })
    .collect()
}

/// Ids of the keys that one publishes, and whether each is of the native format.
async fn published(address: &str) -> Option<Vec<(String, bool)>> {
    let uri: Uri = format!("http://{address}/v1/keys").parse().ok()?;
    let client: HttpClient<HttpConnector, Body> = HttpClient::builder(TokioExecutor::new()).build_http();
    let asked = async {
        let request = Request::get(uri).body(Body::empty()).ok()?;
        let answer = client.request(request).await.ok()?;
        if answer.status() != StatusCode::OK {
            return None;
        }
        to_bytes(Body::new(answer.into_body()), LARGEST).await.ok()
    };
    let bytes = timeout(PATIENCE, asked).await.ok()??;
    let set = KeySet::read(std::str::from_utf8(&bytes).ok()?).ok()?;
    let keys = set.untrusted().keys.iter();
    Some(keys.map(|key| (key.id.clone(), key.is_native())).collect())
}

#[cfg(test)]
mod tests {
    use super::addresses;
    use serde_json::json;

    #[test]
    fn every_ready_controller_is_asked() {
        let slice = json!({
            "addressType": "IPv6",
            "ports": [{"name": "api", "port": 8443}, {"name": "http", "port": 8080}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
                {"addresses": ["fd00::3"]},
            ],
        });
        let slice = serde_json::from_value(slice).unwrap();
        assert_eq!(addresses(&slice), ["10.0.0.1:8080", "[fd00::3]:8080"]);
        let other = json!({"addressType": "IPv4", "ports": [{"name": "x", "port": 1}], "endpoints": []});
        assert!(addresses(&serde_json::from_value(other).unwrap()).is_empty());
    }
}
