//! Texts that mean harm: each ends quickly, in an error, with little memory.

use std::time::{Duration, Instant};

use manifest::{Limits, ReadErrorKind, read_document, read_stream};

/// Generous for a debug build on a busy machine; the attacks below would take minutes or gigabytes unbounded.
const SOON: Duration = Duration::from_secs(10);

fn kind(text: &str) -> ReadErrorKind {
    let start = Instant::now();
    let kind = read_document(text.as_bytes(), &Limits::default())
        .unwrap_err()
        .kind;
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    kind
}

fn nodes() -> ReadErrorKind {
    ReadErrorKind::TooManyNodes {
        limit: Limits::default().nodes,
    }
}

fn depth() -> ReadErrorKind {
    ReadErrorKind::TooDeep {
        limit: Limits::default().depth,
    }
}

fn laughs(levels: usize, open: &str, close: &str, leaf: &str) -> String {
    let mut text = format!("a0: &a0 {open}{}{close}\n", [leaf; 9].join(","));
    for level in 1..levels {
        let aliases = vec![format!("*a{}", level - 1); 9].join(",");
        text += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    text
}

#[test]
fn billion_laughs() {
    assert_eq!(kind(&laughs(9, "[", "]", "lol")), nodes());
    assert_eq!(kind(&laughs(60, "[", "]", "lol")), nodes());
    // One level fewer than the limit of nodes allows is still read.
    assert!(read_document(laughs(4, "[", "]", "lol").as_bytes(), &Limits::default()).is_ok());
}

#[test]
fn large_texts_repeated() {
    let text = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(1 << 20),
        ["*a"; 10_000].join(",")
    );
    assert_eq!(
        kind(&text),
        ReadErrorKind::TooMuchText {
            limit: Limits::default().expanded_bytes
        }
    );
}

#[test]
fn merged_over_and_over() {
    let big: String = (0..1000).map(|i| format!("k{i}: 1, ")).collect();
    let text = format!("a: &a {{{big}}}\nb: {{<<: [{}]}}\n", ["*a"; 100_000].join(","));
    assert_eq!(kind(&text), nodes());
    let many: String = (0..100_000).map(|_| "- {<<: *a}\n").collect();
    assert_eq!(kind(&format!("a: &a {{{big}}}\nb:\n{many}")), nodes());
}

#[test]
fn deep_nesting() {
    assert_eq!(kind(&"[".repeat(1 << 20)), depth());
    assert_eq!(kind(&"{a: ".repeat(1 << 19)), depth());
    assert_eq!(kind(&"- ".repeat(1 << 20)), depth());
    assert_eq!(kind(&"{\"a\":".repeat(1 << 19)), depth());
    assert_eq!(kind(&"? ".repeat(1 << 20)), ReadErrorKind::InvalidKey);
    let stairs: String = (0..1500).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    assert_eq!(kind(&stairs), depth());
    let fits = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert!(read_document(fits.as_bytes(), &Limits::default()).is_ok());
    assert_eq!(kind(&format!("[{fits}]")), depth());
}

#[test]
fn deep_through_aliases() {
    let mut text = String::from("a0: &a0 []\n");
    for level in 1..200 {
        text += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert_eq!(kind(&text), depth());
}

#[test]
fn wide() {
    assert_eq!(kind(&format!("[{}]", "1,".repeat(1 << 20))), nodes());
    assert_eq!(kind(&"-\n".repeat(1 << 20)), nodes());
    assert_eq!(kind(&format!("{{\"a\":[{}1]}}", "1,".repeat(1 << 20))), nodes());
}

#[test]
fn too_large() {
    let limits = Limits::default();
    let large = format!("a: {}", "x".repeat(limits.document_bytes));
    assert_eq!(
        kind(&large),
        ReadErrorKind::DocumentTooLarge {
            limit: limits.document_bytes
        }
    );
    let json = format!("{{\"a\": \"{}\"}}", "x".repeat(limits.document_bytes));
    assert_eq!(
        kind(&json),
        ReadErrorKind::DocumentTooLarge {
            limit: limits.document_bytes
        }
    );
    // Its neighbours are read all the same.
    let stream = format!("a: 1\n---\n{large}\n---\n{json}\n---\nb: 2\n");
    let read = read_stream(stream.as_bytes(), &limits).unwrap();
    assert_eq!(
        read.iter()
            .map(|document| document.value.is_ok())
            .collect::<Vec<_>>(),
        [true, false, false, true]
    );
    let stream = "a\n---\n".repeat(limits.documents + 1);
    let error = read_stream(stream.as_bytes(), &limits).unwrap_err();
    assert_eq!(
        error.kind,
        ReadErrorKind::TooManyDocuments {
            limit: limits.documents
        }
    );
    let stream = "{\"a\":1}".repeat(limits.documents + 1);
    let error = read_stream(stream.as_bytes(), &limits).unwrap_err();
    assert_eq!(
        error.kind,
        ReadErrorKind::TooManyDocuments {
            limit: limits.documents
        }
    );
    let error = read_stream(&vec![b'a'; limits.stream_bytes + 1], &limits).unwrap_err();
    assert_eq!(
        error.kind,
        ReadErrorKind::StreamTooLarge {
            limit: limits.stream_bytes
        }
    );
}

#[test]
fn long_runs_of_one_character() {
    let limits = Limits::default();
    for piece in [
        "\"", "'", "\\", " ", "\t", "#", "&", "*", "!", "|", ">", "%", "@", ":", "?", "-", ".", "~", "\n",
        "\r", "a ", "a: ", "&a ", "!!a ", "\u{85}", "\u{2028}", "é", "\"\\", "}{", "[]", "{}", "|\n", "? - ",
        "'\n",
    ] {
        let text = piece.repeat((1 << 20) / piece.len());
        let start = Instant::now();
        let _ = read_document(text.as_bytes(), &limits);
        let _ = read_stream(text.as_bytes(), &limits);
        assert!(start.elapsed() < SOON, "{piece:?}: {:?}", start.elapsed());
    }
}

/// Inputs on which libyaml-safer 0.3 itself panics.
#[test]
fn the_parsers_own_panics_are_errors() {
    assert_eq!(kind("[!a,"), ReadErrorKind::ParserFailed);
    // Would panic if the last line had no end.
    assert!(matches!(kind("\"\\"), ReadErrorKind::Syntax(_)));
}
