//! The check is seen to fail: every value planted in every sink in every form is found, and nothing else is.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

use super::encodings::needles;
use super::scanner::Scanner;
use super::sinks::{Capture, SINKS, Sink};
use super::values::{self, Class, Value};

/// What such a sink holds when nothing has leaked.
const TEXT: &str = r#"{"kind":"Event","note":"Secret shop/db (app/db.yaml document 1): the API server finds the object
invalid (HTTP 422, Invalid): data[password]","sha256":"c3VwcG9zZWRseSBzZWNyZXQ","n":[104, 117, 110],"p":"%2Fapi%2Fv1"}"#;

fn value(class: Class, bytes: &[u8]) -> Value {
    Value {
        name: "it".to_owned(),
        class,
        bytes: bytes.to_vec(),
    }
}

fn shapes() -> Vec<Vec<u8>> {
    vec![
        values::letters(9).into_bytes(),
        values::letters(20).into_bytes(),
        values::letters(3000).into_bytes(),
        values::awkward().into_bytes(),
        values::random(300),
        b"312847561928374651".to_vec(),
    ]
}

fn found(scanner: &Scanner<'_>, sink: Sink, planted: impl AsRef<[u8]>) -> Vec<&'static str> {
    let bytes = [TEXT.as_bytes(), planted.as_ref(), TEXT.as_bytes()].concat();
    let hits = scanner.scan(&Capture::new(sink, "here", bytes));
    hits.iter()
        .filter(|hit| !hit.allowed)
        .map(|hit| hit.form)
        .collect()
}

#[test]
fn every_form_of_every_value_is_found_in_every_sink() {
    for shape in shapes() {
        let values = [value(Class::Sealed, &shape)];
        let scanner = Scanner::new(&values);
        // Where does not matter to how it is found: one shape goes everywhere, the others into one place.
        let sinks = if shape.len() == 20 {
            &SINKS[..]
        } else {
            &SINKS[..1]
        };
        for sink in sinks.iter().copied() {
            assert!(
                found(&scanner, sink, "").is_empty(),
                "something is found where nothing is"
            );
            for (text, form) in needles(&shape) {
                assert!(found(&scanner, sink, &text).contains(&form), "{form} in {sink:?}");
            }
        }
    }
}

#[test]
fn what_libraries_make_of_a_value_is_found() {
    for shape in shapes() {
        let values = [value(Class::Sealed, &shape)];
        let scanner = Scanner::new(&values);
        let lossy = String::from_utf8_lossy(&shape);
        let log = |text: String| {
            let line = serde_json::json!({"level": "debug", "message": text}).to_string();
            assert!(!found(&scanner, Sink::Log, &text).is_empty(), "{text}");
            assert!(!found(&scanner, Sink::Log, &line).is_empty(), "{line}");
        };
        log(format!("body: {lossy}"));
        log(format!("body: {lossy:?}"));
        log(format!("body: {shape:?}"));
        log(format!("body: {}", shape.escape_ascii()));
        for before in ["", "a", "ab", "abc"] {
            let whole = [before.as_bytes(), &shape, b"tail"].concat();
            let secret =
                serde_json::json!({"data": {"password": BASE64_STANDARD.encode(&whole)}}).to_string();
            log(BASE64_STANDARD.encode(&whole));
            log(BASE64_URL_SAFE.encode(&whole));
            log(secret.clone());
            log(format!("{:?}", secret.as_bytes().escape_ascii().to_string()));
            log(BASE64_STANDARD.encode(&secret));
        }
        // A message that was cut short, and a snippet out of the middle.
        log(shape[..shape.len().min(40)].escape_ascii().to_string());
        if shape.len() > 100 {
            log(BASE64_STANDARD.encode(&shape[70..120]));
        }
    }
}

#[test]
fn plain_hashes_are_found() {
    let values = [value(Class::Sealed, b"hunter2")];
    let scanner = Scanner::new(&values);
    for (hash, form) in [
        (
            "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7",
            "SHA-256",
        ),
        ("F52FBD32B2B3B86FF88EF6C490628285", "SHA-256"),
        ("9S+9MrKzuG/4jvbEkGKChfSCrxXdyylUH5S89Saj9sc=", "SHA-256"),
        ("f3bbbd66a63d4bf1747940578ec3d0103530e21d", "SHA-1"),
        ("2ab96390c7dbe3439de74d0c9b0b1767", "MD5"),
    ] {
        assert_eq!(found(&scanner, Sink::Object, hash), [form], "{hash}");
    }
}

#[test]
fn what_was_committed_may_stand_in_the_git_store_and_nowhere_else() {
    let bytes = values::letters(20);
    let values = [value(Class::Committed, bytes.as_bytes())];
    let scanner = Scanner::new(&values);
    for sink in SINKS {
        assert_eq!(
            found(&scanner, sink, &bytes).is_empty(),
            sink == Sink::GitStore,
            "{sink:?}"
        );
    }
}
