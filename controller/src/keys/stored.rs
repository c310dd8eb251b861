//! A sealing key of format v1 as its Secret holds it, and a ring of those that are there.

use std::time::SystemTime;

use crds::label;
use k8s_openapi::api::core::v1::Secret;
use sealing::keyset::{EndorsementKey, EndorsementName, Signature};
use sealing::{Certificate, CertificateError, KeyMismatch, KeyRing, PrivateKey, PrivateKeyError, SealingKey};
use zeroize::Zeroizing;

use super::endorsed;
use super::labelled::{Labelled, Stored, Unusable, compromised_before, field, made};
use super::renew::KeyOrder;

/// The PEM texts of one key. A ring takes its keys by value, so every new ring is made from these.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RsaKey {
    key: Zeroizing<String>,
    certificate: String,
    /// `SHA256:…` of the public key.
    fingerprint: String,
    /// When its Secret was first made.
    created: SystemTime,
    /// What keys before it said of it.
    pub(super) endorsed: Vec<Signature>,
    before: Vec<EndorsementName>,
}

/// What is known of the key Secrets, by name.
pub(crate) type KeySet = Labelled<RsaKey>;

impl Stored for RsaKey {
    const LABEL: &'static str = label::SEALING_KEY;

    /// Takes the texts out of a Secret, and checks that they are a key pair.
    fn read(secret: &Secret) -> Result<Self, Unusable> {
        let mut stored = Self {
            key: Zeroizing::new(field(secret, "tls.key")?.to_owned()),
            certificate: field(secret, "tls.crt")?.to_owned(),
            fingerprint: String::new(),
            endorsed: endorsed::kept(secret),
            before: compromised_before(secret),
            created: made(secret).into(),
        };
        stored
            .parse()?
            .fingerprint()
            .as_str()
            .clone_into(&mut stored.fingerprint);
        Ok(stored)
    }

    fn id(&self) -> &str {
        &self.fingerprint
    }

    fn before(&self) -> &[EndorsementName] {
        &self.before
    }
}

impl RsaKey {
    pub(super) fn parse(&self) -> Result<SealingKey, Unusable> {
        let key =
            PrivateKey::from_pem(&self.key).map_err(|e: PrivateKeyError| Unusable::Key(e.to_string()))?;
        let certificate = Certificate::from_pem(&self.certificate)
            .map_err(|e: CertificateError| Unusable::Certificate(e.to_string()))?;
        SealingKey::new(key, certificate).map_err(|_: KeyMismatch| Unusable::Mismatch("tls.key", "tls.crt"))
    }

    /// The name of the key that endorses others for it.
    pub(super) fn endorsement(&self) -> Option<EndorsementName> {
        let key = self.parse().ok()?;
        Some(EndorsementKey::of_rsa(key.private_key())?.name())
    }
}

impl KeySet {
    /// A ring of those that open.
    pub(crate) fn ring(&self, order: KeyOrder) -> KeyRing {
        let barred = self.leaving().map(|(_, key)| key.fingerprint.clone());
        let all = self.active().chain(self.leaving());
        let ring = KeyRing::new(all.filter_map(|(_, stored)| {
            let key = stored.parse().ok()?;
            Some(match order {
                KeyOrder::SecretCreationTimestamp => key.ordered_at(stored.created),
                KeyOrder::CertNotBefore => key,
            })
        }));
        ring.barring(barred)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{KeyOrder, KeySet, RsaKey, Stored, Unusable};
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
        assert!(set.remove("a"));
        assert!(!set.remove("a"));
        assert!(set.ring(KeyOrder::default()).newest().is_none());
    }

    #[test]
    fn a_compromised_key_is_known_and_opens_nothing() {
        let (key, certificate) = pair();
        let mut secret = secret(&[("tls.key", &key), ("tls.crt", &certificate)]);
        let mut set = KeySet::default();
        set.insert("a".into(), &secret);
        let labels = [(RsaKey::LABEL.to_owned(), "compromised".to_owned())];
        secret.metadata.labels = Some(labels.into());
        assert!(matches!(set.insert("a".into(), &secret), (true, None)));
        assert!(set.ring(KeyOrder::default()).newest().is_none());
        assert!(set.compromised().next().unwrap().endorsement().is_some());
        assert_eq!(set.unusable(), 0);
    }

    #[test]
    fn a_copy_of_a_compromised_key_opens_nothing_either() {
        let (key, certificate) = pair();
        let mut secret = secret(&[("tls.key", &key), ("tls.crt", &certificate)]);
        let mut set = KeySet::default();
        set.insert("copy".into(), &secret);
        let labels = [(RsaKey::LABEL.to_owned(), "compromised".to_owned())];
        secret.metadata.labels = Some(labels.into());
        set.insert("key".into(), &secret);
        assert!(set.ring(KeyOrder::default()).newest().is_none());
        assert!(set.remove("key"));
        assert_eq!(set.ring(KeyOrder::default()).keys().len(), 1);
    }

    #[test]
    fn a_compromised_key_that_a_rotation_leaves_opens_and_is_not_sealed_for() {
        let (key, certificate) = pair();
        let mut secret = secret(&[("tls.key", &key), ("tls.crt", &certificate)]);
        let labels = [(RsaKey::LABEL.to_owned(), "compromised".to_owned())];
        let leaving = [(crds::annotation::LEAVING.to_owned(), "a".to_owned())];
        secret.metadata.labels = Some(labels.into());
        let mut set = KeySet::default();
        // A copy that is labelled compromised by hand shuts it.
        set.insert("copy".into(), &secret);
        secret.metadata.annotations = Some(leaving.into());
        set.insert("a".into(), &secret);
        assert!(set.ring(KeyOrder::default()).keys().is_empty());
        assert!(set.remove("copy"));
        let ring = set.ring(KeyOrder::default());
        assert_eq!((ring.keys().len(), ring.newest().is_none()), (1, true));
        // And so is a copy that is labelled active.
        secret.metadata.labels = Some([(RsaKey::LABEL.to_owned(), "active".to_owned())].into());
        secret.metadata.annotations = None;
        set.insert("copy".into(), &secret);
        assert!(set.ring(KeyOrder::default()).newest().is_none());
        assert_eq!(set.compromised().count(), 1);
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
        let why = |fields: &[(&str, &str)]| RsaKey::read(&secret(fields)).err().unwrap().to_string();
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
            "its tls.crt is not a text of the size of a key"
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
