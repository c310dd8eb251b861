//! A sealing key as its Secret holds it, and the set of those that are there.

use std::collections::BTreeMap;
use std::time::SystemTime;

use k8s_openapi::api::core::v1::Secret;
use sealing::{Certificate, CertificateError, KeyMismatch, KeyRing, PrivateKey, PrivateKeyError, SealingKey};
use zeroize::Zeroizing;

use super::renew::KeyOrder;

/// Certificates and keys are a few kilobytes; a Secret can hold a megabyte.
const LARGEST: usize = 64 << 10;

/// Why a Secret is not a sealing key. Says nothing about what is in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("its {0} is not PEM text")]
    NotText(&'static str),
    #[error("its tls.key cannot be used: {0}")]
    Key(String),
    #[error("its tls.crt cannot be used: {0}")]
    Certificate(String),
    #[error("its tls.key and tls.crt are of two different pairs")]
    Mismatch,
}

/// The PEM texts of one key. A ring takes its keys by value, so every new ring is made from these.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    key: Zeroizing<String>,
    certificate: String,
    /// When its Secret was made.
    created: Option<SystemTime>,
}

impl Stored {
    /// Takes the texts out of a Secret, and checks that they are a key pair.
    pub(crate) fn read(secret: &Secret) -> Result<Self, Unusable> {
        let stored = Self {
            key: Zeroizing::new(field(secret, "tls.key")?.to_owned()),
            certificate: field(secret, "tls.crt")?.to_owned(),
            created: secret
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|time| SystemTime::from(time.0)),
        };
        stored.parse()?;
        Ok(stored)
    }

    fn parse(&self) -> Result<SealingKey, Unusable> {
        let key =
            PrivateKey::from_pem(&self.key).map_err(|e: PrivateKeyError| Unusable::Key(e.to_string()))?;
        let certificate = Certificate::from_pem(&self.certificate)
            .map_err(|e: CertificateError| Unusable::Certificate(e.to_string()))?;
        SealingKey::new(key, certificate).map_err(|_: KeyMismatch| Unusable::Mismatch)
    }
}

fn field<'a>(secret: &'a Secret, name: &'static str) -> Result<&'a str, Unusable> {
    let bytes = secret
        .data
        .as_ref()
        .and_then(|data| data.get(name))
        .ok_or(Unusable::Missing(name))?;
    if bytes.0.len() > LARGEST {
        return Err(Unusable::NotText(name));
    }
    std::str::from_utf8(&bytes.0).map_err(|_| Unusable::NotText(name))
}

/// What is known of the key Secrets, by name.
#[derive(Default)]
pub(crate) struct KeySet(BTreeMap<String, Result<Stored, Unusable>>);

impl KeySet {
    /// Takes a Secret in; whether that changed anything, and if it is unusable, why.
    pub(crate) fn insert(&mut self, name: String, secret: &Secret) -> (bool, Option<&Unusable>) {
        let new = Stored::read(secret);
        let changed = self.0.get(&name).is_none_or(|old| *old != new);
        let entry = self.0.entry(name).insert_entry(new).into_mut();
        (changed, entry.as_ref().err())
    }

    /// Takes a Secret out. If it was in, says whether it was a usable key.
    pub(crate) fn remove(&mut self, name: &str) -> Option<bool> {
        self.0.remove(name).map(|entry| entry.is_ok())
    }

    /// How many Secrets are labelled as keys and are none.
    pub(crate) fn unusable(&self) -> usize {
        self.0.values().filter(|entry| entry.is_err()).count()
    }

