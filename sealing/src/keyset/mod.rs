//! The key set document: which keys can be sealed for, signed so that a pinned fingerprint survives rotations
//! (`docs/sealed-format.md`).
//!
//! Every sealing key has an endorsement key, derived from its private key: a backup of the one is a backup of the other. A
//! key is endorsed by the one before it, unless that one is marked compromised.
//!
//! A client keeps [`Pins`]: whom it believes, which keys it was told are compromised, and how old the newest set is that it
//! saw. Every set that is believed gives the pins to keep from then on. Forgetting them brings old sets and leaked keys back.

mod build;
mod document;
mod endorsement;
mod verify;

pub use build::{KeySetBuilder, Member};
pub use document::{Audience, KeyEntry, KeySet};
pub use endorsement::{EndorsementKey, EndorsementName, Signature};
pub use verify::{KeySetError, Pins, Trusted, Verified};

use crate::digest::length_prefixed;

/// What a document says it is.
pub const FORMAT: &str = "signet.dev/keyset/v1";

/// What the signature of a whole document is made over.
fn document_message(payload: &[u8]) -> Vec<u8> {
    length_prefixed(&[FORMAT.as_bytes(), payload])
}

/// What the endorsement of a key is made over: all as text, the endorsement key in base64 as it stands in the document.
fn endorsement_message(entry: &KeyEntry) -> Vec<u8> {
    length_prefixed(&[
        b"signet.dev/endorsement/v1",
        entry.suite.as_bytes(),
        entry.id.as_bytes(),
        entry.public_text().as_bytes(),
        entry.endorsement_key.as_bytes(),
    ])
}
