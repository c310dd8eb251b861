//! Suites of recipients, and the names of their keys.

use super::hybrid;
use crate::digest::length_prefixed;
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// What kind of key a value is sealed for. One data key is never wrapped for both: the weaker would undo the stronger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// Post-quantum and classical together: ML-KEM-768 and X25519 (`age1pq1…`).
    #[default]
    MlKem768X25519,
    /// Classical only: X25519 (`age1…`).
    X25519,
}

impl Suite {
    /// The name, which is that of the suite's stanza in an age file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MlKem768X25519 => hybrid::TAG,
            Self::X25519 => "X25519",
        }
    }

    /// The suite of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::MlKem768X25519, Self::X25519]
            .into_iter()
            .find(|suite| suite.as_str() == name)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a key: `key-` and 32 hexadecimal digits, the first 16 bytes of SHA-256 over suite and public key, each
/// length-prefixed. A key is looked up by it, never found by trial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

const PREFIX: &str = "key-";
const BYTES: usize = 16;

/// Not the name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's id is `key-` and 32 lower-case hexadecimal digits")]
pub struct NotAKeyId;

impl KeyId {
    /// Of a public key.
    pub(super) fn of(suite: Suite, public: &[u8]) -> Self {
        let hash = Sha256::digest(length_prefixed(&[suite.as_str().as_bytes(), public]));
        let mut text = PREFIX.to_owned();
        for byte in &hash[..BYTES] {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = NotAKeyId;

    fn from_str(text: &str) -> Result<Self, NotAKeyId> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotAKeyId)?;
        (digits.len() == 2 * BYTES && is_hex(digits))
            .then(|| Self(text.to_owned()))
            .ok_or(NotAKeyId)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is lower-case hexadecimal.
pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
