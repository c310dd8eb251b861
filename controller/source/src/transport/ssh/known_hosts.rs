//! Which keys a host may show: the Repository's own known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
//!
//! Plain names with `*`, `?` and `!`, hashed names, `[host]:port`, `@cert-authority` and `@revoked` are read. Lines with keys
//! of other kinds are left out. A port other than 22 has to be named: a key of port 22 says nothing about it.

use aws_lc_rs::hmac;
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::known_hosts::{HostPatterns, KnownHosts as Lines, Marker};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};

use crate::SourceError;

/// Longest line, in bytes: a key of a kind that is read takes a few hundred.
const MAX_LINE_BYTES: usize = 4 << 10;

/// What is known of one host.
#[derive(Debug, Default)]
pub(super) struct KnownHost {
    /// As the file names it.
    name: String,
    keys: Vec<PublicKey>,
    authorities: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
}

impl KnownHost {
    /// What `text` says of the host `name`, or of `[name]:port`.
    pub(super) fn read(text: &str, name: &str) -> Result<Self, SourceError> {
        let mut known = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        for line in text.lines().map(str::trim) {
            // Not after a `#` in the middle: a key's comment may hold one.
            if line.is_empty() || line.starts_with('#') || line.len() > MAX_LINE_BYTES {
                continue;
            }
            let Some(Ok(entry)) = Lines::new(line).next() else {
                continue;
            };
            if !names(entry.host_patterns(), name) || !is_read(entry.public_key()) {
                continue;
            }
            let key = PublicKey::new(entry.public_key().key_data().clone(), "");
            match entry.marker() {
                None => known.keys.push(key),
                Some(Marker::CertAuthority) => known.authorities.push(key),
                Some(Marker::Revoked) => known.revoked.push(key),
            }
        }
        if known.keys.is_empty() && known.authorities.is_empty() {
            return Err(SourceError::HostUnknown(name.to_owned()));
        }
        Ok(known)
    }

    /// The kinds of keys to ask the host for: those that are known.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let known = |kind: &Algorithm| self.keys.iter().any(|key| key.algorithm() == *kind);
        kinds().into_iter().filter(known).collect()
    }

    /// The kinds of certificates to ask the host for: all, where an authority is known.
    pub(super) fn certificates(&self) -> Vec<Algorithm> {
        if self.authorities.is_empty() {
            Vec::new()
        } else {
            kinds().into()
        }
    }

    /// Whether the host is who it should be. `now` in seconds since 1970.
    pub(super) fn check(&self, shown: &PublicKeyOrCertificate, now: u64) -> Result<(), SourceError> {
        let key = shown.public_key();
        let print = format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        let same = |known: &PublicKey| known.key_data() == key.key_data();
        if self.revoked.iter().any(same) {
            return Err(SourceError::HostKey(format!(
                "known_hosts marks the key that {} shows as revoked: {print}",
                self.name
            )));
        }
        match shown.certificate() {
            Some(certificate) => self.certified(certificate, now),
            None if self.keys.iter().any(same) => Ok(()),
            None => {
                let known: Vec<String> = self
                    .keys
                    .iter()
                    .map(|key| format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256)))
                    .collect();
                Err(SourceError::HostKey(format!(
                    "{} shows the key {print}, and known_hosts has {}: the key was changed, or somebody is in between",
                    self.name,
                    if known.is_empty() {
                        "an authority only".into()
                    } else {
                        known.join(", ")
                    }
                )))
            }
        }
    }

    /// A certificate from a known authority, for this host, in its time (PROTOCOL.certkeys of OpenSSH).
    fn certified(&self, certificate: &russh::keys::Certificate, now: u64) -> Result<(), SourceError> {
        let refuse = |why: &str| {
            Err(SourceError::HostKey(format!(
                "the certificate that {} shows {why}",
                self.name
            )))
        };
        let signer = certificate.signature_key();
        if self.revoked.iter().any(|known| known.key_data() == signer) {
            return refuse("is from an authority that known_hosts marks as revoked");
        }
        if certificate.cert_type() != CertType::Host {
            return refuse("is not one for hosts");
        }
        let host = self.name.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let host = host.map_or(self.name.as_str(), |(host, _)| host);
        // One without names would be good for every host.
        if !certificate.valid_principals().iter().any(|name| glob(name, host)) {
            return refuse("is for another name");
        }
        if certificate.critical_options().iter().next().is_some() {
            return refuse("has conditions that are not known here");
        }
        let authorities: Vec<_> = self
            .authorities
            .iter()
            .map(|key| key.fingerprint(HashAlg::Sha256))
            .collect();
        if certificate.validate_at(now, &authorities).is_err() {
            return refuse("is not from an authority in known_hosts, or not valid now");
        }
        Ok(())
    }
}

