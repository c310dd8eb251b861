//! Format v1: one value of `spec.encryptedData`, byte for byte what Bitnami Sealed Secrets makes and reads.
//!
//! | offset | size | content |
//! |---|---|---|
//! | 0 | 2 | length `L` of the RSA ciphertext, big endian |
//! | 2 | L | RSAES-OAEP (RFC 8017) of the session key: SHA-256, MGF1-SHA256, the [scope's label](crate::Scope::label) |
//! | 2+L | n+16 | AES-GCM (SP 800-38D) of the value: nonce of 12 zero bytes, no AAD, tag at the end |
//!
//! The zero nonce is safe because a session key is used once: it must never be cached or reused.
//!
//! What the format does not promise: the label holds no key name, so values can be swapped between keys of one
//! object; the template is not bound; and anyone with the public key can make a valid value.

use crate::base64_text;
use crate::key::PublicKey;
use crate::ring::OpenError;
use crate::{Plaintext, PrivateKey};
use aes::Aes192;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, Buffer, KeyInit, Nonce};
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

const LENGTH: usize = 2;
const TAG: usize = 16;
const SESSION_KEY: usize = 32;

/// Sealing failed: the system's random source or the cryptographic library is not available.
#[derive(Debug, thiserror::Error)]
#[error("the value could not be sealed: no random numbers, or the cryptographic library failed")]
pub struct SealFailed;

/// Seals one value. The result is what stands in `spec.encryptedData`.
pub fn seal(key: &PublicKey, label: &[u8], value: &[u8]) -> Result<String, SealFailed> {
    let mut session = Zeroizing::new([0; SESSION_KEY]);
    rand::fill(&mut *session).map_err(|_| SealFailed)?;
    let cipher = Aes256Gcm::new_from_slice(&*session).map_err(|_| SealFailed)?;

    let rsa_len = key.ciphertext_len();
    let mut out = vec![0; LENGTH + rsa_len];
    let length = u16::try_from(rsa_len).map_err(|_| SealFailed)?;
    out[..LENGTH].copy_from_slice(&length.to_be_bytes());
    if !key.encrypt(&*session, label, &mut out[LENGTH..]) {
        return Err(SealFailed);
    }

    // The buffer holds plaintext until it is encrypted in place: sized beforehand, and wiped.
    let mut body = Zeroizing::new(Vec::with_capacity(value.len() + TAG));
    body.extend_from_slice(value);
    cipher
        .encrypt_in_place(&Nonce::<Aes256Gcm>::default(), b"", &mut *body)
        .map_err(|_| SealFailed)?;
    out.extend_from_slice(&body);
    Ok(base64_text::encode(&out))
}

/// What can be seen of a sealed value without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The size of the key that it was sealed for, in bits.
    pub key_bits: usize,
    /// The size of the value in bytes: the format does not hide it.
    pub value_len: usize,
}

impl Shape {
    /// Looks at a value of `spec.encryptedData`.
    pub fn of(sealed: &str) -> Result<Self, OpenError> {
        let envelope = Envelope::parse(sealed)?;
        Ok(Self {
            key_bits: envelope.rsa_len * 8,
            value_len: envelope.bytes.len() - LENGTH - envelope.rsa_len - TAG,
        })
    }
}

/// A sealed value, taken apart.
pub(crate) struct Envelope {
    bytes: Zeroizing<Vec<u8>>,
    rsa_len: usize,
}

impl Envelope {
    /// Reads the outer shape. What is wrong here can be said aloud: it is plain to see without a key.
    pub(crate) fn parse(sealed: &str) -> Result<Self, OpenError> {
        let bytes = base64_text::decode(sealed).map_err(|_| OpenError::NotBase64)?;
        let (length, rest) = bytes.split_first_chunk::<LENGTH>().ok_or(OpenError::Truncated)?;
        let rsa_len = usize::from(u16::from_be_bytes(*length));
        if rest.len() < rsa_len + TAG {
            return Err(OpenError::Truncated);
        }
        Ok(Self { bytes, rsa_len })
    }

    /// The most bytes that a sealed value holds, as far as can be seen without opening or even decoding it.
    pub(crate) fn most(sealed: &str) -> usize {
        let decoded = sealed.len() / 4 * 3;
        let head = sealed.get(..4).and_then(|head| base64_text::decode(head).ok());
        match head.as_deref().map(Vec::as_slice) {
            Some([high, low, _]) => {
                decoded.saturating_sub(LENGTH + usize::from(u16::from_be_bytes([*high, *low])) + TAG)
            }
            _ => decoded,
        }
    }

    /// The size of the key that it was sealed for, in bytes.
    pub(crate) fn key_len(&self) -> usize {
        self.rsa_len
    }

    /// Opens it: one private operation. Which of the two steps failed stays in here.
    pub(crate) fn open(&self, key: &PrivateKey, label: &[u8]) -> Option<Plaintext> {
        let (rsa, body) = self.bytes[LENGTH..].split_at(self.rsa_len);
        let session = key.decrypt(rsa, label)?;
        // Go's aes.NewCipher takes all three key lengths, so upstream opens all three.
        match session.len() {
            16 => open_body::<Aes128Gcm>(&session, body),
            24 => open_body::<AesGcm<Aes192, U12>>(&session, body),
            32 => open_body::<Aes256Gcm>(&session, body),
            _ => None,
        }
    }
}

fn open_body<Cipher: KeyInit + AeadInOut>(session: &[u8], body: &[u8]) -> Option<Plaintext> {
    let cipher = Cipher::new_from_slice(session).ok()?;
    let mut value = Zeroizing::new(body.to_vec());
    let buffer: &mut dyn Buffer = &mut *value;
    cipher
        .decrypt_in_place(&Nonce::<Cipher>::default(), b"", buffer)
        .ok()?;
    Some(Plaintext::from(value))
}
