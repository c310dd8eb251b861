//! Properties that hold for any input.

use std::time::{Duration, Instant};

use manifest::{Limits, Origin, digest, manifests, read_document, read_stream, write_yaml};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let limits = Limits::default();
    let start = Instant::now();
    let single = read_document(bytes, &limits);
    if let Ok(documents) = read_stream(bytes, &limits) {
        let mut end = 0;
        let mut number = 0;
        for document in documents {
            prop_assert!(document.range.start >= end && document.range.end <= bytes.len());
            prop_assert!(document.number > number && document.line >= 1);
            (end, number) = (document.range.end, document.number);
            let alone = read_document(&bytes[document.range], &limits);
            prop_assert_eq!(
                alone.map_err(|error| error.kind),
                document.value.clone().map_err(|error| error.kind)
            );
            if let Ok(value) = document.value {
                prop_assert_eq!(
                    read_document(write_yaml(std::slice::from_ref(&value)).as_bytes(), &limits),
                    Ok(value.clone())
                );
                digest(&value);
                let origin = Origin {
                    file: "a".into(),
                    document: document.number,
                    item: None,
                    line: document.line,
                };
                for found in manifests(value, &origin, &limits) {
                    prop_assert!(
                        found
                            .map_or_else(|error| error.to_string(), |good| good.id.to_string())
                            .len()
                            < 1000
                    );
                }
            }
        }
    }
    drop(single);
    prop_assert!(start.elapsed() < Duration::from_secs(5));
    Ok(())
}

/// Strings that YAML readers are known to stumble over.
fn nasty() -> impl Strategy<Value = String> {
    let fragments = prop::sample::select(vec![
        "yes",
        "no",
        "on",
        "y",
        "~",
        "null",
        "true",
        "0644",
        "0o7",
        "1_0",
        "1e3",
        "08",
        ".5",
        ".inf",
        ".nan",
        "1:30",
        "2001-01-01",
        "-",
        "--",
        "---",
        "...",
        ":",
        ": ",
        " :",
        "#",
        " #",
        "# ",
        "?",
        "? ",
        "!",
        "!!str",
        "&",
        "*",
        "|",
        ">",
        "|-",
        "%",
        "@",
        "`",
        "'",
        "\"",
        "\\",
        "\\n",
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\t",
        " ",
        "  ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "=",
        "<<",
        "+1",
        "0x1",
        "1.0",
        "a",
        "B",
        "key",
        "ä",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{feff}",
        "\u{0}",
        "\u{1b}",
        "\u{7f}",
        "\u{9f}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{1f600}",
        "\u{e0001}",
        "\u{10ffff}",
        "\u{202e}",
    ]);
    prop_oneof![
        3 => prop::collection::vec(fragments, 0..6).prop_map(|parts| parts.concat()),
        1 => any::<String>(),
        1 => "[ -~\n]{0,40}",
        1 => "[0-9.eE_xobTZ:+-]{1,8}",
        1 => prop::sample::select(vec!["k".repeat(990), "k".repeat(1100), "é".repeat(600), "\u{1b}".repeat(200)]),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // As the reader gives them: integral floats are integers.
        any::<f64>()
            .prop_filter("has JSON, is no integer", |float| float.is_finite()
                && (float.fract() != 0.0 || float.abs() >= 1e21))
            .prop_map(Value::from),
    ]
}

pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => number(),
        4 => nasty().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((nasty(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Text that is nearly YAML: tokens in any order.
fn yamlish() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "a",
        "b: ",
        "c:\n",
        "- ",
        "-\n",
        "? ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "&x ",
        "*x",
        "!t ",
        "!!int ",
        "!!binary ",
        "!<u> ",
        "!",
        "<<: ",
        "|\n",
        ">-\n",
        "|2+\n",
        "'",
        "\"",
        "\\",
        "\\x41",
        "\\",
        "#c\n",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        " ",
        "---\n",
        "--- x\n",
        "...\n",
        "%YAML 1.1\n",
        "%TAG ! x\n",
        "1",
        "0x1f",
        "1.5",
        ".5",
        "~",
        "yes",
        "\r\n",
        "\u{feff}",
        "\u{85}",
        "é",
        "{\"a\": 1}",
        "\u{1}",
        "apiVersion: v1\n",
        "kind: List\n",
        "items:\n",
        "metadata:\n  name: a\n",
    ]);
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes)?;
    }

    #[test]
    fn any_text(text in any::<String>()) {
        check(text.as_bytes())?;
    }

    #[test]
    fn nearly_yaml(text in yamlish()) {
        check(text.as_bytes())?;
    }

    #[test]
    fn what_is_written_reads_back(value in json()) {
        let text = write_yaml(std::slice::from_ref(&value));
        prop_assert_eq!(read_document(text.as_bytes(), &Limits::default()), Ok(value), "{}", text);
    }

    #[test]
    fn streams_read_back(values in prop::collection::vec(json(), 0..5)) {
        let text = write_yaml(&values);
        let read: Vec<_> = read_stream(text.as_bytes(), &Limits::default()).unwrap().into_iter().map(|document| document.value.unwrap()).collect();
        let values: Vec<_> = values.into_iter().filter(|value| !value.is_null()).collect();
        prop_assert_eq!(read, values, "{}", text);
    }

    #[test]
    fn json_text_reads_as_serde_json_reads_it(value in json()) {
        let value = serde_json::json!({ "a": value });
        prop_assert_eq!(read_document(value.to_string().as_bytes(), &Limits::default()), Ok(value));
    }

    #[test]
    fn equal_values_have_equal_digests(value in json(), other in json()) {
        let again = serde_json::from_str::<Value>(&value.to_string()).unwrap();
        if again == value {
            prop_assert_eq!(digest(&again), digest(&value));
        }
        prop_assert_eq!(digest(&value) == digest(&other), value == other);
    }
}
