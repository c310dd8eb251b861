//! Public keys and the signatures they verify; the arithmetic is aws-lc-rs's.

use aws_lc_rs::digest::{self, Algorithm};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};

/// Digests that count. SHA-1 and MD5 do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(crate) fn of(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm: &Algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }
}

/// NIST's curves, by the size of a number on them in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(crate) fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The digest that goes with it, by RFC 5656 section 6.2.1 and RFC 9580 section 9.2.
    pub(crate) fn hash(self) -> Hash {
        match self {
            Self::P256 => Hash::Sha256,
            Self::P384 => Hash::Sha384,
            Self::P521 => Hash::Sha512,
        }
    }

    fn algorithm(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
            Self::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }
}

pub(crate) fn ed25519(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key)
        .verify(message, signature)
        .is_ok()
}

/// `point` is uncompressed (SEC 1); `r` and `s` without leading zeros.
pub(crate) fn ecdsa(curve: Curve, point: &[u8], message: &[u8], r: &[u8], s: &[u8]) -> bool {
    let size = curve.size();
    let (Some(r), Some(s)) = (padded(r, size), padded(s, size)) else {
        return false;
    };
    UnparsedPublicKey::new(curve.algorithm(), point)
        .verify(message, &[r, s].concat())
        .is_ok()
}

/// PKCS #1 v1.5; `n` and `e` without leading zeros. Keys of 2048 to 8192 bits.
pub(crate) fn rsa(n: &[u8], e: &[u8], hash: Hash, message: &[u8], signature: &[u8]) -> bool {
    let parameters = match hash {
        Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
    };
    let Some(signature) = padded(signature, n.len()) else {
        return false;
    };
    RsaPublicKeyComponents { n, e }
        .verify(parameters, message, &signature)
        .is_ok()
}

/// With leading zeros, in exactly `size` bytes.
pub(crate) fn padded(number: &[u8], size: usize) -> Option<Vec<u8>> {
    let number = crate::wire::trim(number);
    let zeros = size.checked_sub(number.len())?;
    let mut bytes = vec![0; zeros];
    bytes.extend_from_slice(number);
    Some(bytes)
}
