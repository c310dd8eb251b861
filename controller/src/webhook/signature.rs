//! How each host proves that a delivery is its own. Comparisons take the same time wherever they differ.
//!
//! Sources: the hosts' documentation of their webhooks; the Standard Webhooks specification for
//! `webhook-id`, `webhook-timestamp` and `webhook-signature`, which GitLab's signing tokens follow too.

use std::cell::{Cell, OnceCell};
use std::fmt;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crds::WebhookProvider;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::mark::Mark;

/// How far a sender's clock may be off, in seconds: the tolerance that Standard Webhooks libraries use.
pub(super) const SKEW: i64 = 300;

/// Signatures in one `webhook-signature` header that are tried: senders give two while a secret changes.
const SIGNATURES: usize = 4;

/// Why a delivery does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The header that the provider signs with is missing. Its name.
    Unsigned(&'static str),
    /// SHA-1, or something else that is not SHA-256.
    Algorithm(&'static str),
    /// It does not fit.
    Wrong,
    /// Its time is more than [`SKEW`] away.
    Stale,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(header) => write!(
                f,
                "it has no header {header}. Set the token of the Secret as the webhook's secret at the Git host, and \
                 compare spec.webhook.provider"
            ),
            Self::Algorithm(header) => write!(
                f,
                "its header {header} is no HMAC-SHA256. SHA-1 is not accepted: have the host sign with SHA-256"
            ),
            Self::Wrong => f.write_str(
                "it is not signed with the token of the Secret. Set the same value at the Git host, without a line \
                 break at its end",
            ),
            Self::Stale => write!(
                f,
                "its time is more than {} minutes away. Compare the clocks, or it is an old delivery that was sent again",
                SKEW / 60
            ),
        }
    }
}

/// Checks a delivery for each of these providers; the first reason counts. `now` is in seconds since 1970. Returns whose it
/// is, and what it is remembered by.
///
/// The body is hashed in any case, also where the headers say enough: how long a refusal takes does not tell whether there
/// is anybody at the address.
pub(super) fn check(
    providers: &[WebhookProvider],
    token: &[u8],
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<(WebhookProvider, Vec<Mark>), Refusal> {
    let delivery = Delivery {
        token,
        headers,
        body,
        now,
        digest: OnceCell::new(),
        hashed: Cell::new(false),
    };
    let mut first = None;
    for provider in providers {
        match delivery.check(*provider) {
            Ok(marks) => return Ok((*provider, marks)),
            Err(refusal) => {
                first.get_or_insert(refusal);
            }
        }
    }
    if !delivery.hashed.get() {
        spend(body);
    }
    Err(first.unwrap_or(Refusal::Wrong))
}

/// The work of one check, for nobody.
pub(super) fn spend(body: &[u8]) {
    let _ = fits(&hmac(&[0; 32], &[body]), &[0; 32]);
}

struct Delivery<'a> {
    token: &'a [u8],
    headers: &'a HeaderMap,
    body: &'a [u8],
    now: i64,
    /// The HMAC over the body, which most providers take, each in another header.
    digest: OnceCell<[u8; 32]>,
    hashed: Cell<bool>,
}

