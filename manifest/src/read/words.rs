//! What the YAML parser finds wrong, in the words of this crate.

pub(super) const TAB: &str = "a tab is used where YAML takes only spaces";
pub(super) const TOKEN: &str = "a value cannot start with this character";
pub(super) const NESTED_COLON: &str = "a `key: value` is not possible here";

pub(super) const ESCAPE: &str = "YAML knows no such escape sequence";

/// The parser's complaint, said so that a reader of YAML understands it. Both are fixed texts.
pub(super) fn words(problem: &'static str) -> &'static str {
    match problem {
        "mapping values are not allowed in this context" => NESTED_COLON,
        "mapping keys are not allowed in this context" => "a `? key` is not possible here",
        "block sequence entries are not allowed in this context" => "a `- item` is not possible here",
        "did not find expected key" | "could not find expected ':'" => {
            "a `key: value` was expected here; is the indentation right?"
        }
        "did not find expected '-' indicator" => "a `- item` was expected here; is the indentation right?",
        "did not find expected ',' or ']'" => "a `,` or `]` was expected here",
        "did not find expected ',' or '}'" => "a `,` or `}` was expected here",
        "did not find expected node content" => "a value was expected here",
        "did not find expected <document start>" => "a `---` was expected here",
        "did not find expected alphabetic or numeric character" => {
            "an anchor's name has letters, digits, `-` and `_` only"
        }
        "found character that cannot start any token" => TOKEN,
        "found a tab character that violates indentation"
        | "found a tab character where an indentation space is expected" => TAB,
        "found unexpected end of stream" => "the document ends inside a quoted text",
        "found unexpected document indicator" => "a `---` or `...` stands inside a quoted text",
        "found unknown escape character" => ESCAPE,
        "found invalid Unicode character escape code" => "the escape sequence is no Unicode character",
        "did not find expected hexdecimal number" => "the escape sequence lacks hexadecimal digits",
        "found undefined tag handle" => "the tag's handle is not declared",
        "found incompatible YAML document" => "the YAML version that is declared is not known",
        other => other,
    }
}

/// What a person can do about such a complaint.
pub(super) fn hint(words: &'static str) -> Option<&'static str> {
    match words {
        TAB => Some("indent with spaces"),
        TOKEN => Some("put quotes around the value; a template must be rendered before it is a manifest"),
        NESTED_COLON => Some("put quotes around a text that contains `: `, and check the indentation"),
        ESCAPE => Some("in double quotes, write `\\\\` for a backslash, and `'` without one"),
        _ => None,
    }
}
