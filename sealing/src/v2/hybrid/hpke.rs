//! HPKE (RFC 9180) as age uses it: base mode, one message, KEM 0x647a, HKDF-SHA256, ChaCha20-Poly1305, no AAD.

use super::kem::Shared;
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// `"HPKE" || kem_id || kdf_id || aead_id`.
const SUITE: &[u8; 10] = b"HPKE\x64\x7a\x00\x01\x00\x03";
/// age's `info` for this recipient (C2SP age.md).
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
const KEY: usize = 32;
const NONCE: usize = 12;

/// Encrypts in place and appends the tag.
pub(super) fn seal(shared: &Shared, message: &mut Vec<u8>) -> Option<()> {
    let (key, nonce) = key_schedule(shared)?;
    key.seal_in_place_append_tag(nonce, Aad::empty(), message).ok()
}

/// Decrypts in place and drops the tag.
pub(super) fn open(shared: &Shared, message: &mut Zeroizing<Vec<u8>>) -> Option<()> {
    let (key, nonce) = key_schedule(shared)?;
    let len = key.open_in_place(nonce, Aad::empty(), message).ok()?.len();
    message.truncate(len);
    Some(())
}

/// `KeySchedule` (RFC 9180, 5.1) of base mode: no PSK.
fn key_schedule(shared: &Shared) -> Option<(LessSafeKey, Nonce)> {
    let mut context = vec![0]; // mode_base
    context.extend_from_slice(&extract(b"", b"psk_id_hash", b"").0);
    context.extend_from_slice(&extract(b"", b"info_hash", INFO).0);
    let (_, secret) = extract(&**shared, b"secret", b"");
    let key: Zeroizing<[u8; KEY]> = expand(&secret, b"key", &context)?;
    let nonce: Zeroizing<[u8; NONCE]> = expand(&secret, b"base_nonce", &context)?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, &*key).ok()?;
    Some((LessSafeKey::new(key), Nonce::assume_unique_for_key(*nonce)))
}

/// `LabeledExtract` (RFC 9180, 4).
fn extract(salt: &[u8], label: &[u8], ikm: &[u8]) -> ([u8; 32], Hkdf<Sha256>) {
    let mut input = Zeroizing::new(Vec::with_capacity(64 + ikm.len()));
    for part in [b"HPKE-v1".as_slice(), SUITE, label, ikm] {
        input.extend_from_slice(part);
    }
    let (key, expander) = Hkdf::<Sha256>::extract(Some(salt), &input);
    (key.into(), expander)
}

/// `LabeledExpand` (RFC 9180, 4).
fn expand<const LEN: usize>(
    secret: &Hkdf<Sha256>,
    label: &[u8],
    context: &[u8],
) -> Option<Zeroizing<[u8; LEN]>> {
    let len = u16::try_from(LEN).ok()?.to_be_bytes();
    let mut out = Zeroizing::new([0; LEN]);
    secret
        .expand_multi_info(&[&len, b"HPKE-v1", SUITE, label, context], &mut *out)
        .ok()?;
    Some(out)
}
