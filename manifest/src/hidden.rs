//! Whether a text may say a word once it is read: what does not need not be read for it.

/// Whether some scalar of a text may be, or hold, this word: it stands there, or something that a word can be hidden in. In double
/// quotes a character may be written as its number, and a backslash at the end of a line joins what stands around it (YAML 1.2, 5.7
/// and 7.3.1); a scalar of the type `binary` is base64, and the tag that says so may be written in numbers as well (6.8.1).
///
/// A text that cannot be said to be without it is said to have it: read it.
#[must_use]
pub fn may_say(text: &[u8], word: &str) -> bool {
    let has = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    let escaped = |part: &[u8]| part[0] == b'\\' && matches!(part[1], b'x' | b'u' | b'U' | b'\n' | b'\r');
    let is_base64 = has(b"!binary") || has(b":binary");
    has(word.as_bytes()) || is_base64 || text.windows(2).any(escaped) || has_numbered_tag(text)
}

/// Whether there is a tag with a character that is written as its number.
fn has_numbered_tag(text: &[u8]) -> bool {
    let mut inside = false;
    text.iter().any(|byte| {
        inside = match byte {
            b'!' => true,
            byte if byte.is_ascii_whitespace() => false,
            _ => inside,
        };
        inside && *byte == b'%'
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, read_stream};

    #[test]
    fn a_word_may_be_written_in_numbers_over_lines_and_in_base64() {
        for text in [
            "kind: SealedSecret",
            r#"{"kind": "Sealed\u0053ecret"}"#,
            r#"kind: "Sealed\x53ecret""#,
            r#"kind: "Sealed\U00000053ecret""#,
            "kind: \"Sealed\\\n  Secret\"",
            "kind: \"Sealed\\\r\n  Secret\"",
            "kind: !!binary U2VhbGVkU2VjcmV0",
            "kind: !!bin%61ry U2VhbGVkU2VjcmV0",
            "kind: !<tag:yaml.org,2002:binary> U2VhbGVkU2VjcmV0",
        ] {
            let read = read_stream(text.as_bytes(), &Limits::default()).unwrap();
            assert_eq!(read[0].value.as_ref().unwrap()["kind"], "SealedSecret", "{text}");
            assert!(may_say(text.as_bytes(), "SealedSecret"), "{text}");
        }
        for text in [
            "kind: Secret",
            "a: 100%! b",
            "",
            "path: C:\\temp",
            "binaryData: {}",
        ] {
            assert!(!may_say(text.as_bytes(), "SealedSecret"), "{text}");
        }
    }
}
