//! Who signed a commit or tag. Pure: bytes in, a [`Verdict`] out.
//!
//! Git signs the bytes of a commit or tag object without its signature, with `ssh-keygen -Y sign` (PROTOCOL.sshsig, in
//! the namespace `git`) or with GnuPG (RFC 4880 and RFC 9580, version 4). [`Trust`] holds whose signatures count, in the
//! formats of those tools: OpenSSH's `allowed_signers`, its revocation lists, and OpenPGP public keys.
//!
//! Everything here is untrusted but the trust itself: sizes and counts are bounded, nothing panics, and what is not
//! understood is refused. The formats are read here because no library fits: `ssh-key` has no revocation lists and no
//! `allowed_signers` and verifies RSA with a crate that `deny.toml` keeps out of binaries, and so does `pgp`; the
//! arithmetic is aws-lc-rs's. SHA-1, DSA and keys below 2048 bits of RSA count for nothing.
//!
//! Not here: which commits have to be signed by whom (the controller), and where they come from (crate `source`).

#![forbid(unsafe_code)]

mod armor;
mod crypto;
mod object;
mod pgp;
mod ssh;
mod trust;
mod verdict;
mod wire;

pub use object::{Kind, Signed};
pub use trust::{Trust, TrustError};
pub use verdict::{Signer, Verdict};

impl Trust {
    /// Who signed a commit, from the bytes of its object.
    #[must_use]
    pub fn commit(&self, object: &[u8]) -> Verdict {
        self.judge(Signed::commit(object))
    }

    /// Who signed an annotated tag, from the bytes of its object.
    #[must_use]
    pub fn tag(&self, object: &[u8]) -> Verdict {
        self.judge(Signed::tag(object))
    }

    fn judge(&self, signed: Result<Option<Signed>, &'static str>) -> Verdict {
        match signed {
            Err(why) => Verdict::Bad(why),
            Ok(None) => Verdict::Unsigned,
            Ok(Some(signed)) => match signed.kind {
                Kind::Ssh => ssh::judge(&self.ssh, &self.revoked, &signed),
                Kind::Pgp => pgp::judge(&self.pgp, &self.revoked, &signed),
                Kind::X509 => Verdict::Unsupported("an X.509 signature (gpg.format x509)"),
            },
        }
    }
}
