//! What sigs.k8s.io/yaml answers, this reader answers.

use manifest::{Draft, Limits, Replacement, read_document, read_draft, read_stream};
use serde_json::Value;

const GENERATED: &str = include_str!("../vectors/yaml-generated.json");
const KUBERNETES: &str = include_str!("../vectors/yaml-kubernetes.json");

/// Texts that Go reads and this reader refuses, each with the reason.
const REFUSED: &[(&str, &str)] = &[
    (
        "v: 1\n---\nv: 2",
        "two documents in the text of one: Go drops the second; whoever has a stream calls read_stream",
    ),
    (
        "---\n---\nv: 1",
        "the same, and Go's answer is that there is nothing at all",
    ),
];

#[test]
fn kubernetes() {
    let vectors: Vec<Value> = serde_json::from_str(KUBERNETES).unwrap();
    let (mut equal, mut refused) = (0, Vec::new());
    for vector in &vectors {
        let text = vector["yaml"].as_str().unwrap();
        let answer = read_document(text.as_bytes(), &Limits::default());
        match (vector["error"] == true, answer) {
            (true, Err(_)) => equal += 1,
            (false, Ok(value)) if value == vector["go"] => equal += 1,
            (false, Err(_)) => refused.push(text),
            (error, answer) => panic!(
                "{text:?}: Go says {} (error: {error}), we say {answer:?}",
                vector["go"]
            ),
        }
    }
    refused.sort_unstable();
    let mut expected: Vec<_> = REFUSED.iter().map(|(text, _)| *text).collect();
    expected.sort_unstable();
    assert_eq!(refused, expected);
    assert!(refused.len() <= 5);
    assert_eq!((vectors.len(), equal), (111, 109));
}

#[test]
fn generated() {
    let limits = Limits::default();
    let vectors: Vec<Value> = serde_json::from_str(GENERATED).unwrap();
    assert_eq!(vectors.len(), 360);
    for vector in &vectors {
        let text = vector["yaml"].as_str().unwrap();
        if let Some(expected) = vector.get("stream") {
            let read = read_stream(text.as_bytes(), &limits).unwrap();
            let values: Vec<_> = read.into_iter().map(|document| document.value.unwrap()).collect();
            assert_eq!(&Value::from(values), expected, "{text}");
        } else {
            assert_eq!(
                read_document(text.as_bytes(), &limits).ok().as_ref(),
                vector.get("go"),
                "{text}"
            );
        }
    }
}

/// A draft in which nothing is replaced is the document, and what is no document is no draft.
#[test]
fn drafts() {
    let limits = Limits::default();
    for file in [KUBERNETES, GENERATED] {
        let vectors: Vec<Value> = serde_json::from_str(file).unwrap();
        for vector in &vectors {
            let text = vector["yaml"].as_str().unwrap();
            // With a variable at the end of each line, so that there are some.
            for text in [text.to_owned(), text.replace('\n', "${v}\n")] {
                let value = read_document(text.as_bytes(), &limits);
                let draft = read_draft(text.as_bytes(), &limits);
                assert_eq!(draft.clone().map(Draft::as_written), value, "{text}");
                let Ok(draft) = draft else { continue };
                let replaced = draft.replace(|_, _, text| {
                    let text = text.to_owned();
                    Ok::<_, ()>(Replacement { text, quoted: false })
                });
                assert_eq!(replaced.ok(), value.ok(), "{text}");
            }
        }
    }
}
