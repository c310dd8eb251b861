//! What to follow in a remote.

mod choice;
mod range;

pub use choice::Choice;
pub(crate) use choice::choose;
pub use range::{RangeError, TagRange};

use crate::{CommitId, SourceError};

/// Longest name of a ref, in bytes, without `refs/heads/` or `refs/tags/`.
const MAX_NAME_BYTES: usize = 255;

/// The ref to follow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefSpec {
    /// The head of a branch, such as `main` (without `refs/heads/`).
    Branch(String),
    /// A tag, such as `v1.2.3` (without `refs/tags/`), peeled to its commit.
    Tag(String),
    /// The tag of the highest version in a range.
    Versions(TagRange),
    /// One commit, for ever.
    Commit(CommitId),
    /// Any ref by its full name, such as `refs/pull/7/head`.
    Full(String),
}

impl RefSpec {
    /// Refuses names that Git does not have (git-check-ref-format(1)).
    pub fn check(&self) -> Result<(), SourceError> {
        let (name, full) = match self {
            Self::Branch(name) => (name, format!("refs/heads/{name}")),
            Self::Tag(name) => (name, format!("refs/tags/{name}")),
            Self::Full(name) if name.starts_with("refs/") => (name, name.clone()),
            Self::Full(_) => return Err(SourceError::BadRef),
            Self::Versions(_) | Self::Commit(_) => return Ok(()),
        };
        if name.len() > MAX_NAME_BYTES || !git2::Reference::is_valid_name(&full) {
            return Err(SourceError::BadRef);
        }
        Ok(())
    }

    /// The ref and nothing else, for keys: equal texts mean the same ref.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Branch(name) => format!("refs/heads/{name}"),
            Self::Tag(name) => format!("refs/tags/{name}"),
            Self::Full(name) => name.clone(),
            Self::Versions(range) => format!("versions {range}"),
            Self::Commit(id) => format!("commit {id}"),
        }
    }

    /// Whether a new commit is expected to descend from the one before: so it is with branches and pull requests. Tags are
    /// moved or followed by others, and a commit is what it is.
    #[must_use]
    pub fn has_history(&self) -> bool {
        matches!(self, Self::Branch(_) | Self::Full(_))
    }

    /// The answer when the remote has refs but not this one.
    fn missing(&self) -> SourceError {
        match self {
            Self::Branch(name) => SourceError::NoSuchBranch(name.clone()),
            Self::Tag(name) => SourceError::NoSuchTag(name.clone()),
            Self::Full(name) => SourceError::NoSuchRef(name.clone()),
            Self::Versions(range) => SourceError::NoVersion(range.to_string()),
            Self::Commit(id) => SourceError::CommitNotServed(id.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_names_pass() {
        for good in ["main", "feature/x-1", "ünïcode"] {
            assert!(RefSpec::Branch(good.into()).check().is_ok(), "{good}");
            assert!(RefSpec::Tag(good.into()).check().is_ok(), "{good}");
            assert!(
                RefSpec::Full(format!("refs/pull/{good}")).check().is_ok(),
                "{good}"
            );
        }
        for bad in [
            "", "a..b", "*", "a:b", "x/*", "-\u{0}", "a b", "a/", "/a", ".a", "a.lock", "@{", "a\nb",
        ] {
            for spec in [
                RefSpec::Branch(bad.into()),
                RefSpec::Tag(bad.into()),
                RefSpec::Full(bad.into()),
                RefSpec::Full(format!("refs/pull/{bad}")),
            ] {
                assert_eq!(spec.check(), Err(SourceError::BadRef), "{spec:?}");
            }
        }
        assert_eq!(RefSpec::Full("HEAD".into()).check(), Err(SourceError::BadRef));
    }
}
