//! The way in for `signet`: over TLS, and for who says who it is. A caller brings a token for this controller alone; the API
//! server says whose it is (TokenReview) and what that identity may do (SubjectAccessReview), object by object.
//!
//! The verbs are `verify` and `rotate` on `sealedsecrets`, in the object's namespace, and `get` on `repositories/audit`. Everybody has
//! a limit of their own.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use kube::Client;
use sealing::KeyRing;
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::debug;

use super::audit::audit;
use super::identity::{Caller, Identities, NotKnown, Wish};
use super::limit::Limits;
use super::routes::{answer, count, nothing};
use super::sealed::{rotated, verdict};
use super::work::{UNNAMED, Work, not_posted, plain, too_soon};
use crate::audit::Audits;
use crate::config::Config;
use crate::histories::Histories;
use crate::metrics::Metrics;
use crate::text;

/// Longer than any name that is sent to the API server.
const LONGEST_NAME: usize = 253;

#[derive(Clone)]
pub(super) struct Api {
    work: Work,
    audits: Arc<Audits>,
    identities: Arc<Identities>,
    limits: Arc<Limits>,
}

/// `/v1/verify`, `/v1/rotate`, `/v1/usage` and `/v1/audit`. What the last one fetches lies in `histories`.
pub fn api(
    client: Client,
    keys: watch::Receiver<Arc<KeyRing>>,
    metrics: Arc<Metrics>,
    config: &Config,
    histories: Histories,
) -> Router {
    let api = Api {
        work: Work::new(keys),
        audits: Arc::new(Audits::new(client.clone(), config, histories)),
        identities: Arc::new(Identities::new(client)),
        limits: Arc::new(Limits::new(config.api_rate_limit, config.api_rate_limit_burst)),
    };
    Router::new()
        .route("/v1/verify", any(verify))
        .route("/v1/rotate", any(rotate))
        .route("/v1/usage", any(usage))
        .route("/v1/audit", any(audit))
        .fallback(nothing)
        .with_state(api)
        .layer(middleware::from_fn_with_state(metrics, count))
}

/// Whether this controller can open a SealedSecret: 200, or 409.
async fn verify(State(api): State<Api>, request: Request) -> Result<Response, Response> {
    let object = api.admitted(request, "verify").await?;
    Ok(verdict(api.work.opens(object).await?))
}

/// The SealedSecret, sealed for the newest key: 200, or 500.
async fn rotate(State(api): State<Api>, request: Request) -> Result<Response, Response> {
    let object = api.admitted(request, "rotate").await?;
    Ok(rotated(api.work.reseal(object).await?))
}

/// Which key each value of format v1 is sealed for, as `{"values": {KEY: FINGERPRINT or null}}`: 200, or 409.
async fn usage(State(api): State<Api>, request: Request) -> Result<Response, Response> {
    let object = api.admitted(request, "verify").await?;
    Ok(match api.work.usage(object).await? {
        Some(values) => answer(
            StatusCode::OK,
            "application/json",
            json!({"values": values}).to_string(),
        ),
        None => verdict(false),
    })
}

impl Api {
    /// The object of a request, once its caller may do that with it. Nothing is read for who is not known.
    async fn admitted(&self, request: Request, verb: &'static str) -> Result<Value, Response> {
        if let Some(refusal) = not_posted(request.method()) {
            return Err(refusal);
        }
        let caller = self.caller(request.headers()).await?;
        let object = self.work.object(request.into_body()).await?;
        let wish = wish(&object, verb).ok_or_else(|| plain(StatusCode::CONFLICT, ""))?;
        let refusal = "You may not do that with SealedSecrets of this namespace.\n";
        self.allow(&caller, &wish, refusal).await?;
        Ok(object)
    }

    /// Who asks, unless they ask too often.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Response> {
        let caller = self.identities.of(headers).await?;
        self.limits
            .admit(caller.name(), Instant::now())
            .map_err(too_soon)?;
        Ok(caller)
    }

    pub(super) fn audits(&self) -> &Audits {
        &self.audits
    }

    pub(super) async fn allow(
        &self,
        caller: &Caller,
        wish: &Wish<'_>,
        refusal: &'static str,
    ) -> Result<(), Response> {
        let allowed = self.identities.may(caller, wish).await?;
        debug!(
            user = text::bounded(caller.name(), 256),
            verb = wish.verb,
            namespace = wish.namespace,
            name = wish.name,
            allowed,
            "asked over the API listener"
        );
        if allowed {
            Ok(())
        } else {
            Err(plain(StatusCode::FORBIDDEN, refusal))
        }
    }
}

/// What is wished for an object. None where its names are none: such an object opens nowhere.
fn wish<'a>(object: &'a Value, verb: &'static str) -> Option<Wish<'a>> {
    let named = |field: &str| object.pointer(field).and_then(Value::as_str);
    let fits = |name: &&str| !name.is_empty() && name.len() <= LONGEST_NAME;
    let (group, _) = object.get("apiVersion")?.as_str()?.split_once('/')?;
    Some(Wish {
        verb,
        group,
        resource: "sealedsecrets",
        subresource: None,
        namespace: named("/metadata/namespace").or(Some(UNNAMED)).filter(fits)?,
        name: named("/metadata/name").filter(fits)?,
    })
}

impl From<NotKnown> for Response {
    fn from(why: NotKnown) -> Self {
        match why {
            NotKnown::NoToken => plain(
                StatusCode::UNAUTHORIZED,
                "Bring a token for the audience signet.dev.\n",
            ),
            NotKnown::BadToken => plain(
                StatusCode::UNAUTHORIZED,
                "This token is not known, or not for the audience signet.dev.\n",
            ),
            NotKnown::TooSoon(soon) => too_soon(soon),
            NotKnown::Unanswered => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "The API server does not say who you are.\n",
            ),
        }
        .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::wish;
    use serde_json::json;

    #[test]
    fn a_wish_is_for_the_objects_own_place() {
        let object =
            json!({"apiVersion": "bitnami.com/v1alpha1", "metadata": {"name": "db", "namespace": "shop"}});
        let found = wish(&object, "verify").unwrap();
        assert_eq!(
            (found.group, found.namespace, found.name),
            ("bitnami.com", "shop", "db")
        );
        let anywhere = json!({"apiVersion": "signet.dev/v1alpha1", "metadata": {"name": "db"}});
        assert_eq!(wish(&anywhere, "verify").unwrap().namespace, "default");
        for nameless in [json!({}), json!({"name": ""}), json!({"name": "x".repeat(254)})] {
            let object = json!({"apiVersion": "signet.dev/v1alpha1", "metadata": nameless});
            assert!(wish(&object, "verify").is_none());
        }
        let everywhere =
            json!({"apiVersion": "signet.dev/v1alpha1", "metadata": {"name": "db", "namespace": ""}});
        assert!(
            wish(&everywhere, "verify").is_none(),
            "an empty namespace would ask for a right in all of them"
        );
    }
}