    /// Whether both hold the same keys.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Whether a Secret of this name is in, usable or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A ring of the usable ones.
    pub(crate) fn ring(&self, order: KeyOrder) -> KeyRing {
        KeyRing::new(self.0.values().flatten().filter_map(|stored| {
            let key = stored.parse().ok()?;
            Some(match (order, stored.created) {
                (KeyOrder::SecretCreationTimestamp, Some(created)) => key.ordered_at(created),
                _ => key,
            })
        }))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{KeyOrder, KeySet, Stored, Unusable};
    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::Secret;
    use sealing::{PrivateKey, SelfSigned};
    use std::time::{Duration, SystemTime};

    pub(crate) fn secret(fields: &[(&str, &str)]) -> Secret {
        Secret {
            data: Some(
                fields
                    .iter()
                    .map(|(name, text)| ((*name).to_owned(), ByteString(text.as_bytes().to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        }
    }

    fn pair() -> (String, String) {
        let key = PrivateKey::generate(2048).unwrap();
        let certificate = SelfSigned::new(SystemTime::now(), Duration::from_hours(1))
            .sign(&key)
            .unwrap();
        (
            key.to_pkcs1_pem().unwrap().to_string(),
            certificate.to_pem().to_owned(),
        )
    }

    #[test]
    fn a_pair_becomes_a_ring() {
        let (key, certificate) = pair();
        let mut set = KeySet::default();
        let secret = secret(&[("tls.key", &key), ("tls.crt", &certificate)]);
        assert!(matches!(set.insert("a".into(), &secret), (true, None)));
        assert!(matches!(set.insert("a".into(), &secret), (false, None)));
        assert_eq!(set.ring(KeyOrder::default()).keys().len(), 1);
        assert_eq!(set.remove("a"), Some(true));
        assert_eq!(set.remove("a"), None);
        assert!(set.ring(KeyOrder::default()).newest().is_none());
    }

    #[test]
    fn keys_are_ordered_as_asked() {
        let mut set = KeySet::default();
        let mut fingerprints = Vec::new();
        for (name, created) in [("a", "2026-01-02T00:00:00Z"), ("b", "2026-01-01T00:00:00Z")] {
            let (key, certificate) = pair();
            let mut secret = secret(&[("tls.key", &key), ("tls.crt", &certificate)]);
            secret.metadata.creation_timestamp = serde_json::from_value(created.into()).unwrap();
            set.insert(name.into(), &secret);
            let ring = set.ring(KeyOrder::SecretCreationTimestamp);
            fingerprints.push(ring.keys().last().unwrap().fingerprint().clone());
            // Certificates have whole seconds.
            std::thread::sleep(Duration::from_millis(1100));
        }
        let newest = |order| set.ring(order).newest().unwrap().fingerprint().clone();
        assert_eq!(newest(KeyOrder::SecretCreationTimestamp), fingerprints[0]);
        assert_eq!(newest(KeyOrder::CertNotBefore), fingerprints[1]);
    }

    #[test]
    fn what_is_wrong_is_said_without_quoting() {
        let (key, certificate) = pair();
        let (other, _) = pair();
        let why = |fields: &[(&str, &str)]| Stored::read(&secret(fields)).err().unwrap().to_string();
        assert_eq!(why(&[]), "it has no tls.key");
        assert_eq!(why(&[("tls.key", &key)]), "it has no tls.crt");
        assert_eq!(
            why(&[("tls.key", &other), ("tls.crt", &certificate)]),
            "its tls.key and tls.crt are of two different pairs"
        );
        let broken = why(&[("tls.key", "hunter2"), ("tls.crt", &certificate)]);
        assert!(
            broken.starts_with("its tls.key cannot be used") && !broken.contains("hunter2"),
            "{broken}"
        );
        let broken = why(&[("tls.key", &key), ("tls.crt", "hunter2")]);
        assert!(
            broken.starts_with("its tls.crt cannot be used") && !broken.contains("hunter2"),
            "{broken}"
        );
        assert_eq!(
            why(&[("tls.key", &key), ("tls.crt", &"x".repeat(70_000))]),
            "its tls.crt is not PEM text"
        );
    }

    #[test]
    fn one_bad_secret_leaves_the_others() {
        let (key, certificate) = pair();
        let mut set = KeySet::default();
        set.insert(
            "good".into(),
            &secret(&[("tls.key", &key), ("tls.crt", &certificate)]),
        );
        let (changed, why) = set.insert("bad".into(), &secret(&[]));
        assert!(changed);
        assert_eq!(why, Some(&Unusable::Missing("tls.key")));
        assert_eq!(
            (set.ring(KeyOrder::default()).keys().len(), set.unusable()),
            (1, 1)
        );
    }
}
