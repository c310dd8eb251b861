//! An opened SealedSecret: the Secret, with plaintext inside.

use crate::digest::KeyedDigest;
use crate::{Fingerprint, Plaintext, base64_text};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The Secret that a SealedSecret becomes. Like [`Plaintext`], it has neither `Debug` nor `Serialize` nor `Clone`; the
/// one way out is [`Opened::write_json`].
pub struct Opened {
    pub(crate) metadata: Map<String, Value>,
    pub(crate) type_: Option<String>,
    pub(crate) immutable: Option<bool>,
    pub(crate) data: BTreeMap<String, Plaintext>,
    pub(crate) keys: BTreeMap<String, Fingerprint>,
}

impl Opened {
    /// The Secret's metadata: name, namespace, and what the template says.
    #[must_use]
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// The metadata, for labels and annotations that the controller adds.
    pub fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.metadata
    }

    /// Whether the Secret is immutable, and it no longer: what is written before all is known can be taken back then.
    pub fn thaw(&mut self) -> bool {
        self.immutable.take() == Some(true)
    }

    /// Makes it immutable again.
    pub fn freeze(&mut self) {
        self.immutable = Some(true);
    }

    /// The Secret without its data: nothing in it is secret.
    #[must_use]
    pub fn skeleton(&self) -> Value {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": self.metadata});
        if let Some(type_) = &self.type_ {
            secret["type"] = type_.as_str().into();
        }
        if let Some(immutable) = self.immutable {
            secret["immutable"] = immutable.into();
        }
        secret
    }

    /// The data.
    #[must_use]
    pub fn data(&self) -> &BTreeMap<String, Plaintext> {
        &self.data
    }

    /// Which sealing key opened each value of `encryptedData`: what has to be known before a key is retired.
    #[must_use]
    pub fn opened_by(&self) -> &BTreeMap<String, Fingerprint> {
        &self.keys
    }

    /// The whole Secret as JSON, in a buffer that is sized beforehand (it never grows, so it leaves no copy behind) and
    /// wiped when dropped.
    #[must_use]
    pub fn write_json(&self) -> Zeroizing<Vec<u8>> {
        let skeleton = self.skeleton().to_string();
        let head = skeleton.strip_suffix('}').unwrap_or(&skeleton);
        let keys: Vec<_> = self
            .data
            .keys()
            .map(|key| Value::from(key.as_str()).to_string())
            .collect();
        let entries: usize = keys
            .iter()
            .zip(self.data.values())
            .map(|(key, value)| key.len() + r#":"","#.len() + base64_text::encoded_len(value.len()))
            .sum();
        // The last entry has no comma after it.
        let size = head.len() + r#","data":{}}"#.len() + entries.saturating_sub(1);

        let mut out = Zeroizing::new(Vec::with_capacity(size));
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(br#","data":{"#);
        for (index, (key, value)) in keys.iter().zip(self.data.values()).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(br#":""#);
            base64_text::append(value.expose(), &mut out);
            out.push(b'"');
        }
        out.extend_from_slice(b"}}");
        out
    }

    /// HMAC-SHA256 over type, immutability and data. It says "the content is as before" without being a hash of it.
    /// Labels and annotations are left out: server-side apply compares those in the open.
    #[must_use]
    pub fn keyed_digest(&self, key: &[u8; 32]) -> [u8; 32] {
        let mut digest = KeyedDigest::new(key);
        digest.field(b"signet.dev/content-digest/v1");
        digest.field(self.type_.as_deref().unwrap_or_default().as_bytes());
        digest.field(if self.immutable == Some(true) {
            b"immutable"
        } else {
            b""
        });
        for (key, value) in &self.data {
            digest.field(key.as_bytes());
            digest.field(value.expose());
        }
        digest.finish()
    }
}
