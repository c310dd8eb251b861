//! Why the set of objects is not known.

use source::PathError;

/// A rendering, or the loading of one object, failed as a whole. What the path declares is not known, so
/// nothing may be deleted because of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The path is missing, no directory, outside the repository, or the store cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The path holds more than the limits allow.
    #[error("the path holds more than {limit} {what}")]
    OverLimit {
        /// Of what, in the plural.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The path is a kustomization or a chart.
    #[error("{tool} is not supported yet, and the path has a {file}")]
    NeedsTool {
        /// `kustomize` or `Helm`.
        tool: &'static str,
        /// The file that says so.
        file: &'static str,
    },
    /// What is to be left out cannot be known.
    #[error(".signetignore of the path cannot be used: {0}")]
    BadIgnore(String),
    /// An item does not belong to the snapshot it is loaded from.
    #[error("the object is not where this commit was said to hold it")]
    NoSuchItem,
}

impl RenderError {
    /// What to do about it, one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Path(PathError::NotFound) => "correct the path, or commit the directory",
            Self::Path(PathError::NotRead) => {
                "add the path to spec.sparsePaths of the Repository, or correct it"
            }
            Self::Path(PathError::NotADirectory) => "name the directory that holds the file",
            Self::Path(PathError::Symlink) => "name the directory that the link points to",
            Self::Path(PathError::Submodule) => {
                "follow the submodule's repository with a Repository of its own"
            }
            Self::Path(PathError::Escapes) => "give a relative path inside the repository, without `..`",
            Self::Path(PathError::Unreadable) => "the repository is fetched afresh",
            Self::Path(_) | Self::OverLimit { .. } => {
                "split the path into several Syncs, or raise the limits"
            }
            Self::NeedsTool { .. } => "commit the rendered manifests, and name their directory",
            Self::BadIgnore(_) => {
                "write one pattern a line, as for .gitignore; until then nothing is changed"
            }
            Self::NoSuchItem => "render again",
        }
    }
}
