use serde_json::json;

use super::Written::{Key, Plain, Quoted};
use super::*;
use crate::{Limits, read_document, read_draft};

type Replaced = Result<Value, DraftError<()>>;

/// Replaces the texts with variables, and lists where they stand.
fn replaced(text: &str, with: &str) -> (Replaced, Vec<(String, Written)>) {
    let mut seen = Vec::new();
    let draft = read_draft(text.as_bytes(), &Limits::default()).unwrap();
    let value = draft.replace(|path, written, text| {
        seen.push((path.to_string(), written));
        Ok(Replacement {
            text: text.replace("${v}", with),
            quoted: false,
        })
    });
    (value, seen)
}

#[test]
fn plain_texts_get_a_meaning_and_quoted_ones_stay_strings() {
    let text = "a: ${v}\nb: \"${v}\"\nc: '${v}'\nd: |\n  ${v}\ne: !!str ${v}\nf: [x, 1, \"${v}\"]\ng: -${v}\n${v}: 1\n";
    let (value, seen) = replaced(text, "8");
    let expected =
        json!({"a": 8, "b": "8", "c": "8", "d": "8\n", "e": "8", "f": ["x", 1, "8"], "g": -8, "8": 1});
    assert_eq!(value, Ok(expected));
    for expected in [
        ("a", Plain),
        ("b", Quoted),
        ("d", Quoted),
        ("e", Quoted),
        ("f[2]", Quoted),
        ("${v}", Key),
    ] {
        assert!(
            seen.contains(&(expected.0.to_owned(), expected.1)),
            "{expected:?} {seen:?}"
        );
    }
    for (with, expected) in [
        ("true", json!(true)),
        ("on", json!(true)),
        ("", json!(null)),
        ("null", json!(null)),
        ("0x10", json!(16)),
        ("1.5", json!(1.5)),
        (" 8 ", json!(8)),
        (" x ", json!(" x ")),
        (".inf", json!(".inf")),
        ("a: b", json!("a: b")),
        ("x\nkind: ClusterRole", json!("x\nkind: ClusterRole")),
        ("{a: b}", json!("{a: b}")),
        ("*alias", json!("*alias")),
        ("\0$x", json!("\0$x")),
    ] {
        assert_eq!(
            replaced("a: ${v}\n", with).0,
            Ok(json!({"a": expected})),
            "{with:?}"
        );
        assert_eq!(
            replaced("a: \"${v}\"\n", with).0,
            Ok(json!({"a": with})),
            "{with:?}"
        );
        assert_eq!(
            replaced("{\"a\": \"${v}\"}", with).0,
            Ok(json!({"a": with})),
            "{with:?}"
        );
    }
}

#[test]
fn anchors_carry_how_a_text_was_written() {
    let text = "a: &a ${v}\nb: *a\nc: &m {d: \"${v}\"}\ne:\n  <<: *m\n  *a : x\n";
    let (value, _) = replaced(text, "8");
    let expected = json!({"a": 8, "b": 8, "c": {"d": "8"}, "e": {"d": "8", "8": "x"}});
    assert_eq!(value, Ok(expected));
}

#[test]
fn a_text_that_looks_marked_is_itself() {
    for text in [
        "a: \"\\0$x\"\nb: \"\\0\\0$${v}\"\n\"\\0$c\": \"\\0\"\n",
        "{\"a\": \"\\u0000$x\", \"\\u0000\": [\"\\u0000\\u0000\"]}",
    ] {
        let limits = Limits::default();
        let draft = read_draft(text.as_bytes(), &limits).unwrap();
        assert_eq!(
            draft.as_written(),
            read_document(text.as_bytes(), &limits).unwrap(),
            "{text}"
        );
    }
    assert_eq!(replaced("a: \"\\0$${v}\"\n", "x").0, Ok(json!({"a": "\0$x"})));
}

#[test]
fn keys_that_become_one_are_refused() {
    let (value, _) = replaced("a:\n- ${v}: 1\n  x: 2\n", "x");
    assert_eq!(value, Err(DraftError::SameKey { path: "a[0]".into() }));
}

#[test]
fn variables_are_found_anywhere() {
    for (value, expected) in [
        (json!({"a": ["x", {"b": "${v}"}]}), true),
        (json!({"${v}": 1}), true),
        (json!({"a": "$v $(v) $$ {v}"}), false),
    ] {
        assert_eq!(Draft::has_variables(&value), expected);
    }
}
