//! age's hybrid recipient `mlkem768x25519` (C2SP age.md), on the public traits of the `age` crate, which has none yet.
//!
//! It goes when the crate ships its own: nothing outside this module knows how it is made.

mod hpke;
mod kem;

pub(super) use kem::contributes;

use age::{DecryptError, EncryptError};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use std::collections::HashSet;
use zeroize::Zeroizing;

/// The stanza's type, and the name of the suite.
pub(super) const TAG: &str = "mlkem768x25519";
/// The size of a public key in bytes.
pub(super) const PUBLIC: usize = kem::PUBLIC;
/// Recipients with this label do not share a file with others: one classical recipient would undo the rest.
const LABEL: &str = "postquantum";
const TAG_BYTES: usize = 16;

/// A public key.
#[derive(Clone)]
pub(super) struct Recipient(Box<[u8; PUBLIC]>);

/// A private key: its seed.
pub(super) struct Identity(Zeroizing<[u8; 32]>);

impl Recipient {
    /// Takes a public key that is sound.
    pub(super) fn new(public: &[u8]) -> Option<Self> {
        let public: Box<[u8; PUBLIC]> = Box::new(public.try_into().ok()?);
        kem::is_valid(&public).then_some(Self(public))
    }

    /// The public key.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Identity {
    pub(super) fn new(seed: Zeroizing<[u8; 32]>) -> Self {
        Self(seed)
    }

    /// The public half.
    pub(super) fn public(&self) -> Recipient {
        Recipient(Box::new(kem::Expanded::new(&self.0).public()))
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let unavailable = || EncryptError::Io(std::io::Error::other("the hybrid recipient cannot be used"));
        let mut randomness = Zeroizing::new([0; kem::RANDOMNESS]);
        aws_lc_rs::rand::fill(&mut *randomness).map_err(|_| unavailable())?;
        let (encapsulation, shared) = kem::encapsulate(&self.0, &randomness).ok_or_else(unavailable)?;
        // Sized beforehand, so that no copy of the key stays behind.
        let mut body = Vec::with_capacity(FILE_KEY_BYTES + TAG_BYTES);
        body.extend_from_slice(file_key.expose_secret());
        hpke::seal(&shared, &mut body).ok_or_else(unavailable)?;
        let stanza = Stanza {
            tag: TAG.to_owned(),
            args: vec![BASE64_STANDARD_NO_PAD.encode(encapsulation)],
            body,
        };
        Ok((vec![stanza], HashSet::from([LABEL.to_owned()])))
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    /// Expands the seed once a file, not once a stanza.
    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let mut expanded = None;
        stanzas
            .iter()
            .filter(|stanza| stanza.tag == TAG)
            .find_map(|stanza| {
                let key = expanded.get_or_insert_with(|| kem::Expanded::new(&self.0));
                unwrap(key, stanza).transpose()
            })
    }
}

/// The file key; nothing where the stanza is somebody else's. A malformed stanza ends the file, as in age.
fn unwrap(key: &kem::Expanded, stanza: &Stanza) -> Result<Option<FileKey>, DecryptError> {
    let [argument] = stanza.args.as_slice() else {
        return Err(DecryptError::InvalidHeader);
    };
    let encapsulation: [u8; kem::ENCAPSULATION] = BASE64_STANDARD_NO_PAD
        .decode(argument)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(DecryptError::InvalidHeader)?;
    if stanza.body.len() != FILE_KEY_BYTES + TAG_BYTES {
        return Err(DecryptError::InvalidHeader);
    }
    let shared = key
        .decapsulate(&encapsulation)
        .ok_or(DecryptError::InvalidHeader)?;
    let mut message = Zeroizing::new(stanza.body.clone());
    if hpke::open(&shared, &mut message).is_none() {
        return Ok(None);
    }
    FileKey::try_init_with_mut(|file_key| {
        if message.len() != file_key.len() {
            return Err(DecryptError::InvalidHeader);
        }
        file_key.copy_from_slice(&message);
        Ok(())
    })
    .map(Some)
}
