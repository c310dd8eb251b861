//! SSH certificates (PROTOCOL.certkeys of OpenSSH): a key that an authority vouches for.

use std::cmp::Ordering;

use super::key::PublicKey;
use crate::wire::{Reader, put};

const SUFFIX: &str = "-cert-v01@openssh.com";
/// A user's, not a host's.
const USER: u32 = 1;
/// Principals of one certificate that are read; OpenSSH writes at most 256.
const PRINCIPALS: usize = 256;

pub(crate) struct Certificate {
    /// The key that it is about, as a plain key travels.
    pub(crate) key: Vec<u8>,
    pub(crate) serial: u64,
    pub(crate) id: Vec<u8>,
    pub(crate) principals: Vec<String>,
    /// The authority's key.
    pub(crate) authority: Vec<u8>,
    kind: u32,
    after: u64,
    before: u64,
    /// It has critical options, of which OpenSSH knows none that make sense for a signature.
    critical: bool,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl Certificate {
    /// Whether a key is one.
    pub(crate) fn is(blob: &[u8]) -> bool {
        Reader::new(blob)
            .text()
            .is_some_and(|kind| kind.ends_with(SUFFIX))
    }

    pub(crate) fn parse(blob: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(blob);
        let plain = reader.text()?.strip_suffix(SUFFIX)?;
        // Security keys' names end before their domain.
        let plain = match plain {
            "sk-ssh-ed25519" | "sk-ecdsa-sha2-nistp256" => format!("{plain}@openssh.com"),
            other => other.to_owned(),
        };
        let _nonce = reader.string()?;
        let before_fields = reader;
        PublicKey::fields(&plain, &mut reader)?;
        let mut fields = before_fields;
        let fields = fields.bytes(before_fields.left() - reader.left())?;
        let mut key = Vec::new();
        put(&mut key, plain.as_bytes());
        key.extend_from_slice(fields);
        let serial = reader.u64()?;
        let kind = reader.u32()?;
        let id = reader.string()?.to_vec();
        let mut list = Reader::new(reader.string()?);
        let mut principals = Vec::new();
        while !list.is_empty() {
            principals.push(list.text()?.to_owned());
            if principals.len() > PRINCIPALS {
                return None;
            }
        }
        let (after, before) = (reader.u64()?, reader.u64()?);
        let critical = !reader.string()?.is_empty();
        let _extensions = reader.string()?;
        let _reserved = reader.string()?;
        let authority = reader.string()?.to_vec();
        let signed = blob.get(..blob.len() - reader.left())?.to_vec();
        let signature = reader.string()?.to_vec();
        reader.is_empty().then_some(Self {
            key,
            serial,
            id,
            principals,
            authority,
            kind,
            after,
            before,
            critical,
            signed,
            signature,
        })
    }

    /// Whether the authority that it names signed it. An authority is a plain key.
    pub(crate) fn is_signed(&self) -> bool {
        PublicKey::parse(&self.authority).is_some_and(|key| key.verifies(&self.signed, &self.signature))
    }

    pub(crate) fn is_plain_user(&self) -> bool {
        self.kind == USER && !self.critical
    }

    /// Whether it is valid at a time (`Equal`), not yet, or not any more.
    pub(crate) fn when(&self, time: i64) -> Ordering {
        let time = u64::try_from(time).unwrap_or(0);
        if time < self.after {
            Ordering::Less
        } else if time >= self.before {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }
}
