//! How each host proves that a delivery is its own. Comparisons take the same time wherever they differ.
//!
//! Sources: the hosts' documentation of their webhooks; the Standard Webhooks specification for
//! `webhook-id`, `webhook-timestamp` and `webhook-signature`, which GitLab's signing tokens follow too.

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

/// Checks a delivery. `now` is in seconds since 1970. Returns what it is remembered by.
pub(super) fn check(
    provider: WebhookProvider,
    token: &[u8],
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<Vec<Mark>, Refusal> {
    match provider {
        WebhookProvider::GitHub => {
            hmac_sha256(token, headers, body, "x-hub-signature-256")?;
            Ok(marks(headers, body, &["x-github-delivery"]))
        }
        WebhookProvider::Gitea => {
            let forgejo = headers.contains_key("x-forgejo-signature");
            let name = if forgejo {
                "x-forgejo-signature"
            } else {
                "x-gitea-signature"
            };
            bare_hmac(token, headers, body, name)?;
            Ok(marks(headers, body, &["x-forgejo-delivery", "x-gitea-delivery"]))
        }
        WebhookProvider::BitbucketCloud | WebhookProvider::BitbucketServer => {
            hmac_sha256(token, headers, body, "x-hub-signature")?;
            Ok(marks(headers, body, &["x-request-uuid", "x-request-id"]))
        }
        WebhookProvider::GitLab | WebhookProvider::Generic if headers.contains_key("webhook-signature") => {
            standard(token, headers, body, now)
        }
        WebhookProvider::GitLab => {
            let given = text(headers, "x-gitlab-token").ok_or(Refusal::Unsigned("X-Gitlab-Token"))?;
            same(token, given.as_bytes())?;
            // The token covers nothing: whoever has it can write any body, and two pushes may well have the same.
            Ok(marks_of_id(
                headers,
                body,
                &["idempotency-key", "x-gitlab-event-uuid"],
            ))
        }
        WebhookProvider::AzureDevOps => {
            let password = basic_password(headers).ok_or(Refusal::Unsigned("Authorization"))?;
            same(token, &password)?;
            Ok(vec![Mark::of(&[b"body", body])])
        }
        WebhookProvider::Generic => {
            hmac_sha256(token, headers, body, "x-signature")?;
            Ok(vec![Mark::of(&[b"body", body])])
        }
    }
}

/// The work of one check, for nobody.
pub(super) fn spend(body: &[u8]) {
    let _ = verify(&[0; 32], &[body], &[0; 32]);
}

/// `sha256=HEX` over the body.
fn hmac_sha256(token: &[u8], headers: &HeaderMap, body: &[u8], name: &'static str) -> Result<(), Refusal> {
    let value = text(headers, name).ok_or(Refusal::Unsigned(title(name)))?;
    let hex = value
        .strip_prefix("sha256=")
        .ok_or(Refusal::Algorithm(title(name)))?;
    verify(token, &[body], &hex_digest(hex).ok_or(Refusal::Wrong)?)
}

/// `HEX` over the body: Gitea's, without the algorithm's name.
fn bare_hmac(token: &[u8], headers: &HeaderMap, body: &[u8], name: &'static str) -> Result<(), Refusal> {
    let value = text(headers, name).ok_or(Refusal::Unsigned(title(name)))?;
    let digest = hex_digest(value).ok_or(Refusal::Algorithm(title(name)))?;
    verify(token, &[body], &digest)
}

/// Standard Webhooks: `v1,BASE64` over `id.timestamp.body`. The token may be `whsec_BASE64`.
fn standard(token: &[u8], headers: &HeaderMap, body: &[u8], now: i64) -> Result<Vec<Mark>, Refusal> {
    let id = text(headers, "webhook-id").ok_or(Refusal::Unsigned("webhook-id"))?;
    let time = text(headers, "webhook-timestamp").ok_or(Refusal::Unsigned("webhook-timestamp"))?;
    let signatures = text(headers, "webhook-signature").ok_or(Refusal::Unsigned("webhook-signature"))?;
    let decoded = token
        .strip_prefix(b"whsec_")
        .and_then(|encoded| BASE64.decode(encoded).ok())
        .map(Zeroizing::new);
    let key = decoded.as_ref().map_or(token, |key| key.as_slice());
    let message: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", body];
    let mut candidates = signatures
        .split(' ')
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .take(SIGNATURES)
        .peekable();
    if candidates.peek().is_none() {
        return Err(Refusal::Algorithm("webhook-signature"));
    }
    let fits = candidates.any(|encoded| {
        BASE64
            .decode(encoded)
            .is_ok_and(|digest| verify(key, &message, &digest).is_ok())
    });
    if !fits {
        return Err(Refusal::Wrong);
    }
    let time: i64 = time.parse().map_err(|_| Refusal::Stale)?;
    if now.abs_diff(time) > SKEW.unsigned_abs() {
        return Err(Refusal::Stale);
    }
    Ok(vec![Mark::of(&[b"id", id.as_bytes()])])
}

fn verify(key: &[u8], message: &[&[u8]], digest: &[u8]) -> Result<(), Refusal> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Err(Refusal::Wrong);
    };
    for part in message {
        mac.update(part);
    }
    mac.verify_slice(digest).map_err(|_| Refusal::Wrong)
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
