//! Streams: where documents begin and end, how they are counted, and what a broken one leaves alone.

use manifest::{Limits, ReadErrorKind, for_each_document, read_document, read_stream};
use serde_json::{Value, json};

/// Number, line, and value or error of each document.
fn read(text: &str) -> Vec<(usize, usize, Result<Value, ReadErrorKind>)> {
    read_stream(text.as_bytes(), &Limits::default())
        .unwrap()
        .into_iter()
        .map(|document| {
            (
                document.number,
                document.line,
                document.value.map_err(|error| error.kind),
            )
        })
        .collect()
}

#[test]
fn documents_are_counted_as_a_person_counts_them() {
    assert_eq!(
        read("a: 1\n---\nb: 2\n"),
        [(1, 1, Ok(json!({"a": 1}))), (2, 3, Ok(json!({"b": 2})))]
    );
    // What Helm prints: a separator first, and comments where a template gave nothing.
    assert_eq!(
        read("---\n# Source: a\na: 1\n---\n# Source: b\n---\nc: 3\n---\n"),
        [(1, 2, Ok(json!({"a": 1}))), (3, 7, Ok(json!({"c": 3})))]
    );
    // A licence before the first separator is no document.
    assert_eq!(read("# Licence\n\n---\na: 1\n"), [(1, 4, Ok(json!({"a": 1})))]);
    assert_eq!(read("null\n---\na: 1\n---\n~"), [(2, 3, Ok(json!({"a": 1})))]);
    for nothing in [
        "",
        "\n",
        "# c",
        "---",
        "---\n---\n",
        "\u{feff}",
        " \n# c\n--- # d\n",
    ] {
        assert_eq!(read(nothing), [], "{nothing:?}");
    }
}

#[test]
fn a_broken_document_keeps_its_neighbours() {
    let text = "a: 1\n---\nb: [\n---\nc: \"x\n---\nd: {{ .Values.d }}\n---\n- e\nf: 1\n---\ng: 2\n";
    let documents = read_stream(text.as_bytes(), &Limits::default()).unwrap();
    let good: Vec<_> = documents
        .iter()
        .filter(|d| d.value.is_ok())
        .map(|d| d.number)
        .collect();
    assert_eq!((documents.len(), good), (6, vec![1, 6]));
    for document in documents {
        if let Err(error) = document.value {
            let lines = text[document.range].lines().count();
            assert!(
                (document.line..=document.line + lines).contains(&error.line),
                "{error}"
            );
        }
    }
}

#[test]
fn a_document_that_is_not_utf8_keeps_its_neighbours() {
    let documents = read_stream(b"a: 1\n---\nb: \xE9\n---\nc: 3\n", &Limits::default()).unwrap();
    assert_eq!(documents[0].value, Ok(json!({"a": 1})));
    let error = documents[1].value.clone().unwrap_err();
    assert_eq!(
        (error.kind, error.line, error.column),
        (ReadErrorKind::InvalidUtf8, 3, 4)
    );
    assert_eq!(documents[2].value, Ok(json!({"c": 3})));
}

#[test]
fn errors_say_where_and_never_what() {
    for (text, kind, line, column) in [
        ("a: 1\n---\nb: s3cret: x\n", None, 3, 10),
        (
            "a: s3cret\nb: *s3cret\n",
            Some(ReadErrorKind::UnknownAnchor),
            2,
            4,
        ),
        ("a: !!int s3cret\n", Some(ReadErrorKind::TagMismatch), 1, 4),
        ("a: ok\n\tb: s3cret\n", None, 2, 1),
        ("a: \"s3cret\\q\"\n", None, 1, 11),
        ("--- s3cret\n", Some(ReadErrorKind::InvalidSeparator), 1, 1),
        ("a: s3cret\u{1}\n", Some(ReadErrorKind::ControlCharacter), 1, 10),
        (
            "a: s3cret\n...\nb: s3cret\n",
            Some(ReadErrorKind::TrailingText),
            3,
            1,
        ),
        ("~: s3cret\n", Some(ReadErrorKind::InvalidKey), 1, 1),
        (
            "1: s3cret\n\"1\": s3cret\n",
            Some(ReadErrorKind::AmbiguousKey),
            3,
            1,
        ),
        ("a: .inf\n", Some(ReadErrorKind::NotFinite), 1, 4),
        ("a: !!binary s3cret\n", Some(ReadErrorKind::InvalidBase64), 1, 4),
        (
            "a: 1\n\u{feff}b: s3cret\n",
            Some(ReadErrorKind::ByteOrderMark),
            2,
            1,
        ),
        (".nan: s3cret\n", Some(ReadErrorKind::InvalidKey), 1, 1),
        ("[s3cret?]\n", None, 1, 2),
        ("<<: s3cret\n", Some(ReadErrorKind::MergeNotMapping), 1, 5),
        (
            "a: &s3cret [*s3cret]\n",
            Some(ReadErrorKind::RecursiveAnchor),
            1,
            13,
        ),
        ("%YAML 1.2\n", None, 2, 1),
    ] {
        let document = read_stream(text.as_bytes(), &Limits::default())
            .unwrap()
            .pop()
            .unwrap();
        let error = document.value.unwrap_err();
        assert!(
            !error.to_string().contains("s3cret") && !format!("{error:?}").contains("s3cret"),
            "{error:?}"
        );
        assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
        if let Some(kind) = kind {
            assert_eq!(error.kind, kind);
        }
    }
}

