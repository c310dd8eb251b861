//! A fault inside one document, before it is known where the document is.

use super::error::{ReadError, ReadErrorKind};

/// What is wrong, and at which byte of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
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
        ReadError {
            kind: self.kind,
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
    fn lines_and_columns_count_from_one() {
        let text = "a: ä\r\nbé: c".as_bytes();
        for (offset, line, column) in [(0, 7, 1), (3, 7, 4), (5, 7, 5), (7, 8, 1), (10, 8, 3), (99, 8, 6)] {
            let error = Fault::new(ReadErrorKind::Json, offset).locate(text, 7);
            assert_eq!((error.line, error.column), (line, column), "{offset}");
        }
    }
}
