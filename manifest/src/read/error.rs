//! Why a text could not be read. Nothing here holds any of the text: it may be a Secret's.

use thiserror::Error;

/// What is wrong with a text, and where. Displays as `line 3, column 5: …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct ReadError {
    /// What is wrong.
    pub kind: ReadErrorKind,
    /// Line, from 1; counted from the start of the stream, or of the document where only that was given.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl ReadError {
    /// What a person can do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        self.kind.hint()
    }
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// Beyond [`super::Limits::stream_bytes`].
    #[error("the text is larger than {limit} bytes")]
    StreamTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Beyond [`super::Limits::document_bytes`].
    #[error("the document is larger than {limit} bytes")]
    DocumentTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Beyond [`super::Limits::documents`].
    #[error("there are more than {limit} documents in one text")]
    TooManyDocuments {
        /// The limit.
        limit: usize,
    },
    /// Beyond [`super::Limits::depth`].
    #[error("there are more than {limit} levels of mappings and lists")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Beyond [`super::Limits::nodes`].
    #[error("the document has more than {limit} values, counting what aliases repeat")]
    TooManyNodes {
        /// The limit.
        limit: usize,
    },
    /// Beyond [`super::Limits::expanded_bytes`].
    #[error("the document's texts are larger than {limit} bytes, counting what aliases repeat")]
    TooMuchText {
        /// The limit.
        limit: usize,
    },
    /// The text is UTF-16 or binary.
    #[error("the text is not UTF-8 but another encoding or binary data")]
    NotText,
    /// Bytes that are no UTF-8.
    #[error("these bytes are not UTF-8")]
    InvalidUtf8,
    /// A character that YAML does not allow in a text, even inside quotes.
    #[error("a control character is not allowed here")]
    ControlCharacter,
    /// U+FEFF at the start of a line other than the first.
    #[error("a byte order mark stands inside the document")]
    ByteOrderMark,
    /// A `---` with more on its line than a comment.
    #[error("only a blank and a comment may follow `---` on its line")]
    InvalidSeparator,
    /// More text after the document's end, which kubectl would drop without a word.
    #[error("the document has ended, and there is more text after it")]
    TrailingText,
    /// The text is not YAML. What is wrong is said in fixed words.
    #[error("{0}")]
    Syntax(&'static str),
    /// The text starts as JSON and is not JSON.
    #[error("this is not valid JSON")]
    Json,
    /// `%YAML` with another version than 1.1, or in a stream, where kubectl reads it as a document of its own.
    #[error("a YAML version other than 1.1 is declared")]
    YamlVersion,
    /// `*name` without a `&name` before it.
    #[error("the alias refers to no anchor before it")]
    UnknownAnchor,
    /// `*name` inside `&name`.
    #[error("the alias refers to a value that contains it")]
    RecursiveAnchor,
    /// `<<` with something else than a mapping or a list of mappings.
    #[error("a merge key (`<<`) takes a mapping or a list of mappings")]
    MergeNotMapping,
    /// A key that JSON cannot have: null, a list, a mapping, an integer beyond 64 bits signed, not-a-number.
    #[error("a key must be a string, a boolean or a number")]
    InvalidKey,
    /// Keys that are different for YAML and the same text for JSON, such as `1` and `"1"`: kubectl takes either, by chance.
    #[error("two keys of the mapping become the same text, though they are of different types")]
    AmbiguousKey,
    /// A tag (`!!int` and the like) that the value does not fit.
    #[error("the value does not fit its tag")]
    TagMismatch,
    /// `!!binary` with something else than base64.
    #[error("the value is tagged !!binary and is not base64")]
    InvalidBase64,
    /// `!!binary` whose bytes are no text: kubectl would replace them.
    #[error("the value is tagged !!binary and is not UTF-8 text")]
    BinaryNotText,
    /// `.inf` or `.nan`, which JSON has not.
    #[error("infinity and not-a-number have no place in a manifest")]
    NotFinite,
    /// The parser gave up where it should not have.
    #[error("the YAML parser failed on this document")]
    ParserFailed,
}

impl ReadErrorKind {
    /// What a person can do about it, where there is something to say.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::StreamTooLarge { .. } | Self::DocumentTooLarge { .. } => {
                Some("no cluster takes an object of this size: split it, or move the file out of the path")
            }
            Self::TooManyDocuments { .. } => Some("write the documents into several files"),
            Self::TooDeep { .. } => Some("no Kubernetes object is so deep: is this file a manifest?"),
            Self::NotText | Self::InvalidUtf8 => Some("save the file as UTF-8"),
            Self::ControlCharacter => Some("remove the character, or write it as an escape in double quotes"),
            Self::Json => Some("check braces, commas and quotes up to this place"),
            Self::UnknownAnchor => Some("define the anchor before its alias, in the same document"),
            Self::RecursiveAnchor => Some("write the value out in place of the alias"),
            Self::MergeNotMapping => Some("give it an alias of a mapping, such as `<<: *name`"),
            Self::TagMismatch => Some("remove the tag, or correct the value"),
            Self::TooManyNodes { .. } | Self::TooMuchText { .. } => {
                Some("write large repeated parts out once, or split the object")
            }
            Self::ByteOrderMark => Some("remove the invisible character at the start of the line"),
            Self::ParserFailed => Some("if a comma follows a tag (`[!tag, a]`), put a value between them"),
            Self::InvalidSeparator => Some("put what follows `---` on a line of its own"),
            Self::TrailingText => Some("separate documents with a line `---`"),
            Self::YamlVersion => Some("remove the %YAML line: kubectl does not accept it either"),
            Self::InvalidKey | Self::AmbiguousKey | Self::NotFinite => {
                Some("put quotes around it, if it is meant as text")
            }
            Self::BinaryNotText | Self::InvalidBase64 => {
                Some("write the base64 text without the tag, in a field that takes base64")
            }
            Self::Syntax(words) => {
                Some(super::words::hint(words).unwrap_or("correct the text at this line, or just above it"))
            }
        }
    }
}
