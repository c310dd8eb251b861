//! SSH signatures: PROTOCOL.sshsig of OpenSSH, in Git's namespace.

mod allowed;
mod certificate;
mod key;
mod revoked;

pub(crate) use allowed::Allowed;
pub(crate) use key::{PublicKey, fingerprint};
pub(crate) use revoked::Revoked;

use crate::armor;
use crate::crypto::Hash;
use crate::object::Signed;
use crate::verdict::{Signer, Verdict};
use crate::wire::{Reader, put};
use certificate::Certificate;

/// What Git signs for.
const NAMESPACE: &str = "git";
const MAGIC: &[u8] = b"SSHSIG";

/// Judges an SSH signature.
pub(crate) fn judge(allowed: &[Allowed], revoked: &Revoked, signed: &Signed) -> Verdict {
    let Some(blob) = armor::decode(&signed.signature, "SSH SIGNATURE") else {
        return Verdict::Bad("it cannot be read");
    };
    let Some(signature) = Signature::parse(&blob) else {
        return Verdict::Bad("it cannot be read");
    };
    if signature.namespace != NAMESPACE {
        return Verdict::Bad("it was made for another purpose than Git");
    }
    let certificate = Certificate::is(signature.key);
    let parsed = if certificate {
        match Certificate::parse(signature.key) {
            Some(certificate) => Some(certificate),
            None => return Verdict::Bad("its certificate cannot be read"),
        }
    } else {
        None
    };
    let key_blob = parsed
        .as_ref()
        .map_or(signature.key, |certificate| &certificate.key);
    let Some(key) = PublicKey::parse(key_blob) else {
        return Verdict::Unsupported(
            "of a kind of key that is not taken (Ed25519, ECDSA, RSA of 2048 bits and more are)",
        );
    };
    let Some(message) = signature.message(&signed.payload) else {
        return Verdict::Bad("it names an unknown digest");
    };
    if !key.verifies(&message, signature.value) {
        return Verdict::Bad("it does not fit the object");
    }
    let name = fingerprint(key_blob);
    if revoked.has_key(key_blob) {
        return Verdict::Revoked(name);
    }
    match parsed {
        Some(certificate) => by_certificate(allowed, revoked, &certificate, name, signed.time),
        None => by_key(allowed, key_blob, name, signed.time),
    }
}

/// A plain key: every line that names it counts.
fn by_key(allowed: &[Allowed], key: &[u8], name: String, time: i64) -> Verdict {
    let lines = allowed.iter().filter(|line| !line.authority && line.key == key);
    decide(lines.map(|line| (line, line.names.clone())), name, time)
}

/// A certificate: its authority has to be named, it has to be a user's and valid, and its principals count as far as the
/// authority's line covers them.
fn by_certificate(
    allowed: &[Allowed],
    revoked: &Revoked,
    certificate: &Certificate,
    name: String,
    time: i64,
) -> Verdict {
    let lines: Vec<&Allowed> = allowed
        .iter()
        .filter(|line| line.authority && line.key == certificate.authority)
        .collect();
    if lines.is_empty() {
        return Verdict::Unknown(name);
    }
    if !certificate.is_signed() {
        return Verdict::Bad("its certificate is not signed by the authority that it names");
    }
    if revoked.has_key(&certificate.authority) || revoked.has_certificate(certificate) {
        return Verdict::Revoked(name);
    }
    if !certificate.is_plain_user() {
        return Verdict::Bad("its certificate is for a host, or asks for what is not known here");
    }
    match certificate.when(time) {
        std::cmp::Ordering::Less => return Verdict::Early(name),
        std::cmp::Ordering::Greater => return Verdict::Expired(name),
        std::cmp::Ordering::Equal => {}
    }
    let covered = lines.into_iter().filter_map(|line| {
        let names = certificate.principals.iter().filter(|name| line.covers(name));
        let names: Vec<String> = names.cloned().collect();
        (!names.is_empty()).then_some((line, names))
    });
    decide(covered, name, time)
}

/// The first line that is valid at the time counts; the others say why none is.
fn decide<'a>(lines: impl Iterator<Item = (&'a Allowed, Vec<String>)>, name: String, time: i64) -> Verdict {
    let mut worst = None;
    let mut names: Vec<String> = Vec::new();
    for (line, of_line) in lines.filter(|(line, _)| line.is_for(NAMESPACE)) {
        match line.when(time) {
            std::cmp::Ordering::Equal => names.extend(of_line),
            std::cmp::Ordering::Less => worst = Some(Verdict::Early(name.clone())),
            std::cmp::Ordering::Greater => worst = Some(Verdict::Expired(name.clone())),
        }
    }
    if names.is_empty() {
        return worst.unwrap_or(Verdict::Unknown(name));
    }
    names.dedup();
    Verdict::Good(Signer { names, key: name })
}

/// The blob between the armor lines.
struct Signature<'a> {
    key: &'a [u8],
    namespace: &'a str,
    hash: &'a str,
    /// What the key made.
    value: &'a [u8],
}

impl<'a> Signature<'a> {
    fn parse(blob: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(blob);
        if reader.bytes(MAGIC.len())? != MAGIC || reader.u32()? != 1 {
            return None;
        }
        let key = reader.string()?;
        let namespace = reader.text()?;
        let _reserved = reader.string()?;
        let hash = reader.text()?;
        let value = reader.string()?;
        reader.is_empty().then_some(Self {
            key,
            namespace,
            hash,
            value,
        })
    }

    /// What the key signed: a digest of the object, and what the signature is for.
    fn message(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let hash = match self.hash {
            "sha256" => Hash::Sha256,
            "sha512" => Hash::Sha512,
            _ => return None,
        };
        let mut message = MAGIC.to_vec();
        put(&mut message, self.namespace.as_bytes());
        put(&mut message, b"");
        put(&mut message, self.hash.as_bytes());
        put(&mut message, &hash.of(payload));
        Some(message)
    }
}
