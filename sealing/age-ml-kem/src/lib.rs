//! ML-KEM-768 (FIPS 203) behind the names of `ml-kem` 0.2, for `age` alone: its post-quantum tag recipients. The arithmetic
//! is libcrux's, as in format v2. Nothing of Signet calls it; it is right all the same, and a test says so.

use std::fmt;

use hybrid_array::sizes::{U32, U1088, U1184};
use hybrid_array::{Array, ArraySize};
use libcrux_ml_kem::mlkem768;
use rand_core::CryptoRngCore;
use zeroize::Zeroize;

use crate::kem::{Decapsulate, Encapsulate};

/// 32 bytes.
pub type B32 = Array<u8, U32>;
/// A key in its encoded form.
pub type Encoded<T> = Array<u8, <T as EncodedSizeUser>::EncodedSize>;
/// What a shared key is sent as.
pub type Ciphertext<K> = Array<u8, <K as KemCore>::CiphertextSize>;
/// A shared key.
pub type SharedKey<K> = Array<u8, <K as KemCore>::SharedKeySize>;

/// The traits of `kem` 0.3.0-pre.0.
pub mod kem {
    use std::fmt::Debug;

    use rand_core::CryptoRngCore;

    /// Something that a shared key can be made for.
    pub trait Encapsulate<EK, SS> {
        /// Why it cannot.
        type Error: Debug;

        /// A fresh shared key, and what it is sent as.
        fn encapsulate(&self, rng: &mut impl CryptoRngCore) -> Result<(EK, SS), Self::Error>;
    }

    /// Something that opens a shared key.
    pub trait Decapsulate<EK, SS> {
        /// Why it cannot.
        type Error: Debug;

        /// The shared key.
        fn decapsulate(&self, encapsulated_key: &EK) -> Result<SS, Self::Error>;
    }
}

/// Something with an encoded form of a known size.
pub trait EncodedSizeUser {
    /// The size.
    type EncodedSize: ArraySize;

    /// Reads it. A key that is none shows when it is used.
    fn from_bytes(encoded: &Encoded<Self>) -> Self;

    /// Its encoded form.
    fn as_bytes(&self) -> Encoded<Self>;
}

/// A key encapsulation method.
pub trait KemCore {
    /// Of a shared key.
    type SharedKeySize: ArraySize;
    /// Of what it is sent as.
    type CiphertextSize: ArraySize;
    /// The private key.
    type DecapsulationKey;
    /// The public key.
    type EncapsulationKey;

    /// The pair that comes from `d` and `z` (FIPS 203, algorithm 16).
    fn generate_deterministic(d: &B32, z: &B32) -> (Self::DecapsulationKey, Self::EncapsulationKey);
}

/// ML-KEM-768.
#[derive(Clone, Copy, Debug)]
pub struct MlKem768;

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct EncapsulationKey([u8; 1184]);

/// A private key, kept as its seed. Wiped when dropped.
#[derive(Clone)]
pub struct DecapsulationKey {
    seed: [u8; 64],
    public: EncapsulationKey,
}

impl Drop for DecapsulationKey {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl fmt::Debug for EncapsulationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncapsulationKey")
    }
}

impl DecapsulationKey {
    /// The public half.
    #[must_use]
    pub fn encapsulation_key(&self) -> &EncapsulationKey {
        &self.public
    }
}

impl EncodedSizeUser for EncapsulationKey {
    type EncodedSize = U1184;

    fn from_bytes(encoded: &Encoded<Self>) -> Self {
        Self(encoded.0)
    }

    fn as_bytes(&self) -> Encoded<Self> {
        Array(self.0)
    }
}

impl KemCore for MlKem768 {
    type SharedKeySize = U32;
    type CiphertextSize = U1088;
    type DecapsulationKey = DecapsulationKey;
    type EncapsulationKey = EncapsulationKey;

    fn generate_deterministic(d: &B32, z: &B32) -> (DecapsulationKey, EncapsulationKey) {
        let mut seed = [0; 64];
        seed[..32].copy_from_slice(&d.0);
        seed[32..].copy_from_slice(&z.0);
        let public = EncapsulationKey(*mlkem768::generate_key_pair(seed).pk());
        let private = DecapsulationKey {
            seed,
            public: public.clone(),
        };
        (private, public)
    }
}

impl Encapsulate<Array<u8, U1088>, B32> for EncapsulationKey {
    type Error = ();

    fn encapsulate(&self, rng: &mut impl CryptoRngCore) -> Result<(Array<u8, U1088>, B32), ()> {
        let key = (&self.0).into();
        // FIPS 203, 7.2: a public key is checked before it is used.
        if !mlkem768::validate_public_key(&key) {
            return Err(());
        }
        let mut randomness = [0; 32];
        rng.fill_bytes(&mut randomness);
        let (ciphertext, shared) = mlkem768::encapsulate(&key, randomness);
        Ok((Array(*ciphertext.as_slice()), Array(shared)))
    }
}

impl Decapsulate<Array<u8, U1088>, B32> for DecapsulationKey {
    type Error = ();

    fn decapsulate(&self, encapsulated_key: &Array<u8, U1088>) -> Result<B32, ()> {
        let pair = mlkem768::generate_key_pair(self.seed);
        Ok(Array(mlkem768::decapsulate(
            pair.private_key(),
            &(&encapsulated_key.0).into(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same bytes each time: for tests.
    struct Fixed;

    impl rand_core::RngCore for Fixed {
        fn next_u32(&mut self) -> u32 {
            7
        }
        fn next_u64(&mut self) -> u64 {
            7
        }
        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
            bytes.fill(7);
            Ok(())
        }
    }
    impl rand_core::CryptoRng for Fixed {}

    #[test]
    fn both_sides_agree_and_a_key_that_is_none_is_refused() {
        let (private, public) = MlKem768::generate_deterministic(&Array([1; 32]), &Array([2; 32]));
        let public = EncapsulationKey::from_bytes(&public.as_bytes());
        let (sent, ours) = public.encapsulate(&mut Fixed).unwrap();
        assert_eq!(private.decapsulate(&sent), Ok(ours));
        assert_eq!(private.encapsulation_key(), &public);
        // Coefficients beyond the modulus.
        let none = EncapsulationKey::from_bytes(&Array([0xff; 1184]));
        assert!(none.encapsulate(&mut Fixed).is_err());
    }
}
