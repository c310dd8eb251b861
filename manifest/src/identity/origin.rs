//! Where in a repository an object was written.

use std::fmt::{self, Display};
use std::sync::Arc;

use crate::text::Printable;

/// The place an object came from, for messages and for the way back from a live object to its line in Git.
///
/// Displays as `web/deploy.yaml document 2`, or `web/deploy.yaml document 2 item 3` for an object inside a List.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Path of the file, relative to the root of the repository, or whatever names the text to a person.
    pub file: Arc<str>,
    /// Number of the document in the file, from 1, as [`crate::Document::number`] counts.
    pub document: usize,
    /// Number of the object among those that the document's List holds, from 1; nested Lists are counted through.
    pub item: Option<usize>,
    /// First line of the document in the file, from 1.
    pub line: usize,
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} document {}", Printable(&self.file), self.document)?;
        match self.item {
            Some(item) => write!(f, " item {item}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_as_a_person_would_say_it() {
        let mut origin = Origin {
            file: "web/deploy.yaml".into(),
            document: 2,
            item: None,
            line: 14,
        };
        assert_eq!(origin.to_string(), "web/deploy.yaml document 2");
        origin.item = Some(3);
        assert_eq!(origin.to_string(), "web/deploy.yaml document 2 item 3");
        origin.file = "a\nb".into();
        assert_eq!(origin.to_string(), "a\\u{a}b document 2 item 3");
    }
}
