//! Random input for format v2: what is sealed opens, one changed byte is noticed, and nothing panics.

use super::support::*;
use crate::properties::any_json;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use sealing::v2::{Identity, KeyId, Recipient, SealedSecret, seal_secret};
use sealing::{Scope, SealOptions};
use serde_json::{Value, json};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_secret_survives(
        values in btree_map("[a-z.]{1,8}x", vec(any::<u8>(), 0..200), 1..6),
        scope in prop_oneof![Just(Scope::Strict), Just(Scope::Namespace), Just(Scope::Cluster)],
        labels in btree_map("[a-z]{1,8}", "\\PC{0,20}", 0..4),
        index in prop_oneof![Just(CLUSTER), Just(CLASSICAL)],
    ) {
        prop_assume!(values.keys().all(|key| !key.starts_with("..")));
        let encoded: serde_json::Map<_, _> = values
            .iter()
            .map(|(key, value)| (key.clone(), BASE64_STANDARD.encode(value).into()))
            .collect();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "team", "labels": labels},
            "data": encoded,
        });
        let options = SealOptions { scope: Some(scope), ..SealOptions::default() };
        let object = seal_secret(&secret, &recipients(&[index]), options).unwrap().to_value();
        // What was written reads as it was written.
        let parsed = parse(&object);
        prop_assert_eq!(&parsed.to_value(), &object);
        let opened = parsed.open(&identities(&[index]), "team").ok().unwrap();
        prop_assert_eq!(opened.data().len(), values.len());
        for (key, value) in opened.data() {
            prop_assert_eq!(value.expose(), values[key].as_slice());
        }
        for (key, outline) in parsed.outline() {
            prop_assert!((outline.at_least..=outline.at_most).contains(&values[key].len()));
        }
        // Sealing the same value again under the same key changes nothing.
        let unlocked = parsed.unlock(&identities(&[index])).ok().unwrap();
        let same = values.into_iter().map(|(key, value)| (key, Some(sealing::Plaintext::new(value)))).collect();
        prop_assert_eq!(unlocked.set(&same, &recipients(&[index])).unwrap().to_value(), object);
    }

    #[test]
    fn one_changed_byte_is_noticed(at in any::<prop::sample::Index>(), change in 1u8.., in_file in any::<bool>()) {
        let mut object = sealed_for(Scope::Strict, &[CLASSICAL]);
        let text = if in_file {
            object["spec"]["dataKeys"][0]["age"].as_str().unwrap().to_owned()
        } else {
            line(&object, "password")[17..].to_owned()
        };
        let mut bytes = BASE64_STANDARD.decode(text).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let text = BASE64_STANDARD.encode(bytes);
        if in_file {
            object["spec"]["dataKeys"][0]["age"] = text.into();
        } else {
            let id = line(&object, "password")[..17].to_owned();
            object["spec"]["values"]["password"] = format!("{id}{text}").into();
        }
        prop_assert!(open(&object, &[CLASSICAL], "team").is_err());
    }
}

proptest! {
    #[test]
    fn arbitrary_texts_never_panic(text in "\\PC{0,200}", age in "(age1|age1pq1|AGE-SECRET-KEY-(PQ-)?1|key-)[0-9a-zA-Z]{0,80}") {
        for text in [&text, &age] {
            let _ = text.parse::<Recipient>();
            let _ = text.parse::<KeyId>();
            let _ = Identity::parse_file(text);
        }
    }

    #[test]
    fn arbitrary_objects_never_panic(any in any_json(), at in 0usize..12, file in vec(any::<u8>(), 0..300)) {
        let ids = identities(&[CLASSICAL]);
        let look = |object: &Value| {
            if let Ok(parsed) = SealedSecret::parse(object) {
                assert_eq!(parse(&parsed.to_value()).to_value(), parsed.to_value());
                let _ = parsed.open(&ids, "team").map(|opened| opened.write_json());
                let _ = parsed.unset(["password"]);
            }
        };
        look(&any);
        let places = [
            "/metadata", "/spec", "/spec/scope", "/spec/sealedFor", "/spec/dataKeys", "/spec/dataKeys/0", "/spec/values",
            "/spec/values/password", "/spec/template", "/spec/template/metadata", "/metadata/name", "/spec/dataKeys/0/recipients",
        ];
        let whole = classical();
        let mut object = whole.clone();
        *object.pointer_mut(places[at]).unwrap() = any.clone();
        look(&object);
        let mut object = whole.clone();
        let mut head = b"age-encryption.org/v1\n-> X25519 ".to_vec();
        head.extend_from_slice(&file);
        object["spec"]["dataKeys"][0]["age"] = BASE64_STANDARD.encode(head).into();
        look(&object);
    }

    /// Headers that pass our own look at them, so that age's reader sees them: one recipient and the right length of payload,
    /// anything else in the stanza, the lines beside it and the MAC.
    #[test]
    fn headers_of_the_right_shape_never_panic(
        words in vec("[0-9A-Za-z+/=]{0,70}", 0..5),
        body in vec("[0-9A-Za-z+/=]{0,70}", 0..4),
        grease in vec("[0-9A-Za-z+/=]{0,64}", 0..4),
        mac in "[0-9A-Za-z+/= ]{0,50}",
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        whole_stanza in any::<bool>(),
    ) {
        let mut object = classical();
        let text = object["spec"]["dataKeys"][0]["age"].as_str().unwrap().to_owned();
        let file = BASE64_STANDARD.decode(text).unwrap();
        let mac_at = file.windows(5).position(|at| at == b"\n--- ").unwrap() + 1;
        let payload_at = mac_at + file[mac_at..].iter().position(|b| *b == b'\n').unwrap() + 1;
        let header = std::str::from_utf8(&file[..mac_at]).unwrap();
        let first = "age-encryption.org/v1\n";
        let mut lines = vec![first.trim_end().to_owned()];
        if whole_stanza {
            lines.push(header[first.len()..].trim_end().to_owned());
        } else {
            lines.push(format!("-> X25519 {}", words.join(" ")));
            lines.extend(body);
        }
        if !grease.is_empty() {
            lines.push("-> x-grease".to_owned());
            lines.extend(grease);
        }
        lines.push(format!("--- {mac}\n"));
        let made = lines.join("\n");
        let mut payload = file[payload_at..].to_vec();
        for (at, change) in flips {
            let at = at.index(payload.len());
            payload[at] ^= change;
        }
        let age = BASE64_STANDARD.encode([made.as_bytes(), &payload].concat());
        object["spec"]["dataKeys"][0]["age"] = age.into();
        // It is read, so age has looked at the header, and found that its MAC is another's.
        prop_assert!(parse(&object).open(&identities(&[CLASSICAL]), "team").is_err());
    }
}

fn classical() -> Value {
    static MADE: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
    MADE.get_or_init(|| sealed_for(Scope::Strict, &[CLASSICAL]))
        .clone()
}
