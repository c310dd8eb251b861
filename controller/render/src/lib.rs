//! Snapshots to manifests: which objects a directory of a commit declares.
//!
//! [`directory()`] reads every manifest below a path once and keeps, for each object, an [`Item`]: its
//! identity, its place, its digest and the few annotations that order and policy need. The object's body
//! is dropped: a [`Loader`] reads it again when it is applied, so that ten thousand objects cost a few
//! megabytes.
//!
//! Two kinds of failure are kept apart. A [`Problem`] is one file's or one document's: its neighbours
//! still come out. A [`RenderError`] means that the set of objects is not known: nothing may be pruned.
//!
//! Variables ([`Variables`]) are replaced in each object's texts before its identity is read.
//!
//! Plain directories only so far. A path that needs kustomize or Helm is refused, since its files mean
//! something else when they are taken as they are.
#![forbid(unsafe_code)]

mod directory;
mod error;
mod facts;
mod file;
mod ignored;
mod item;
mod layout;
mod limits;
mod loader;
mod options;
mod pods;
mod problem;
mod sealed;
mod substitute;

pub use directory::{directory, directory_with};
pub use error::RenderError;
pub use facts::Facts;
pub use item::{Described, Item, Locator, Rendered};
pub use limits::Limits;
pub use loader::{Loader, load};
pub use options::{DeletePolicy, Dependency, Hook, HookPhase, OptionError, Options};
pub use problem::Problem;
pub use sealed::{SealedAs, SealedFormat};
pub use substitute::{VariableError, Variables, gather};
