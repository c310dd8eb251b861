//! The public half of a sealing key.

use super::Fingerprint;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// An RSA public key that values are sealed for.
pub struct PublicKey {
    oaep: OaepPublicEncryptingKey,
    fingerprint: Fingerprint,
}

/// Why a `SubjectPublicKeyInfo` is no use for sealing.
pub(super) enum NotUsable {
    /// Not an RSA key.
    NotRsa,
    /// An RSA key of fewer than 2048 or more than 8192 bits, or a damaged one.
    Rejected,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, 4.1.2.7).
    pub(super) fn from_spki(der: &[u8]) -> Result<Self, NotUsable> {
        let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| NotUsable::NotRsa)?;
        let Ok(ParsedKey::RSA(rsa)) = info.parsed() else {
            return Err(NotUsable::NotRsa);
        };
        let fingerprint = Fingerprint::of_rsa(rsa.modulus, rsa.exponent);
        let key = PublicEncryptingKey::from_der(der).map_err(|_| NotUsable::Rejected)?;
        let oaep = OaepPublicEncryptingKey::new(key).map_err(|_| NotUsable::Rejected)?;
        Ok(Self { oaep, fingerprint })
    }

    /// The name of the key.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The size of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.oaep.key_size_bits()
    }

    /// The size of an RSA ciphertext in bytes.
    pub(crate) fn ciphertext_len(&self) -> usize {
        self.oaep.ciphertext_size()
    }

    /// RSAES-OAEP-ENCRYPT (RFC 8017, 7.1.1) with SHA-256 and MGF1-SHA256 into a buffer of
    /// [`PublicKey::ciphertext_len`] bytes. False where the random source or the library fails.
    #[must_use]
    pub(crate) fn encrypt(&self, message: &[u8], label: &[u8], out: &mut [u8]) -> bool {
        let expected = out.len();
        self.oaep
            .encrypt(&OAEP_SHA256_MGF1SHA256, message, out, Some(label))
            .is_ok_and(|written| written.len() == expected)
    }
}
