//! Data keys: 32 random bytes in an age file, behind a header that says where they may be used.

use super::identity::Identity;
use super::key_id::{KeyId, is_hex};
use super::place::Place;
use super::recipient::Recipients;
use crate::{SealFailed, digest};
use hkdf::Hkdf;
use sha2::Sha256;
use std::fmt::{self, Write as _};
use std::io::Read as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const SIZE: usize = 32;

/// The name of a data key within its object: 16 hexadecimal digits of chance, so that branches merge without collisions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataKeyId(String);

impl DataKeyId {
    /// A new one.
    pub(super) fn random() -> Result<Self, SealFailed> {
        let mut bytes = [0; 8];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SealFailed)?;
        let mut text = String::with_capacity(16);
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text))
    }

    /// Reads one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        (text.len() == 16 && is_hex(text)).then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DataKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands before the key in the age file: all that the key may be used for.
pub(super) fn header(place: &Place, id: &DataKeyId, recipients: &[KeyId]) -> Vec<u8> {
    let names: Vec<_> = recipients.iter().map(|id| id.as_str().as_bytes()).collect();
    place.encode(
        "signet.dev/sealed/v2/data-key",
        &[id.as_str().as_bytes(), &digest::length_prefixed(&names)],
    )
}

/// A data key. It has no `Debug`, and is wiped when dropped.
pub(super) struct DataKey(Zeroizing<[u8; SIZE]>);

impl DataKey {
    /// A new one.
    pub(super) fn random() -> Result<Self, SealFailed> {
        let mut key = Zeroizing::new([0; SIZE]);
        aws_lc_rs::rand::fill(&mut *key).map_err(|_| SealFailed)?;
        Ok(Self(key))
    }

    /// How long the payload of an age file with this header is: header, key, and age's nonce and tag.
    pub(super) fn payload_len(header: &[u8]) -> usize {
        header.len() + SIZE + 16 + 16
    }

    /// The age file.
    pub(super) fn wrap(&self, header: &[u8], recipients: &Recipients) -> Result<Vec<u8>, SealFailed> {
        // Sized beforehand, so that no copy of the key stays behind.
        let mut payload = Zeroizing::new(Vec::with_capacity(header.len() + SIZE));
        payload.extend_from_slice(header);
        payload.extend_from_slice(&*self.0);
        recipients.encrypt(&payload)
    }

    /// The key of an age file, where the identity opens it and its header is this one. Which of the two was not so stays
    /// in here. One private operation.
    pub(super) fn unwrap(file: &[u8], header: &[u8], identity: &Identity) -> Option<Self> {
        let decryptor = age::Decryptor::new_buffered(file).ok()?;
        let mut reader = decryptor
            .decrypt(std::iter::once(identity as &dyn age::Identity))
            .ok()?;
        let mut payload = Zeroizing::new(vec![0; header.len() + SIZE]);
        reader.read_exact(&mut payload).ok()?;
        // The end, and with it the last tag.
        if reader.read(&mut [0]).ok()? != 0 {
            return None;
        }
        let (found, bytes) = payload.split_at(header.len());
        if !bool::from(found.ct_eq(header)) {
            return None;
        }
        let mut key = Zeroizing::new([0; SIZE]);
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// HKDF-SHA256 (RFC 5869) of the data key, without salt.
    pub(super) fn derive(&self, purpose: &str, key_name: &str) -> Option<Zeroizing<[u8; 32]>> {
        let info = digest::length_prefixed(&[purpose.as_bytes(), key_name.as_bytes()]);
        let mut out = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &*self.0)
            .expand(&info, &mut *out)
            .ok()?;
        Some(out)
    }
}
