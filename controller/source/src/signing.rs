//! Signing commits with an SSH key, as `git commit -S` does with `gpg.format=ssh` (PROTOCOL.sshsig of OpenSSH).

use russh::keys::ssh_key::LineEnding;
use russh::keys::{HashAlg, PrivateKey};
use zeroize::Zeroizing;

use crate::SourceError;
use crate::transport::private_key;

/// What Git's signatures are made for: one for another purpose is none here.
const NAMESPACE: &str = "git";

/// A private key that signs commits. `Debug` shows the fingerprint.
pub struct SigningKey(PrivateKey);

impl SigningKey {
    /// Reads a key as `ssh-keygen` writes it: ed25519 or ECDSA.
    ///
    /// # Errors
    /// [`SourceError::BadKey`], without anything of the key.
    pub fn read(identity: &str, passphrase: Option<&Zeroizing<String>>) -> Result<Self, SourceError> {
        private_key(identity, passphrase).map(Self)
    }

    /// `SHA256:…` of the public half, as Git hosts show it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The signature of a commit's bytes, as it stands in the commit's header.
    pub(crate) fn sign(&self, content: &[u8]) -> Result<String, SourceError> {
        let unusable = || SourceError::BadKey("it cannot sign");
        let signature = self
            .0
            .sign(NAMESPACE, HashAlg::Sha512, content)
            .map_err(|_| unusable())?;
        let pem = signature.to_pem(LineEnding::LF).map_err(|_| unusable())?;
        // Git writes no empty line at the end of a header.
        Ok(pem.trim_end().to_owned())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SigningKey").field(&self.fingerprint()).finish()
    }
}
