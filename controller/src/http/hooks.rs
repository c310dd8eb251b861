//! `/v1/hooks/NAMESPACE/SECRET`: where Git hosts tell of pushes.
//!
//! Anybody may ask: so a body is bounded in size and time, so many are read at a time, and whoever is not known gets
//! one answer, whether there is such a receiver or not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::limit::Limit;
use super::routes::{TEXT, answer};
use crate::ready::Readiness;
use crate::webhook::{Answer, Webhooks};

/// Bytes of a body.
const LARGEST: usize = 1 << 20;
/// For a whole body to arrive, and for one's turn.
const BODY: Duration = Duration::from_secs(5);
/// Bodies that are read at a time.
const AT_ONCE: usize = 32;
/// Deliveries a second, signed or not, and so many more at once.
const RATE: u32 = 200;
const BURST: u32 = 400;

/// The path, as metrics name it.
pub(super) const PREFIX: &str = "/v1/hooks/";

#[derive(Clone)]
struct Hooks {
    readiness: Readiness,
    webhooks: Webhooks,
    limit: Arc<Limit>,
    slots: Arc<Semaphore>,
}

pub(super) fn routes(webhooks: Webhooks, readiness: Readiness) -> Router {
    Router::new()
        .route("/v1/hooks/{namespace}/{secret}", any(deliver))
        .with_state(Hooks {
            readiness,
            webhooks,
            limit: Arc::new(Limit::new(RATE, BURST)),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        })
}

async fn deliver(
    State(hooks): State<Hooks>,
    Path((namespace, secret)): Path<(String, String)>,
    request: Request,
) -> Response {
    if request.method() != Method::POST {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "POST a webhook.\n");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    if let Err(soon) = hooks.limit.admit(Instant::now()) {
        return too_soon(soon.retry_after);
    }
    if hooks.readiness.stands_by() {
        // The host asks again, and may reach the one that acts; if not, that one finds the commit when it polls.
        let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "Another controller acts.\n");
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(1));
        return response;
    }
    if request.headers().contains_key(CONTENT_ENCODING) {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send it uncompressed.\n");
    }
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > LARGEST) {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "The body is over 1 MiB.\n");
    }
    let Ok(Ok(_slot)) = timeout(BODY, hooks.slots.acquire()).await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "Too much is sent at once.\n");
    };
    let (head, body) = request.into_parts();
    let body = match timeout(BODY, to_bytes(body, LARGEST)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            return plain(
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is over 1 MiB, or broke off.\n",
            );
        }
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "The body did not come in time.\n"),
    };
    let answered = hooks.webhooks.deliver(&namespace, &secret, &head.headers, &body);
    match answered.await {
        Answer::Refused => plain(
            StatusCode::UNAUTHORIZED,
            "It is not signed as this address asks for, or there is no such address. The Repository's events say which.\n",
        ),
        Answer::TooSoon(seconds) => too_soon(seconds),
        Answer::Unreadable => plain(
            StatusCode::BAD_REQUEST,
            "The body is not JSON. Choose the content type application/json for this webhook.\n",
        ),
        Answer::Replayed => plain(StatusCode::OK, "It was delivered before: nothing is done.\n"),
        Answer::Ping => plain(StatusCode::OK, "The secret fits.\n"),
        Answer::Ignored => plain(StatusCode::OK, "Nothing here follows that: nothing is done.\n"),
        Answer::Taken(looks) => {
            let plural = if looks == 1 { "y looks" } else { "ies look" };
            let text = format!("{looks} Repositor{plural} at the remote now.\n");
            answer(StatusCode::ACCEPTED, TEXT, text)
        }
    }
}

fn too_soon(seconds: u64) -> Response {
    let mut response = plain(StatusCode::TOO_MANY_REQUESTS, "Too many deliveries.\n");
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    answer(status, TEXT, text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::listener::tests::nobody;
    use crate::metrics::Metrics;
    use axum::body::Body;
    use futures::StreamExt as _;
    use futures::stream::FuturesUnordered;
    use std::convert::Infallible;
    use tokio::time::{Instant as Now, sleep, sleep_until};
    use tower::ServiceExt as _;

    fn open() -> Router {
        routes(nobody(Arc::new(Metrics::new(false))), Readiness::default())
    }

    async fn send(router: &Router, body: Body) -> u16 {
        let request = axum::http::Request::post("/v1/hooks/shop/push")
            .body(body)
            .unwrap();
        router.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    /// A body of which a byte comes each second, without an end.
    fn dripping() -> Body {
        Body::from_stream(futures::stream::repeat(()).then(|()| async {
            sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>("x")
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn who_drips_is_ended_and_who_comes_meanwhile_is_told_so_or_answered() {
        let (router, began) = (open(), Now::now());
        let drips = |count: usize| -> FuturesUnordered<_> {
            let drip = || async {
                let status = send(&router, dripping()).await;
                (status, began.elapsed().as_secs())
            };
            std::iter::repeat_with(drip).take(count).collect()
        };
        let whole = async |after: Duration| {
            sleep_until(began + after).await;
            let (came, status) = (Now::now(), send(&router, Body::from("{}")).await);
            (status, came.elapsed().as_secs())
        };
        let (first, early, second, late, after) = tokio::join!(
            drips(AT_ONCE).collect::<Vec<_>>(),
            // Waits for a slot, which those have for five seconds and no longer.
            whole(Duration::from_secs(1)),
            async {
                sleep(Duration::from_secs(2)).await;
                drips(AT_ONCE).collect::<Vec<_>>().await
            },
            // Those who waited before it have all slots by then, for as long as it waits.
            whole(Duration::from_secs(3)),
            whole(Duration::from_secs(20)),
        );
        let body = BODY.as_secs();
        assert_eq!(first, vec![(408, body); AT_ONCE]);
        assert_eq!(early, (401, body - 1), "it is read, and not signed");
        // One of them is given the slot of the one that was read.
        assert_eq!(second, vec![(408, 2 * body); AT_ONCE]);
        assert_eq!(late, (503, body), "nobody waits for longer");
        assert_eq!(after, (401, 0), "and then there is room for all");
    }
}
