//! What a rendering yields.

use std::ops::{Deref, Range};
use std::sync::Arc;

use manifest::{ObjectRef, Origin};
use source::BlobId;

use crate::{Facts, Options, Problem, SealedAs};

/// What the files below a path declare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The objects, by path and then in the order they are written. Two items may be the same object:
    /// whether they are depends on namespaces that are filled in later.
    pub items: Vec<Item>,
    /// What could not be read, in the same order. While there is one, an object that is missing from
    /// `items` may be in a file that could not be read: do not prune.
    pub problems: Vec<Problem>,
    /// SHA-256 over the paths and contents of everything that was read, and of what became a problem, and over
    /// [`Variables::digest`](crate::Variables::digest), which is keyed. Equal digests from one
    /// version of this crate and equal limits mean equal items and problems.
    pub digest: [u8; 32],
}

/// One object, without its body. A clone shares what it holds: renderings are kept, and so is what is made of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item(Arc<Described>);

impl Deref for Item {
    type Target = Described;

    fn deref(&self) -> &Described {
        &self.0
    }
}

impl From<Described> for Item {
    fn from(described: Described) -> Self {
        Self(Arc::new(described))
    }
}

/// What is known of an [`Item`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Which object.
    pub id: ObjectRef,
    /// Where it is written.
    pub origin: Origin,
    /// Where to read it again.
    pub locator: Locator,
    /// [`manifest::digest()`] of the object, variables replaced; keyed where a secret variable was used.
    ///
    /// Not keyed otherwise. For a plaintext `v1 Secret` in Git that makes it a hash of something guessable: it may
    /// be compared in memory, and must be keyed before it leaves the process (checkpoint, annotation,
    /// status, log).
    pub digest: [u8; 32],
    /// Annotations that decide order and policy.
    pub facts: Facts,
    /// What they say; `None` for what most objects say: nothing. [`Described::options`] reads better.
    pub options: Option<Box<Options>>,
    /// A hook without a name of its own: `id.name` is what its name begins with, and the API server makes the rest.
    pub generate_name: bool,
    /// [`Described::holds_secret`].
    pub secret: bool,
    /// It is a Secret of which Git holds no value: each is a variable, and a secret one is among them.
    pub filled: bool,
    /// What it says of itself, where it is sealed.
    pub sealed: Option<SealedAs>,
}

impl Described {
    /// What the annotations say of how the object is applied.
    pub fn options(&self) -> &Options {
        static NONE: Options = Options::NONE;
        self.options.as_deref().unwrap_or(&NONE)
    }

    /// A secret variable's value stands somewhere in the object, whatever its kind: what the API server says of it may
    /// quote that, as with a Secret.
    pub fn holds_secret(&self) -> bool {
        self.secret
    }
}

/// The bytes that an object is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator {
    /// The file's content.
    pub blob: BlobId,
    /// The document's bytes in it.
    pub range: Range<usize>,
    /// Index of the object among those of the document, from 0.
    pub index: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_costs_no_more_than_before() {
        // Ten thousand of them are kept for each Sync.
        assert!(size_of::<Described>() <= 272, "{}", size_of::<Described>());
    }
}
