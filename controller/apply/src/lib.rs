//! The rooms between desired objects and the API server: discovery, plan, server-side apply, prune.
//!
//! [`plan`] is pure. [`Server`] does the requests, each as an explicit [`Identity`], each with a time limit, and answers
//! with our own [`ApiError`]. What a Sync owns is a [`checkpoint`]: the uids that its applies returned.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod applyset;
pub mod catalog;
pub mod checkpoint;
pub mod conflicts;
mod error;
pub mod fields;
mod inside;
mod key;
mod managed;
mod objects;
pub mod plan;
pub mod prune;
mod request;
pub mod words;

pub use catalog::{Catalog, KindInfo};
pub use error::{ApiError, Cause, ErrorKind, FieldConflict};
pub use inside::Inside;
pub use key::{GroupKind, Key};
pub use managed::{FieldSet, Prints, is_contested, likely_author, own_entry, strangers};
pub use objects::{Applied, DeleteOutcome, LiveMeta, Manner, Meta, Reply, Values, ValuesOf};
pub use request::{Answer, Identity, Server};
