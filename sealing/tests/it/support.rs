//! Keys and objects that several tests use.

use sealing::{Certificate, KeyRing, PrivateKey, PublicKey, Scope, SealingKey, SelfSigned, v1};
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

pub(crate) const PKCS8: &str = include_str!("../vectors/key2048.pem");
pub(crate) const PKCS1: &str = include_str!("../vectors/key2048.pkcs1.pem");
pub(crate) const CERTIFICATE: &str = include_str!("../vectors/cert2048.pem");

pub(crate) fn certificate() -> Certificate {
    Certificate::from_pem(CERTIFICATE).unwrap()
}

/// A time at which the test certificate is valid.
pub(crate) fn now() -> SystemTime {
    certificate().not_before() + Duration::from_mins(1)
}

pub(crate) fn vector_key() -> SealingKey {
    SealingKey::new(PrivateKey::from_pem(PKCS8).unwrap(), certificate()).unwrap()
}

pub(crate) fn ring() -> KeyRing {
    KeyRing::new([vector_key()])
}

/// A second, a third key: made once for all tests.
pub(crate) fn other_key(index: usize) -> SealingKey {
    static MADE: [OnceLock<(String, String)>; 3] = [const { OnceLock::new() }; 3];
    let (private, certificate) = MADE[index].get_or_init(|| {
        let private = PrivateKey::generate(if index == 2 { 3072 } else { 2048 }).unwrap();
        let from = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 * (1 + index as u64));
        let certificate = SelfSigned::new(from, SelfSigned::TEN_YEARS * 50)
            .sign(&private)
            .unwrap();
        (
            private.to_pkcs1_pem().unwrap().to_string(),
            certificate.to_pem().to_owned(),
        )
    });
    SealingKey::new(
        PrivateKey::from_pem(private).unwrap(),
        Certificate::from_pem(certificate).unwrap(),
    )
    .unwrap()
}

pub(crate) fn public(certificate: &Certificate) -> &PublicKey {
    certificate.public_key_at(now()).unwrap()
}

/// One value sealed for the vectors' key.
pub(crate) fn sealed(scope: Scope, namespace: &str, name: &str, value: &str) -> String {
    sealed_bytes(scope, namespace, name, value.as_bytes())
}

fn sealed_bytes(scope: Scope, namespace: &str, name: &str, value: &[u8]) -> String {
    let label = scope.label(namespace, name);
    v1::seal(public(&certificate()), &label, value).unwrap()
}

/// A strict SealedSecret `team/db` with these values.
pub(crate) fn object(values: &[(&str, &str)]) -> Value {
    let bytes = values
        .iter()
        .map(|(key, value)| (*key, value.as_bytes().to_vec()));
    object_of(&bytes.collect::<Vec<_>>())
}

/// The same of bytes that may not be text.
pub(crate) fn object_of(values: &[(&str, Vec<u8>)]) -> Value {
    let data: serde_json::Map<_, _> = values
        .iter()
        .map(|(key, value)| {
            (
                (*key).to_owned(),
                sealed_bytes(Scope::Strict, "team", "db", value).into(),
            )
        })
        .collect();
    json!({
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "metadata": {"name": "db", "namespace": "team"},
        "spec": {"encryptedData": data},
    })
}

/// What went wrong, as lines; for results whose good side has no `Debug`.
pub(crate) fn lines<T, E: std::fmt::Display>(result: Result<T, Vec<E>>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The error's text; for results whose good side has no `Debug`.
pub(crate) fn failure<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(err) => err.to_string(),
    }
}
