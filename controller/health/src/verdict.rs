//! What is said of an object: a status, a reason, a sentence.

use std::fmt;

/// The longest message, in bytes.
const MESSAGE: usize = 256;
/// The longest reason, in bytes; longer ones are not words.
const REASON: usize = 64;

/// The health of an object, from best to worst: of several, the greatest speaks for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// The object is as its spec wants it.
    Current,
    /// Somebody stopped the object on purpose; nothing will happen until it is resumed. Argo CD's word.
    Suspended,
    /// The object is on its way, or has not been looked at by its controller yet.
    InProgress,
    /// Nothing can be said, because a rule gave no answer.
    Unknown,
    /// The object's controller gave up, or says that it cannot go on.
    Failed,
    /// The object is being deleted.
    Terminating,
}

impl Status {
    /// The status as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "Current",
            Self::Suspended => "Suspended",
            Self::InProgress => "InProgress",
            Self::Unknown => "Unknown",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The health of one object, with why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How the object is.
    pub status: Status,
    /// Why, as one CamelCase word of at most 64 bytes.
    pub reason: Box<str>,
    /// Why, as a sentence of at most 256 bytes without control characters. It may quote the object.
    pub message: Box<str>,
}

impl Verdict {
    /// A verdict in our own words, or with words of the object: both are cut and cleaned here.
    pub(crate) fn new(status: Status, reason: &str, message: &str) -> Self {
        Self {
            status,
            reason: word(reason, status).into(),
            message: printable(message),
        }
    }

    pub(crate) fn current(reason: &str, message: &str) -> Self {
        Self::new(Status::Current, reason, message)
    }

    pub(crate) fn suspended(reason: &str, message: &str) -> Self {
        Self::new(Status::Suspended, reason, message)
    }

    pub(crate) fn in_progress(reason: &str, message: &str) -> Self {
        Self::new(Status::InProgress, reason, message)
    }

    pub(crate) fn failed(reason: &str, message: &str) -> Self {
        Self::new(Status::Failed, reason, message)
    }
}

/// `reason` where it is one word, else the status.
fn word(reason: &str, status: Status) -> &str {
    let is_word = reason.len() <= REASON
        && reason.starts_with(|c: char| c.is_ascii_alphabetic())
        && reason.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_word { reason } else { status.as_str() }
}

/// `text` with runs of white space and control characters as one space each, cut at a character within the limit.
pub(crate) fn printable(text: &str) -> Box<str> {
    let mut out = String::with_capacity(text.len().min(MESSAGE));
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || is_unprintable(c) {
            gap = !out.is_empty();
            continue;
        }
        if out.len() + usize::from(gap) + c.len_utf8() > MESSAGE {
            // Room for the mark, which is three bytes.
            while out.len() + '…'.len_utf8() > MESSAGE {
                out.pop();
            }
            out.push('…');
            break;
        }
        if std::mem::take(&mut gap) {
            out.push(' ');
        }
        out.push(c);
    }
    out.into()
}

/// Control characters, and those that turn the direction of text or do not show: a message must not look like another.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_from_best_to_worst() {
        let all = [
            Status::Current,
            Status::Suspended,
            Status::InProgress,
            Status::Unknown,
            Status::Failed,
            Status::Terminating,
        ];
        assert!(all.is_sorted());
        assert_eq!(format!("{:>8}", Status::Failed), "  Failed");
    }

    #[test]
    fn what_is_quoted_is_one_printable_line() {
        for (text, want) in [
            ("plain", "plain"),
            (" a\n\tb\r\n", "a b"),
            ("\u{1b}[31mred\u{0}", "[31mred"),
            ("a\u{202e}b", "a b"),
            ("", ""),
        ] {
            assert_eq!(&*printable(text), want);
        }
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        assert_eq!(printable(&"a".repeat(256)).len(), 256);
        for text in [
            "a".repeat(257),
            "é".repeat(200),
            "\u{1f600}".repeat(100),
            "a b".repeat(100),
        ] {
            let cut = printable(&text);
            assert!(cut.len() <= 256 && cut.len() > 250, "{}", cut.len());
            assert!(cut.ends_with('…'));
        }
    }

    #[test]
    fn a_reason_is_a_word() {
        for (reason, want) in [
            ("Good1", "Good1"),
            ("", "Failed"),
            ("two words", "Failed"),
            ("1st", "Failed"),
        ] {
            assert_eq!(&*Verdict::failed(reason, "").reason, want);
        }
        assert_eq!(&*Verdict::failed(&"a".repeat(65), "").reason, "Failed");
    }
}
