//! A SealedSecret of the native format in a file, the recipient that it is for, and the identity that opens it.

use super::TestEnvironment;
use manifest::{Limits, read_stream};
use sealing::SealOptions;
use sealing::v2::{self, Identities, Identity, Recipients, Suite};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `shop/db` with a password and a user, and a text that holds the password.
pub(crate) struct NativeYaml {
    identity: Identity,
}

impl NativeYaml {
    /// Writes the file, with comments in it, and `key.txt`, which opens it.
    pub(crate) fn write(env: &TestEnvironment, file: &str) -> Self {
        let identity = Identity::generate(Suite::MlKem768X25519).unwrap();
        let recipients = Recipients::new([identity.recipient().clone()]).unwrap();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "db", "namespace": "shop", "labels": {"app": "db"}},
            "stringData": {"password": "hunter2", "user": "app"},
        });
        let sealed = v2::seal_secret(&secret, &recipients, SealOptions::default()).unwrap();
        let text = manifest::write_yaml(&[sealed.to_value()])
            .replace("metadata:\n  name", "# the shop's database\nmetadata:\n  name")
            .replace("\n    user: ", "\n    # who connects\n    user: ");
        assert!(text.contains("# who connects"), "{text}");
        env.write(file, &text);
        env.write("key.txt", identity.to_text().as_str());
        Self { identity }
    }

    /// As `--recipient` takes it.
    pub(crate) fn recipient(&self) -> String {
        self.identity.recipient().to_string()
    }

    /// The name of its key.
    pub(crate) fn key_id(&self) -> String {
        self.identity.key_id().to_string()
    }

    /// What is in the Secret, where it stands.
    pub(crate) fn open(&self, env: &TestEnvironment, file: &str) -> BTreeMap<String, String> {
        let object = object(env, file);
        let sealed = v2::SealedSecret::parse(&object).unwrap_or_else(|errors| panic!("{errors:?}"));
        let identities = Identities::new([Identity::parse(&self.identity.to_text()).unwrap()]);
        let namespace = object["metadata"]["namespace"].as_str().unwrap();
        let opened = sealed
            .open(&identities, namespace)
            .unwrap_or_else(|errors| panic!("{errors:?}"));
        opened
            .data()
            .iter()
            .map(|(key, value)| (key.clone(), String::from_utf8(value.expose().to_vec()).unwrap()))
            .collect()
    }
}

/// The first object of a file.
pub(crate) fn object(env: &TestEnvironment, file: &str) -> Value {
    let text = env.read(file);
    let mut documents = read_stream(text.as_bytes(), &Limits::default()).unwrap();
    documents.remove(0).value.unwrap()
}
