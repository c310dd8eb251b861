//! One address: its token, who follows it, what it has seen, and how much it lets in.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::HeaderMap;
use crds::WebhookProvider;
use kube::Client;

use super::choose::{Followed, choose};
use super::push::Push;
use super::replay::Seen;
use super::secret::{Cached, Token};
use super::signature::{Refusal, check};
use super::{About, Problem};
use crate::http::{Limit, TooSoon};
use crate::mark::Mark;
use crate::repository::Key;

/// Verified deliveries a second, and so many more at once: a whole organisation may share one address.
const RATE: u32 = 20;
const BURST: u32 = 100;

pub(super) struct Receiver {
    namespace: String,
    secret: String,
    token: tokio::sync::Mutex<Cached>,
    followed: Mutex<BTreeMap<Key, (Followed, About)>>,
    seen: Mutex<Seen>,
    limit: Limit,
}

/// A delivery that is signed.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) provider: WebhookProvider,
    pub(super) marks: Vec<Mark>,
}

impl Receiver {
    pub(super) fn new(namespace: String, secret: String) -> Self {
        Self {
            namespace,
            secret,
            token: tokio::sync::Mutex::default(),
            followed: Mutex::default(),
            seen: Mutex::default(),
            limit: Limit::new(RATE, BURST),
        }
    }

    pub(super) fn follow(&self, key: Key, followed: Followed, about: About) {
        let mut all = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key, (followed, about));
    }

    /// Whether nobody is left.
    pub(super) fn leave(&self, key: &Key) -> bool {
        let mut all = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(key);
        all.is_empty()
    }

    /// The Repositories, for events.
    pub(super) fn about(&self) -> Vec<About> {
        let all = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|(_, about)| about.clone()).collect()
    }

    /// Checks the signature with the token; with a token read anew where it does not fit.
    pub(super) async fn verify(
        &self,
        client: &Client,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Verified, Problem> {
        let first = match self.token(client, false).await {
            Some(Ok(token)) => self.fits(&token, headers, body),
            Some(Err(problem)) => return Err(Problem::Secret(problem)),
            None => Err(Refusal::Wrong),
        };
        let refusal = match first {
            Ok(verified) => return Ok(verified),
            Err(Refusal::Wrong) => Refusal::Wrong,
            Err(refusal) => return Err(Problem::Signature(refusal)),
        };
        match self.token(client, true).await {
            Some(Ok(token)) => self.fits(&token, headers, body).map_err(Problem::Signature),
            Some(Err(problem)) => Err(Problem::Secret(problem)),
            None => Err(Problem::Signature(refusal)),
        }
    }

    async fn token(&self, client: &Client, again: bool) -> Option<Result<Token, super::secret::Problem>> {
        let mut cached = self.token.lock().await;
        cached.get(client, &self.namespace, &self.secret, again).await
    }

    /// Tries each provider that a Repository here names; the first reason counts.
    fn fits(&self, token: &[u8], headers: &HeaderMap, body: &[u8]) -> Result<Verified, Refusal> {
        let mut providers: Vec<WebhookProvider> = {
            let all = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
            all.values().map(|(followed, _)| followed.provider).collect()
        };
        providers.sort_unstable();
        providers.dedup();
        let now = jiff::Timestamp::now().as_second();
        let (provider, marks) = check(&providers, token, headers, body, now)?;
        Ok(Verified { provider, marks })
    }

    /// Lets a verified delivery in, or says when to come again.
    pub(super) fn admit(&self) -> Result<(), TooSoon> {
        self.limit.admit(Instant::now())
    }

    pub(super) fn is_replay(&self, marks: &[Mark]) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.before(marks, Instant::now())
    }

    /// The Repositories that a push concerns.
    pub(super) fn choose(&self, provider: WebhookProvider, push: &Push) -> Vec<Key> {
        let all = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let candidates: Vec<(&Key, &Followed)> = all
            .iter()
            .map(|(key, (followed, _))| (key, followed))
            .filter(|(_, followed)| followed.provider == provider)
            .collect();
        choose(push, &candidates)
    }
}
