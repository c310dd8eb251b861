//! One value: padded, under AES-256-GCM, with a nonce that depends on everything it is bound to.
//!
//! | offset | size | content |
//! |---|---|---|
//! | 0 | 12 | nonce: the start of HMAC-SHA256(nonce key, LP(AAD, padded plaintext)) |
//! | 12 | 32·n | AES-256-GCM of the padded plaintext |
//! | 12+32·n | 16 | tag |

use super::data_key::DataKey;
use super::limits;
use super::place::Place;
use crate::digest::KeyedDigest;
use crate::{Plaintext, SealFailed};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, Buffer, KeyInit as _, Nonce};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const NONCE: usize = 12;
const TAG: usize = 16;
const STEP: usize = 32;
const LENGTH: usize = 4;

/// The fewest bytes that a sealed value has.
pub(super) const SMALLEST: usize = NONCE + STEP + TAG;
/// The most bytes that a sealed value has.
pub(super) const LARGEST: usize = NONCE + padded_len(limits::SECRET) + TAG;

/// How long a value of this size is when it is padded.
const fn padded_len(len: usize) -> usize {
    (LENGTH + len).div_ceil(STEP) * STEP
}

/// Whether a sealed value can have this many bytes.
pub(super) fn is_possible_len(len: usize) -> bool {
    (SMALLEST..=LARGEST).contains(&len) && (len - NONCE - TAG).is_multiple_of(STEP)
}

/// Between which sizes the plaintext of a sealed value of this many bytes lies.
pub(super) fn size_range(sealed: usize) -> (usize, usize) {
    let padded = sealed.saturating_sub(NONCE + TAG);
    let most = padded.saturating_sub(LENGTH);
    (most.saturating_sub(STEP - 1), most)
}

/// The most bytes that the plaintext of a sealed value of this many bytes has. One alone may be as large as a Secret, whose
/// size the padding does not end at.
pub(super) fn most(sealed: usize) -> usize {
    size_range(sealed).1.min(limits::SECRET)
}

/// The same, of a value that is not sealed yet.
pub(super) fn most_of(len: usize) -> usize {
    (padded_len(len) - LENGTH).min(limits::SECRET)
}

/// What a value is bound to.
pub(super) struct Binding<'a> {
    key_name: &'a str,
    aad: Vec<u8>,
}

impl<'a> Binding<'a> {
    pub(super) fn new(place: &Place, key_name: &'a str, template: &[u8; 32]) -> Self {
        Self {
            key_name,
            aad: place.encode("signet.dev/sealed/v2/aad", &[key_name.as_bytes(), template]),
        }
    }

    /// Seals a value: the same data key, binding and value give the same bytes.
    pub(super) fn seal(&self, key: &DataKey, value: &[u8]) -> Result<Vec<u8>, SealFailed> {
        debug_assert!(value.len() <= limits::SECRET, "checked by the callers");
        let len = u32::try_from(value.len()).map_err(|_| SealFailed)?;
        let padded = padded_len(value.len());
        // The buffer holds plaintext until it is encrypted in place: sized beforehand, and wiped.
        let mut body = Zeroizing::new(Vec::with_capacity(padded + TAG));
        body.extend_from_slice(&len.to_be_bytes());
        body.extend_from_slice(value);
        body.resize(padded, 0);
        let nonce = self.nonce(key, &body).ok_or(SealFailed)?;
        self.cipher(key)
            .ok_or(SealFailed)?
            .encrypt_in_place(&Nonce::<Aes256Gcm>::from(nonce), &self.aad, &mut *body)
            .map_err(|_| SealFailed)?;
        let mut out = Vec::with_capacity(NONCE + body.len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&body);
        Ok(out)
    }

    /// Opens a value. What was wrong with it stays in here.
    pub(super) fn open(&self, key: &DataKey, sealed: &[u8]) -> Option<Plaintext> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE>()?;
        let mut padded = Zeroizing::new(body.to_vec());
        let buffer: &mut dyn Buffer = &mut *padded;
        self.cipher(key)?
            .decrypt_in_place(&Nonce::<Aes256Gcm>::from(*nonce), &self.aad, buffer)
            .ok()?;
        // There is one sealed form of a value: another nonce, or other padding, is not ours.
        if !bool::from(self.nonce(key, &padded)?.ct_eq(nonce)) {
            return None;
        }
        let (len, rest) = padded.split_first_chunk::<LENGTH>()?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        let value = rest.get(..len)?;
        if padded.len() != padded_len(len) || rest[len..].iter().any(|b| *b != 0) {
            return None;
        }
        let mut out = Zeroizing::new(Vec::with_capacity(len));
        out.extend_from_slice(value);
        Some(out.into())
    }

    fn cipher(&self, key: &DataKey) -> Option<Aes256Gcm> {
        let key = key.derive("signet.dev/sealed/v2/value", self.key_name)?;
        Aes256Gcm::new_from_slice(&*key).ok()
    }

    /// It covers the AAD too: the same value under a changed template must not meet the same nonce, or two texts under one
    /// nonce would give away GCM's authentication key.
    fn nonce(&self, key: &DataKey, padded: &[u8]) -> Option<[u8; NONCE]> {
        let key = key.derive("signet.dev/sealed/v2/nonce", self.key_name)?;
        let mut mac = KeyedDigest::new(&key);
        mac.field(&self.aad);
        mac.field(padded);
        mac.finish().first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2::{Identities, Identity, SealedSecret};
    use serde_json::Value;

    /// Known answers, made by the second implementation: the same data key, binding and value have the same bytes, whoever
    /// seals.
    #[test]
    fn sealing_again_gives_the_vectors_bytes() {
        let file: Value = serde_json::from_str(include_str!("../../vectors/sealed-v2.json")).unwrap();
        let mut sealed = 0;
        for vector in file["vectors"].as_array().unwrap() {
            let identity = Identity::parse(vector["identity"].as_str().unwrap())
                .ok()
                .unwrap();
            let object = SealedSecret::parse(&vector["object"]).ok().unwrap();
            let (values, data_keys) = object.open_values(&Identities::new([identity])).ok().unwrap();
            let digest = object.template.digest();
            for (key, value) in &values {
                let before = &object.values[key];
                let bytes = Binding::new(&object.sealed_for, key, &digest)
                    .seal(&data_keys[&before.data_key].key, value.expose());
                assert!(
                    bytes.is_ok_and(|bytes| bytes == before.bytes),
                    "{}",
                    vector["name"]
                );
                sealed += 1;
            }
        }
        assert!(sealed > 20, "{sealed}");
    }
}
