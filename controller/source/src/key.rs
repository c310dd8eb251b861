//! SSH keys of our own making.

use aws_lc_rs::rand;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{HashAlg, PrivateKey};
use zeroize::Zeroizing;

use crate::SourceError;

/// An ed25519 key (RFC 8032), as `ssh-keygen` would write it. `Debug` shows the public half.
pub struct SshKey {
    /// The private key.
    pub identity: Zeroizing<String>,
    /// The public half: kind, key, comment.
    pub public: String,
    /// `SHA256:…`, as Git hosts show it.
    pub fingerprint: String,
}

impl SshKey {
    /// Makes one.
    pub fn generate(comment: &str) -> Result<Self, SourceError> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(&mut *seed).map_err(|_| SourceError::Store("there is no randomness".into()))?;
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
        let key = PrivateKey::new(pair, comment).map_err(|_| unusable())?;
        let identity = key.to_openssh(LineEnding::LF).map_err(|_| unusable())?;
        Self::of(&key, identity.to_string().into())
    }

    /// Reads one that was made here.
    pub fn read(identity: Zeroizing<String>) -> Result<Self, SourceError> {
        let key = PrivateKey::from_openssh(identity.as_bytes()).map_err(|_| unusable())?;
        Self::of(&key, identity)
    }

    fn of(key: &PrivateKey, identity: Zeroizing<String>) -> Result<Self, SourceError> {
        Ok(Self {
            identity,
            public: key.public_key().to_openssh().map_err(|_| unusable())?,
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        })
    }
}

impl std::fmt::Debug for SshKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SshKey").field(&self.public).finish()
    }
}

fn unusable() -> SourceError {
    SourceError::BadKey("it is damaged, or of a kind that is not read here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_was_made() {
        let made = SshKey::generate("signet:team/app").unwrap();
        assert!(made.public.starts_with("ssh-ed25519 AAAA") && made.public.ends_with(" signet:team/app"));
        assert!(!format!("{made:?}").contains("PRIVATE"));
        let read = SshKey::read(made.identity.clone()).unwrap();
        assert_eq!(
            (&read.public, &read.fingerprint),
            (&made.public, &made.fingerprint)
        );
        assert_ne!(SshKey::generate("x").unwrap().fingerprint, made.fingerprint);
    }
}
