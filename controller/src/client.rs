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
use tower::timeout::TimeoutLayer;
use tower_http::timeout::ResponseBodyTimeoutLayer;

use crate::leader::Fence;

/// How long a connection may take to open, and how long sent data may stay unacknowledged.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// How long an answer may take to begin: the API server itself gives up after a minute.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// How long an answer may pause. Of a watch, bookmarks come every minute (KEP-956); without any, somebody on the way holds the
/// connection open and passes nothing on, which TCP does not notice. A watch goes on from where it was.
const SILENCE: Duration = Duration::from_secs(150);

/// A request that would change something, while the Lease is not ours.
#[derive(Debug, thiserror::Error)]
#[error("this controller does not hold the Lease, and writes nothing")]
struct Fenced;

/// Builds a client from `config` that writes only while `fence` is open.
pub fn build(config: Config, fence: Fence) -> Result<Client, kube::Error> {
    patient(config, fence, ANSWER_TIMEOUT, SILENCE)
}

fn patient(config: Config, fence: Fence, answer: Duration, silence: Duration) -> Result<Client, kube::Error> {
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
        .layer(TimeoutLayer::new(answer))
        .layer(ResponseBodyTimeoutLayer::new(silence))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader;
    use futures::StreamExt;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, WatchParams};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const SHORT: Duration = Duration::from_millis(300);

    /// The client of a server that sends `words` on each connection, and then holds it open for ever.
    async fn falls_silent_after(words: &'static str) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut line, _)) = listener.accept().await {
                let _ = line.read(&mut [0; 4096]).await;
                line.write_all(words.as_bytes()).await.unwrap();
                open.push(line);
            }
        });
        let config = Config::new(format!("http://{address}").parse().unwrap());
        patient(config, leader::Fence::new("system"), SHORT, SHORT).unwrap()
    }

    #[tokio::test]
    async fn a_watch_that_falls_silent_ends() {
        let event = concat!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
            "67\r\n",
            r#"{"type":"BOOKMARK","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"resourceVersion":"7"}}}"#,
            "\n\r\n"
        );
        let maps: Api<ConfigMap> = Api::all(falls_silent_after(event).await);
        let events = maps.watch(&WatchParams::default(), "1").await.unwrap();
        let mut events = std::pin::pin!(events);
        assert!(events.next().await.unwrap().is_ok(), "what was sent is read");
        let ended = tokio::time::timeout(SHORT * 30, events.next()).await;
        assert!(
            ended
                .expect("it ends by itself")
                .is_none_or(|event| event.is_err())
        );
    }

    #[tokio::test]
    async fn a_request_that_is_not_answered_fails() {
        let maps: Api<ConfigMap> = Api::all(falls_silent_after("").await);
        let answer = tokio::time::timeout(SHORT * 30, maps.watch(&WatchParams::default(), "1")).await;
        assert!(answer.expect("it fails by itself").is_err());
    }
}
