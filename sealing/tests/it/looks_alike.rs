//! Why a value does not open is not told: another key, another label and a damaged value look the same.

use crate::support::{lines, now, object, other_key, public, ring, sealed, vector_key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealing::{KeyRing, Scope, SealedSecret, v1};
use serde_json::json;

const PLACE: (&str, &str) = ("team", "db");

/// The value with one bit of a byte changed, counted from the front or, if negative, from the end.
fn damaged(sealed: &str, at: isize) -> String {
    let mut bytes = STANDARD.decode(sealed).unwrap();
    let index = at.rem_euclid(isize::try_from(bytes.len()).unwrap());
    bytes[usize::try_from(index).unwrap()] ^= 1;
    STANDARD.encode(bytes)
}

/// Everything that goes wrong behind the envelope's shape, by what went wrong.
fn failures() -> Vec<(&'static str, String)> {
    let (namespace, name) = PLACE;
    let good = sealed(Scope::Strict, namespace, name, "hunter2");
    let other = other_key(0);
    let label = Scope::Strict.label(namespace, name);
    vec![
        (
            "another key",
            v1::seal(
                other
                    .certificate()
                    .public_key_at(now())
                    .unwrap_or_else(|_| public(other.certificate())),
                &label,
                b"hunter2",
            )
            .unwrap(),
        ),
        ("another name", sealed(Scope::Strict, namespace, "web", "hunter2")),
        (
            "another namespace",
            sealed(Scope::Strict, "other", name, "hunter2"),
        ),
        ("a damaged tag", damaged(&good, -1)),
        ("a damaged value", damaged(&good, -17)),
        ("a damaged session key", damaged(&good, 100)),
        ("a session key of no size", damaged(&good, 2)),
    ]
}

#[test]
fn a_value_tells_nothing_by_its_error() {
    let ring = ring();
    let label = Scope::Strict.label(PLACE.0, PLACE.1);
    for (what, value) in failures() {
        let before = ring.private_operations();
        let error = ring.open(&value, &label).err().unwrap();
        assert_eq!(
            format!("{error:?} {error}"),
            "NoKey no key opens it under this label",
            "{what}"
        );
        // Work would tell as well as words.
        assert_eq!(ring.private_operations() - before, 1, "{what}");
    }
}

#[test]
fn an_object_tells_nothing_by_its_errors() {
    for keys in [vec![vector_key()], vec![vector_key(), other_key(1)]] {
        let ring = KeyRing::new(keys);
        let mut said = Vec::new();
        for (what, value) in failures() {
            let mut object = object(&[]);
            object["spec"]["encryptedData"] = json!({"password": value});
            let parsed = SealedSecret::parse(&object).ok().unwrap();
            let before = ring.private_operations();
            let error = lines(parsed.open(&ring, PLACE.0));
            said.push((error, ring.private_operations() - before, what));
        }
        let (error, operations, _) = said[0].clone();
        for (other, work, what) in said {
            assert_eq!((&other, work), (&error, operations), "{what}");
        }
    }
}
