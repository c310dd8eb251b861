//! The private half of a sealing key.

use super::{Fingerprint, PublicKey, der, pem_text};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use zeroize::Zeroizing;

/// An RSA private key. It has no `Debug`, and leaves the process only by [`PrivateKey::to_pkcs1_pem`].
///
/// Private operations run on aws-lc: blinded, with a padding check in constant time.
pub struct PrivateKey {
    oaep: OaepPrivateDecryptingKey,
    key: PrivateDecryptingKey,
    public: PublicKey,
}

/// Why a private key cannot be used. None of them says anything about the key itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateKeyError {
    /// Keys are generated with 2048, 3072, 4096 or 8192 bits.
    #[error("keys are generated with 2048, 3072, 4096 or 8192 bits, not {0}")]
    UnsupportedSize(usize),
    /// The PEM block is protected by a passphrase.
    #[error("the private key is protected by a passphrase; store it without one")]
    Encrypted,
    /// The PEM block is neither PKCS#1 nor PKCS#8.
    #[error("the PEM block is neither `RSA PRIVATE KEY` nor `PRIVATE KEY`")]
    OtherKind,
    /// No whole PEM block with a private key.
    #[error("no whole PEM block with a private key")]
    NoPem,
    /// Damaged, not RSA, or smaller than 2048 bits.
    #[error("not a sound RSA private key of 2048 to 8192 bits")]
    Rejected,
    /// The system's random source or the library failed.
    #[error("the key could not be generated or encoded")]
    Unavailable,
}

impl PrivateKey {
    /// Makes a new key. Bitnami's controller uses 4096 bits.
    pub fn generate(bits: usize) -> Result<Self, PrivateKeyError> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            8192 => KeySize::Rsa8192,
            other => return Err(PrivateKeyError::UnsupportedSize(other)),
        };
        let key = PrivateDecryptingKey::generate(size).map_err(|_| PrivateKeyError::Unavailable)?;
        Self::new(key)
    }

    /// Reads the first private key of a PEM text: `RSA PRIVATE KEY` (PKCS#1, what Bitnami's controller writes) or
    /// `PRIVATE KEY` (PKCS#8).
    pub fn from_pem(text: &str) -> Result<Self, PrivateKeyError> {
        if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(PrivateKeyError::Encrypted);
        }
        let (label, der) = pem_text::first_private_key(text).ok_or(PrivateKeyError::NoPem)?;
        let pkcs8 = match label {
            "RSA PRIVATE KEY" => der::pkcs8_from_pkcs1(&der),
            "PRIVATE KEY" => der,
            _ => return Err(PrivateKeyError::OtherKind),
        };
        let key = PrivateDecryptingKey::from_pkcs8(&pkcs8).map_err(|_| PrivateKeyError::Rejected)?;
        Self::new(key)
    }

    fn new(key: PrivateDecryptingKey) -> Result<Self, PrivateKeyError> {
        let spki = key
            .public_key()
            .as_der()
            .map_err(|_| PrivateKeyError::Unavailable)?;
        let public = PublicKey::from_spki(spki.as_ref()).map_err(|_| PrivateKeyError::Rejected)?;
        let oaep = OaepPrivateDecryptingKey::new(key.clone()).map_err(|_| PrivateKeyError::Rejected)?;
        Ok(Self { oaep, key, public })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The name of the key pair.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        self.public.fingerprint()
    }

    /// The key as a PKCS#1 PEM block, the form that Bitnami's controller stores and every version of it reads.
    pub fn to_pkcs1_pem(&self) -> Result<Zeroizing<String>, PrivateKeyError> {
        let pkcs8 = self.key.as_der().map_err(|_| PrivateKeyError::Unavailable)?;
        let pkcs1 = der::pkcs1_in_pkcs8(pkcs8.as_ref()).ok_or(PrivateKeyError::Unavailable)?;
        Ok(pem_text::write("RSA PRIVATE KEY", pkcs1))
    }

    /// The key as PKCS#1 DER (RFC 8017, A.1.2).
    pub(crate) fn pkcs1_der(&self) -> Option<Zeroizing<Vec<u8>>> {
        let pkcs8 = self.key.as_der().ok()?;
        Some(Zeroizing::new(der::pkcs1_in_pkcs8(pkcs8.as_ref())?.to_vec()))
    }

    /// The key as PKCS#8 DER, in a buffer that is wiped, for the signer of the certificate.
    pub(super) fn to_pkcs8(&self) -> Option<Pkcs8V1Der<'static>> {
        self.key.as_der().ok()
    }

    /// The size of an RSA ciphertext in bytes.
    pub(crate) fn ciphertext_len(&self) -> usize {
        self.oaep.key_size_bytes()
    }

    /// RSAES-OAEP-DECRYPT (RFC 8017, 7.1.2) with SHA-256 and MGF1-SHA256. One private operation.
    pub(crate) fn decrypt(&self, ciphertext: &[u8], label: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut message = Zeroizing::new(vec![0; self.oaep.min_output_size()]);
        let len = self
            .oaep
            .decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut message, Some(label))
            .ok()?
            .len();
        message.truncate(len);
        Some(message)
    }
}
