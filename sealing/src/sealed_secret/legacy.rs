//! The deprecated `spec.data` of before version 0.7: the whole Secret as JSON in one sealed value.

use super::fields::Problems;
use super::parse::{LARGEST, secret_metadata};
use super::{ItemError, ItemProblem, SealedSecret};
use crate::path::is_data_key;
use crate::ring::{KeyRing, OpenError};
use crate::v1::Envelope;
use crate::{Opened, Plaintext, base64_text};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The Secret inside, as far as it reaches the Secret outside.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inner {
    kind: Option<String>,
    #[serde(default)]
    metadata: Value,
    #[serde(rename = "type")]
    type_: Option<String>,
    immutable: Option<bool>,
    data: Option<BTreeMap<String, Hidden>>,
    string_data: Option<BTreeMap<String, Hidden>>,
}

/// Text that is wiped when dropped; null is empty, as Go reads it.
struct Hidden(Zeroizing<String>);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(Self(Zeroizing::new(text.unwrap_or_default())))
    }
}

impl SealedSecret {
    /// Opens the one blob. Templates are left out of account, as upstream does; name and namespace are the object's.
    pub(super) fn open_legacy(
        &self,
        sealed: &str,
        ring: &KeyRing,
        namespace: &str,
    ) -> Result<Opened, ItemError> {
        let fail = |problem| ItemError { key: None, problem };
        let label = self.scope.label(namespace, &self.name);
        let open = |envelope: &Envelope| {
            let (plaintext, by) = ring.open_envelope(envelope, &label)?;
            Ok::<_, OpenError>((plaintext, by.fingerprint().clone()))
        };
        let (plaintext, key) = Envelope::parse(sealed)
            .and_then(|envelope| open(&envelope))
            .map_err(|err| fail(self.problem(err, namespace)))?;
        // Whatever the parser says may quote the plaintext.
        let inner: Inner =
            serde_json::from_slice(plaintext.expose()).map_err(|_| fail(ItemProblem::NotASecret))?;
        let data = inner.values().ok_or_else(|| fail(ItemProblem::NotASecret))?;
        if data.values().map(Plaintext::len).sum::<usize>() > LARGEST {
            return Err(fail(ItemProblem::TooLarge));
        }
        let mut problems = Problems::default();
        let metadata = secret_metadata(&json!({"metadata": inner.metadata}), &mut problems);
        if !problems.0.is_empty() {
            return Err(fail(ItemProblem::NotASecret));
        }
        Ok(Opened {
            metadata: self.placed(metadata, namespace),
            type_: inner.type_.filter(|text| !text.is_empty()),
            immutable: inner.immutable,
            keys: data.keys().map(|name| (name.clone(), key.clone())).collect(),
            data,
        })
    }
}

impl Inner {
    /// `data`, decoded, and `stringData` over it, as the API server joins them. None if a value or a key cannot be one.
    fn values(&self) -> Option<BTreeMap<String, Plaintext>> {
        if self.kind.as_deref().is_some_and(|kind| kind != "Secret") {
            return None;
        }
        let mut values = BTreeMap::new();
        for (key, value) in self.data.iter().flatten() {
            let bytes = base64_text::decode(&value.0).ok()?;
            values.insert(key.clone(), Plaintext::from(bytes));
        }
        for (key, value) in self.string_data.iter().flatten() {
            values.insert(key.clone(), Plaintext::new(value.0.as_bytes().to_vec()));
        }
        values.keys().all(|key| is_data_key(key)).then_some(values)
    }
}
