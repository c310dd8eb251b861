//! Clients of the API server: connections without Nagle, with time limits, and without silent retries.
//!
//! kube's stock client leaves Nagle's algorithm on (the first request on a new connection then waits some 40 ms), has no
//! read timeout, and retries for minutes before it says anything. Here every caller sees its failure and decides.

use http::Request;
use http::header::{HeaderName, HeaderValue};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Client, Config};
use std::time::Duration;
use tower::ServiceBuilder;

use crate::leader::Fence;

/// How long a connection may take to open, and how long sent data may stay unacknowledged.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// A request that would change something, while the Lease is not ours.
#[derive(Debug, thiserror::Error)]
#[error("this controller does not hold the Lease, and writes nothing")]
struct Fenced;

/// Builds a client from `config` that writes only while `fence` is open.
pub fn build(config: Config, fence: Fence) -> Result<Client, kube::Error> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    http.set_keepalive(Some(Duration::from_secs(15)));
    // Ends a watch whose peer has gone without a word; keep-alive alone does not while data is in flight.
    http.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let https = config.rustls_https_connector_with_connector(http)?;
    let hyper: hyper_util::client::legacy::Client<_, Body> =
        hyper_util::client::legacy::Builder::new(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_mins(10))
            .build(https);
    let agent = HeaderValue::from_static(concat!("signet-controller/", env!("CARGO_PKG_VERSION")));
    let service = ServiceBuilder::new()
        .filter(move |request: Request<Body>| {
            let through = fence.lets_through(request.method(), request.uri().path());
            through.then_some(request).ok_or(Fenced)
        })
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_request(move |mut request: Request<Body>| {
            request
                .headers_mut()
                .entry(HeaderName::from_static("user-agent"))
                .or_insert_with(|| agent.clone());
            request
        })
        .map_err(tower::BoxError::from)
        .service(hyper);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

/// A client that acts as a service account over the connections of `client`. None where the names cannot be sent.
#[must_use]
pub fn acting_as(client: &Client, namespace: &str, account: &str) -> Option<Client> {
    // The API server adds the service account's groups itself when none are named.
    let user = HeaderValue::from_str(&format!("system:serviceaccount:{namespace}:{account}")).ok()?;
    let client = client.clone();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let headers = request.headers_mut();
        headers.insert(HeaderName::from_static("impersonate-user"), user.clone());
        let client = client.clone();
        async move { client.send(request).await }
    });
    Some(Client::new(service, namespace))
}
