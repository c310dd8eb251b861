//! A SealedSecret in a file with everything that people put around values, and keys to open it.

use super::TestEnvironment;
use super::keys::{CERTIFICATE, PRIVATE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealing::{Certificate, PrivateKey, SelfSigned, v1};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// `shop/db` with a password and a user, sealed for `cert.pem`.
pub(crate) struct SealedYaml;

impl SealedYaml {
    /// Writes the file, and `key.pem`, which opens it. Gives the file's text.
    pub(crate) fn write(env: &TestEnvironment, file: &str) -> String {
        let certificate = Certificate::from_pem(CERTIFICATE).unwrap();
        let key = certificate.public_key_at(SystemTime::now()).unwrap();
        let seal = |value: &str| v1::seal(key, b"shop/db", value.as_bytes()).unwrap();
        let text = format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n# the shop's database\nmetadata:\n  name: db\n  \
             namespace: shop\nspec:\n  encryptedData:\n    # two values\n    password: {} # rotated monthly\n    user: {}\n  \
             template:\n    metadata:\n      name: db\n      namespace: shop\n      labels:\n        app: db\n",
            seal("hunter2"),
            seal("app")
        );
        env.write(file, &text);
        env.write("key.pem", PRIVATE);
        text
    }

    /// The key as the controller's Secret holds it.
    pub(crate) fn key_secret() -> String {
        format!(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: k}}\n  data:\n    tls.crt: \
             {}\n    tls.key: {}\n",
            STANDARD.encode(CERTIFICATE),
            STANDARD.encode(PRIVATE)
        )
    }
}

/// A key that nothing is sealed for.
fn other() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(2048).unwrap())
}

pub(crate) fn other_private_key() -> String {
    other().to_pkcs1_pem().unwrap().to_string()
}

/// Its certificate and its name.
pub(crate) fn other_certificate() -> (String, String) {
    let certificate = SelfSigned::new(SystemTime::now(), Duration::from_hours(24))
        .sign(other())
        .unwrap();
    (
        certificate.to_pem().to_owned(),
        certificate.fingerprint().to_string(),
    )
}
