//! What is sealed in format v2 opens where it may, and becomes the Secret it was.

use super::support::*;
use sealing::v2::{
    Identity, Recipient, RecipientError, Recipients, RecipientsError, SealedSecret, Suite, seal_secret,
};
use sealing::{Scope, SealOptions};
use serde_json::json;

#[test]
fn a_secret_comes_back_whole() {
    let opened = open(&sealed(), &[CLUSTER], "team").ok().unwrap();
    assert_eq!(
        opened.skeleton(),
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "example.com/db", "immutable": false,
            "metadata": {"name": "db", "namespace": "team",
                "labels": {"app": "db"}, "annotations": {"note": "n"}, "finalizers": ["a.b/c"]},
        })
    );
    assert_eq!(
        texts(opened.data()),
        [("banner", "welcome"), ("password", "hunter2")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into()
    );
    let by: Vec<_> = opened
        .opened_by()
        .values()
        .map(sealing::Fingerprint::as_str)
        .collect();
    assert_eq!(by, [key(CLUSTER).key_id().as_str(); 2]);
}

#[test]
fn every_scope_travels_as_far_as_it_says() {
    for (scope, places) in [
        (Scope::Strict, [true, false, false]),
        (Scope::Namespace, [true, true, false]),
        (Scope::Cluster, [true, true, true]),
    ] {
        let object = sealed_for(scope, &[CLUSTER]);
        for ((namespace, name), opens) in [("team", "db"), ("team", "other"), ("else", "db")]
            .into_iter()
            .zip(places)
        {
            let mut moved = object.clone();
            moved["metadata"]["namespace"] = namespace.into();
            moved["metadata"]["name"] = name.into();
            let result = open(&moved, &[CLUSTER], namespace);
            assert_eq!(result.is_ok(), opens, "{scope} {namespace}/{name}");
            if let Err(problems) = result {
                assert!(problems[0].contains("it is sealed for"), "{problems:?}");
            }
        }
    }
}

#[test]
fn a_cluster_wide_secret_needs_no_namespace() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db",
        "annotations": {"sealedsecrets.bitnami.com/cluster-wide": "true"}}, "stringData": {"a": "b"}});
    let object = seal_secret(&secret, &recipients(&[CLUSTER]), SealOptions::default())
        .unwrap()
        .to_value();
    assert_eq!(object["spec"]["scope"], "Cluster");
    assert_eq!(object["spec"].get("sealedFor"), None);
    // The annotation is format v1's: here the scope is a field.
    assert_eq!(object["spec"].get("template"), None);
    assert_eq!(data(&object, &[CLUSTER], "anywhere")["a"], "b");
}

#[test]
fn every_recipient_opens_and_nobody_else() {
    let object = sealed_for(Scope::Strict, &[CLUSTER, TEAM]);
    assert_eq!(data(&object, &[CLUSTER], "team"), data(&object, &[TEAM], "team"));
    let problems = open(&object, &[STRANGER], "team").err().unwrap();
    assert_eq!(problems.len(), 2);
    for index in [CLUSTER, TEAM] {
        assert!(problems[0].contains(key(index).key_id().as_str()), "{problems:?}");
    }
    let classical = sealed_for(Scope::Strict, &[CLASSICAL]);
    assert_eq!(
        data(&classical, &[CLASSICAL, CLUSTER], "team")["password"],
        "hunter2"
    );
    assert!(open(&classical, &[CLUSTER], "team").is_err());
    assert!(
        open(&classical, &[], "team").err().unwrap()[0].contains("no sealing keys"),
        "an empty set of keys is said"
    );
}

#[test]
fn opening_costs_one_private_operation_a_data_key() {
    let ids = identities(&[TEAM, CLUSTER, STRANGER]);
    let parsed = parse(&sealed_for(Scope::Strict, &[CLUSTER, TEAM]));
    assert!(parsed.open(&ids, "team").is_ok());
    assert_eq!(ids.private_operations(), 1);
    let two = parsed
        .set(&plain(&[("more", "x")]), &recipients(&[CLUSTER]))
        .unwrap();
    assert!(two.open(&ids, "team").is_ok());
    assert_eq!(ids.private_operations(), 3);
    // None for what is not for us.
    let other = parse(&sealed_for(Scope::Strict, &[CLASSICAL]));
    assert!(other.open(&ids, "team").is_err());
    assert_eq!(ids.private_operations(), 3);
}

#[test]
fn texts_are_filled_and_ingredients_left_out() {
    let mut secret = secret();
    secret["stringData"] = json!({"user": "u", "password": "p$${w}"});
    let sealed = seal_secret(&secret, &recipients(&[CLUSTER]), SealOptions::default()).unwrap();
    let unlocked = sealed.unlock(&identities(&[CLUSTER])).ok().unwrap();
    let mut template = unlocked.template();
    template["data"] = json!({"url": "db://${user}:${password}@h/$${user}"});
    template["omit"] = json!(["password"]);
    let object = unlocked
        .retemplate(&template, &recipients(&[CLUSTER]))
        .unwrap()
        .to_value();
    let found = data(&object, &[CLUSTER], "team");
    assert_eq!(found.keys().collect::<Vec<_>>(), ["url", "user"]);
    // Values are put in as they are, and not looked at again.
    assert_eq!(found["url"], "db://u:p$${w}@h/${user}");
}

