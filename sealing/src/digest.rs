//! Digests that say "unchanged".
//!
//! Both encodings are length-prefixed, so that no two different inputs have the same bytes. A digest of plaintext is
//! always keyed: a plain hash of a value with little entropy is as good as the value.

use hmac::{Hmac, KeyInit as _, Mac};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// SHA-256 of a sealed object as it stands in Git: same object, same digest, whatever the order of its fields.
///
/// It is for objects whose values are sealed. Never use it for a Secret.
#[must_use]
pub fn sealed_digest(object: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    feed(&mut |bytes| hash.update(bytes), b"signet.dev/sealed-digest/v1");
    value(&mut |bytes| hash.update(bytes), object);
    hash.finalize().into()
}

/// HMAC-SHA256 (RFC 2104) over fields of which each is length-prefixed.
pub(crate) struct KeyedDigest(Hmac<Sha256>);

impl KeyedDigest {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        // HMAC pads a short key with zeros to its block size (RFC 2104, 2); done here, it cannot fail.
        let mut block = Zeroizing::new([0; 64]);
        block[..key.len()].copy_from_slice(key);
        Self(Hmac::new((&*block).into()))
    }

    pub(crate) fn field(&mut self, bytes: &[u8]) {
        let mac = &mut self.0;
        feed(&mut |bytes| mac.update(bytes), bytes);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }
}

/// Fields in one text of bytes, each with its length before it as 8 bytes, big endian: no two different lists of fields
/// have the same bytes.
pub(crate) fn length_prefixed(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.iter().map(|field| 8 + field.len()).sum());
    for field in fields {
        feed(&mut |bytes| out.extend_from_slice(bytes), field);
    }
    out
}

fn value(sink: &mut dyn FnMut(&[u8]), node: &Value) {
    match node {
        Value::Null => sink(b"n"),
        Value::Bool(flag) => sink(if *flag { b"t" } else { b"f" }),
        Value::Number(number) => {
            sink(b"#");
            feed(sink, number.to_string().as_bytes());
        }
        Value::String(text) => {
            sink(b"s");
            feed(sink, text.as_bytes());
        }
        Value::Array(items) => {
            sink(b"a");
            length(sink, items.len());
            for item in items {
                value(sink, item);
            }
        }
        Value::Object(map) => {
            sink(b"o");
            length(sink, map.len());
            // Sorted here, since a crate elsewhere can turn on serde_json's `preserve_order` for all.
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            for (key, field) in fields {
                feed(sink, key.as_bytes());
                value(sink, field);
            }
        }
    }
}

fn feed(sink: &mut dyn FnMut(&[u8]), bytes: &[u8]) {
    length(sink, bytes.len());
    sink(bytes);
}

fn length(sink: &mut dyn FnMut(&[u8]), len: usize) {
    sink(&(len as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let read = |text| serde_json::from_str::<Value>(text).unwrap();
        let one = sealed_digest(&read(r#"{"a":1,"b":["x","y"]}"#));
        assert_eq!(one, sealed_digest(&read(r#"{"b":["x","y"],"a":1}"#)));
        for other in [
            json!({"a": "1", "b": ["x", "y"]}),
            json!({"a": 1, "b": ["xy"]}),
            json!({"a": 1, "b": ["y", "x"]}),
            json!({"a": 1, "b": ["x", "y"], "c": null}),
            json!({"a": 1.0, "b": ["x", "y"]}),
        ] {
            assert_ne!(one, sealed_digest(&other), "{other}");
        }
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let digest = |fields: &[&[u8]]| {
            let mut keyed = KeyedDigest::new(&[7; 32]);
            for field in fields {
                keyed.field(field);
            }
            keyed.finish()
        };
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_ne!(digest(&[b""]), digest(&[]));
    }
}
