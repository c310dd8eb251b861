//! What is said of a signature.

use std::fmt;

/// Who made a good signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signer {
    /// What the trust calls them: principals of `allowed_signers`, or the addresses of an OpenPGP key's user ids.
    pub names: Vec<String>,
    /// The key: `SHA256:…` of an SSH key, or the fingerprint of the OpenPGP key that is trusted, in capitals.
    pub key: String,
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.first() {
            Some(name) => write!(f, "{name} ({})", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// What a signature is worth. Its text is a clause: "it is not signed".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Made by somebody who is trusted.
    Good(Signer),
    /// There is none.
    Unsigned,
    /// Well made, by a key that nobody is trusted with. The key, as far as it is known.
    Unknown(String),
    /// By a key that was not valid any more when the object was made.
    Expired(String),
    /// By a key that was not valid yet when the object was made.
    Early(String),
    /// By a key that was revoked.
    Revoked(String),
    /// It does not fit what is signed, or is malformed. Why.
    Bad(&'static str),
    /// Of a kind that is not taken. Which.
    Unsupported(&'static str),
}

impl Verdict {
    /// Who signed, if that is proven.
    #[must_use]
    pub fn signer(&self) -> Option<&Signer> {
        match self {
            Self::Good(signer) => Some(signer),
            _ => None,
        }
    }

    /// One word for programs and columns.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Good(_) => "good",
            Self::Unsigned => "unsigned",
            Self::Unknown(_) => "unknown",
            Self::Expired(_) => "expired",
            Self::Early(_) => "early",
            Self::Revoked(_) => "revoked",
            Self::Bad(_) => "bad",
            Self::Unsupported(_) => "unsupported",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(signer) => write!(f, "it is signed by {signer}"),
            Self::Unsigned => f.write_str("it is not signed"),
            Self::Unknown(key) => write!(f, "it is signed with a key that nobody is trusted with ({key})"),
            Self::Expired(key) => write!(f, "the key of its signature was not valid any more ({key})"),
            Self::Early(key) => write!(f, "the key of its signature was not valid yet ({key})"),
            Self::Revoked(key) => write!(f, "the key of its signature is revoked ({key})"),
            Self::Bad(why) => write!(f, "its signature is bad: {why}"),
            Self::Unsupported(what) => write!(f, "its signature cannot be checked: it is {what}"),
        }
    }
}
