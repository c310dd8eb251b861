//! One request to the API server: as whom, for how long, and how much of the answer is read.

use crate::error::ApiError;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long one request may take, answer included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer that is read, in bytes. Aggregated discovery of a large cluster is about 2 MiB.
const ANSWER_LIMIT: usize = 16 << 20;
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// As whom a request is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The controller's own rights: its keys, checkpoints, status, discovery. Never a member of a Sync.
    Controller,
    /// A service account, by impersonation.
    ServiceAccount {
        /// Its namespace.
        namespace: Arc<str>,
        /// Its name.
        name: Arc<str>,
    },
}

/// An answer with a success code.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status code, 200 to 299.
    pub code: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// The API server, with a bound on how many requests are under way at once.
#[derive(Clone)]
pub struct Server {
    client: kube::Client,
    places: Arc<Semaphore>,
}

/// How a request differs from a plain GET.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) content_type: &'static str,
    pub(crate) accept: &'static str,
    pub(crate) body: Vec<u8>,
    /// Whether the server's words about a failure may be repeated.
    pub(crate) quote: bool,
    /// Whether 409 means that fields have other owners.
    pub(crate) applying: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            content_type: "",
            accept: "application/json",
            body: Vec::new(),
            quote: true,
            applying: false,
        }
    }

    /// Answers with metadata only, so that no value of a Secret travels back.
    pub(crate) fn metadata_only(mut self) -> Self {
        self.accept = METADATA;
        self
    }
}

impl Server {
    /// A server reached by `client`, with at most `concurrency` requests under way.
    #[must_use]
    pub fn new(client: kube::Client, concurrency: usize) -> Self {
        Self {
            client,
            places: Arc::new(Semaphore::new(concurrency.max(1))),
        }
    }

    /// The client, for watches.
    #[must_use]
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// Sends `call` and reads the answer.
    ///
    /// # Errors
    /// [`ApiError`] for no answer within 20 seconds and for every code but 2xx.
    pub(crate) async fn send(&self, identity: &Identity, call: Call<'_>) -> Result<Answer, ApiError> {
        let Ok(_place) = self.places.acquire().await else {
            return Err(ApiError::unavailable("the controller is shutting down"));
        };
        let (quote, applying) = (call.quote, call.applying);
        let request = request(identity, call)?;
        let exchange = async {
            let response = self
                .client
                .send(request)
                .await
                .map_err(|error| unreachable_server(&error))?;
            let code = response.status().as_u16();
            // Priority and fairness ask for patience in the header alone.
            let patience = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            let body = Limited::new(response.into_body(), ANSWER_LIMIT)
                .collect()
                .await
                .map_err(|_| ApiError::unreachable("the API server's answer broke off"))?;
            Ok((code, body.to_bytes().to_vec(), patience))
        };
        let (code, body, patience) = tokio::time::timeout(REQUEST_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| {
                Err(ApiError::unavailable(format!(
                    "the API server did not answer within {} s",
                    REQUEST_TIMEOUT.as_secs()
                )))
            })?;
        if (200..300).contains(&code) {
            Ok(Answer { code, body })
        } else {
            let mut error = ApiError::from_status(code, &body, quote, applying);
            error.retry_after = error
                .retry_after
                .or(patience.map(|seconds: u64| Duration::from_secs(seconds.min(60))));
            Err(error)
        }
    }
}

fn request(identity: &Identity, call: Call<'_>) -> Result<Request<Body>, ApiError> {
    let malformed = |_| ApiError::from_status(400, b"", false, false);
    let mut request = Request::builder()
        .method(call.method)
        .uri(call.path)
        .body(Body::from(call.body))
        .map_err(|error| malformed(error.to_string()))?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(call.accept));
    if !call.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(call.content_type));
    }
    if let Identity::ServiceAccount { namespace, name } = identity {
        // The API server adds the service account's groups itself when none are named.
        let user = HeaderValue::from_str(&format!("system:serviceaccount:{namespace}:{name}"))
            .map_err(|error| malformed(error.to_string()))?;
        headers.insert(HeaderName::from_static("impersonate-user"), user);
    }
    Ok(request)
}

/// A transport failure, without the request's content: only which stage failed.
fn unreachable_server(error: &kube::Error) -> ApiError {
    let what = match error {
        kube::Error::Auth(_) => "the controller's credentials could not be read",
        _ => "the API server cannot be reached",
    };
    tracing::debug!(%error, "request failed");
    ApiError::unreachable(what)
}
