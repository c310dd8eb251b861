//! Whose signatures count: read from the files of a Secret, a ConfigMap or a directory.

use crate::armor;
use crate::pgp::Certificate;
use crate::ssh::{Allowed, Revoked};

/// Bytes of one file: what fits into a Secret.
const LARGEST: usize = 1 << 20;
/// OpenPGP keys in all.
const CERTIFICATES: usize = 1000;

/// Whose signatures count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    pub(crate) ssh: Vec<Allowed>,
    pub(crate) pgp: Vec<Certificate>,
    pub(crate) revoked: Revoked,
}

/// A file that cannot be used. Quotes nothing of its content but numbers of lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error("{file} {why}")]
    File {
        /// Its name.
        file: String,
        /// A clause.
        why: String,
    },
    /// Its name says nothing.
    #[error(
        "{0} is no file that is known here. Name it allowed_signers (SSH), NAME.asc (OpenPGP public keys), or revoked_keys"
    )]
    Name(String),
    /// Nobody is trusted.
    #[error("there is nobody to trust. Add allowed_signers (SSH), or NAME.asc with OpenPGP public keys")]
    Empty,
}

impl Trust {
    /// Reads files by their names: `allowed_signers` and `….allowed_signers`, `….asc` and `….pgp` (public keys), and
    /// `revoked_keys`, `….revoked_keys` and `….krl`. A name that is not known is an error: a list of revoked keys that is
    /// overlooked would be worse.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, TrustError> {
        let mut trust = Self::default();
        for (name, bytes) in files {
            let wrong = |why: String| TrustError::File {
                file: name.to_owned(),
                why,
            };
            if bytes.len() > LARGEST {
                return Err(wrong(format!("is larger than {LARGEST} bytes")));
            }
            let ends = |ending: &str| name == ending || name.ends_with(&format!(".{ending}"));
            if ends("allowed_signers") {
                let text = std::str::from_utf8(bytes).map_err(|_| wrong("is not text".into()))?;
                trust.ssh.extend(Allowed::parse(text).map_err(wrong)?);
            } else if ends("revoked_keys") || ends("krl") {
                trust.revoked.read(bytes).map_err(wrong)?;
            } else if ends("asc") || ends("pgp") {
                let unreadable = || {
                    wrong(
                        "holds no OpenPGP public key of version 4 in text form (gpg --armor --export)".into(),
                    )
                };
                let blocks = armor::blocks(bytes, "PGP PUBLIC KEY BLOCK").ok_or_else(unreadable)?;
                if blocks.is_empty() {
                    return Err(unreadable());
                }
                for block in blocks {
                    trust
                        .pgp
                        .extend(Certificate::parse(&block).ok_or_else(unreadable)?);
                    if trust.pgp.len() > CERTIFICATES {
                        return Err(wrong(format!("is one too many: over {CERTIFICATES} keys")));
                    }
                }
            } else {
                return Err(TrustError::Name(name.to_owned()));
            }
        }
        if trust.ssh.is_empty() && trust.pgp.is_empty() {
            return Err(TrustError::Empty);
        }
        Ok(trust)
    }
}
