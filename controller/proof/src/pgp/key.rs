//! OpenPGP public keys of version 4 (RFC 9580 section 5.5.2).

use std::fmt::Write as _;

use super::packet::number;
use crate::crypto::{self, Curve, Hash};
use crate::wire::Reader;

/// Object identifiers of curves, as they are written in keys.
const ED25519_LEGACY: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

/// A key, and its packet's body, which signatures over keys cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) body: Vec<u8>,
    /// Seconds since 1970.
    pub(crate) created: i64,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Ecdsa(Curve, Vec<u8>),
    /// In the older form too: with a curve's name, and a prefix before the point.
    Ed25519(Vec<u8>),
    /// Cannot sign, or in a way that is not taken.
    Other,
}

impl Key {
    /// `None`: malformed, or not of version 4.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        if reader.byte()? != 4 || body.len() > usize::from(u16::MAX) {
            return None;
        }
        let created = i64::from(reader.u32()?);
        let material = match reader.byte()? {
            1 | 3 => {
                let n = number(&mut reader)?.to_vec();
                let e = number(&mut reader)?.to_vec();
                Material::Rsa { n, e }
            }
            19 => {
                let curve = curve(&mut reader)?;
                let point = number(&mut reader)?.to_vec();
                match curve {
                    P256 => Material::Ecdsa(Curve::P256, point),
                    P384 => Material::Ecdsa(Curve::P384, point),
                    P521 => Material::Ecdsa(Curve::P521, point),
                    _ => Material::Other,
                }
            }
            22 => {
                let curve = curve(&mut reader)?;
                let point = number(&mut reader)?;
                match (curve, point.strip_prefix(&[0x40])) {
                    (ED25519_LEGACY, Some(point)) => Material::Ed25519(point.to_vec()),
                    _ => Material::Other,
                }
            }
            27 => Material::Ed25519(reader.bytes(32)?.to_vec()),
            _ => Material::Other,
        };
        Some(Self {
            body: body.to_vec(),
            created,
            material,
        })
    }

    /// The key as signatures over keys have it.
    pub(crate) fn framed(&self) -> Vec<u8> {
        let mut framed = vec![0x99];
        framed.extend_from_slice(&u16::try_from(self.body.len()).unwrap_or(u16::MAX).to_be_bytes());
        framed.extend_from_slice(&self.body);
        framed
    }

    /// Version 4's fingerprint is a SHA-1: a name, and no proof. What proves is the key itself, which the trust holds.
    pub(crate) fn fingerprint_bytes(&self) -> Vec<u8> {
        let algorithm = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
        aws_lc_rs::digest::digest(algorithm, &self.framed())
            .as_ref()
            .to_vec()
    }

    /// In capitals, as GnuPG shows it.
    pub(crate) fn fingerprint(&self) -> String {
        hex(&self.fingerprint_bytes())
    }

    /// Whether a signature's numbers fit a message. `algorithm` is the one that the signature names.
    pub(crate) fn verifies(&self, algorithm: u8, hash: Hash, message: &[u8], numbers: &[u8]) -> bool {
        self.check(algorithm, hash, message, numbers).unwrap_or(false)
    }

    fn check(&self, algorithm: u8, hash: Hash, message: &[u8], numbers: &[u8]) -> Option<bool> {
        let mut reader = Reader::new(numbers);
        let fits = match (&self.material, algorithm) {
            (Material::Rsa { n, e }, 1 | 3) => {
                let signature = number(&mut reader)?;
                crypto::rsa(n, e, hash, message, signature)
            }
            (Material::Ecdsa(curve, point), 19) => {
                let (r, s) = (number(&mut reader)?, number(&mut reader)?);
                curve.hash() == hash && crypto::ecdsa(*curve, point, message, r, s)
            }
            (Material::Ed25519(point), 22) => {
                let r = crypto::padded(number(&mut reader)?, 32)?;
                let s = crypto::padded(number(&mut reader)?, 32)?;
                crypto::ed25519(point, &hash.of(message), &[r, s].concat())
            }
            (Material::Ed25519(point), 27) => {
                let signature = reader.bytes(64)?;
                crypto::ed25519(point, &hash.of(message), signature)
            }
            _ => false,
        };
        Some(fits && reader.is_empty())
    }
}

fn curve<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = usize::from(reader.byte()?);
    reader.bytes(length)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}
