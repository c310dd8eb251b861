//! What to follow in a remote.

use crate::SourceError;

/// The ref to follow. Tags, version ranges and fixed commits come later.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefSpec {
    /// The head of a branch, such as `main` (without `refs/heads/`).
    Branch(String),
}

impl RefSpec {
    /// The full name on the remote, checked against git-check-ref-format(1).
    pub(crate) fn remote_name(&self) -> Result<String, SourceError> {
        let Self::Branch(branch) = self;
        let name = format!("refs/heads/{branch}");
        if branch.len() > 255 || !git2::Reference::is_valid_name(&name) {
            return Err(SourceError::BadRef);
        }
        Ok(name)
    }

    /// The answer when the remote has refs but not this one.
    pub(crate) fn missing(&self) -> SourceError {
        let Self::Branch(branch) = self;
        SourceError::NoSuchBranch(branch.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_names_pass() {
        for good in ["main", "feature/x-1", "ünïcode"] {
            assert!(RefSpec::Branch(good.into()).remote_name().is_ok(), "{good}");
        }
        for bad in [
            "", "a..b", "*", "a:b", "x/*", "-\u{0}", "a b", "a/", "/a", ".a", "a.lock", "@{", "a\nb",
        ] {
            assert_eq!(
                RefSpec::Branch(bad.into()).remote_name(),
                Err(SourceError::BadRef),
                "{bad:?}"
            );
        }
    }
}
