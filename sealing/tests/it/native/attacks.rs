//! Everything that somebody with write access to the repository, and no private key, may try with what is there.
//!
//! Each must be refused. What is readable without a key is named; all else has one answer.

use super::support::*;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sealing::v2::{SealedSecret, seal_secret};
use sealing::{Scope, SealOptions};
use serde_json::{Value, json};

/// How an attack is met.
enum Met {
    /// When the object is read: it is plain to see.
    Parsing(&'static str),
    /// Before opening: it says itself that it is for elsewhere.
    Place,
    /// When it is opened, with the one answer for everything.
    Opening,
}
use Met::{Opening, Parsing, Place};

/// The objects that an attacker has.
struct World {
    /// The one under attack: strict, `team/db`, for the cluster.
    victim: Value,
    /// The same Secret, sealed another time.
    again: Value,
    /// Another Secret of the same namespace.
    other: Value,
    /// The same, for the whole namespace.
    wide: Value,
    /// For the cluster and the team.
    shared: Value,
}

impl World {
    fn new() -> Self {
        let mut other = secret();
        other["metadata"]["name"] = "other".into();
        Self {
            victim: sealed(),
            again: sealed(),
            other: seal_secret(&other, &recipients(&[CLUSTER]), SealOptions::default())
                .unwrap()
                .to_value(),
            wide: sealed_for(Scope::Namespace, &[CLUSTER]),
            shared: sealed_for(Scope::Strict, &[CLUSTER, TEAM]),
        }
    }
}

fn value_of(text: &str) -> &str {
    text.split_once('.').unwrap().1
}

fn data_key(object: &mut Value) -> &mut Value {
    &mut object["spec"]["dataKeys"][0]
}

/// Changes the bytes of a base64 text.
fn bytes(text: &mut Value, change: impl FnOnce(&mut Vec<u8>)) {
    let mut raw = BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap();
    change(&mut raw);
    *text = BASE64_STANDARD.encode(raw).into();
}

/// Changes the bytes of a sealed value.
fn sealed_bytes(object: &mut Value, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let text = line(object, key);
    let (id, value) = text.split_once('.').unwrap();
    let mut value = Value::from(value);
    bytes(&mut value, change);
    object["spec"]["values"][key] = format!("{id}.{}", value.as_str().unwrap()).into();
}

type Attack = fn(&mut Value, &World);

/// Name, what is done, and how it is met.
const ATTACKS: &[(&str, Attack, Met)] = &[
    (
        "moved to another namespace",
        |o, _| o["metadata"]["namespace"] = "prod".into(),
        Place,
    ),
    ("renamed", |o, _| o["metadata"]["name"] = "dc".into(), Place),
    (
        "renamed, and its word for it too",
        |o, _| {
            o["metadata"]["name"] = "dc".into();
            o["spec"]["sealedFor"]["name"] = "dc".into();
        },
        Opening,
    ),
    (
        "moved, and its word for it too",
        |o, _| {
            o["metadata"]["namespace"] = "eams".into();
            o["spec"]["sealedFor"]["namespace"] = "eams".into();
        },
        Opening,
    ),
    (
        "the boundary between namespace and name shifted (a/bc to ab/c)",
        |o, _| {
            o["metadata"]["namespace"] = "tea".into();
            o["metadata"]["name"] = "mdb".into();
            o["spec"]["sealedFor"] = json!({"namespace": "tea", "name": "mdb"});
        },
        Opening,
    ),
    (
        "widened to Namespace by half",
        |o, _| o["spec"]["scope"] = "Namespace".into(),
        Parsing("must hold namespace"),
    ),
    (
        "widened to Namespace",
        |o, _| {
            o["spec"]["scope"] = "Namespace".into();
            o["spec"]["sealedFor"] = json!({"namespace": "team"});
        },
        Parsing("another length"),
    ),
    (
        "widened to Cluster",
        |o, _| {
            o["spec"]["scope"] = "Cluster".into();
            o["spec"].as_object_mut().unwrap().remove("sealedFor");
        },
        Parsing("another length"),
    ),
    (
        "widened to Cluster, with names that make up for the length",
        |o, _| {
            o["metadata"]["name"] = "d".into();
            o["spec"]["scope"] = "Namespace".into();
            // Strict+team+db and Namespace+n are of one length.
            o["metadata"]["namespace"] = "tea".into();
            o["spec"]["sealedFor"] = json!({"namespace": "tea"});
        },
        Opening,
    ),
    (
        "values swapped",
        |o, _| {
            let (a, b) = (line(o, "banner"), line(o, "password"));
            o["spec"]["values"] = json!({"banner": b, "password": a});
        },
        Opening,
    ),
    (
        "a value under another key name",
        |o, _| {
            let text = line(o, "password");
            o["spec"]["values"]["motd"] = text.into();
        },
        Opening,
    ),
    (
        "another type",
        |o, _| o["spec"]["template"]["type"] = "Opaque".into(),
        Opening,
    ),
    (
        "no type",
        |o, _| {
            o["spec"]["template"].as_object_mut().unwrap().remove("type");
        },
        Opening,
    ),
    (
        "made immutable",
        |o, _| o["spec"]["template"]["immutable"] = true.into(),
        Opening,
    ),
    (
        "immutable left out",
        |o, _| {
            o["spec"]["template"].as_object_mut().unwrap().remove("immutable");
        },
        Opening,
    ),
    (
        "a label added, for a selector that mirrors Secrets",
        |o, _| o["spec"]["template"]["metadata"]["labels"]["mirror"] = "yes".into(),
        Opening,
    ),
    (
        "a label moved to the annotations",
        |o, _| {
            o["spec"]["template"]["metadata"] =
                json!({"labels": {}, "annotations": {"app": "db", "note": "n"}, "finalizers": ["a.b/c"]});
        },
        Opening,
    ),
    (
        "an annotation changed",
        |o, _| o["spec"]["template"]["metadata"]["annotations"]["note"] = "m".into(),
        Opening,
    ),
    (
        "finalizers removed",
        |o, _| o["spec"]["template"]["metadata"]["finalizers"] = json!([]),
        Opening,
    ),
    (
        "a text that copies a value to another key",
        |o, _| o["spec"]["template"]["data"] = json!({"index.html": "${password}"}),
        Opening,
    ),
    (
        "a value left out of the Secret",
        |o, _| o["spec"]["template"]["omit"] = json!(["banner"]),
        Opening,
    ),
    (
        "no template",
        |o, _| {
            o["spec"].as_object_mut().unwrap().remove("template");
        },
        Opening,
    ),
    (
        "a recipient added to the list",
        |o, _| {
            let mut ids = vec![key(CLUSTER).key_id().to_string(), key(TEAM).key_id().to_string()];
            ids.sort();
            data_key(o)["recipients"] = json!(ids);
        },
        Parsing("sealed for 1 recipients, but 2 are listed"),
    ),
    (
        "a recipient taken off the list",
        |o, w| {
            *o = w.shared.clone();
            data_key(o)["recipients"] = json!([key(CLUSTER).key_id().as_str()]);
        },
        Parsing("but 1 are listed"),
    ),
    (
        "a recipient exchanged in the list",
        |o, w| {
            *o = w.shared.clone();
            let mut ids = vec![
                key(CLUSTER).key_id().to_string(),
                key(STRANGER).key_id().to_string(),
            ];
            ids.sort();
            data_key(o)["recipients"] = json!(ids);
        },
        Opening,
    ),
    (
        "the list in another order",
        |o, w| {
            *o = w.shared.clone();
            data_key(o)["recipients"].as_array_mut().unwrap().reverse();
        },
        Parsing("must be sorted"),
    ),
    (
        "a recipient listed twice",
        |o, _| {
            let id = key(CLUSTER).key_id().to_string();
            data_key(o)["recipients"] = json!([id, id]);
        },
        Parsing("must be sorted, each once"),
    ),
    (
        "another object's data key",
        |o, w| {
            let id = data_key(o)["id"].clone();
            *data_key(o) = w.other["spec"]["dataKeys"][0].clone();
            data_key(o)["id"] = id;
        },
        Parsing("another length"),
    ),
    (
        "a data key of the same object, sealed another time",
        |o, w| {
            let id = data_key(o)["id"].clone();
            *data_key(o) = w.again["spec"]["dataKeys"][0].clone();
            data_key(o)["id"] = id;
        },
        Opening,
    ),
    (
        "a whole wider data key with its values",
        |o, w| {
            o["spec"]["dataKeys"] = w.wide["spec"]["dataKeys"].clone();
            o["spec"]["values"] = w.wide["spec"]["values"].clone();
        },
        Parsing("another length"),
    ),
    (
        "a value from another data key",
        |o, w| {
            let id = data_key(o)["id"].as_str().unwrap().to_owned();
            let text = line(&w.again, "password");
            o["spec"]["values"]["password"] = format!("{id}.{}", value_of(&text)).into();
        },
        Opening,
    ),
    (
        "a data key under another id",
        |o, _| {
            data_key(o)["id"] = "0123456789abcdef".into();
            for name in ["banner", "password"] {
                let text = line(o, name);
                o["spec"]["values"][name] = format!("0123456789abcdef.{}", value_of(&text)).into();
            }
        },
        Opening,
    ),
    (
        "two data keys with their ids exchanged",
        |o, w| {
            let (mut one, mut two) = (data_key(o).clone(), w.again["spec"]["dataKeys"][0].clone());
            std::mem::swap(&mut one["id"], &mut two["id"]);
            o["spec"]["dataKeys"] = json!([one, two]);
        },
        Opening,
    ),
    (
        "two data keys of one id",
        |o, _| {
            let key = data_key(o).clone();
            o["spec"]["dataKeys"].as_array_mut().unwrap().push(key);
        },
        Parsing("another data key has this id"),
    ),
    (
        "a value of a data key that is not there",
        |o, _| {
            let text = line(o, "password");
            o["spec"]["values"]["password"] = format!("0123456789abcdef.{}", value_of(&text)).into();
        },
        Parsing("no key of this id"),
    ),
    (
        "the nonce changed",
        |o, _| sealed_bytes(o, "password", |b| b[0] ^= 1),
        Opening,
    ),
    (
        "a byte of the value changed",
        |o, _| sealed_bytes(o, "password", |b| b[20] ^= 1),
        Opening,
    ),
    (
        "the tag changed",
        |o, _| sealed_bytes(o, "password", |b| *b.last_mut().unwrap() ^= 1),
        Opening,
    ),
    (
        "a value cut off by a byte",
        |o, _| sealed_bytes(o, "password", |b| b.truncate(b.len() - 1)),
        Parsing("was it cut off?"),
    ),
    (
        "a value longer by a whole step",
        |o, _| sealed_bytes(o, "password", |b| b.extend_from_slice(&[0; 32])),
        Opening,
    ),
    (
        "an empty value",
        |o, _| o["spec"]["values"]["password"] = "".into(),
        Parsing("was it cut off?"),
    ),
    (
        "the age file's last byte changed",
        |o, _| bytes(&mut data_key(o)["age"], |b| *b.last_mut().unwrap() ^= 1),
        Opening,
    ),
    (
        "the age file cut off",
        |o, _| bytes(&mut data_key(o)["age"], |b| b.truncate(b.len() - 1)),
        Parsing("another length"),
    ),
    (
        "the age file longer",
        |o, _| bytes(&mut data_key(o)["age"], |b| b.push(0)),
        Parsing("another length"),
    ),
    (
        "a byte of the stanza changed",
        |o, _| {
            bytes(&mut data_key(o)["age"], |b| {
                // In the first body line: an argument is base64 of 1,494 characters, so this is inside it.
                let at = b.iter().position(|c| *c == b'>').unwrap() + 200;
                b[at] = if b[at] == b'A' { b'B' } else { b'A' };
            });
        },
        Opening,
    ),
    (
        "a passphrase's stanza in its place",
        |o, _| {
            bytes(&mut data_key(o)["age"], |b| {
                let text = b"age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 30\nAAAA\n--- AAAA\n";
                *b = text.to_vec();
            });
        },
        Parsing("neither mlkem768x25519 nor X25519"),
    ),
    (
        "a downgrade to a classical stanza beside the hybrid one",
        |o, _| {
            let mut ids = vec![
                key(CLUSTER).key_id().to_string(),
                key(CLASSICAL).key_id().to_string(),
            ];
            ids.sort();
            data_key(o)["recipients"] = json!(ids);
            bytes(&mut data_key(o)["age"], |b| {
                let at = "age-encryption.org/v1\n".len();
                let stanza = format!("-> X25519 {}\n{}\n", "A".repeat(43), "A".repeat(43));
                b.splice(at..at, stanza.into_bytes());
            });
        },
        Parsing("mixes"),
    ),
    (
        "an unknown field of the object",
        |o, _| o["extra"] = 1.into(),
        Parsing("no such field"),
    ),
    (
        "an unknown field of spec",
        |o, _| o["spec"]["value"] = json!({}),
        Parsing("spec.value: there is no such field"),
    ),
    (
        "an unknown field of a data key",
        |o, _| data_key(o)["note"] = "x".into(),
        Parsing("no such field"),
    ),
    (
        "an unknown field of the template",
        |o, _| o["spec"]["template"]["stringData"] = json!({"a": "hunter2"}),
        Parsing("no such field"),
    ),
    (
        "metadata of the template that names another Secret",
        |o, _| o["spec"]["template"]["metadata"]["name"] = "admin".into(),
        Parsing("no such field"),
    ),
    (
        "an owner for the Secret",
        |o, _| o["spec"]["template"]["metadata"]["ownerReferences"] = json!([]),
        Parsing("no such field"),
    ),
    (
        "another version of the format",
        |o, _| o["apiVersion"] = "signet.dev/v1".into(),
        Parsing("kind"),
    ),
    (
        "base64 that stands for the same bytes",
        |o, _| {
            let text = line(o, "password");
            o["spec"]["values"]["password"] = format!("{text}\n").into();
        },
        Parsing("was it cut off?"),
    ),
];

#[test]
fn every_attack_is_refused() {
    let world = World::new();
    // The attack is what makes the difference: unchanged, all of them open.
    for object in [&world.victim, &world.again, &world.wide, &world.shared] {
        assert_eq!(data(object, &[CLUSTER], "team")["password"], "hunter2");
    }
    let mut answers = Vec::new();
    for (name, attack, met) in ATTACKS {
        let mut object = world.victim.clone();
        attack(&mut object, &world);
        let namespace = object["metadata"]["namespace"].as_str().unwrap().to_owned();
        let parsed = SealedSecret::parse(&object);
        let found = match (&parsed, met) {
            (Err(problems), Parsing(text)) => {
                let all = problems
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; ");
                assert!(all.contains(text), "{name}: {all}");
                all
            }
            (Ok(parsed), Place | Opening) => {
                let Err(problems) = parsed.open(&identities(&[CLUSTER]), &namespace) else {
                    panic!("{name}: it opened");
                };
                let text = problems[0].to_string();
                let place = text.contains("it is sealed for");
                assert_eq!(place, matches!(met, Place), "{name}: {text}");
                if !place {
                    answers.push(
                        text.split("does not open for")
                            .next()
                            .unwrap_or_default()
                            .replace("banner", "password"),
                    );
                    assert!(text.contains("was changed after it was sealed"), "{name}: {text}");
                }
                text
            }
            (Ok(_), Parsing(_)) => panic!("{name}: it could be read"),
            (Err(problems), _) => panic!("{name}: {problems:?}"),
        };
        for secret in ["hunter2", "welcome"] {
            assert!(!found.contains(secret), "{name}: {found}");
        }
    }
    answers.sort();
    answers.dedup();
    assert_eq!(
        answers,
        ["key motd: it ", "key password: it "],
        "one answer, whatever was tried"
    );
}

#[test]
fn wrong_key_wrong_binding_and_damaged_tag_have_one_answer() {
    let mut wrong_key = sealed_for(Scope::Strict, &[STRANGER]);
    // Listed as ours: what can be seen without a key is right.
    data_key(&mut wrong_key)["recipients"] = json!([key(CLUSTER).key_id().as_str()]);
    let mut wrong_binding = sealed();
    wrong_binding["spec"]["template"]["type"] = "Opaque".into();
    let mut damaged = sealed();
    for name in ["banner", "password"] {
        sealed_bytes(&mut damaged, name, |b| *b.last_mut().unwrap() ^= 1);
    }
    let mut damaged_file = sealed();
    bytes(&mut data_key(&mut damaged_file)["age"], |b| {
        *b.last_mut().unwrap() ^= 1;
    });
    let answers = [wrong_key, wrong_binding, damaged, damaged_file]
        .map(|object| open(&object, &[CLUSTER], "team").err().unwrap());
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
}

#[test]
fn data_keys_in_another_order_are_the_same_object() {
    let one = parse(&sealed());
    let two = one
        .set(&plain(&[("more", "x")]), &recipients(&[CLUSTER]))
        .unwrap()
        .to_value();
    let mut turned = two.clone();
    turned["spec"]["dataKeys"].as_array_mut().unwrap().reverse();
    assert_eq!(data(&two, &[CLUSTER], "team"), data(&turned, &[CLUSTER], "team"));
}
