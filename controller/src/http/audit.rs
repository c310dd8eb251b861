//! `/v1/audit`: the history of a Repository, for who may `get` its subresource `audit`.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;

use super::api::Api;
use super::identity::Wish;
use super::routes::{TEXT, answer};
use super::work::plain;
use crate::audit::{Query, Refusal};

const GROUP: &str = "signet.dev";

/// A line of JSON for each commit (see crate `audit`): 200.
pub(super) async fn audit(State(api): State<Api>, request: Request) -> Result<Response, Response> {
    if request.method() != Method::GET {
        return Err(plain(StatusCode::METHOD_NOT_ALLOWED, "GET it.\n"));
    }
    let caller = api.caller(request.headers()).await?;
    let query = Query::parse(request.uri().query().unwrap_or_default())
        .map_err(|why| answer(StatusCode::BAD_REQUEST, TEXT, format!("{why}\n")))?;
    let wish = Wish {
        verb: "get",
        group: GROUP,
        resource: "repositories",
        subresource: Some("audit"),
        namespace: &query.namespace,
        name: &query.name,
    };
    api.allow(
        &caller,
        &wish,
        "You may not read the audit of Repositories of this namespace.\n",
    )
    .await?;
    match api.audits().answer(query).await {
        Ok(lines) => Ok(answer(StatusCode::OK, "application/x-ndjson", lines)),
        Err(refusal) => {
            let (status, sentence) = match refusal {
                Refusal::Missing(sentence) => (StatusCode::NOT_FOUND, sentence),
                Refusal::Unready(sentence) => (StatusCode::CONFLICT, sentence),
                Refusal::Later(sentence) => (StatusCode::SERVICE_UNAVAILABLE, sentence),
            };
            Err(answer(status, TEXT, format!("{sentence}\n")))
        }
    }
}
