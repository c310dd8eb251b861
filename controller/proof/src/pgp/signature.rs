//! Signature packets of version 4 (RFC 9580 section 5.2.3).

use super::key::{Key, hex};
use super::packet::length;
use crate::crypto::Hash;
use crate::verdict::Verdict;
use crate::wire::Reader;

/// Subpackets that are understood. A critical one that is not makes the signature worthless.
const CREATED: u8 = 2;
const EXPIRES: u8 = 3;
const KEY_EXPIRES: u8 = 9;
const ISSUER: u8 = 16;
const NOTATION: u8 = 20;
const FLAGS: u8 = 27;
const EMBEDDED: u8 = 32;
const ISSUER_FINGERPRINT: u8 = 33;
/// Understood in that they change nothing here: preferences, servers, names, reasons.
const INDIFFERENT: [u8; 12] = [4, 7, 11, 21, 22, 23, 24, 25, 26, 28, 29, 30];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signature {
    /// What it says, section 5.2.1.
    pub(crate) kind: u8,
    /// When it was made. Zero: it does not say.
    pub(crate) created: i64,
    /// Of a key's own signature: how many seconds after the key's making it ends.
    pub(crate) key_expires: Option<i64>,
    /// What the key may do.
    pub(crate) flags: Option<u8>,
    /// The other key's signature, in one that binds a key that signs.
    pub(crate) embedded: Option<Vec<u8>>,
    expires: Option<i64>,
    issuer: Option<Vec<u8>>,
    issuer_fingerprint: Option<Vec<u8>>,
    algorithm: u8,
    hash: Option<Hash>,
    /// From the version to the end of the hashed part.
    hashed: Vec<u8>,
    numbers: Vec<u8>,
}

impl Signature {
    /// Reads one. What is understood and not taken has a verdict of its own.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Verdict> {
        let unreadable = || Verdict::Bad("it cannot be read");
        let mut reader = Reader::new(body);
        if reader.byte().ok_or_else(unreadable)? != 4 {
            return Err(Verdict::Unsupported(
                "an OpenPGP signature of another version than 4",
            ));
        }
        let mut signature = Self::fields(body, &mut reader).ok_or_else(unreadable)?;
        match signature.hash_number() {
            8 => signature.hash = Some(Hash::Sha256),
            9 => signature.hash = Some(Hash::Sha384),
            10 => signature.hash = Some(Hash::Sha512),
            1..=3 => return Err(Verdict::Unsupported("made with SHA-1 or something as weak")),
            _ => {
                return Err(Verdict::Unsupported(
                    "made with a digest that is not taken (SHA-256, 384 and 512 are)",
                ));
            }
        }
        if signature.created == 0 {
            return Err(Verdict::Bad("it does not say when it was made"));
        }
        Ok(signature)
    }

    fn hash_number(&self) -> u8 {
        self.hashed.get(3).copied().unwrap_or_default()
    }

    fn fields(body: &[u8], reader: &mut Reader<'_>) -> Option<Self> {
        let mut signature = Self {
            kind: reader.byte()?,
            algorithm: reader.byte()?,
            ..Self::default()
        };
        let _hash = reader.byte()?;
        let length = usize::from(reader.u16()?);
        let hashed = reader.bytes(length)?;
        signature.hashed = body.get(..6 + length)?.to_vec();
        signature.subpackets(hashed, true)?;
        let length = usize::from(reader.u16()?);
        let unhashed = reader.bytes(length)?;
        signature.subpackets(unhashed, false)?;
        let _first_bytes_of_the_digest = reader.u16()?;
        signature.numbers = reader.bytes(reader.left())?.to_vec();
        Some(signature)
    }

    /// What is not hashed may name the issuer, and hold the other key's signature, which proves itself.
    fn subpackets(&mut self, bytes: &[u8], hashed: bool) -> Option<()> {
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let length = usize::try_from(length(&mut reader)?).ok()?;
            let mut part = Reader::new(reader.bytes(length)?);
            let head = part.byte()?;
            let (kind, critical) = (head & 0x7f, head & 0x80 != 0);
            match kind {
                ISSUER if part.left() == 8 => self.issuer = Some(part.bytes(8)?.to_vec()),
                ISSUER_FINGERPRINT if part.byte()? == 4 => {
                    self.issuer_fingerprint = Some(part.bytes(20)?.to_vec());
                }
                ISSUER_FINGERPRINT => {}
                EMBEDDED => self.embedded = Some(part.bytes(part.left())?.to_vec()),
                _ if !hashed => {}
                CREATED => self.created = i64::from(part.u32()?),
                EXPIRES => self.expires = Some(i64::from(part.u32()?)).filter(|seconds| *seconds > 0),
                KEY_EXPIRES => self.key_expires = Some(i64::from(part.u32()?)).filter(|seconds| *seconds > 0),
                FLAGS => self.flags = Some(part.byte().unwrap_or(0)),
                NOTATION if !critical => {}
                kind if INDIFFERENT.contains(&kind) || !critical => {}
                _ => return None,
            }
        }
        Some(())
    }

    /// Whether it names this key, or none.
    pub(crate) fn may_be_by(&self, key: &Key) -> bool {
        let fingerprint = key.fingerprint_bytes();
        match (&self.issuer_fingerprint, &self.issuer) {
            (Some(named), _) => *named == fingerprint,
            (None, Some(id)) => fingerprint.ends_with(id),
            (None, None) => true,
        }
    }

    /// The key that it names, for people.
    pub(crate) fn issuer_name(&self) -> String {
        match (&self.issuer_fingerprint, &self.issuer) {
            (Some(bytes), _) | (None, Some(bytes)) => hex(bytes),
            (None, None) => "it names none".into(),
        }
    }

    /// Whether a key made it over these bytes.
    pub(crate) fn fits(&self, key: &Key, parts: &[&[u8]]) -> bool {
        let Some(hash) = self.hash else { return false };
        let mut message = parts.concat();
        message.extend_from_slice(&self.hashed);
        message.extend_from_slice(&[4, 0xff]);
        message.extend_from_slice(&u32::try_from(self.hashed.len()).unwrap_or(u32::MAX).to_be_bytes());
        key.verifies(self.algorithm, hash, &message, &self.numbers)
    }

    /// Whether the signature itself had run out at a time.
    pub(crate) fn is_expired(&self, time: i64) -> bool {
        self.expires.is_some_and(|seconds| time > self.created + seconds)
    }
}
