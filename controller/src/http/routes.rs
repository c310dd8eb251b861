//! What is answered. Everything that is not listed here is 404, and no answer says which version runs.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sealing::KeyRing;
use tokio::sync::watch;

use super::{hooks, sealed};
use crate::config::Config;
use crate::metrics::{self, Metrics};
use crate::ready::Readiness;
use crate::webhook::Webhooks;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// `/v1/cert.pem`, `/v1/keys`, `/healthz`, `/readyz`, `/v1/hooks/…`, and `/v1/verify` and `/v1/rotate` where they are switched on.
pub fn public(
    keys: watch::Receiver<Arc<KeyRing>>,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    webhooks: Webhooks,
    config: &Config,
) -> Router {
    let sealed = sealed::routes(keys.clone(), config);
    Router::new()
        .route("/v1/cert.pem", get(certificate))
        .route("/v1/keys", get(key_set))
        .with_state(keys)
        .route("/healthz", get(well))
        .route("/readyz", get(ready))
        .with_state(readiness.clone())
        .fallback(nothing)
        .merge(sealed)
        .merge(hooks::routes(webhooks, readiness))
        .layer(middleware::from_fn_with_state(metrics, count))
}

/// Counts what is answered, by the paths that there are.
pub(super) async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    const PATHS: [&str; 8] = [
        "/v1/cert.pem",
        "/v1/keys",
        "/v1/verify",
        "/v1/rotate",
        "/v1/usage",
        "/v1/audit",
        "/healthz",
        "/readyz",
    ];
    let asked = request.uri().path();
    let path = if asked.starts_with(hooks::PREFIX) {
        Some(hooks::PREFIX)
    } else {
        PATHS.into_iter().find(|path| *path == asked)
    };
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    };
    let started = Instant::now();
    let response = next.run(request).await;
    let code = response.status().as_u16();
    metrics
        .sealed
        .answered(path.unwrap_or("other"), method, code, started.elapsed());
    response
}

/// `/metrics`, and `/healthz` and `/readyz` once more: the kubelet asks here, where nobody else comes and takes its place.
pub fn metrics(metrics: Arc<Metrics>, readiness: Readiness) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(metrics)
        .route("/healthz", get(well))
        .route("/readyz", get(ready))
        .with_state(readiness)
        .fallback(nothing)
}

async fn well() -> Response {
    answer(StatusCode::OK, TEXT, "ok\n".into())
}

async fn certificate(State(keys): State<watch::Receiver<Arc<KeyRing>>>) -> Response {
    let ring = Arc::clone(&keys.borrow());
    match ring.newest() {
        Some(key) => answer(
            StatusCode::OK,
            "application/x-pem-file",
            key.certificate().to_pem().to_owned(),
        ),
        None => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT,
            "There is no sealing key yet: the controller is starting. Try again in a few seconds.\n".into(),
        ),
    }
}

async fn key_set(State(keys): State<watch::Receiver<Arc<KeyRing>>>) -> Response {
    let ring = Arc::clone(&keys.borrow());
    match ring.document() {
        Some(document) => answer(StatusCode::OK, "application/json", document.to_owned()),
        None => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT,
            "There is no sealing key yet: the controller is starting. Try again in a few seconds.\n".into(),
        ),
    }
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let waiting = readiness.waiting_for();
    if waiting.is_empty() {
        answer(StatusCode::OK, TEXT, "ok\n".into())
    } else {
        let text = format!("Waiting for {}.\n", waiting.join(", "));
        answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
    }
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.encode() {
        Ok(text) => answer(StatusCode::OK, metrics::CONTENT_TYPE, text),
        Err(_) => answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            "The metrics cannot be written.\n".into(),
        ),
    }
}

pub(super) async fn nothing() -> Response {
    answer(StatusCode::NOT_FOUND, TEXT, "There is nothing here.\n".into())
}

pub(super) fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, body).into_response()
}
