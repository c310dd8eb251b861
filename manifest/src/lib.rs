//! Kubernetes manifests as data: what a text means, which object it is, and in which order objects are applied.
//!
//! This crate owns the road from bytes to objects and the way back to text:
//!
//! - [`read_stream`], [`for_each_document`], [`read_document`]: YAML and JSON exactly as kubectl reads them,
//!   within [`Limits`];
//! - [`manifests`]: a document's value to objects with an identity ([`ObjectRef`]) and a place ([`Origin`]);
//! - [`Draft`]: a document whose variables are replaced, text by text, before its objects are;
//! - [`Phase`]: which objects have to be there before which others;
//! - [`may_say()`]: whether a text need be read for a word at all;
//! - [`write_yaml`]: values to YAML that reads back as the same values;
//! - [`Editor`]: single entries of a text changed in place;
//! - [`digest()`]: one stable hash of a value.
//!
//! It does no I/O and knows no cluster, so that the controller and the command line share it. What comes in is
//! written by strangers: no input panics, takes long or takes much memory, and no error repeats a document's text,
//! since that text may be a Secret's.
#![forbid(unsafe_code)]

mod digest;
mod draft;
mod edit;
mod hidden;
mod identity;
mod objects;
mod order;
mod read;
mod text;
mod visit;
mod write;

pub use digest::digest;
pub use draft::{Draft, DraftError, Path, Replacement, Step, VARIABLE, Written};
pub use edit::{EditError, EditProblem, Editor, line_of};
pub use hidden::may_say;
pub use identity::{
    GroupVersionKind, InvalidName, InvalidNamespace, InvalidType, ObjectRef, Origin, check_name,
    check_namespace,
};
pub use objects::{Manifest, ManifestError, ManifestErrorKind, manifests, manifests_of};
pub use order::Phase;
pub use read::{
    Document, Limits, ReadError, ReadErrorKind, for_each_document, read_document, read_draft, read_stream,
};
pub use text::Printable;
pub use visit::each_object;
pub use write::write_yaml;
