//! The keys of a controller, and opening with them.

use crate::Plaintext;
use crate::key::{Certificate, Fingerprint, PrivateKey};
use crate::v1::Envelope;
use crate::v2::{Identities, Identity};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

/// A key pair with its certificate.
pub struct SealingKey {
    private: PrivateKey,
    certificate: Certificate,
    order: SystemTime,
}

/// A private key and a certificate of two different pairs. Bitnami's controller does not notice, and publishes a
/// certificate that nobody can open for.
#[derive(Debug, thiserror::Error)]
#[error("the private key does not belong to the certificate ({private} and {certificate})")]
pub struct KeyMismatch {
    /// The private key's name.
    pub private: Fingerprint,
    /// The name of the certificate's key.
    pub certificate: Fingerprint,
}

/// Why a value did not open. Beyond what can be seen without a key, no reason is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not base64 at all.
    #[error("it is not base64")]
    NotBase64,
    /// Shorter than its own length fields say.
    #[error("it is truncated")]
    Truncated,
    /// Sealed for a key of a size that no key here has.
    #[error("it is sealed for a key of {bits} bits, and no key here has that size")]
    OtherKeySize {
        /// The size of the key that it was sealed for.
        bits: usize,
    },
    /// No key opens it under this label.
    #[error("no key opens it under this label")]
    NoKey,
    /// There are no keys.
    #[error("there are no sealing keys yet")]
    EmptyRing,
    /// The keys that were tried do not open it, and what is to be tried is used up.
    #[error("not every key was tried, since other values took too many tries")]
    TriesSpent,
}

/// What the values of one object may cost beside one try each. Whoever writes an object says how many values it has, and with
/// which key each is to be opened: without a bound, values times keys are tried.
pub struct Tries(usize);

impl Tries {
    /// Hundreds of values that are sealed for a dozen of keys in turn, and the few that no key opens.
    pub(crate) const OF_AN_OBJECT: usize = 1_000;

    /// Those of one object.
    #[must_use]
    pub fn of_an_object() -> Self {
        Self(Self::OF_AN_OBJECT)
    }

    /// As many as it takes.
    #[must_use]
    pub fn unbounded() -> Self {
        Self(usize::MAX)
    }

