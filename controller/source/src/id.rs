//! Names of Git objects, one type a kind so that a tree is not passed where a commit is meant.

use std::fmt;
use std::str::FromStr;

use git2::Oid;

/// A string that is not a full object id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a full object id: 40 hexadecimal digits are needed")]
pub struct ParseIdError;

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 20]);

        impl $name {
            /// The 20 bytes of the SHA-1 name.
            pub fn as_bytes(&self) -> &[u8; 20] {
                &self.0
            }

            #[allow(dead_code, reason = "not every kind is named from libgit2")]
            pub(crate) fn of(oid: Oid) -> Self {
                let mut bytes = [0; 20];
                // git2 is built for SHA-1: 20 bytes always. Zeros name no object, should that change.
                if let Some(first) = oid.as_bytes().get(..20) {
                    bytes.copy_from_slice(first);
                }
                Self(bytes)
            }

            #[allow(dead_code, reason = "see `of`")]
            pub(crate) fn from_array(bytes: [u8; 20]) -> Self {
                Self(bytes)
            }

            #[allow(dead_code, reason = "see `of`")]
            pub(crate) fn oid(&self) -> Oid {
                // Fails for a wrong length only.
                Oid::from_bytes(&self.0).unwrap_or_else(|_| Oid::ZERO_SHA1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse(text).map(Self)
            }
        }
    };
}

object_id!(
    /// The name of a commit.
    CommitId
);
object_id!(
    /// The name of a tree (a directory): equal names mean equal content, all the way down.
    TreeId
);
object_id!(
    /// The name of a blob (a file's content).
    BlobId
);

fn parse(text: &str) -> Result<[u8; 20], ParseIdError> {
    let digits = text.as_bytes();
    if digits.len() != 40 {
        return Err(ParseIdError);
    }
    let mut bytes = [0; 20];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let mut value = 0;
        for digit in pair {
            value = value * 16 + char::from(*digit).to_digit(16).ok_or(ParseIdError)?;
        }
        *byte = u8::try_from(value).map_err(|_| ParseIdError)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_as_they_parse() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        let id: CommitId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(CommitId::of(id.oid()), id);
    }

    #[test]
    fn short_and_odd_ids_are_refused() {
        for text in ["", "0123", "z123456789abcdef0123456789abcdef01234567", "é"] {
            assert_eq!(text.parse::<TreeId>(), Err(ParseIdError), "{text}");
        }
    }
}
