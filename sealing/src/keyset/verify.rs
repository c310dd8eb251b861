//! Whether a key set comes from whom it came before.

use super::document::{Envelope, KeyEntry, KeySet};
use super::endorsement::EndorsementName;
use super::{FORMAT, document_message, endorsement_message};
use crate::base64_text;
use std::collections::BTreeSet;

/// The most that a document may have.
const LARGEST: usize = 1 << 20;
const KEYS: usize = 256;
const SIGNATURES: usize = 16;

/// A key set whose signatures are sound.
#[derive(Debug)]
pub struct Verified {
    set: KeySet,
    signers: BTreeSet<EndorsementName>,
}

/// Why a key set is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// Not a document of this format.
    #[error("this is not a key set of format {FORMAT}")]
    NotAKeySet,
    /// A signature that does not fit, or none.
    #[error("the key set is not signed by a key that it lists, or was changed after it was signed")]
    NotSigned,
    /// Signed, but by nobody that is pinned or endorsed by who is.
    #[error("the key set is signed by {found}, which is not pinned, nor endorsed by what is pinned")]
    NotPinned {
        /// Who signed.
        found: String,
    },
}

impl KeySet {
    /// Reads a document and checks its signatures. Who signed is not judged yet: see [`Verified::trusted`].
    pub fn read(document: &str) -> Result<Verified, KeySetError> {
        if document.len() > LARGEST {
            return Err(KeySetError::NotAKeySet);
        }
        let envelope: Envelope = serde_json::from_str(document).map_err(|_| KeySetError::NotAKeySet)?;
        let payload = base64_text::decode(&envelope.payload).map_err(|_| KeySetError::NotAKeySet)?;
        let set: Self = serde_json::from_slice(&payload).map_err(|_| KeySetError::NotAKeySet)?;
        let bounded = set.keys.len() <= KEYS
            && envelope.signatures.len() <= SIGNATURES
            && set.keys.iter().all(|key| key.endorsements.len() <= SIGNATURES);
        if set.format != FORMAT || !bounded {
            return Err(KeySetError::NotAKeySet);
        }
        let message = document_message(&payload);
        let signers: Option<BTreeSet<_>> = envelope
            .signatures
            .iter()
            .map(|signature| signature.signer(&message))
            .collect();
        match signers {
            Some(signers) if !signers.is_empty() => Ok(Verified { set, signers }),
            _ => Err(KeySetError::NotSigned),
        }
    }
}

impl Verified {
    /// Who signed: what is pinned on first contact, after a person has compared it.
    #[must_use]
    pub fn signers(&self) -> &BTreeSet<EndorsementName> {
        &self.signers
    }

    /// What it says, before it is known whether that can be trusted.
    #[must_use]
    pub fn untrusted(&self) -> &KeySet {
        &self.set
    }

    /// The keys, if a pinned key signed, or one that pinned keys endorse, be it by several steps.
    pub fn trusted(&self, pins: &BTreeSet<EndorsementName>) -> Result<&KeySet, KeySetError> {
        let mut trusted = pins.clone();
        loop {
            let before = trusted.len();
            for entry in &self.set.keys {
                if endorsers(entry).iter().any(|name| trusted.contains(name)) {
                    trusted.extend(EndorsementName::of_public_text(&entry.endorsement_key));
                }
            }
            if trusted.len() == before {
                break;
            }
        }
        if self.signers.is_disjoint(&trusted) {
            let found = self.signers.iter().map(EndorsementName::as_str);
            return Err(KeySetError::NotPinned {
                found: found.collect::<Vec<_>>().join(", "),
            });
        }
        Ok(&self.set)
    }
}

fn endorsers(entry: &KeyEntry) -> Vec<EndorsementName> {
    let message = endorsement_message(entry);
    entry
        .endorsements
        .iter()
        .filter_map(|signature| signature.signer(&message))
        .collect()
}
