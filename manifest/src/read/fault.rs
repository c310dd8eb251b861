//! A fault inside one document, before it is known where the document is.

use super::error::{ReadError, ReadErrorKind};
use super::words;

/// What is wrong, and at which byte of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(super) kind: ReadErrorKind,
    pub(super) offset: usize,
}

impl Fault {
    pub(super) fn new(kind: ReadErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// The fault as an error in `document`, whose first line is line `first_line` of the stream.
    pub(super) fn locate(self, document: &[u8], first_line: usize) -> ReadError {
        let before = document.get(..self.offset).unwrap_or(document);
        let line = line_ends(before);
        let last = before.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
        // Characters, not bytes: continuation bytes do not count.
        let column = last.iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
        // The parser takes a tab at the start of a line for a value's first character.
        let kind = match self.kind {
            ReadErrorKind::Syntax(words::TOKEN) if document.get(self.offset) == Some(&b'\t') => {
                ReadErrorKind::Syntax(words::TAB)
            }
            kind => kind,
        };
        ReadError {
            kind,
            line: first_line + line,
            column: column + 1,
        }
    }
}

/// How many lines end in a text.
#[allow(clippy::naive_bytecount)] // once a document; not worth a dependency
pub(super) fn line_ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_is_called_one() {
        let kind = |text: &[u8]| {
            Fault::new(ReadErrorKind::Syntax(words::TOKEN), 3)
                .locate(text, 1)
                .kind
        };
        assert_eq!(kind(b"a:\n\tb: c"), ReadErrorKind::Syntax(words::TAB));
        assert_eq!(kind(b"a: %b"), ReadErrorKind::Syntax(words::TOKEN));
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        let text = "a: ä\r\nbé: c".as_bytes();
        for (offset, line, column) in [(0, 7, 1), (3, 7, 4), (5, 7, 5), (7, 8, 1), (10, 8, 3), (99, 8, 6)] {
            let error = Fault::new(ReadErrorKind::Json, offset).locate(text, 7);
            assert_eq!((error.line, error.column), (line, column), "{offset}");
        }
    }
}
