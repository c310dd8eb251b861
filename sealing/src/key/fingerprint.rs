//! The name of a key.

use crate::base64_text;
use crate::v2::KeyId;
use sha2::{Digest, Sha256};
use std::fmt;

/// The name of a key: `SHA256:…` over the RSA public key in OpenSSH's encoding (RFC 4253, 6.6), which is how
/// Bitnami's controller names its keys and what `ssh-keygen -l` prints; for a key of format v2 its id, `key-…`. It is for
/// looking up and for showing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Of a public key, from its big-endian modulus and exponent.
    pub(super) fn of_rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let mut hash = Sha256::new();
        string(&mut hash, b"ssh-rsa");
        mpint(&mut hash, exponent);
        mpint(&mut hash, modulus);
        Self(format!(
            "SHA256:{}",
            base64_text::encode_unpadded(&hash.finalize())
        ))
    }

    /// Of a key of format v2: its key id, `key-…`.
    pub(crate) fn of_key_id(id: &KeyId) -> Self {
        Self(id.as_str().to_owned())
    }

    /// The text, with its prefix `SHA256:` or `key-`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `string` of RFC 4251, 5.
fn string(hash: &mut Sha256, bytes: &[u8]) {
    length(hash, bytes.len());
    hash.update(bytes);
}

/// `mpint` of RFC 4251, 5: no needless zeros, but one in front of a high bit, since the encoding is signed.
fn mpint(hash: &mut Sha256, number: &[u8]) {
    let digits = &number[number.iter().take_while(|b| **b == 0).count()..];
    let sign = digits.first().is_some_and(|b| b & 0x80 != 0);
    length(hash, digits.len() + usize::from(sign));
    if sign {
        hash.update([0]);
    }
    hash.update(digits);
}

fn length(hash: &mut Sha256, len: usize) {
    // RSA numbers are a few kilobytes at most.
    hash.update(u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}
