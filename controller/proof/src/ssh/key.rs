//! SSH public keys as they travel (RFC 4253 section 6.6, RFC 5656, RFC 8709, PROTOCOL.u2f of OpenSSH).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::crypto::{self, Curve, Hash};
use crate::wire::Reader;

/// The owner touched the security key.
const TOUCHED: u8 = 1;

/// A key that can verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    Ed25519(Vec<u8>),
    Ecdsa(Curve, Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// On a security key, with its application.
    SkEd25519(Vec<u8>, Vec<u8>),
    SkEcdsa(Vec<u8>, Vec<u8>),
}

/// `SHA256:…`, as `ssh-keygen -l` shows a key.
pub(crate) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Hash::Sha256.of(blob)))
}

impl PublicKey {
    /// `None`: malformed, or of a kind that is not taken.
    pub(crate) fn parse(blob: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(blob);
        let kind = reader.text()?.to_owned();
        let key = Self::fields(&kind, &mut reader)?;
        reader.is_empty().then_some(key)
    }

    /// The fields behind the name of the kind: a certificate has them in its middle.
    pub(crate) fn fields(kind: &str, reader: &mut Reader<'_>) -> Option<Self> {
        Some(match kind {
            "ssh-ed25519" => Self::Ed25519(reader.string()?.to_vec()),
            "sk-ssh-ed25519@openssh.com" => {
                let key = reader.string()?.to_vec();
                Self::SkEd25519(key, reader.string()?.to_vec())
            }
            "sk-ecdsa-sha2-nistp256@openssh.com" => {
                if reader.string()? != b"nistp256" {
                    return None;
                }
                let point = reader.string()?.to_vec();
                Self::SkEcdsa(point, reader.string()?.to_vec())
            }
            "ssh-rsa" => {
                let e = reader.number()?.to_vec();
                let n = reader.number()?.to_vec();
                if !(256..=1024).contains(&n.len()) {
                    return None;
                }
                Self::Rsa { n, e }
            }
            _ => {
                let name = kind.strip_prefix("ecdsa-sha2-")?;
                let curve = match name {
                    "nistp256" => Curve::P256,
                    "nistp384" => Curve::P384,
                    "nistp521" => Curve::P521,
                    _ => return None,
                };
                if reader.string()? != name.as_bytes() {
                    return None;
                }
                Self::Ecdsa(curve, reader.string()?.to_vec())
            }
        })
    }

    /// Whether an encoded signature fits.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.check(message, signature).unwrap_or(false)
    }

    fn check(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let mut reader = Reader::new(signature);
        let kind = reader.text()?;
        let bytes = reader.string()?;
        let fits = match (self, kind) {
            (Self::Ed25519(key), "ssh-ed25519") => reader.is_empty() && crypto::ed25519(key, message, bytes),
            (Self::Ecdsa(Curve::P256, point), "ecdsa-sha2-nistp256") => {
                reader.is_empty() && ecdsa(Curve::P256, point, message, bytes)?
            }
            (Self::Ecdsa(Curve::P384, point), "ecdsa-sha2-nistp384") => {
                reader.is_empty() && ecdsa(Curve::P384, point, message, bytes)?
            }
            (Self::Ecdsa(Curve::P521, point), "ecdsa-sha2-nistp521") => {
                reader.is_empty() && ecdsa(Curve::P521, point, message, bytes)?
            }
            (Self::Rsa { n, e }, "rsa-sha2-256") => {
                reader.is_empty() && crypto::rsa(n, e, Hash::Sha256, message, bytes)
            }
            (Self::Rsa { n, e }, "rsa-sha2-512") => {
                reader.is_empty() && crypto::rsa(n, e, Hash::Sha512, message, bytes)
            }
            (Self::SkEd25519(key, application), "sk-ssh-ed25519@openssh.com") => {
                let message = touched(application, message, &mut reader)?;
                crypto::ed25519(key, &message, bytes)
            }
            (Self::SkEcdsa(point, application), "sk-ecdsa-sha2-nistp256@openssh.com") => {
                let message = touched(application, message, &mut reader)?;
                ecdsa(Curve::P256, point, &message, bytes)?
            }
            _ => false,
        };
        Some(fits)
    }
}

fn ecdsa(curve: Curve, point: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let mut reader = Reader::new(signature);
    let (r, s) = (reader.number()?, reader.number()?);
    Some(reader.is_empty() && crypto::ecdsa(curve, point, message, r, s))
}

/// What a security key signs: its application, whether it was touched, a count, and the digest of the message.
fn touched(application: &[u8], message: &[u8], reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let flags = reader.byte()?;
    let count = reader.u32()?;
    if !reader.is_empty() || flags & TOUCHED == 0 {
        return None;
    }
    let mut signed = Hash::Sha256.of(application);
    signed.push(flags);
    signed.extend_from_slice(&count.to_be_bytes());
    signed.extend_from_slice(&Hash::Sha256.of(message));
    Some(signed)
}
