//! RSA keys to log in with (RFC 8332: rsa-sha2-512 and rsa-sha2-256, never SHA-1), signed with by aws-lc-rs. russh itself would take
//! the `rsa` crate for that, which leaks private keys through timing (RUSTSEC-2023-0071).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512};
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::Mpint;
use russh::keys::ssh_key::private::RsaKeypair;
use russh::keys::ssh_key::public::{KeyData, RsaPublicKey};
use russh::keys::{HashAlg, PublicKey};
use russh::{SendError, Signer};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::SourceError;

/// The shortest modulus, in bytes.
const SHORTEST: usize = 256;

/// An RSA key.
pub(super) struct RsaKey {
    pair: KeyPair,
    public: PublicKey,
}

impl RsaKey {
    /// One that stood in OpenSSH's own form.
    pub(super) fn of(key: &RsaKeypair) -> Result<Self, SourceError> {
        let bytes = |number: &Mpint| {
            let bytes = number.as_positive_bytes().map(<[u8]>::to_vec);
            bytes.map(Zeroizing::new).ok_or_else(damaged)
        };
        let (public, private) = (key.public(), key.private());
        let (d, p, q) = (bytes(private.d())?, bytes(private.p())?, bytes(private.q())?);
        let components = KeyPairComponents {
            public_key: PublicKeyComponents {
                n: bytes(public.n())?,
                e: bytes(public.e())?,
            },
            dP: reduced(&d, &p),
            dQ: reduced(&d, &q),
            qInv: bytes(private.iqmp())?,
            d,
            p,
            q,
        };
        Self::with(KeyPair::from_components(&components).map_err(|_| damaged())?)
    }

    /// One in PKCS #1 or PKCS #8, not encrypted. `None` where it is another key.
    pub(super) fn from_pem(text: &str) -> Option<Result<Self, SourceError>> {
        let pair = match PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()? {
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()).map_err(|_| damaged()),
            PrivateKeyDer::Pkcs8(der) => Ok(KeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?),
            _ => return None,
        };
        Some(pair.and_then(Self::with))
    }

    fn with(pair: KeyPair) -> Result<Self, SourceError> {
        let number = |bytes: &[u8]| Mpint::from_positive_bytes(bytes);
        let shown = pair.public_key();
        let (n, e) = (shown.modulus(), shown.exponent());
        if n.big_endian_without_leading_zero().len() < SHORTEST {
            return Err(SourceError::BadKey("RSA keys are used from 2,048 bits"));
        }
        let public = RsaPublicKey::new(
            number(e.big_endian_without_leading_zero()),
            number(n.big_endian_without_leading_zero()),
        );
        let public = PublicKey::from(KeyData::Rsa(public.map_err(|_| damaged())?));
        Ok(Self { pair, public })
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, hash: Option<HashAlg>, content: &[u8]) -> Option<Vec<u8>> {
        let (name, padding) = match hash {
            Some(HashAlg::Sha512) => ("rsa-sha2-512", &RSA_PKCS1_SHA512),
            Some(HashAlg::Sha256) => ("rsa-sha2-256", &RSA_PKCS1_SHA256),
            _ => return None,
        };
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(padding, &SystemRandom::new(), content, &mut signature)
            .ok()?;
        // RFC 8332, section 3: the name, and the signature.
        let strings = [name.as_bytes(), &signature];
        let mut blob = Vec::new();
        for string in strings {
            blob.extend_from_slice(&u32::try_from(string.len()).ok()?.to_be_bytes());
            blob.extend_from_slice(string);
        }
        Some(blob)
    }
}

/// Why nothing was signed.
pub(super) enum NotSigned {
    Closed,
    Refused,
}

impl From<SendError> for NotSigned {
    fn from(_: SendError) -> Self {
        Self::Closed
    }
}

impl Signer for &RsaKey {
    type Error = NotSigned;

    /// As an agent would answer: the request, and the signature behind it.
    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut request: Vec<u8>,
    ) -> Result<Vec<u8>, NotSigned> {
        let blob = self.sign(hash, &request).ok_or(NotSigned::Refused)?;
        let length = u32::try_from(blob.len()).map_err(|_| NotSigned::Refused)?;
        request.extend_from_slice(&length.to_be_bytes());
        request.extend_from_slice(&blob);
        Ok(request)
    }
}

/// `value mod (prime - 1)`, by shifting and subtracting, in a time that the lengths alone decide.
fn reduced(value: &[u8], prime: &[u8]) -> Zeroizing<Vec<u8>> {
    // A prime is odd, and the room is for one bit more.
    let mut by = Zeroizing::new([&[0], prime].concat());
    if let Some(last) = by.last_mut() {
        *last &= 0xfe;
    }
    let mut rest = Zeroizing::new(vec![0_u8; by.len()]);
    let mut less = Zeroizing::new(vec![0_u8; by.len()]);
    let bits = value
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    for bit in bits {
        let mut carry = bit;
        for byte in rest.iter_mut().rev() {
            (*byte, carry) = (*byte << 1 | carry, *byte >> 7);
        }
        let mut borrow = 0_u16;
        for ((less, rest), by) in less.iter_mut().zip(rest.iter()).zip(by.iter()).rev() {
            let difference = 0x100 + u16::from(*rest) - u16::from(*by) - borrow;
            let [high, low] = difference.to_be_bytes();
            (*less, borrow) = (low, 1 - u16::from(high));
        }
        // All ones where it was smaller, and stays.
        let keep = 0_u8.wrapping_sub(borrow.to_be_bytes()[1]);
        for (rest, less) in rest.iter_mut().zip(less.iter()) {
            *rest = *rest & keep | less & !keep;
        }
    }
    rest
}

fn damaged() -> SourceError {
    SourceError::BadKey("it is damaged, or of a kind that is not read here")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::reduced;

    proptest! {
        #[test]
        fn remainders_are_right(value in any::<u128>(), prime in any::<u64>()) {
            let prime = prime | 1;
            prop_assume!(prime > 1);
            let rest = reduced(&value.to_be_bytes(), &prime.to_be_bytes());
            let rest = rest.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
            prop_assert_eq!(rest, value % u128::from(prime - 1));
        }
    }
}
