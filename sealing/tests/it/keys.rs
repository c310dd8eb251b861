//! Reading, making and matching keys.

use crate::support::{CERTIFICATE, PKCS1, PKCS8, certificate, failure, now, other_key, vector_key};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use sealing::{Certificate, PrivateKey, SealingKey, SelfSigned};
use std::time::{Duration, SystemTime};

/// What `ssh-keygen -l` prints for the vectors' key.
const FINGERPRINT: &str = "SHA256:T2fIIetCYEwRtXNWXg8cq5J6i/dOXuzjIIgf+Z8OrtM";

#[test]
fn both_encodings_are_one_key() {
    for pem in [PKCS8, PKCS1] {
        let key = PrivateKey::from_pem(pem).unwrap();
        assert_eq!(key.fingerprint().as_str(), FINGERPRINT);
        assert_eq!(
            key.to_pkcs1_pem().unwrap().as_str(),
            PKCS1,
            "written as OpenSSL writes it"
        );
    }
    assert_eq!(certificate().fingerprint().as_str(), FINGERPRINT);
    assert_eq!(certificate().bits(), 2048);
    let both = format!("{CERTIFICATE}{PKCS8}");
    assert_eq!(
        PrivateKey::from_pem(&both).unwrap().fingerprint().as_str(),
        FINGERPRINT
    );
}

#[test]
fn a_key_of_another_pair_is_noticed() {
    let private = PrivateKey::from_pem(PKCS1).unwrap();
    let other = Certificate::from_pem(other_key(0).certificate().to_pem()).unwrap();
    let text = failure(SealingKey::new(private, other));
    assert!(
        text.starts_with("the private key does not belong to the certificate (SHA256:"),
        "{text}"
    );
}

#[test]
fn private_keys_that_are_refused() {
    let refused = |pem: &str| failure(PrivateKey::from_pem(pem));
    assert_eq!(refused(""), "no whole PEM block with a private key");
    assert_eq!(refused(CERTIFICATE), "no whole PEM block with a private key");
    assert_eq!(
        refused(&PKCS1[..PKCS1.len() / 2]),
        "no whole PEM block with a private key"
    );
    let unsound = "not a sound RSA private key of 2048 to 8192 bits";
    assert_eq!(refused(&PKCS1.replace("RSA PRIVATE", "PRIVATE")), unsound);
    assert_eq!(refused(&PKCS8.replace("PRIVATE", "RSA PRIVATE")), unsound);
    let ec = "the PEM block is neither `RSA PRIVATE KEY` nor `PRIVATE KEY`";
    assert_eq!(refused(&PKCS8.replace("PRIVATE", "EC PRIVATE")), ec);
    let locked = "the private key is protected by a passphrase; store it without one";
    assert_eq!(refused(&PKCS8.replace("PRIVATE", "ENCRYPTED PRIVATE")), locked);
    assert_eq!(
        refused(&PKCS1.replacen('\n', "\nProc-Type: 4,ENCRYPTED\n", 1)),
        locked
    );
    // A key of which one digit is not right any more.
    let (start, end) = PKCS1.split_at(400);
    let digit = if end.starts_with('A') { "B" } else { "A" };
    assert_eq!(refused(&format!("{start}{digit}{}", &end[1..])), unsound);
    assert!(failure(PrivateKey::generate(1024)).starts_with("keys are generated with 2048"));
}

#[test]
fn certificates_that_are_refused() {
    let refused = |pem: &str| failure(Certificate::from_pem(pem));
    assert_eq!(refused(""), "no PEM block `CERTIFICATE` in it");
    assert!(refused(PKCS8).starts_with("it is a private key; a certificate is needed"));
    let bare = PKCS8.replace("PRIVATE KEY", "PUBLIC KEY");
    assert!(refused(&bare).starts_with("it is a bare public key; a certificate is needed"));
    let damaged = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n";
    assert_eq!(refused(damaged), "the certificate is damaged");
    assert_eq!(
        refused(include_str!("../vectors/ec-cert.pem")),
        "the certificate's key is not an RSA key"
    );
    assert_eq!(
        refused(include_str!("../vectors/rsa1024-cert.pem")),
        "the certificate's RSA key is not one of 2048 to 8192 bits"
    );
}

#[test]
fn only_the_first_certificate_counts() {
    let other = other_key(0);
    let chain = format!("{PKCS8}{CERTIFICATE}{}", other.certificate().to_pem());
    let first = Certificate::from_pem(&chain).unwrap();
    assert_eq!(first.fingerprint().as_str(), FINGERPRINT);
    assert_eq!(first.to_pem().trim_end(), CERTIFICATE.trim_end());
}

#[test]
fn an_expired_certificate_gives_no_key() {
    let certificate = certificate();
    assert!(certificate.public_key_at(now()).is_ok());
    assert!(certificate.public_key_at(certificate.not_after()).is_ok());
    // Not valid yet is valid: kubeseal looks at the end only.
    assert!(
        certificate
            .public_key_at(certificate.not_before() - Duration::from_secs(1))
            .is_ok()
    );
    let text = failure(certificate.public_key_at(certificate.not_after() + Duration::from_secs(1)));
    assert!(text.starts_with("the certificate expired on "), "{text}");
}

#[test]
fn a_new_key_is_shaped_as_upstream_shapes_it() {
    let private = PrivateKey::generate(2048).unwrap();
    let from = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let certificate = SelfSigned::new(from, SelfSigned::TEN_YEARS)
        .common_name("sealing")
        .sign(&private)
        .unwrap();
    assert_eq!(certificate.not_before(), from);
    assert_eq!(certificate.not_after(), from + Duration::from_hours(87_600));
    assert_eq!(certificate.fingerprint(), private.fingerprint());

    let block = pem::parse(certificate.to_pem()).unwrap();
    let (_, x509) = x509_parser::parse_x509_certificate(block.contents()).unwrap();
    UnparsedPublicKey::new(
        &RSA_PKCS1_2048_8192_SHA256,
        &x509.public_key().subject_public_key.data,
    )
    .verify(x509.tbs_certificate.as_ref(), &x509.signature_value.data)
    .unwrap();
    assert_eq!(x509.subject().to_string(), "CN=sealing");
    assert_eq!(x509.issuer(), x509.subject());
    assert!(x509.is_ca());
    assert!(x509.key_usage().unwrap().unwrap().value.encipher_only());
    assert_eq!(x509.key_usage().unwrap().unwrap().value.flags.count_ones(), 1);
    assert_eq!(
        x509.signature_algorithm.algorithm.to_id_string(),
        "1.2.840.113549.1.1.11"
    );

    let plain = SelfSigned::new(from, SelfSigned::TEN_YEARS)
        .sign(&private)
        .unwrap();
    let block = pem::parse(plain.to_pem()).unwrap();
    let (_, x509) = x509_parser::parse_x509_certificate(block.contents()).unwrap();
    assert_eq!(x509.subject().iter().count(), 0);
    assert!(
        x509.raw_serial().len() >= 12,
        "random, so short only with small luck"
    );
}

#[test]
fn a_written_key_reads_back() {
    let key = other_key(1);
    let pem = key.private_key().to_pkcs1_pem().unwrap();
    assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    assert_eq!(
        PrivateKey::from_pem(&pem).unwrap().fingerprint(),
        key.fingerprint()
    );
    assert_ne!(key.fingerprint(), vector_key().fingerprint());
}
