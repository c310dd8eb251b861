//! What a key set says.

use super::endorsement::{EndorsementName, Signature};
use crate::Printable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Whom the keys are for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Audience {
    /// Everybody who deploys to the cluster.
    #[default]
    Cluster,
    /// One Project.
    Project {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the cluster"),
            Self::Project { name } => write!(f, "Project {}", Printable(name)),
        }
    }
}

/// The keys of one controller for one audience.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeySet {
    /// [`FORMAT`](super::FORMAT).
    pub format: String,
    /// Whom the keys are for.
    pub audience: Audience,
    /// When it was signed: RFC 3339 in UTC, whole seconds, `Z`. So texts sort as times do.
    pub issued_at: String,
    /// Names of endorsement keys that are no longer to be believed, for ever.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub compromised: BTreeSet<EndorsementName>,
    /// The keys, newest first within each format.
    pub keys: Vec<KeyEntry>,
}

/// One sealing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyEntry {
    /// `key-…` (format v2) or `SHA256:…` (format v1).
    pub id: String,
    /// `mlkem768x25519`, `X25519`, or `rsa-oaep-sha256` (format v1).
    pub suite: String,
    /// The public key of format v2: `age1…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The certificate of format v1, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The public half of its endorsement key, base64.
    pub endorsement_key: String,
    /// From when it is used, in the form of `issuedAt`.
    pub not_before: String,
    /// Until when it may be sealed for, in the form of `issuedAt`; for ever, if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// Endorsements by keys before it.
    #[serde(default)]
    pub endorsements: Vec<Signature>,
}

/// Whether a time is written so that texts sort as times do: `2026-11-28T20:00:00Z`.
pub(super) fn is_time(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00Z";
    let fits = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        sign => byte == *sign,
    };
    text.len() == SHAPE.len() && text.bytes().zip(SHAPE).all(fits)
}

/// The name of format v1's suite.
pub(super) const RSA: &str = "rsa-oaep-sha256";

impl KeyEntry {
    /// Whether it is a key of format v2.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.suite != RSA
    }

    /// The public key as its endorsement names it.
    pub(super) fn public_text(&self) -> &str {
        let text = if self.is_native() {
            &self.recipient
        } else {
            &self.certificate
        };
        text.as_deref().unwrap_or_default()
    }
}

/// A key set as it is served: the exact bytes that are signed, and the signatures.
#[derive(Serialize, Deserialize)]
pub(super) struct Envelope {
    /// JSON of a [`KeySet`], base64.
    pub(super) payload: String,
    pub(super) signatures: Vec<Signature>,
}
