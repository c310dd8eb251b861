//! Keys and objects of format v2 that several tests use.

use sealing::v2::{Identities, Identity, Recipient, Recipients, SealedSecret, Suite, seal_secret};
use sealing::{Opened, Plaintext, Scope, SealOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The cluster's key, a team's and the recovery key, made once for all tests.
pub(crate) fn key(index: usize) -> Identity {
    static MADE: [OnceLock<String>; 4] = [const { OnceLock::new() }; 4];
    let text = MADE[index].get_or_init(|| {
        let suite = if index == 3 {
            Suite::X25519
        } else {
            Suite::MlKem768X25519
        };
        Identity::generate(suite).unwrap().to_text().to_string()
    });
    Identity::parse(text).unwrap()
}

pub(crate) const CLUSTER: usize = 0;
pub(crate) const TEAM: usize = 1;
pub(crate) const STRANGER: usize = 2;
pub(crate) const CLASSICAL: usize = 3;

pub(crate) fn identities(indices: &[usize]) -> Identities {
    Identities::new(indices.iter().map(|index| key(*index)))
}

pub(crate) fn recipient(index: usize) -> Recipient {
    key(index).recipient().clone()
}

pub(crate) fn recipients(indices: &[usize]) -> Recipients {
    Recipients::new(indices.iter().map(|index| recipient(*index))).unwrap()
}

/// A Secret `team/db` with all that a template can hold.
pub(crate) fn secret() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "db", "namespace": "team",
            "labels": {"app": "db"}, "annotations": {"note": "n"}, "finalizers": ["a.b/c"],
        },
        "type": "example.com/db",
        "immutable": false,
        "stringData": {"banner": "welcome", "password": "hunter2"},
    })
}

pub(crate) fn sealed_for(scope: Scope, indices: &[usize]) -> Value {
    let options = SealOptions {
        scope: Some(scope),
        ..SealOptions::default()
    };
    seal_secret(&secret(), &recipients(indices), options)
        .unwrap()
        .to_value()
}

/// A strict object for the cluster.
pub(crate) fn sealed() -> Value {
    sealed_for(Scope::Strict, &[CLUSTER])
}

pub(crate) fn parse(object: &Value) -> SealedSecret {
    match SealedSecret::parse(object) {
        Ok(parsed) => parsed,
        Err(problems) => panic!("{problems:?}"),
    }
}

pub(crate) fn open(object: &Value, indices: &[usize], namespace: &str) -> Result<Opened, Vec<String>> {
    let parsed =
        SealedSecret::parse(object).map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    parsed
        .open(&identities(indices), namespace)
        .map_err(|all| all.iter().map(ToString::to_string).collect())
}

/// The data of an object that opens.
pub(crate) fn data(object: &Value, indices: &[usize], namespace: &str) -> BTreeMap<String, String> {
    match open(object, indices, namespace) {
        Ok(opened) => texts(opened.data()),
        Err(problems) => panic!("{problems:?}"),
    }
}

pub(crate) fn texts(values: &BTreeMap<String, Plaintext>) -> BTreeMap<String, String> {
    values
        .iter()
        .map(|(key, value)| (key.clone(), String::from_utf8(value.expose().to_vec()).unwrap()))
        .collect()
}

pub(crate) fn plain(values: &[(&str, &str)]) -> BTreeMap<String, Plaintext> {
    values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Plaintext::new(value.as_bytes().to_vec())))
        .collect()
}

pub(crate) fn line(object: &Value, key: &str) -> String {
    object["spec"]["values"][key].as_str().unwrap().to_owned()
}
