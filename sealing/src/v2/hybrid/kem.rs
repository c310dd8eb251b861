//! The key encapsulation of `mlkem768x25519`: X-Wing (draft-connolly-cfrg-xwing-kem), HPKE's KEM 0x647a.
//!
//! ML-KEM-768 (FIPS 203) and X25519 (RFC 7748) side by side; a shared secret that needs both. A private key is a seed
//! of 32 bytes.

use libcrux_ml_kem::mlkem768;
use x25519_dalek::{PublicKey as X25519Public, StaticSecret};
use zeroize::Zeroizing;

/// `pk_M || pk_X`.
pub(super) const PUBLIC: usize = ML_KEM_PUBLIC + 32;
/// `ct_M || ct_X`.
pub(super) const ENCAPSULATION: usize = ML_KEM_CIPHERTEXT + 32;
/// `m || ek_X`.
pub(super) const RANDOMNESS: usize = 64;

const ML_KEM_PUBLIC: usize = 1184;
const ML_KEM_CIPHERTEXT: usize = 1088;
/// X-Wing's label, a drawing of its name.
const LABEL: &[u8] = br"\.//^\";

/// A shared secret, wiped when dropped.
pub(super) type Shared = Zeroizing<[u8; 32]>;

/// A private key, expanded from its seed. libcrux does not wipe its keys: it lives for the opening of one file.
pub(super) struct Expanded {
    ml_kem: mlkem768::MlKem768KeyPair,
    x25519: StaticSecret,
    x25519_public: X25519Public,
}

/// The two halves of a public key.
struct Halves<'a> {
    ml_kem: mlkem768::MlKem768PublicKey,
    x25519: &'a [u8; 32],
}

fn halves(public: &[u8; PUBLIC]) -> Option<Halves<'_>> {
    let (ml_kem, x25519) = public.split_first_chunk::<ML_KEM_PUBLIC>()?;
    Some(Halves {
        ml_kem: ml_kem.into(),
        x25519: x25519.try_into().ok()?,
    })
}

/// Whether a public key can be used: libcrux's encapsulation leaves out the modulus check of FIPS 203, 7.2, and a point of
/// low order would make the X25519 half worthless.
pub(super) fn is_valid(public: &[u8; PUBLIC]) -> bool {
    halves(public).is_some_and(|parts| {
        mlkem768::validate_public_key(&parts.ml_kem) && contributes(&X25519Public::from(*parts.x25519))
    })
}

/// Whether a point is of the large order. Any scalar shows it, since scalars are multiples of the cofactor.
pub(crate) fn contributes(point: &X25519Public) -> bool {
    StaticSecret::from([1; 32])
        .diffie_hellman(point)
        .was_contributory()
}

/// Encapsulates for a public key that [`is_valid`].
pub(super) fn encapsulate(
    public: &[u8; PUBLIC],
    randomness: &[u8; RANDOMNESS],
) -> Option<([u8; ENCAPSULATION], Shared)> {
    let parts = halves(public)?;
    let (message, scalar) = randomness.split_first_chunk::<32>()?;
    let (ciphertext, ml_kem) = mlkem768::encapsulate(&parts.ml_kem, *message);
    let ml_kem = Zeroizing::new(ml_kem);
    let ephemeral = StaticSecret::from(<[u8; 32]>::try_from(scalar).ok()?);
    let share = X25519Public::from(&ephemeral);
    let x25519 = ephemeral.diffie_hellman(&X25519Public::from(*parts.x25519));
    if !x25519.was_contributory() {
        return None;
    }
    let mut out = [0; ENCAPSULATION];
    out[..ML_KEM_CIPHERTEXT].copy_from_slice(ciphertext.as_slice());
    out[ML_KEM_CIPHERTEXT..].copy_from_slice(share.as_bytes());
    let shared = combine(&ml_kem, x25519.as_bytes(), share.as_bytes(), parts.x25519);
    Some((out, shared))
}

impl Expanded {
    /// Expands a seed: `d || z || sk_X` is SHAKE256 of it.
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        let mut stream = Zeroizing::new([0; 96]);
        libcrux_sha3::shake256_ema(&mut *stream, seed);
        let mut ml_kem = Zeroizing::new([0; 64]);
        ml_kem.copy_from_slice(&stream[..64]);
        let mut scalar = Zeroizing::new([0; 32]);
        scalar.copy_from_slice(&stream[64..]);
        let x25519 = StaticSecret::from(*scalar);
        Self {
            ml_kem: mlkem768::generate_key_pair(*ml_kem),
            x25519_public: X25519Public::from(&x25519),
            x25519,
        }
    }

    /// The public key.
    pub(super) fn public(&self) -> [u8; PUBLIC] {
        let mut out = [0; PUBLIC];
        out[..ML_KEM_PUBLIC].copy_from_slice(self.ml_kem.pk());
        out[ML_KEM_PUBLIC..].copy_from_slice(self.x25519_public.as_bytes());
        out
    }

    /// Decapsulates. None for a share of low order; anything else that is wrong gives a secret that opens nothing.
    pub(super) fn decapsulate(&self, encapsulation: &[u8; ENCAPSULATION]) -> Option<Shared> {
        let (ciphertext, share) = encapsulation.split_first_chunk::<ML_KEM_CIPHERTEXT>()?;
        let share = X25519Public::from(<[u8; 32]>::try_from(share).ok()?);
        let x25519 = self.x25519.diffie_hellman(&share);
        if !x25519.was_contributory() {
            return None;
        }
        let ml_kem = Zeroizing::new(mlkem768::decapsulate(
            self.ml_kem.private_key(),
            &ciphertext.into(),
        ));
        Some(combine(
            &ml_kem,
            x25519.as_bytes(),
            share.as_bytes(),
            self.x25519_public.as_bytes(),
        ))
    }
}

fn combine(ml_kem: &[u8; 32], x25519: &[u8; 32], share: &[u8; 32], public: &[u8; 32]) -> Shared {
    let mut input = Zeroizing::new(Vec::with_capacity(4 * 32 + LABEL.len()));
    for part in [ml_kem, x25519, share, public] {
        input.extend_from_slice(part);
    }
    input.extend_from_slice(LABEL);
    Zeroizing::new(libcrux_sha3::sha256(&input))
}
