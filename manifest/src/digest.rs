//! One stable hash of a value.

use serde_json::{Number, Value};
use sha2::{Digest as _, Sha256};

/// SHA-256 over a canonical encoding of a value: equal for equal values, whatever the order of their keys, and
/// different for different ones (every part carries its type and its length).
///
/// An integral float counts as the integer it prints as, as the reader takes it. The digest is not keyed: the digest of
/// something guessable gives it away, so it is not for plaintext secrets.
pub fn digest(value: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"signet value 1\0");
    feed(&mut hash, value);
    hash.finalize().into()
}

fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"n"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Bool(true) => hash.update(b"t"),
        Value::Number(number) => number_bytes(hash, number),
        Value::String(text) => bytes(hash, b"s", text.as_bytes()),
        Value::Array(items) => {
            length(hash, b"a", items.len());
            for item in items {
                feed(hash, item);
            }
        }
        Value::Object(fields) => {
            length(hash, b"o", fields.len());
            // The map may keep insertion order: that depends on features other crates switch on.
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| key.as_str());
            for (key, value) in fields {
                bytes(hash, b"k", key.as_bytes());
                feed(hash, value);
            }
        }
    }
}

fn number_bytes(hash: &mut Sha256, number: &Number) {
    let number = crate::read::integral(number);
    if let Some(float) = number.as_f64().filter(|_| number.is_f64()) {
        bytes(hash, b"d", &float.to_bits().to_be_bytes());
    } else {
        bytes(hash, b"i", number.to_string().as_bytes());
    }
}

fn bytes(hash: &mut Sha256, kind: &[u8], bytes: &[u8]) {
    length(hash, kind, bytes.len());
    hash.update(bytes);
}

fn length(hash: &mut Sha256, kind: &[u8], length: usize) {
    hash.update(kind);
    hash.update((length as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_matter_and_that_of_items_does() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":[1,2]}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"b":[1,2],"a":1}"#).unwrap();
        assert_eq!(digest(&one), digest(&two));
        assert_ne!(digest(&json!([1, 2])), digest(&json!([2, 1])));
    }

    #[test]
    fn different_values_differ() {
        let values = [
            json!(null),
            json!(false),
            json!(true),
            json!(0),
            json!(-1),
            json!(1),
            json!(1.5),
            json!("1"),
            json!(""),
            json!([]),
            json!([[]]),
            json!([[], []]),
            json!({}),
            json!({"a": "bc"}),
            json!({"ab": "c"}),
            json!(["a", "bc"]),
            json!(["ab", "c"]),
            json!({"a": null}),
        ];
        let digests: std::collections::BTreeSet<_> = values.iter().map(digest).collect();
        assert_eq!(digests.len(), values.len());
    }

    #[test]
    fn an_integral_float_is_its_integer() {
        assert_eq!(digest(&json!(1.0)), digest(&json!(1)));
        assert_eq!(digest(&json!(-0.0)), digest(&json!(0)));
    }

    /// The digest is stored in clusters: if this fails, every stored digest has become worthless.
    #[test]
    fn it_stays_what_it_is() {
        let value = json!({"kind": "ConfigMap", "data": {"a": "b", "n": [1, 2.5, null, true]}});
        let shown = digest(&value).map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(
            shown,
            "5c0fbc735927ab5ef6d71365eabf04016cead3a41687b966798382ef004ec704"
        );
    }
}
