//! The `rsa` crate as an independent witness, both ways. It ships in no binary.

use crate::support::{PKCS8, certificate, public, ring};
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, KeyInit, Nonce};
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::sha2::Sha256;
use rsa::{Oaep, RsaPrivateKey};
use sealing::{OpenError, v1};

fn oaep(label: &str) -> Oaep {
    Oaep::new_with_label::<Sha256, _>(label)
}

#[test]
fn it_opens_what_we_seal() {
    let key = RsaPrivateKey::from_pkcs8_pem(PKCS8).unwrap();
    for (label, value) in [("team/db", "hunter2"), ("team", ""), ("", "x")] {
        let sealed = v1::seal(public(&certificate()), label.as_bytes(), value.as_bytes()).unwrap();
        let bytes = STANDARD.decode(&sealed).unwrap();
        assert_eq!(bytes[..2], [1, 0]);
        assert_eq!(bytes.len(), 2 + 256 + value.len() + 16);
        let session = key.decrypt(oaep(label), &bytes[2..258]).unwrap();
        let cipher = Aes256Gcm::new_from_slice(&session).unwrap();
        let opened = cipher
            .decrypt(&Nonce::<Aes256Gcm>::default(), &bytes[258..])
            .unwrap();
        assert_eq!(opened, value.as_bytes());
        assert!(key.decrypt(oaep("other"), &bytes[2..258]).is_err());
    }
}

fn sealed_by_oracle<Cipher: KeyInit + Aead>(session: &[u8], label: &str, value: &[u8]) -> String {
    let key = RsaPrivateKey::from_pkcs8_pem(PKCS8).unwrap().to_public_key();
    let rsa = key
        .encrypt(&mut rsa::rand_core::OsRng, oaep(label), session)
        .unwrap();
    let cipher = Cipher::new_from_slice(session).unwrap();
    let body = cipher.encrypt(&Nonce::<Cipher>::default(), value).unwrap();
    STANDARD.encode([&[1, 0], rsa.as_slice(), &body].concat())
}

#[test]
fn we_open_what_it_seals() {
    let ring = ring();
    for (len, sealed) in [
        (16, sealed_by_oracle::<Aes128Gcm>(&[1; 16], "team/db", b"hunter2")),
        (
            24,
            sealed_by_oracle::<AesGcm<aes::Aes192, U12>>(&[2; 24], "team/db", b"hunter2"),
        ),
        (32, sealed_by_oracle::<Aes256Gcm>(&[3; 32], "team/db", b"hunter2")),
    ] {
        let opened = ring.open(&sealed, b"team/db").unwrap();
        assert_eq!(opened.expose(), b"hunter2", "AES key of {len} bytes");
        assert_eq!(ring.open(&sealed, b"team/other").err(), Some(OpenError::NoKey));
    }
}

#[test]
fn a_bad_session_key_and_a_bad_tag_look_like_a_bad_label() {
    let ring = ring();
    let good = sealed_by_oracle::<Aes256Gcm>(&[3; 32], "l", b"hunter2");
    let mut bad_tag = STANDARD.decode(&good).unwrap();
    *bad_tag.last_mut().unwrap() ^= 1;
    // OAEP succeeds and yields 20 bytes, which no AES takes.
    let key = RsaPrivateKey::from_pkcs8_pem(PKCS8).unwrap().to_public_key();
    let rsa = key
        .encrypt(&mut rsa::rand_core::OsRng, oaep("l"), &[1; 20])
        .unwrap();
    let bad_session = [&[1, 0], rsa.as_slice(), &[0; 30]].concat();

    let failures: Vec<_> = [
        (good, "m"),
        (STANDARD.encode(bad_tag), "l"),
        (STANDARD.encode(bad_session), "l"),
    ]
    .iter()
    .map(|(sealed, label)| {
        let before = ring.private_operations();
        let err = ring.open(sealed, label.as_bytes()).err().unwrap();
        (err.to_string(), ring.private_operations() - before)
    })
    .collect();
    assert_eq!(
        failures,
        vec![("no key opens it under this label".to_owned(), 1); 3]
    );
}
