//! Names and namespaces that the API server could accept.

use thiserror::Error;

/// Longest name of an object, in bytes (a DNS subdomain, RFC 1123).
const NAME_MAX: usize = 253;
/// Longest name of a namespace, in bytes (a DNS label, RFC 1123).
const NAMESPACE_MAX: usize = 63;

/// Why a name can be no object's name. Each kind has rules of its own on top, which the API server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// There is none.
    #[error("it is empty")]
    Empty,
    /// Longer than any kind allows.
    #[error("it is longer than 253 bytes")]
    TooLong,
    /// `.` or `..`, which are path steps.
    #[error("it is a path step")]
    PathStep,
    /// `/` or `%`, which would change the request's path.
    #[error("it contains '/' or '%'")]
    PathCharacter,
    /// A character that is not printed as itself.
    #[error("it contains a control or invisible character")]
    ControlCharacter,
}

/// Why a text is no namespace (RFC 1123 label: lower-case letters, digits and `-`, at most 63 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a namespace has lower-case letters, digits and '-', starts and ends with a letter or digit, and has at most 63 bytes"
)]
pub struct InvalidNamespace;

/// Refuses what no kind accepts as a name: the API server's rule for path segments, and the longest name of any kind.
pub fn check_name(name: &str) -> Result<(), InvalidName> {
    if name.is_empty() {
        Err(InvalidName::Empty)
    } else if name.len() > NAME_MAX {
        Err(InvalidName::TooLong)
    } else if name == "." || name == ".." {
        Err(InvalidName::PathStep)
    } else if name.contains(['/', '%']) {
        Err(InvalidName::PathCharacter)
    } else if !name.chars().all(crate::text::is_plain) {
        Err(InvalidName::ControlCharacter)
    } else {
        Ok(())
    }
}

/// Refuses what is not an RFC 1123 label.
pub fn check_namespace(namespace: &str) -> Result<(), InvalidNamespace> {
    if is_label(namespace) {
        Ok(())
    } else {
        Err(InvalidNamespace)
    }
}

/// An RFC 1123 label.
pub(super) fn is_label(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    (1..=NAMESPACE_MAX).contains(&bytes.len())
        && bytes.iter().all(|&b| alphanumeric(b) || b == b'-')
        && bytes.first().is_some_and(|&b| alphanumeric(b))
        && bytes.last().is_some_and(|&b| alphanumeric(b))
}

/// An RFC 1123 subdomain: labels joined by dots, at most 253 bytes.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= NAME_MAX && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_some_kind_accepts_pass() {
        for name in [
            "web",
            "system:node-proxier",
            "a.b.c",
            "Upper_Case",
            &"x".repeat(253),
        ] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_no_kind_accepts_do_not() {
        assert_eq!(check_name(""), Err(InvalidName::Empty));
        assert_eq!(check_name(&"x".repeat(254)), Err(InvalidName::TooLong));
        assert_eq!(check_name(".."), Err(InvalidName::PathStep));
        assert_eq!(check_name("a/b"), Err(InvalidName::PathCharacter));
        assert_eq!(check_name("a%2fb"), Err(InvalidName::PathCharacter));
        assert_eq!(check_name("a\nb"), Err(InvalidName::ControlCharacter));
        assert_eq!(check_name("a\u{202e}b"), Err(InvalidName::ControlCharacter));
    }

    #[test]
    fn namespaces_are_labels() {
        for good in ["shop", "a", "0", "a-b", &"x".repeat(63)] {
            assert_eq!(check_namespace(good), Ok(()), "{good}");
        }
        for bad in ["", "Shop", "a.b", "-a", "a-", "a/b", "ä", &"x".repeat(64)] {
            assert_eq!(check_namespace(bad), Err(InvalidNamespace), "{bad}");
        }
    }
}