/// The kinds of keys that can be checked, best first.
fn kinds() -> [Algorithm; 4] {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    [
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
    ]
}

fn is_read(key: &PublicKey) -> bool {
    kinds().contains(&key.algorithm())
}

fn names(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::Patterns(patterns) => {
            let mut found = false;
            for pattern in patterns {
                match pattern.strip_prefix('!') {
                    Some(not) if glob(not, name) => return false,
                    Some(_) => {}
                    None => found |= glob(pattern, name),
                }
            }
            found
        }
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
    }
}

/// Matches `*` and `?` (ssh_config(5), PATTERNS), letters of either size, in linear space and quadratic time at most.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while here < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(c) if *c == b'?' || *c == text[here] => {
                at += 1;
                here += 1;
            }
            _ => {
                let Some((back, from)) = star else { return false };
                star = Some((back, from + 1));
                (at, here) = (back + 1, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn shown(key: &str) -> PublicKeyOrCertificate {
        PublicKey::from_openssh(key).unwrap().into()
    }

    fn known(lines: &str, name: &str) -> Option<KnownHost> {
        KnownHost::read(lines, name).ok()
    }

    #[test]
    fn names_are_matched_as_openssh_does() {
        for (names, host, matches) in [
            ("git.example", "git.example", true),
            ("GIT.example", "git.example", true),
            ("a,git.example,b", "git.example", true),
            ("*.example", "git.example", true),
            ("g?t.example", "git.example", true),
            ("*.example,!git.example", "git.example", false),
            ("git.example", "[git.example]:2222", false),
            ("[git.example]:2222", "[git.example]:2222", true),
            ("[git.example]:2222", "git.example", false),
            ("git.example", "git.example.evil", false),
            ("git.example", "evil-git.example", false),
            // `printf git.example | openssl dgst -sha1 -hmac salt`
            ("|1|c2FsdA==|ckwyLZp9vhQsbVqNPlkyxv7Pxko=", "other.example", false),
        ] {
            assert_eq!(
                known(&format!("{names} {KEY}\n"), host).is_some(),
                matches,
                "{names} {host}"
            );
        }
    }

    #[test]
    fn a_hashed_name_is_found() {
        use base64::Engine;
        use base64::engine::general_purpose::STANDARD;
        let salt = [7; 20];
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
        let hash = hmac::sign(&key, b"[git.example]:2222");
        let line = format!("|1|{}|{} {KEY}", STANDARD.encode(salt), STANDARD.encode(hash));
        assert!(known(&line, "[git.example]:2222").is_some());
        assert!(known(&line, "git.example").is_none());
    }

    #[test]
    fn a_changed_a_revoked_and_an_unknown_key_are_refused() {
        let host = known(&format!("# ours\n\ngit.example {KEY} a comment\n"), "git.example").unwrap();
        assert_eq!(host.algorithms(), [Algorithm::Ed25519]);
        assert!(host.check(&shown(KEY), 0).is_ok());
        let SourceError::HostKey(why) = host.check(&shown(OTHER), 0).unwrap_err() else {
            panic!()
        };
        assert!(
            why.contains("changed") && why.matches("SHA256:").count() == 2,
            "{why}"
        );
        let lines = format!("git.example {KEY}\n@revoked * {KEY}\n");
        let why = known(&lines, "git.example").unwrap().check(&shown(KEY), 0);
        assert!(why.unwrap_err().to_string().contains("revoked"));
        assert_eq!(
            KnownHost::read(&format!("@revoked * {KEY}"), "git.example").unwrap_err(),
            SourceError::HostUnknown("git.example".into())
        );
    }

    #[test]
    fn an_authority_is_no_key_of_a_host() {
        let host = known(&format!("@cert-authority *.example {KEY}"), "git.example").unwrap();
        assert!(host.algorithms().is_empty() && !host.certificates().is_empty());
        assert!(host.check(&shown(KEY), 0).is_err());
    }

    #[test]
    fn lines_of_other_kinds_are_left_out() {
        let lines = format!(
            "git.example ssh-dss AAAAB3NzaC1kc3M=\nnonsense\n@x git.example {KEY}\ngit.example {}\n git.example {KEY}",
            "A".repeat(10_000)
        );
        assert_eq!(known(&lines, "git.example").unwrap().keys.len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}", name in "[a-z.]{0,20}", pattern in "[a*?]{0,12}") {
            let _ = KnownHost::read(&text, &name);
            let _ = glob(&pattern, &name);
        }
    }
}
