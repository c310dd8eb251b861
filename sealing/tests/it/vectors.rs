//! Every value that kubeseal v0.40.0 sealed opens to the same bytes; every damaged one is refused.

use crate::support::{PKCS1, PKCS8, certificate};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use sealing::{KeyRing, OpenError, PrivateKey, SealingKey};
use serde_json::Value;

fn check_all(pem: &str) {
    let key = SealingKey::new(PrivateKey::from_pem(pem).unwrap(), certificate()).unwrap();
    let ring = KeyRing::new([key]);
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../vectors/bitnami-v1.json")).unwrap();
    assert_eq!(vectors.len(), 21, "a vector went missing");
    let mut operations = 0;
    for vector in &vectors {
        let text = |field: &str| vector[field].as_str().unwrap();
        let opened = ring.open(text("sealed"), text("label").as_bytes());
        assert_eq!(opened.is_ok(), vector["ok"].as_bool().unwrap(), "{}", text("id"));
        operations += match opened {
            Ok(plaintext) => {
                assert_eq!(
                    STANDARD.encode(plaintext.expose()),
                    text("plaintext_b64"),
                    "{}",
                    text("id")
                );
                1
            }
            Err(OpenError::NoKey) => 1,
            Err(_) => 0,
        };
        assert_eq!(ring.private_operations(), operations, "{}", text("id"));
    }
}

#[test]
fn with_the_key_in_pkcs8() {
    check_all(PKCS8);
}

#[test]
fn with_the_key_in_pkcs1() {
    check_all(PKCS1);
}
