//! Random input: what is sealed opens, and nothing panics.

use crate::support::{certificate, object, public, ring};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use sealing::{Certificate, PrivateKey, Scope, SealOptions, SealedSecret, seal_secret, sealed_digest, v1};
use serde_json::{Value, json};

pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let names = "(name|namespace|metadata|annotations|labels|data|template|type|immutable|spec|\\PC{0,4})";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[a-zA-Z0-9+/=\r\n]{0,40}".prop_map(Value::from),
        Just(json!("{{ .a }}")),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(names, inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sealed_opens(value in vec(any::<u8>(), 0..2000), label in vec(any::<u8>(), 0..80)) {
        let sealed = v1::seal(public(&certificate()), &label, &value).unwrap();
        let ring = ring();
        let opened = ring.open(&sealed, &label).unwrap();
        prop_assert_eq!(opened.expose(), value.as_slice());
        let mut other = label.clone();
        other.push(b'x');
        prop_assert!(ring.open(&sealed, &other).is_err());
    }

    #[test]
    fn one_changed_byte_is_noticed(at in 0usize..281, change in 1u8..) {
        use base64::Engine as _;
        let engine = base64::prelude::BASE64_STANDARD;
        let sealed = v1::seal(public(&certificate()), b"l", b"hunter2").unwrap();
        let mut bytes = engine.decode(sealed).unwrap();
        prop_assert_eq!(bytes.len(), 281);
        bytes[at] ^= change;
        prop_assert!(ring().open(&engine.encode(bytes), b"l").is_err());
    }

    #[test]
    fn a_secret_survives(values in btree_map("[a-z.]{1,8}x", "\\PC{0,40}", 1..5)) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "team"}, "stringData": values,
        });
        prop_assume!(values.keys().all(|key| !key.starts_with("..")));
        let sealed = seal_secret(&secret, public(&certificate()), SealOptions::default()).unwrap();
        let opened = SealedSecret::parse(&sealed).ok().unwrap().open(&ring(), "team").ok().unwrap();
        prop_assert_eq!(opened.data().len(), values.len());
        for (key, value) in opened.data() {
            prop_assert_eq!(value.expose(), values[key].as_bytes());
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}", base64 in "[A-Za-z0-9+/=\r\n]{0,200}") {
        let ring = ring();
        let _ = ring.open(&text, text.as_bytes());
        let _ = ring.open(&base64, b"");
        let _ = PrivateKey::from_pem(&text);
        let _ = Certificate::from_pem(&text);
        for label in ["CERTIFICATE", "PUBLIC KEY", "PRIVATE KEY", "RSA PRIVATE KEY"] {
            let pem = format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n");
            let _ = PrivateKey::from_pem(&pem);
            let _ = Certificate::from_pem(&pem);
        }
        let _ = text.parse::<Scope>();
    }

    #[test]
    fn arbitrary_objects_never_panic(any in any_json(), at in 0usize..8) {
        let _ = SealedSecret::parse(&any).map(|parsed| parsed.open(&ring(), "team").is_ok());
        let _ = seal_secret(&any, public(&certificate()), SealOptions::default());
        let _ = sealed_digest(&any);
        // An object that is right but for one place.
        let places = [
            "/metadata", "/spec", "/spec/encryptedData", "/spec/template", "/spec/template/metadata",
            "/spec/template/data", "/spec/encryptedData/k", "/metadata/name",
        ];
        let mut object = object(&[("k", "v")]);
        object["spec"]["template"] = json!({"metadata": {}, "data": {"x": "{{ .k }}"}});
        *object.pointer_mut(places[at]).unwrap() = any.clone();
        if let Ok(parsed) = SealedSecret::parse(&object) {
            let _ = parsed.open(&ring(), "team").map(|opened| opened.write_json());
        }
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "b"}, "data": {}});
        *secret.pointer_mut(["/metadata", "/data", "/metadata/name"][at % 3]).unwrap() = any;
        let _ = seal_secret(&secret, public(&certificate()), SealOptions::default());
    }
}