    /// Takes one, if there is one left.
    pub(crate) fn take(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

impl SealingKey {
    /// A key pair, ordered by when its certificate begins to be valid (Bitnami's `CertNotBefore`).
    pub fn new(private: PrivateKey, certificate: Certificate) -> Result<Self, KeyMismatch> {
        if private.fingerprint() != certificate.fingerprint() {
            return Err(KeyMismatch {
                private: private.fingerprint().clone(),
                certificate: certificate.fingerprint().clone(),
            });
        }
        let order = certificate.not_before();
        Ok(Self {
            private,
            certificate,
            order,
        })
    }

    /// Orders the key by another time, such as the creation of its Secret.
    #[must_use]
    pub fn ordered_at(mut self, time: SystemTime) -> Self {
        self.order = time;
        self
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The private key.
    #[must_use]
    pub fn private_key(&self) -> &PrivateKey {
        &self.private
    }

    /// The name of the key.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        self.certificate.fingerprint()
    }

    /// The time it is ordered by.
    #[must_use]
    pub fn order(&self) -> SystemTime {
        self.order
    }
}

/// Every key that can open, newest first. It is immutable but for its counters: a changed set of keys is a new ring.
pub struct KeyRing {
    keys: Vec<SealingKey>,
    /// The key that opened last. Objects of one repository are mostly sealed for one key.
    last: AtomicUsize,
    private_operations: AtomicU64,
    native: Identities,
    /// Names of keys that open and are not sealed for any more.
    barred: BTreeSet<String>,
    document: Option<String>,
}

impl KeyRing {
    /// A ring of these keys. Of keys of the same pair, the first stays; of keys of the same time, the first is newer.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = SealingKey>) -> Self {
        let mut seen = BTreeSet::new();
        let mut keys: Vec<_> = keys
            .into_iter()
            .filter(|key| seen.insert(key.fingerprint().clone()))
            .collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.order));
        Self {
            keys,
            last: AtomicUsize::new(0),
            private_operations: AtomicU64::new(0),
            native: Identities::default(),
            barred: BTreeSet::new(),
            document: None,
        }
    }

    /// The same ring, with keys of format v2 beside.
    #[must_use]
    pub fn with_native(mut self, keys: impl IntoIterator<Item = Identity>) -> Self {
        self.native = Identities::new(keys);
        self
    }

    /// The same ring, in which these keys, fingerprints of format v1 and ids of format v2, open and are not sealed for.
    #[must_use]
    pub fn barring(mut self, ids: impl IntoIterator<Item = String>) -> Self {
        self.barred.extend(ids);
        self
    }

    /// Whether a key opens and is not sealed for.
    #[must_use]
    pub fn is_barred(&self, id: &str) -> bool {
        self.barred.contains(id)
    }

    /// The same ring, with the key set document in which its keys are published.
    #[must_use]
    pub fn with_document(mut self, document: String) -> Self {
        self.document = Some(document);
        self
    }

    /// The keys of format v2.
    #[must_use]
    pub fn native(&self) -> &Identities {
        &self.native
    }

    /// The key set document in which the keys are published.
    #[must_use]
    pub fn document(&self) -> Option<&str> {
        self.document.as_deref()
    }

    /// The keys, newest first.
    #[must_use]
    pub fn keys(&self) -> &[SealingKey] {
        &self.keys
    }

    /// The key to seal for.
    #[must_use]
    pub fn newest(&self) -> Option<&SealingKey> {
        let mut keys = self.keys.iter();
        keys.find(|key| !self.is_barred(key.fingerprint().as_str()))
    }

    /// Opens one value.
    pub fn open(&self, sealed: &str, label: &[u8]) -> Result<Plaintext, OpenError> {
        let envelope = Envelope::parse(sealed)?;
        self.open_envelope(&envelope, label)
            .map(|(plaintext, _)| plaintext)
    }

    /// Opens one value, and tells which key did.
    pub fn open_and_tell(&self, sealed: &str, label: &[u8]) -> Result<(Plaintext, &SealingKey), OpenError> {
        self.open_envelope(&Envelope::parse(sealed)?, label)
    }

    /// The same of one value of many: the first try is free, each further one is taken from those of its object.
    pub fn open_one_of(
        &self,
        sealed: &str,
        label: &[u8],
        tries: &mut Tries,
    ) -> Result<(Plaintext, &SealingKey), OpenError> {
        self.open_within(&Envelope::parse(sealed)?, label, tries)
    }

    /// How many private operations this ring has done: RSA decryptions of format v1, data keys unwrapped of format v2. They
    /// are the cost of opening, so tests count them.
    #[must_use]
    pub fn private_operations(&self) -> u64 {
        self.private_operations.load(Ordering::Relaxed) + self.native.private_operations()
    }

    /// Opens with whichever key does, the last successful one first, and tells which it was.
    pub(crate) fn open_envelope(
        &self,
        envelope: &Envelope,
        label: &[u8],
    ) -> Result<(Plaintext, &SealingKey), OpenError> {
        self.open_within(envelope, label, &mut Tries::unbounded())
    }

    /// The same within bounds.
    pub(crate) fn open_within(
        &self,
        envelope: &Envelope,
        label: &[u8],
        tries: &mut Tries,
    ) -> Result<(Plaintext, &SealingKey), OpenError> {
        if self.keys.is_empty() {
            return Err(OpenError::EmptyRing);
        }
        let last = self.last.load(Ordering::Relaxed);
        let order = std::iter::once(last).chain((0..self.keys.len()).filter(|index| *index != last));
        let mut fits = false;
        for index in order {
            let key = &self.keys[index];
            // A key of another size cannot open it; the size is plain to see in the envelope.
            if key.private.ciphertext_len() != envelope.key_len() {
                continue;
            }
            if fits && !tries.take() {
                return Err(OpenError::TriesSpent);
            }
            fits = true;
            if let Some(plaintext) = self.operate(key, envelope, label) {
                self.last.store(index, Ordering::Relaxed);
                return Ok((plaintext, key));
            }
        }
        if fits {
            Err(OpenError::NoKey)
        } else {
            Err(OpenError::OtherKeySize {
                bits: envelope.key_len() * 8,
            })
        }
    }

    /// Opens with the last successful key only.
    pub(crate) fn open_with_last(&self, envelope: &Envelope, label: &[u8]) -> Option<Plaintext> {
        let key = self.keys.get(self.last.load(Ordering::Relaxed))?;
        (key.private.ciphertext_len() == envelope.key_len()).then(|| self.operate(key, envelope, label))?
    }

    fn operate(&self, key: &SealingKey, envelope: &Envelope, label: &[u8]) -> Option<Plaintext> {
        self.private_operations.fetch_add(1, Ordering::Relaxed);
        envelope.open(&key.private, label)
    }
}

/// A ring is shared by every worker.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<KeyRing>();
};
