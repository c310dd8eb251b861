//! Private keys, and sets of them.

use super::key_id::{KeyId, Suite};
use super::recipient::Recipient;
use super::{bech32_text, hybrid};
use crate::{Plaintext, SealFailed};
use age::DecryptError;
use age_core::format::{FileKey, Stanza};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::atomic::{AtomicU64, Ordering};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// A private key: `AGE-SECRET-KEY-PQ-1…` (hybrid) or `AGE-SECRET-KEY-1…` (X25519), as `age-keygen` makes them. It has no
/// `Debug`, and leaves the process only by [`Identity::to_text`].
pub struct Identity {
    key: Key,
    seed: Zeroizing<[u8; 32]>,
    recipient: Recipient,
}

enum Key {
    Hybrid(hybrid::Identity),
    X25519(age::x25519::Identity),
}

/// Why a text is no private key. It does not quote the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A public key was given.
    #[error("this is a public key; the private one begins with AGE-SECRET-KEY-")]
    IsPublic,
    /// An identity of a plugin, of SSH, or another.
    #[error("only AGE-SECRET-KEY-PQ-1… (mlkem768x25519) and AGE-SECRET-KEY-1… (X25519) are supported")]
    OtherKind,
    /// Damaged.
    #[error("not a whole age private key")]
    Damaged,
    /// No key in the file.
    #[error("there is no private key in it")]
    Empty,
}

const HYBRID: &str = "AGE-SECRET-KEY-PQ-";
const X25519: &str = "AGE-SECRET-KEY-";

impl Identity {
    /// Makes a new key.
    pub fn generate(suite: Suite) -> Result<Self, SealFailed> {
        let mut seed = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *seed).map_err(|_| SealFailed)?;
        Self::from_seed(suite, seed).ok_or(SealFailed)
    }

    /// Reads one key.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        if text.starts_with("age1") {
            return Err(IdentityError::IsPublic);
        }
        let (prefix, bytes) = bech32_text::decode(text).ok_or(IdentityError::Damaged)?;
        let suite = match prefix.as_str() {
            HYBRID => Suite::MlKem768X25519,
            X25519 => Suite::X25519,
            _ => return Err(IdentityError::OtherKind),
        };
        let mut seed = Zeroizing::new([0; 32]);
        if bytes.len() != seed.len() {
            return Err(IdentityError::Damaged);
        }
        seed.copy_from_slice(&bytes);
        Self::from_seed(suite, seed).ok_or(IdentityError::Damaged)
    }

    /// Reads the keys of an identity file: one a line, comments and empty lines between them.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, IdentityError> {
        let keys: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Self::parse)
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(IdentityError::Empty);
        }
        Ok(keys)
    }

    fn from_seed(suite: Suite, seed: Zeroizing<[u8; 32]>) -> Option<Self> {
        let (key, recipient) = match suite {
            Suite::MlKem768X25519 => {
                let identity = hybrid::Identity::new(seed.clone());
                let recipient = Recipient::hybrid(identity.public());
                (Key::Hybrid(identity), recipient)
            }
            Suite::X25519 => {
                let public = PublicKey::from(&StaticSecret::from(*seed));
                let identity = text(X25519, &seed)?.parse().ok()?;
                (Key::X25519(identity), Recipient::x25519(public.to_bytes())?)
            }
        };
        Some(Self { key, seed, recipient })
    }

    /// The public half.
    #[must_use]
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// The name of the key pair.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        self.recipient.key_id()
    }

    /// Its suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.recipient.suite()
    }

    /// The key as `age-keygen` writes it, on one line, in a buffer that is wiped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let prefix = match self.key {
            Key::Hybrid(_) => HYBRID,
            Key::X25519(_) => X25519,
        };
        text(prefix, &self.seed).unwrap_or_default()
    }

    /// The 32 bytes that the key is made of.
    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.as_age().unwrap_stanza(stanza)
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        self.as_age().unwrap_stanzas(stanzas)
    }
}

impl Identity {
    fn as_age(&self) -> &dyn age::Identity {
        match &self.key {
            Key::Hybrid(key) => key,
            Key::X25519(key) => key,
        }
    }
}

fn text(prefix: &str, seed: &[u8; 32]) -> Option<Zeroizing<String>> {
    let mut text = Zeroizing::new(bech32_text::encode(prefix, seed)?);
    text.make_ascii_uppercase();
    Some(text)
}

/// Every private key that can open. It is immutable but for its counter: a changed set of keys is a new one.
#[derive(Default)]
pub struct Identities {
    keys: BTreeMap<KeyId, Identity>,
    private_operations: AtomicU64,
}

impl Identities {
    /// Takes keys together.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Identity>) -> Self {
        Self {
            keys: keys.into_iter().map(|key| (key.key_id().clone(), key)).collect(),
            private_operations: AtomicU64::new(0),
        }
    }

    /// The keys, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Identity> {
        self.keys.values()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Decrypts a binary age file of at most `most` bytes, trying every key. None where no key opens it, it is damaged, or its
    /// text is longer.
    #[must_use]
    pub fn decrypt(&self, file: &[u8], most: usize) -> Option<Plaintext> {
        let decryptor = age::Decryptor::new_buffered(file).ok()?;
        let keys = self.keys.values().map(|key| key as &dyn age::Identity);
        let reader = decryptor.decrypt(keys).ok()?;
        // The text is shorter than the file: one buffer, which never grows.
        let mut text = Zeroizing::new(Vec::with_capacity(file.len()));
        reader.take(file.len() as u64).read_to_end(&mut text).ok()?;
        (text.len() <= most).then(|| text.into())
    }

    /// The key of a name.
    #[must_use]
    pub fn get(&self, id: &KeyId) -> Option<&Identity> {
        self.keys.get(id)
    }

    /// How many data keys were unwrapped, or tried to: one private operation each.
    #[must_use]
    pub fn private_operations(&self) -> u64 {
        self.private_operations.load(Ordering::Relaxed)
    }

    pub(super) fn count_operation(&self) {
        self.private_operations.fetch_add(1, Ordering::Relaxed);
    }
}

/// A set is shared by every worker.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Identities>();
};
