//! The private key that a host is shown.

use std::sync::Arc;

use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, decode_secret_key};
use zeroize::Zeroizing;

use super::rsa::RsaKey;
use crate::SourceError;

/// Longest key file, in bytes.
const MAX_BYTES: usize = 16 << 10;

/// Rounds of bcrypt that a passphrase may cost (`ssh-keygen -a`): its default is 24, and a hundred take about a second.
const MAX_ROUNDS: u32 = 256;

/// What is logged in with.
pub(super) enum Identity {
    Rsa(RsaKey),
    Other(PrivateKeyWithHashAlg),
}

impl Identity {
    /// `ssh-ed25519 SHA256:…`: public, and what hosts show beside a deploy key.
    pub(super) fn fingerprint(&self) -> String {
        match self {
            Self::Rsa(key) => format!("ssh-rsa {}", key.public().fingerprint(HashAlg::Sha256)),
            Self::Other(key) => format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256)),
        }
    }
}

/// Reads a private key to log in with.
pub(super) fn read(identity: &str, passphrase: Option<&Zeroizing<String>>) -> Result<Identity, SourceError> {
    if identity.len() <= MAX_BYTES
        && let Some(key) = RsaKey::from_pem(identity)
    {
        return key.map(Identity::Rsa);
    }
    let key = any_key(identity, passphrase)?;
    match key.key_data() {
        KeypairData::Rsa(pair) => RsaKey::of(pair).map(Identity::Rsa),
        _ => Ok(Identity::Other(PrivateKeyWithHashAlg::new(Arc::new(key), None))),
    }
}

/// Reads a private key that signs commits, as `ssh-keygen` writes it. Nothing of it is in any error.
pub(crate) fn private_key(
    identity: &str,
    passphrase: Option<&Zeroizing<String>>,
) -> Result<PrivateKey, SourceError> {
    let key = any_key(identity, passphrase)?;
    if matches!(key.key_data(), KeypairData::Rsa(_)) {
        return Err(SourceError::BadKey("RSA keys do not sign commits here"));
    }
    Ok(key)
}

fn any_key(identity: &str, passphrase: Option<&Zeroizing<String>>) -> Result<PrivateKey, SourceError> {
    if identity.len() > MAX_BYTES {
        return Err(SourceError::BadKey("it is too long"));
    }
    let key = if identity.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        openssh(identity, passphrase)?
    } else if identity.contains("-----BEGIN ") {
        // Encrypted keys in older forms would cost as much time as the file says.
        decode_secret_key(identity, None).map_err(|_| {
            SourceError::BadKey("it is of a kind that is not read here, or encrypted in an older form")
        })?
    } else if identity.starts_with("ssh-") || identity.starts_with("ecdsa-") {
        return Err(SourceError::BadKey("it is the public half"));
    } else {
        return Err(SourceError::BadKey("it is no private key in PEM"));
    };
    if matches!(key.key_data(), KeypairData::Dsa(_)) {
        return Err(SourceError::BadKey("DSA keys are not used here"));
    }
    Ok(key)
}

fn openssh(identity: &str, passphrase: Option<&Zeroizing<String>>) -> Result<PrivateKey, SourceError> {
    use russh::keys::ssh_key::Kdf;
    let key = PrivateKey::from_openssh(identity.trim_start())
        .map_err(|_| SourceError::BadKey("it is damaged, or of a kind that is not read here"))?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    let Some(passphrase) = passphrase else {
        return Err(SourceError::BadKey("it has a passphrase, and none is given"));
    };
    if matches!(key.kdf(), Kdf::Bcrypt { rounds, .. } if *rounds > MAX_ROUNDS) {
        return Err(SourceError::BadKey(
            "its passphrase takes too many rounds: ssh-keygen -a 24 is plenty",
        ));
    }
    key.decrypt(passphrase.as_bytes())
        .map_err(|_| SourceError::BadKey("the passphrase does not open it"))
}