impl Delivery<'_> {
    fn check(&self, provider: WebhookProvider) -> Result<Vec<Mark>, Refusal> {
        let (headers, body) = (self.headers, self.body);
        match provider {
            WebhookProvider::GitHub => {
                self.hmac_sha256("x-hub-signature-256")?;
                Ok(marks(headers, body, &["x-github-delivery"]))
            }
            WebhookProvider::Gitea => {
                let forgejo = headers.contains_key("x-forgejo-signature");
                self.bare_hmac(if forgejo {
                    "x-forgejo-signature"
                } else {
                    "x-gitea-signature"
                })?;
                Ok(marks(headers, body, &["x-forgejo-delivery", "x-gitea-delivery"]))
            }
            WebhookProvider::BitbucketCloud | WebhookProvider::BitbucketServer => {
                self.hmac_sha256("x-hub-signature")?;
                Ok(marks(headers, body, &["x-request-uuid", "x-request-id"]))
            }
            WebhookProvider::GitLab | WebhookProvider::Generic
                if headers.contains_key("webhook-signature") =>
            {
                self.standard()
            }
            WebhookProvider::GitLab => {
                let given = text(headers, "x-gitlab-token").ok_or(Refusal::Unsigned("X-Gitlab-Token"))?;
                same(self.token, given.as_bytes())?;
                // The token covers nothing: whoever has it can write any body, and two pushes may well have the same.
                Ok(marks_of_id(
                    headers,
                    body,
                    &["idempotency-key", "x-gitlab-event-uuid"],
                ))
            }
            WebhookProvider::AzureDevOps => {
                let password = basic_password(headers).ok_or(Refusal::Unsigned("Authorization"))?;
                same(self.token, &password)?;
                Ok(vec![Mark::of(&[b"body", body])])
            }
            WebhookProvider::Generic => {
                self.hmac_sha256("x-signature")?;
                Ok(vec![Mark::of(&[b"body", body])])
            }
        }
    }

    /// `sha256=HEX` over the body.
    fn hmac_sha256(&self, name: &'static str) -> Result<(), Refusal> {
        let value = text(self.headers, name).ok_or(Refusal::Unsigned(title(name)))?;
        let hex = value
            .strip_prefix("sha256=")
            .ok_or(Refusal::Algorithm(title(name)))?;
        self.verify(&hex_digest(hex).ok_or(Refusal::Wrong)?)
    }

    /// `HEX` over the body: Gitea's, without the algorithm's name.
    fn bare_hmac(&self, name: &'static str) -> Result<(), Refusal> {
        let value = text(self.headers, name).ok_or(Refusal::Unsigned(title(name)))?;
        self.verify(&hex_digest(value).ok_or(Refusal::Algorithm(title(name)))?)
    }

    fn verify(&self, digest: &[u8]) -> Result<(), Refusal> {
        let own = self.digest.get_or_init(|| self.hmac(self.token, &[self.body]));
        fits(own, digest)
    }

    /// Standard Webhooks: `v1,BASE64` over `id.timestamp.body`. The token may be `whsec_BASE64`.
    fn standard(&self) -> Result<Vec<Mark>, Refusal> {
        let named = |name| text(self.headers, name).ok_or(Refusal::Unsigned(name));
        let id = named("webhook-id")?;
        let time = named("webhook-timestamp")?;
        let signatures = named("webhook-signature")?;
        let decoded = self
            .token
            .strip_prefix(b"whsec_")
            .and_then(|encoded| BASE64.decode(encoded).ok())
            .map(Zeroizing::new);
        let key = decoded.as_ref().map_or(self.token, |key| key.as_slice());
        let mut candidates = signatures
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .take(SIGNATURES)
            .peekable();
        if candidates.peek().is_none() {
            return Err(Refusal::Algorithm("webhook-signature"));
        }
        let own = self.hmac(key, &[id.as_bytes(), b".", time.as_bytes(), b".", self.body]);
        let mut digests = candidates.filter_map(|encoded| BASE64.decode(encoded).ok());
        if !digests.any(|digest| fits(&own, &digest).is_ok()) {
            return Err(Refusal::Wrong);
        }
        let time: i64 = time.parse().map_err(|_| Refusal::Stale)?;
        if self.now.abs_diff(time) > SKEW.unsigned_abs() {
            return Err(Refusal::Stale);
        }
        Ok(vec![Mark::of(&[b"id", id.as_bytes()])])
    }

    fn hmac(&self, key: &[u8], message: &[&[u8]]) -> [u8; 32] {
        self.hashed.set(true);
        hmac(key, message)
    }
}

/// Over a message with a body in it.
fn hmac(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    #[cfg(test)]
    tests::HASHED.with(|count| count.set(count.get() + 1));
    // A key may have any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn fits(own: &[u8; 32], digest: &[u8]) -> Result<(), Refusal> {
    let equal: bool = own.as_slice().ct_eq(digest).into();
    if equal { Ok(()) } else { Err(Refusal::Wrong) }
}

/// Compares digests, so that not even the length shows.
fn same(token: &[u8], given: &[u8]) -> Result<(), Refusal> {
    let equal: bool = Mark::of(&[token]).0.ct_eq(&Mark::of(&[given]).0).into();
    if equal { Ok(()) } else { Err(Refusal::Wrong) }
}

fn basic_password(headers: &HeaderMap) -> Option<Zeroizing<Vec<u8>>> {
    let value = text(headers, "authorization")?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = Zeroizing::new(BASE64.decode(encoded.trim()).ok()?);
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(Zeroizing::new(pair.get(colon + 1..)?.to_vec()))
}

/// Its id, where the host gives one, and its body: an id alone is not signed.
fn marks(headers: &HeaderMap, body: &[u8], ids: &[&str]) -> Vec<Mark> {
    let mut marks = vec![Mark::of(&[b"body", body])];
    if let Some(id) = ids.iter().find_map(|name| text(headers, name)) {
        marks.push(Mark::of(&[b"id", id.as_bytes()]));
    }
    marks
}

/// Its id, or its body where it has none.
fn marks_of_id(headers: &HeaderMap, body: &[u8], ids: &[&str]) -> Vec<Mark> {
    match ids.iter().find_map(|name| text(headers, name)) {
        Some(id) => vec![Mark::of(&[b"id", id.as_bytes()])],
        None => vec![Mark::of(&[b"body", body])],
    }
}

/// A header that is there once and is text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let only = values.next()?;
    if values.next().is_some() {
        return None;
    }
    only.to_str().ok().filter(|value| !value.is_empty())
}

fn title(name: &'static str) -> &'static str {
    match name {
        "x-hub-signature-256" => "X-Hub-Signature-256",
        "x-hub-signature" => "X-Hub-Signature",
        "x-forgejo-signature" => "X-Forgejo-Signature",
        "x-gitea-signature" => "X-Gitea-Signature",
        "x-signature" => "X-Signature",
        other => other,
    }
}

fn hex_digest(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |c: u8| {
            char::from(c)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests;