#[test]
fn json_objects_may_follow_each_other() {
    assert_eq!(read("{\"a\": 1}"), [(1, 1, Ok(json!({"a": 1})))]);
    assert_eq!(
        read("{\"a\": 1}\n{\"b\": 2}{\"c\": 3}\n---\n{\"d\": 4}\n---\ne: 5\n"),
        [
            (1, 1, Ok(json!({"a": 1}))),
            (2, 1, Ok(json!({"b": 2}))),
            (3, 2, Ok(json!({"c": 3}))),
            (4, 4, Ok(json!({"d": 4}))),
            (5, 6, Ok(json!({"e": 5}))),
        ]
    );
    // Starts as JSON and is YAML.
    assert_eq!(read("{a: 1}"), [(1, 1, Ok(json!({"a": 1})))]);
    assert_eq!(read("{\"a\": 1, # c\n}"), [(1, 1, Ok(json!({"a": 1})))]);
    assert_eq!(read("{\"a\": yes} # c"), [(1, 1, Ok(json!({"a": true})))]);
    // JSON that YAML could not read.
    assert_eq!(
        read("{\"a\": \"\\ud83d\\ude00\"}"),
        [(1, 1, Ok(json!({"a": "😀"})))]
    );
    let error = read("{\"a\": 1}\n{\"b\": }}").pop().unwrap();
    assert!(error.2.is_err());
}

#[test]
fn the_last_line_counts_as_ended() {
    // kubectl hands its parser whole lines: the block scalar keeps its line end.
    assert_eq!(read("a: |\n  b"), [(1, 1, Ok(json!({"a": "b\n"})))]);
    assert_eq!(
        read("a: |\n  b\n---\nc: |-\n  d"),
        [(1, 1, Ok(json!({"a": "b\n"}))), (2, 4, Ok(json!({"c": "d"})))]
    );
    assert_eq!(
        read_document(b"a: |\n  b", &Limits::default()),
        Ok(json!({"a": "b\n"}))
    );
}

#[test]
fn byte_order_marks() {
    assert_eq!(
        read("\u{feff}a: 1\nb: 2\n"),
        [(1, 1, Ok(json!({"a": 1, "b": 2})))]
    );
    assert_eq!(
        read("\u{feff}---\na: 1\nb: 2\n"),
        [(1, 2, Ok(json!({"a": 1, "b": 2})))]
    );
    // Files that were put together.
    assert_eq!(
        read("a: 1\n---\n\u{feff}b: 2\nc: 3\n"),
        [(1, 1, Ok(json!({"a": 1}))), (2, 3, Ok(json!({"b": 2, "c": 3})))]
    );
    assert_eq!(
        read("a: 1\n---\n\u{feff}---\nb: 2\n"),
        [(1, 1, Ok(json!({"a": 1}))), (3, 4, Ok(json!({"b": 2})))]
    );
    assert_eq!(
        read("---\n\u{feff}--- x\n"),
        [(2, 2, Err(ReadErrorKind::InvalidSeparator))]
    );
    // The first byte is that of a mark, and it is none.
    assert_eq!(read("！: 1\n"), [(1, 1, Ok(json!({"！": 1})))]);
}

#[test]
fn ranges_do_not_overlap_and_read_alone_as_in_the_stream() {
    let text = "\u{feff}# c\n---\na: 1\n--- # d\n{\"b\": 2}{\"c\": 3}\n--- e\nf: [\n---\n%YAML 1.2\n";
    let limits = Limits::default();
    let mut end = 0;
    let mut count = 0;
    for_each_document(text.as_bytes(), &limits, |document| {
        assert!(document.range.start >= end, "{document:?}");
        end = document.range.end;
        count += 1;
        let alone = read_document(&text.as_bytes()[document.range], &limits);
        assert_eq!(
            alone.map_err(|error| error.kind),
            document.value.map_err(|error| error.kind)
        );
    })
    .unwrap();
    assert_eq!(count, 5);
}

#[test]
fn merge_keys_anchors_and_duplicates() {
    for (text, value) in [
        (
            "a: &a {x: 1, z: 2}\nb: {<<: *a, z: 3}\n",
            json!({"a": {"x": 1, "z": 2}, "b": {"x": 1, "z": 3}}),
        ),
        // go-yaml v2: what is merged replaces what was written before it.
        ("a: 1\n<<: {a: 2}\n", json!({"a": 2})),
        ("<<: [{a: 1}, {a: 2, b: 3}]\n", json!({"a": 1, "b": 3})),
        (
            "a: &a {<<: {x: 1}}\nb:\n  <<: *a\n",
            json!({"a": {"x": 1}, "b": {"x": 1}}),
        ),
        ("\"<<\": {a: 1}\n", json!({"<<": {"a": 1}})),
        ("a: &a 1\nb: &a 2\nc: *a\n", json!({"a": 1, "b": 2, "c": 2})),
        ("a: &a [&a 1, *a]\nb: *a\n", json!({"a": [1, 1], "b": 1})),
        ("a: &a x\n*a : w\n", json!({"a": "x", "x": "w"})),
        ("a: 1\na: 2\n", json!({"a": 2})),
        ("1.5: a\n1e6: b\n", json!({"1.5": "a", "1e+06": "b"})),
        ("? a\n: b\n", json!({"a": "b"})),
    ] {
        assert_eq!(
            read_document(text.as_bytes(), &Limits::default()),
            Ok(value),
            "{text}"
        );
    }
}
