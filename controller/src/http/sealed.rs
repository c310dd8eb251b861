//! `/v1/verify` and `/v1/rotate`, as kubeseal asks for them through the API server's service proxy.
//!
//! That way in carries no identity: the proxy strips the Authorization header. So an answer is yes or no and nothing more,
//! bodies and work are bounded, and one limit holds for everybody. Both are off unless asked for. `api` is the way in for
//! who says who it is.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::any;
use sealing::KeyRing;
use serde_json::Value;
use tokio::sync::watch;

use super::limit::Limit;
use super::routes::answer;
use super::work::{Work, not_posted, plain, too_soon};
use crate::config::Config;

#[derive(Clone)]
struct Sealed {
    work: Work,
    limit: Arc<Limit>,
}

/// What is switched on.
pub(super) fn routes(keys: watch::Receiver<Arc<KeyRing>>, config: &Config) -> Router {
    let sealed = Sealed {
        work: Work::new(keys),
        limit: Arc::new(Limit::new(config.rate_limit, config.rate_limit_burst)),
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
async fn verify(State(sealed): State<Sealed>, request: Request) -> Result<Response, Response> {
    let object = sealed.object(request).await?;
    Ok(verdict(sealed.work.opens(object).await?))
}

/// The SealedSecret, sealed for the newest key: 200, or 500.
async fn rotate(State(sealed): State<Sealed>, request: Request) -> Result<Response, Response> {
    let object = sealed.object(request).await?;
    Ok(rotated(sealed.work.reseal(object).await?))
}

/// 200, or 409.
pub(super) fn verdict(opens: bool) -> Response {
    let status = if opens {
        StatusCode::OK
    } else {
        StatusCode::CONFLICT
    };
    plain(status, "")
}

/// 200 with the object, or 500 as upstream answers whatever the reason.
pub(super) fn rotated<E>(object: Result<Value, E>) -> Response {
    match object {
        Ok(object) => answer(StatusCode::OK, "application/json", object.to_string()),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "It cannot be sealed again.\n"),
    }
}

impl Sealed {
    async fn object(&self, request: Request) -> Result<Value, Response> {
        if let Some(refusal) = not_posted(request.method()) {
            return Err(refusal);
        }
        self.limit.admit(Instant::now()).map_err(too_soon)?;
        self.work.object(request.into_body()).await
    }
}
