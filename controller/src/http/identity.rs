//! Who asks, and what they may: the API server is asked both. A token is sent to it and forgotten; what it said is
//! remembered for a short while under the token's digest.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use crds::listener::{AUDIENCE, TOKEN_HEADER};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use sha2::{Digest, Sha256};
use tracing::warn;

use super::limit::{Limit, TooSoon};
use crate::request::{RequestError, bounded};

/// A service account's token is about a kilobyte.
const LARGEST: usize = 8 << 10;
/// How long a token that was good is taken to be good: as long as it may be used after it was revoked.
const GOOD: Duration = Duration::from_mins(1);
/// How long one that was not is not asked about again.
const BAD: Duration = Duration::from_secs(10);
/// Tokens that are remembered.
const REMEMBERED: usize = 1024;
/// Unknown tokens that are asked about, a second and at once: whoever guesses costs the API server no more.
const REVIEWS: (u32, u32) = (20, 40);

/// Why nobody is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotKnown {
    NoToken,
    BadToken,
    TooSoon(TooSoon),
    /// The API server gave no answer.
    Unanswered,
}

/// Who asks, as the API server knows them.
pub(super) type Caller = Arc<Known>;

/// A user of the cluster.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    name: String,
    uid: Option<String>,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

/// What somebody wants to do, with an object that need not exist.
pub(super) struct Wish<'a> {
    pub(super) verb: &'static str,
    pub(super) group: &'a str,
    pub(super) resource: &'static str,
    pub(super) subresource: Option<&'static str>,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

/// Until when, and whose it is, by a token's digest; nobody's, where it was not good.
type Remembered = HashMap<[u8; 32], (Instant, Option<Caller>)>;

/// Asks the API server.
pub(super) struct Identities {
    client: Client,
    reviews: Limit,
    remembered: Mutex<Remembered>,
}

impl Known {
    /// The user's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Identities {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            reviews: Limit::new(REVIEWS.0, REVIEWS.1),
            remembered: Mutex::default(),
        }
    }

    /// Whose token a request brings.
    pub(super) async fn of(&self, headers: &HeaderMap) -> Result<Caller, NotKnown> {
        let token = brought(headers).ok_or(NotKnown::NoToken)?;
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let now = Instant::now();
        if let Some((until, found)) = self.remembered().get(&digest)
            && *until > now
        {
            return found.clone().ok_or(NotKnown::BadToken);
        }
        self.reviews.admit(now).map_err(NotKnown::TooSoon)?;
        let found = self.review(token).await.map_err(|error| {
            warn!(%error, "the API server does not review tokens for the controller");
            NotKnown::Unanswered
        })?;
        let until = Instant::now() + if found.is_some() { GOOD } else { BAD };
        self.remember(digest, until, found.clone());
        found.ok_or(NotKnown::BadToken)
    }

    /// Whether somebody may do that.
    pub(super) async fn may(&self, who: &Known, what: &Wish<'_>) -> Result<bool, NotKnown> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(who.name.clone()),
                uid: who.uid.clone(),
                groups: Some(who.groups.clone()),
                extra: Some(who.extra.clone()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(what.group.to_owned()),
                    version: Some("v1alpha1".to_owned()),
                    resource: Some(what.resource.to_owned()),
                    subresource: what.subresource.map(str::to_owned),
                    verb: Some(what.verb.to_owned()),
                    namespace: Some(what.namespace.to_owned()),
                    name: Some(what.name.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = bounded(api.create(&PostParams::default(), &review)).await;
        let answer = answer.map_err(|error| {
            warn!(%error, "the API server does not review access for the controller");
            NotKnown::Unanswered
        })?;
        Ok(answer
            .status
            .is_some_and(|status| status.allowed && status.denied != Some(true)))
    }

    /// None: the token is not good, or good for something else.
    async fn review(&self, token: &str) -> Result<Option<Caller>, RequestError> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: Some(vec![AUDIENCE.to_owned()]),
            },
            ..TokenReview::default()
        };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let status = bounded(api.create(&PostParams::default(), &review)).await?.status;
        let status = status.unwrap_or_default();
        // An API server that does not know audiences names none.
        let ours = status
            .audiences
            .is_some_and(|all| all.iter().any(|one| one == AUDIENCE));
        let authenticated = status.authenticated == Some(true) && ours;
        Ok(status.user.filter(|_| authenticated).and_then(known))
    }

    fn remember(&self, digest: [u8; 32], until: Instant, found: Option<Caller>) {
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED {
            let now = Instant::now();
            remembered.retain(|_, (until, _)| *until > now);
            if remembered.len() >= REMEMBERED {
                remembered.clear();
            }
        }
        remembered.insert(digest, (until, found));
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known(user: UserInfo) -> Option<Caller> {
    let name = user.username.filter(|name| !name.is_empty())?;
    Some(Arc::new(Known {
        name,
        uid: user.uid,
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default(),
    }))
}

/// The token of a request: in the header that HTTP has for it, or in ours, which the API server's service proxy lets through.
fn brought(headers: &HeaderMap) -> Option<&str> {
    let bearer = || {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    };
    let ours = || headers.get(TOKEN_HEADER)?.to_str().ok();
    let token = bearer().or_else(ours)?.trim();
    (!token.is_empty() && token.len() <= LARGEST).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::brought;
    use axum::http::{HeaderMap, HeaderValue};

    #[test]
    fn a_token_stands_in_either_header() {
        let of = |headers: &[(&'static str, &'static str)]| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect();
            brought(&headers).map(str::to_owned)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("authorization", "Bearer a")]).as_deref(), Some("a"));
        assert_eq!(of(&[("authorization", "bearer  a ")]).as_deref(), Some("a"));
        assert_eq!(of(&[("authorization", "Basic a")]), None);
        assert_eq!(of(&[("signet-token", "b")]).as_deref(), Some("b"));
        assert_eq!(
            of(&[("authorization", "Bearer a"), ("signet-token", "b")]).as_deref(),
            Some("a")
        );
        assert_eq!(of(&[("signet-token", " ")]), None);
        let long = HeaderValue::from_str(&"x".repeat((8 << 10) + 1)).unwrap();
        assert_eq!(
            brought(&HeaderMap::from_iter([("signet-token".parse().unwrap(), long)])),
            None
        );
    }
}
