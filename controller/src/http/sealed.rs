//! `/v1/verify` and `/v1/rotate`, as kubeseal asks for them through the API server's service proxy.
//!
//! That way in carries no identity: the proxy strips the Authorization header. So an answer is yes or no and nothing more,
//! bodies and work are bounded, and one limit holds for everybody. Both are off unless asked for.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use manifest::Limits;
use sealing::{KeyRing, ResealError, SealedSecret, reseal, v2};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::limit::Limit;
use super::routes::{TEXT, answer};
use crate::config::Config;

/// The largest SealedSecret that the API server's store takes, and some room.
const LARGEST: usize = 2 << 20;
/// For a whole body to arrive.
const BODY: Duration = Duration::from_secs(10);
/// For one's turn: one request is worked on at a time.
const TURN: Duration = Duration::from_secs(10);
/// The most private operations that a request may cost, at several milliseconds each.
const OPERATIONS: usize = 2_000;

#[derive(Clone)]
struct Sealed {
    keys: watch::Receiver<Arc<KeyRing>>,
    limit: Arc<Limit>,
    turn: Arc<Semaphore>,
}

/// What is switched on.
pub(super) fn routes(keys: watch::Receiver<Arc<KeyRing>>, config: &Config) -> Router {
    let sealed = Sealed {
        keys,
        limit: Arc::new(Limit::new(config.rate_limit, config.rate_limit_burst)),
        turn: Arc::new(Semaphore::new(1)),
    };
    let mut router = Router::new();
    if config.serve_verify {
        router = router.route("/v1/verify", any(verify));
    }
    if config.serve_rotate {
        router = router.route("/v1/rotate", any(rotate));
    }
    router.with_state(sealed)
}

/// Whether this controller can open a SealedSecret: 200, or 409.
async fn verify(State(sealed): State<Sealed>, request: Request) -> Response {
    let object = match sealed.object(request).await {
        Ok(object) => object,
        Err(refusal) => return refusal,
    };
    let opens = sealed
        .work(object, |object, ring| {
            if v2::SealedSecret::is(&object) {
                let parsed = v2::SealedSecret::parse(&object).ok()?;
                let namespace = parsed.namespace().unwrap_or("default").to_owned();
                return parsed.open(ring.native(), &namespace).ok().map(|_| ());
            }
            let parsed = SealedSecret::parse(&object).ok()?;
            // What is sealed cluster-wide opens everywhere, and may name no namespace.
            let namespace = parsed.namespace().unwrap_or("default").to_owned();
            parsed.open(ring, &namespace).ok().map(|_| ())
        })
        .await;
    match opens {
        Ok(Some(())) => plain(StatusCode::OK, ""),
        Ok(None) => plain(StatusCode::CONFLICT, ""),
        Err(refusal) => refusal,
    }
}

/// The SealedSecret, sealed for the newest key: 200, or 500.
async fn rotate(State(sealed): State<Sealed>, request: Request) -> Response {
    let object = match sealed.object(request).await {
        Ok(object) => object,
        Err(refusal) => return refusal,
    };
    let done = sealed
        .work(object, |object, ring| -> Result<Value, ResealError> {
            reseal(object, ring, SystemTime::now())
        })
        .await;
    match done {
        Ok(Ok(object)) => answer(StatusCode::OK, "application/json", object.to_string()),
        Ok(Err(_)) => plain(StatusCode::INTERNAL_SERVER_ERROR, "It cannot be sealed again.\n"),
        Err(refusal) => refusal,
    }
}

impl Sealed {
    /// Reads one SealedSecret, within bounds; the bounds come first.
    async fn object(&self, request: Request) -> Result<Value, Response> {
        if request.method() != Method::POST {
            return Err(plain(StatusCode::METHOD_NOT_ALLOWED, "POST a SealedSecret.\n"));
        }
        if let Err(soon) = self.limit.admit(Instant::now()) {
            let mut response = plain(StatusCode::TOO_MANY_REQUESTS, "limit exceeded\n");
            let seconds = HeaderValue::from(soon.retry_after);
            let headers = response.headers_mut();
            headers.insert(
                HeaderName::from_static("x-ratelimit-remaining"),
                HeaderValue::from(0),
            );
            headers.insert(HeaderName::from_static("x-ratelimit-reset"), seconds.clone());
            headers.insert(RETRY_AFTER, seconds);
            return Err(response);
        }
        let bytes = match timeout(BODY, to_bytes(request.into_body(), LARGEST)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) => {
                return Err(plain(
                    StatusCode::BAD_REQUEST,
                    "The body is too large, or broke off.\n",
                ));
            }
            Err(_) => {
                return Err(plain(
                    StatusCode::REQUEST_TIMEOUT,
                    "The body did not come in time.\n",
                ));
            }
        };
        let read = tokio::task::spawn_blocking(move || read(&bytes))
            .await
            .ok()
            .flatten();
        let object = read.ok_or_else(|| {
            plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The body is not one SealedSecret.\n",
            )
        })?;
        let values = object.pointer("/spec/encryptedData").and_then(Value::as_object);
        let values = values.map_or(0, serde_json::Map::len);
        let keys = self.keys.borrow().keys().len();
        // Looking for another scope that fits costs two more tries a key, and one a value.
        if values.saturating_mul(keys + 1).saturating_add(2 * keys) > OPERATIONS {
            return Err(plain(
                StatusCode::PAYLOAD_TOO_LARGE,
                "It holds too many values.\n",
            ));
        }
        Ok(object)
    }

    /// Works on one object at a time, on a thread of its own.
    async fn work<T: Send + 'static>(
        &self,
        object: Value,
        work: impl FnOnce(Value, &KeyRing) -> T + Send + 'static,
    ) -> Result<T, Response> {
        let unavailable = || plain(StatusCode::SERVICE_UNAVAILABLE, "Too much is asked at once.\n");
        let turn = timeout(TURN, Arc::clone(&self.turn).acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            return Err(unavailable());
        };
        let ring = Arc::clone(&self.keys.borrow());
        let done = tokio::task::spawn_blocking(move || {
            let done = work(object, &ring);
            // Held to the end, even where the client is gone.
            drop(turn);
            done
        });
        done.await.map_err(|_| unavailable())
    }
}

/// One document, JSON or YAML, of one of the two kinds. Of the native one there is nothing to rotate: that is refused later.
fn read(bytes: &[u8]) -> Option<Value> {
    let limits = Limits::default();
    let mut documents = manifest::read_stream(bytes, &limits).ok()?;
    let only = documents.pop().filter(|_| documents.is_empty())?;
    let object = only.value.ok()?;
    let is = |field: &str, text: &str| object.get(field).and_then(Value::as_str) == Some(text);
    let bitnamis = is("apiVersion", "bitnami.com/v1alpha1") && is("kind", "SealedSecret");
    (bitnamis || v2::SealedSecret::is(&object)).then_some(object)
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    answer(status, TEXT, text.into())
}
