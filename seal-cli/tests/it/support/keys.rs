//! Keys to seal for, and the way back to see what was sealed.

use sealing::{Certificate, KeyRing, PrivateKey, SealedSecret, SealingKey, SelfSigned};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

pub(super) const PRIVATE: &str = include_str!("../../../../sealing/tests/vectors/key2048.pem");
pub(crate) const CERTIFICATE: &str = include_str!("../../../../sealing/tests/vectors/cert2048.pem");

/// Opens a SealedSecret that was sealed for [`CERTIFICATE`].
pub(crate) fn open(sealed: &Value, namespace: &str) -> BTreeMap<String, String> {
    let key = PrivateKey::from_pem(PRIVATE).unwrap();
    let ring = KeyRing::new([SealingKey::new(key, Certificate::from_pem(CERTIFICATE).unwrap()).unwrap()]);
    let parsed = SealedSecret::parse(sealed).unwrap_or_else(|errors| panic!("{errors:?}"));
    let opened = parsed
        .open(&ring, namespace)
        .unwrap_or_else(|errors| panic!("{errors:?}"));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    opened
        .data()
        .iter()
        .map(|(key, value)| (key.clone(), text(value.expose())))
        .collect()
}

/// A certificate of yesterday.
pub(crate) fn expired_certificate() -> String {
    let key = PrivateKey::from_pem(PRIVATE).unwrap();
    let from = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_007);
    SelfSigned::new(from, Duration::from_hours(24))
        .sign(&key)
        .unwrap()
        .to_pem()
        .to_owned()
}
