//! Paths inside a repository: parsed once, never able to leave it.

use std::fmt;

/// A path from the repository's root, `/`-separated, without `.`, `..`, empty or `.git` components.
///
/// ```
/// use source::RepoPath;
/// assert_eq!(RepoPath::parse("./apps//web/").unwrap().as_str(), "apps/web");
/// assert_eq!(RepoPath::parse(".").unwrap().as_str(), "");
/// assert!(RepoPath::parse("../other").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoPath(String);

/// Why a path of a snapshot cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Absolute, or with `..`, a backslash, a control character or a `.git` component.
    #[error("the path leaves the repository, or names what no repository holds")]
    Escapes,
    /// No such file or directory in this commit.
    #[error("the path does not exist in this commit")]
    NotFound,
    /// It may be there, and is no part of what is read of the repository ([`Remote::sparse`](crate::Remote::sparse)).
    #[error("the path is not among spec.sparsePaths of the Repository")]
    NotRead,
    /// A component, or the whole, is a file.
    #[error("the path is not a directory")]
    NotADirectory,
    /// A component is a symbolic link: none is followed.
    #[error("the path goes through a symbolic link")]
    Symlink,
    /// A component is a submodule that is not followed.
    #[error("the path goes through a submodule")]
    Submodule,
    /// Over a limit given by the caller, or a directory object beyond all reason.
    #[error("the tree is over a limit: {0}")]
    TooLarge(&'static str),
    /// The store failed; it is rebuilt by the next fetch.
    #[error("the local store cannot be read")]
    Unreadable,
}

impl RepoPath {
    /// Checks and normalises a path; `""`, `.` and `./` are the root.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > 4096 || text.starts_with('/') {
            return Err(PathError::Escapes);
        }
        let mut path = String::with_capacity(text.len());
        for component in text
            .split('/')
            .filter(|component| !matches!(*component, "" | "."))
        {
            if !is_safe_name(component) {
                return Err(PathError::Escapes);
            }
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(component);
        }
        Ok(Self(path))
    }

    /// The repository's root.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// Whether one of the two is the other, or lies in it.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let mut pairs = self.components().zip(other.components());
        pairs.all(|(one, other)| one == other)
    }

    /// Without leading or trailing slash; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its components, from the root.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

/// Whether a name can be one component of a path: not special anywhere a tree could be written to.
pub(crate) fn is_safe_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
        && !is_dot_git(name)
}

/// `.git` as a case-insensitive file system, HFS+ (ignorable characters) or NTFS (short names, trailing
/// dots and spaces, streams) would read it: no repository of ours is written out, but renderers' inputs are.
fn is_dot_git(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'))
        .collect();
    let base = plain.split(':').next().unwrap_or("").trim_end_matches(['.', ' ']);
    base.eq_ignore_ascii_case(".git") || base.eq_ignore_ascii_case("git~1")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_that_leave_are_refused() {
        for text in [
            "..",
            "a/..",
            "../a",
            "a/../../b",
            "/a",
            "//a",
            "a\\b",
            "a\0b",
            "a\nb",
            ".git",
            "a/.GIT/config",
            "git~1",
            ".git ",
            ".git.",
            ".g\u{200c}it",
            ".git::$INDEX_ALLOCATION",
            "...\\a",
        ] {
            assert_eq!(RepoPath::parse(text), Err(PathError::Escapes), "{text:?}");
        }
    }

    #[test]
    fn harmless_names_pass() {
        for text in [
            ".gitignore",
            ".github/x",
            "a/...",
            "git",
            "a b",
            "ünï",
            "~",
            "a:b",
        ] {
            assert_eq!(RepoPath::parse(text).unwrap().as_str(), text);
        }
    }

    proptest! {
        #[test]
        fn normalised_paths_stay_inside(text in "[./a-c~\\\\ git\u{0}]{0,24}") {
            if let Ok(path) = RepoPath::parse(&text) {
                prop_assert!(!path.as_str().starts_with('/') && !path.as_str().ends_with('/'));
                for component in path.components() {
                    prop_assert!(is_safe_name(component));
                    prop_assert!(text.contains(component));
                }
                prop_assert_eq!(RepoPath::parse(path.as_str()).unwrap(), path);
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = RepoPath::parse(&text);
        }
    }
}
