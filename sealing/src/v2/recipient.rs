//! Public keys that values are sealed for.

use super::key_id::{KeyId, Suite};
use super::{age_file, bech32_text, hybrid, limits};
use crate::SealFailed;
use age::EncryptError;
use age_core::format::{FileKey, Stanza};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::Write as _;
use std::str::FromStr;
use x25519_dalek::PublicKey;

/// A public key: `age1pq1…` (hybrid) or `age1…` (X25519), as `age-keygen` prints them.
#[derive(Clone)]
pub struct Recipient {
    key: Key,
    id: KeyId,
}

#[derive(Clone)]
enum Key {
    Hybrid(hybrid::Recipient),
    X25519(age::x25519::Recipient, [u8; 32]),
}

/// Why a text is no recipient. It does not quote the text: a private key may have been pasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// A private key was given.
    #[error("this is a private key; give its public half, `age1…`, and keep this one secret")]
    IsPrivate,
    /// An age recipient of another kind, or of a plugin.
    #[error("only `age1pq1…` (mlkem768x25519) and `age1…` (X25519) are supported")]
    OtherKind,
    /// Damaged.
    #[error("not a whole and sound age recipient")]
    Damaged,
}

const HYBRID: &str = "age1pq";
const X25519: &str = "age";

impl Recipient {
    pub(super) fn hybrid(key: hybrid::Recipient) -> Self {
        Self {
            id: KeyId::of(Suite::MlKem768X25519, key.as_bytes()),
            key: Key::Hybrid(key),
        }
    }

    /// An X25519 public key, unless it is of low order.
    pub(super) fn x25519(public: [u8; 32]) -> Option<Self> {
        if !hybrid::contributes(&PublicKey::from(public)) {
            return None;
        }
        let recipient = bech32_text::encode(X25519, &public)?.parse().ok()?;
        Some(Self {
            id: KeyId::of(Suite::X25519, &public),
            key: Key::X25519(recipient, public),
        })
    }

    /// The name of the key.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.id
    }

    /// Its suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        match self.key {
            Key::Hybrid(_) => Suite::MlKem768X25519,
            Key::X25519(..) => Suite::X25519,
        }
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        match &self.key {
            Key::Hybrid(key) => key.wrap_file_key(file_key),
            Key::X25519(key, _) => key.wrap_file_key(file_key),
        }
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        if text
            .get(..15)
            .is_some_and(|head| head.eq_ignore_ascii_case("AGE-SECRET-KEY-"))
        {
            return Err(RecipientError::IsPrivate);
        }
        let (prefix, bytes) = bech32_text::decode(text).ok_or(RecipientError::Damaged)?;
        match prefix.as_str() {
            HYBRID => hybrid::Recipient::new(&bytes)
                .map(Self::hybrid)
                .ok_or(RecipientError::Damaged),
            X25519 => <[u8; 32]>::try_from(bytes.as_slice())
                .ok()
                .and_then(Self::x25519)
                .ok_or(RecipientError::Damaged),
            _ => Err(RecipientError::OtherKind),
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.key {
            Key::Hybrid(key) => bech32_text::encode(HYBRID, key.as_bytes()),
            Key::X25519(_, bytes) => bech32_text::encode(X25519, bytes),
        };
        f.write_str(&text.unwrap_or_default())
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.id)
    }
}

/// A payload's nonce, and the tag of its last chunk, in bytes: a payload of nothing has no more.
const LEAST: usize = 32;

/// The recipients of one data key: at least one, all of one suite, sorted by key id.
#[derive(Clone, Debug)]
pub struct Recipients(Vec<Recipient>);

/// Why keys cannot be the recipients of one data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientsError {
    /// There is none.
    #[error("there is no recipient")]
    Empty,
    /// More than fit.
    #[error("there are more than {} recipients", limits::RECIPIENTS)]
    TooMany,
    /// Hybrid and classical ones.
    #[error(
        "hybrid (age1pq1…) and X25519 (age1…) recipients cannot be mixed: the classical one would undo the protection \
         of the hybrid ones"
    )]
    Mixed,
}

impl Recipients {
    /// Takes keys together; one that is named twice counts once.
    pub fn new(keys: impl IntoIterator<Item = Recipient>) -> Result<Self, RecipientsError> {
        let mut sorted = BTreeMap::new();
        for key in keys {
            sorted.insert(key.id.clone(), key);
            if sorted.len() > limits::RECIPIENTS {
                return Err(RecipientsError::TooMany);
            }
        }
        let keys: Vec<_> = sorted.into_values().collect();
        let first = keys.first().ok_or(RecipientsError::Empty)?.suite();
        if keys.iter().any(|key| key.suite() != first) {
            return Err(RecipientsError::Mixed);
        }
        Ok(Self(keys))
    }

    /// Their suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.0.first().map_or_else(Suite::default, Recipient::suite)
    }

    /// The keys, sorted by id.
    pub fn iter(&self) -> impl Iterator<Item = &Recipient> {
        self.0.iter()
    }

    /// Encrypts bytes into a binary age file for all of them: a backup, for instance.
    pub fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>, SealFailed> {
        let recipients = self.0.iter().map(|key| key as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(|_| SealFailed)?;
        let mut file = Vec::new();
        let write = |file: &mut Vec<u8>| -> std::io::Result<()> {
            let mut writer = encryptor.wrap_output(file)?;
            writer.write_all(plaintext)?;
            writer.finish()?;
            Ok(())
        };
        write(&mut file).map_err(|_| SealFailed)?;
        Ok(file)
    }

    /// Whether a binary age file is for as many recipients of this suite, and has a payload: all that can be seen of it without a
    /// key. Whose keys they are, an age file does not say.
    #[must_use]
    pub fn fit(&self, file: &[u8]) -> bool {
        matches!(age_file::header(file, self.0.len()), Ok((suite, payload)) if suite == self.suite() && payload > LEAST)
    }

    /// Their names, sorted.
    #[must_use]
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.0.iter().map(|key| key.id.clone()).collect()
    }
}
