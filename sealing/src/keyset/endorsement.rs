//! Endorsement keys: Ed25519 (RFC 8032), derived from sealing keys.

use crate::v2::Identity;
use crate::{PrivateKey, base64_text};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};
use std::str::FromStr;
use zeroize::Zeroizing;

const INFO: &[u8] = b"signet.dev/endorsement/v1";
const PREFIX: &str = "ed25519-";

/// The private half. It has no `Debug` and does not leave the process.
pub struct EndorsementKey {
    pair: Ed25519KeyPair,
}

/// The name of an endorsement key, which is what people pin: `ed25519-` and the first 16 bytes of SHA-256 over its public
/// half, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndorsementName(String);

/// A signature, with the key that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// The public half, base64.
    pub public_key: String,
    /// 64 bytes, base64.
    pub signature: String,
}

impl EndorsementKey {
    /// Of an RSA sealing key (format v1).
    #[must_use]
    pub fn of_rsa(key: &PrivateKey) -> Option<Self> {
        Self::derive(&key.pkcs1_der()?)
    }

    /// Of an age sealing key (format v2).
    #[must_use]
    pub fn of_identity(key: &Identity) -> Option<Self> {
        Self::derive(key.seed())
    }

    /// An offline root's, from the 32 bytes that are kept for it.
    #[must_use]
    pub fn of_root(secret: &[u8; 32]) -> Option<Self> {
        Self::derive(secret)
    }

    fn derive(secret: &[u8]) -> Option<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, secret).expand(INFO, &mut *seed).ok()?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).ok()?;
        Some(Self { pair })
    }

    /// The public half, base64.
    #[must_use]
    pub fn public_text(&self) -> String {
        base64_text::encode(self.pair.public_key().as_ref())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> EndorsementName {
        EndorsementName::of(self.pair.public_key().as_ref())
    }

    /// Signs.
    pub(super) fn sign(&self, message: &[u8]) -> Signature {
        Signature {
            public_key: self.public_text(),
            signature: base64_text::encode(self.pair.sign(message).as_ref()),
        }
    }
}

impl EndorsementName {
    fn of(public: &[u8]) -> Self {
        let mut text = PREFIX.to_owned();
        for byte in &Sha256::digest(public)[..16] {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// Of a public half as a document holds it.
    #[must_use]
    pub fn of_public_text(text: &str) -> Option<Self> {
        Some(Self::of(&public_bytes(text)?))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<EndorsementName> for String {
    fn from(name: EndorsementName) -> Self {
        name.0
    }
}

impl TryFrom<String> for EndorsementName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl fmt::Display for EndorsementName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not the name of an endorsement key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pinned fingerprint is `ed25519-` and 32 lower-case hexadecimal digits")]
pub struct NotAName;

impl FromStr for EndorsementName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotAName)?;
        let is_hex = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (digits.len() == 32 && is_hex)
            .then(|| Self(text.to_owned()))
            .ok_or(NotAName)
    }
}

impl Signature {
    /// Who made it, if it is sound.
    pub(super) fn signer(&self, message: &[u8]) -> Option<EndorsementName> {
        let public = public_bytes(&self.public_key)?;
        let signature = base64_text::decode(&self.signature).ok()?;
        UnparsedPublicKey::new(&ED25519, &*public)
            .verify(message, &signature)
            .ok()?;
        Some(EndorsementName::of(&public))
    }
}

fn public_bytes(text: &str) -> Option<Vec<u8>> {
    let bytes = base64_text::decode(text).ok()?.to_vec();
    (bytes.len() == 32).then_some(bytes)
}