#[test]
fn sizes_are_padded() {
    let lens = |value: &str| {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "b"},
            "stringData": {"k": value}});
        let object = seal_secret(&secret, &recipients(&[CLASSICAL]), SealOptions::default())
            .unwrap()
            .to_value();
        let parsed = parse(&object);
        let (_, outline) = parsed.outline().next().unwrap();
        assert!(
            (outline.at_least..=outline.at_most).contains(&value.len()),
            "{}",
            value.len()
        );
        line(&object, "k").len()
    };
    assert_eq!(lens(""), lens(&"x".repeat(28)));
    assert_ne!(lens(""), lens(&"x".repeat(29)));
    assert_eq!(lens(&"x".repeat(29)), lens(&"x".repeat(60)));
}

#[test]
fn an_empty_value_is_a_value() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "b"},
        "stringData": {"k": ""}});
    let object = seal_secret(&secret, &recipients(&[CLUSTER]), SealOptions::default())
        .unwrap()
        .to_value();
    assert_eq!(data(&object, &[CLUSTER], "b")["k"], "");
}

#[test]
fn keys_are_read_as_age_writes_them() {
    // The example key of the C2SP specification.
    for index in [CLUSTER, CLASSICAL] {
        let identity = key(index);
        let text = identity.to_text();
        let public = identity.recipient().to_string();
        assert_eq!(Identity::parse(&text).ok().unwrap().key_id(), identity.key_id());
        assert_eq!(&public.parse::<Recipient>().unwrap().to_string(), &public);
        assert!(text.chars().all(|c| !c.is_ascii_lowercase()));
        assert_eq!(text.parse::<Recipient>().err(), Some(RecipientError::IsPrivate));
        // In the other case they are other things, as in Go's age.
        assert!(Identity::parse(&text.to_ascii_lowercase()).is_err());
        assert!(public.to_ascii_uppercase().parse::<Recipient>().is_err());
        let file = format!("# a comment\n\n{}\n", *text);
        assert_eq!(Identity::parse_file(&file).ok().unwrap().len(), 1);
    }
    assert!(Identity::parse_file("# nothing\n").is_err());
    assert_eq!(key(CLUSTER).suite(), Suite::MlKem768X25519);
    for bad in [
        "",
        "age1",
        "age1yubikey1qqq",
        "ssh-ed25519 AAAA",
        &"age1".repeat(2000),
    ] {
        assert!(bad.parse::<Recipient>().is_err(), "{bad:?}");
    }
}

#[test]
fn suites_are_not_mixed() {
    let error = |keys: &[usize]| Recipients::new(keys.iter().map(|index| recipient(*index))).err();
    assert_eq!(error(&[CLUSTER, CLASSICAL]), Some(RecipientsError::Mixed));
    assert_eq!(error(&[]), Some(RecipientsError::Empty));
    // One that is named twice counts once.
    assert_eq!(recipients(&[TEAM, TEAM]).key_ids().len(), 1);
}

#[test]
fn weak_public_keys_are_refused() {
    use bech32_of::encode;
    // Points of low order (RFC 7748, 6.1), and an ML-KEM key with a coefficient above the modulus.
    assert!(encode("age", &[0; 32]).parse::<Recipient>().is_err());
    let mut one = [0; 32];
    one[0] = 1;
    assert!(encode("age", &one).parse::<Recipient>().is_err());
    assert!(encode("age1pq", &[0; 1216]).parse::<Recipient>().is_err());
    assert!(encode("age1pq", &[0xff; 1216]).parse::<Recipient>().is_err());
    assert!(encode("age1pq", &[9; 1215]).parse::<Recipient>().is_err());
}

mod bech32_of {
    /// Bech32 of any bytes: a few lines of our own, so that the crate's own encoder is not its own judge.
    pub(super) fn encode(prefix: &str, bytes: &[u8]) -> String {
        const CHARS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        let mut digits = Vec::new();
        let (mut held, mut bits) = (0_u32, 0);
        for byte in bytes {
            held = (held << 8) | u32::from(*byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                digits.push(u8::try_from((held >> bits) & 31).unwrap());
            }
        }
        if bits > 0 {
            digits.push(u8::try_from((held << (5 - bits)) & 31).unwrap());
        }
        let expanded = prefix
            .bytes()
            .map(|b| b >> 5)
            .chain([0])
            .chain(prefix.bytes().map(|b| b & 31));
        let check = expanded
            .chain(digits.iter().copied())
            .chain([0; 6])
            .fold(1_u32, |sum, digit| {
                let top = sum >> 25;
                let sum = ((sum & 0x01ff_ffff) << 5) ^ u32::from(digit);
                [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]
                    .iter()
                    .enumerate()
                    .fold(
                        sum,
                        |sum, (at, word)| if top >> at & 1 == 1 { sum ^ word } else { sum },
                    )
            })
            ^ 1;
        digits.extend((0..6).map(|at| u8::try_from((check >> (5 * (5 - at))) & 31).unwrap()));
        let data: String = digits
            .iter()
            .map(|d| char::from(CHARS[usize::from(*d)]))
            .collect();
        format!("{prefix}1{data}")
    }
}

#[test]
fn the_object_says_what_can_be_seen_without_a_key() {
    let parsed: SealedSecret = parse(&sealed_for(Scope::Strict, &[CLUSTER, TEAM]));
    assert_eq!(
        (parsed.name(), parsed.namespace(), parsed.scope()),
        ("db", Some("team"), Scope::Strict)
    );
    assert_eq!(parsed.recipients().len(), 2);
    assert_eq!(parsed.keys().collect::<Vec<_>>(), ["banner", "password"]);
    assert_eq!(parsed.misplaced(None), None);
    assert!(parsed.misplaced(Some("else")).is_some());
}
