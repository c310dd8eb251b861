//! One SealedSecret of a request: read within bounds, and worked on with the sealing keys, one at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::{Body, to_bytes};
use axum::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use manifest::Limits;
use sealing::{KeyRing, ResealError, SealedSecret, reseal, v2};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::limit::TooSoon;
use super::routes::{TEXT, answer};

/// The largest SealedSecret that the API server's store takes, and some room.
const LARGEST: usize = 2 << 20;
/// For a whole body to arrive.
const BODY: Duration = Duration::from_secs(10);
/// For one's turn: one request is worked on at a time.
const TURN: Duration = Duration::from_secs(10);
/// The most private operations that a request may cost, at several milliseconds each.
const OPERATIONS: usize = 2_000;

/// The keys, and whose turn it is. Cheap to clone.
#[derive(Clone)]
pub(super) struct Work {
    keys: watch::Receiver<Arc<KeyRing>>,
    turn: Arc<Semaphore>,
}

impl Work {
    /// With a turn of its own: who else works with these keys is not waited for.
    pub(super) fn new(keys: watch::Receiver<Arc<KeyRing>>) -> Self {
        Self {
            keys,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Reads one SealedSecret, within bounds; the bounds come first.
    pub(super) async fn object(&self, body: Body) -> Result<Value, Response> {
        let bytes = match timeout(BODY, to_bytes(body, LARGEST)).await {
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
        let values = sealed_values(&object).count();
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

    /// Whether all of it opens where it stands.
    pub(super) async fn opens(&self, object: Value) -> Result<bool, Response> {
        self.with_keys(move |ring| {
            if v2::SealedSecret::is(&object) {
                let parsed = v2::SealedSecret::parse(&object).ok()?;
                let namespace = parsed.namespace().unwrap_or(UNNAMED).to_owned();
                return parsed.open(ring.native(), &namespace).ok().map(|_| ());
            }
            let parsed = SealedSecret::parse(&object).ok()?;
            let namespace = parsed.namespace().unwrap_or(UNNAMED).to_owned();
            parsed.open(ring, &namespace).ok().map(|_| ())
        })
        .await
        .map(|opened| opened.is_some())
    }

    /// The same object, sealed for the newest key.
    pub(super) async fn reseal(&self, object: Value) -> Result<Result<Value, ResealError>, Response> {
        self.with_keys(move |ring| reseal(object, ring, SystemTime::now()))
            .await
    }

    /// Which key each value is sealed for; none where no key opens it. None where it is not of format v1, whose values alone
    /// do not say so themselves.
    pub(super) async fn usage(
        &self,
        object: Value,
    ) -> Result<Option<BTreeMap<String, Option<String>>>, Response> {
        self.with_keys(move |ring| {
            let parsed = SealedSecret::parse(&object).ok()?;
            let namespace = parsed.namespace().unwrap_or(UNNAMED);
            let label = parsed.scope().label(namespace, parsed.name());
            let key_of = |sealed: &Value| {
                let (_, key) = ring.open_and_tell(sealed.as_str()?, &label).ok()?;
                Some(key.fingerprint().as_str().to_owned())
            };
            let all = sealed_values(&object).map(|(name, sealed)| (name.to_owned(), key_of(sealed)));
            Some(all.collect())
        })
        .await
    }

    /// Does one thing at a time, on a thread of its own.
    async fn with_keys<T: Send + 'static>(
        &self,
        work: impl FnOnce(&KeyRing) -> T + Send + 'static,
    ) -> Result<T, Response> {
        let unavailable = || plain(StatusCode::SERVICE_UNAVAILABLE, "Too much is asked at once.\n");
        let turn = timeout(TURN, Arc::clone(&self.turn).acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            return Err(unavailable());
        };
        let ring = Arc::clone(&self.keys.borrow());
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&ring);
            // Held to the end, even where the client is gone.
            drop(turn);
            done
        });
        done.await.map_err(|_| unavailable())
    }
}

/// The sealed values of format v1, by the key that each is spoken of. The whole Secret of the deprecated form is one, `data`.
fn sealed_values(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let values = object.pointer("/spec/encryptedData").and_then(Value::as_object);
    let values = values.into_iter().flatten();
    let whole = object.pointer("/spec/data").filter(|value| !value.is_null());
    values
        .map(|(key, value)| (key.as_str(), value))
        .chain(whole.map(|value| ("data", value)))
}

/// What is sealed cluster-wide opens everywhere, and may name no namespace.
pub(super) const UNNAMED: &str = "default";

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

/// The answer to anything but POST.
pub(super) fn not_posted(method: &Method) -> Option<Response> {
    (method != Method::POST).then(|| plain(StatusCode::METHOD_NOT_ALLOWED, "POST a SealedSecret.\n"))
}

/// The answer of a limit, with what upstream's headers say.
pub(super) fn too_soon(soon: TooSoon) -> Response {
    let mut response = plain(StatusCode::TOO_MANY_REQUESTS, "limit exceeded\n");
    let seconds = HeaderValue::from(soon.retry_after);
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("x-ratelimit-remaining"),
        HeaderValue::from(0),
    );
    headers.insert(HeaderName::from_static("x-ratelimit-reset"), seconds.clone());
    headers.insert(RETRY_AFTER, seconds);
    response
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Response {
    answer(status, TEXT, text.into())
}
