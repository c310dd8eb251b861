//! Whether a key set comes from whom it came before.

use super::document::{Audience, Envelope, KeyEntry, KeySet, is_time};
use super::endorsement::EndorsementName;
use super::{FORMAT, document_message, endorsement_message};
use crate::v2::Recipient;
use crate::{Certificate, Printable, base64_text};
use std::collections::BTreeSet;

/// The most that a document may have.
const LARGEST: usize = 1 << 20;
const KEYS: usize = 256;
const SIGNATURES: usize = 16;
const COMPROMISED: usize = 4096;

/// What a client keeps between two looks at a key set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// Whom it believes: at first what a person has compared.
    pub names: BTreeSet<EndorsementName>,
    /// Endorsement keys that a believed set named as compromised. They stay so.
    pub compromised: BTreeSet<EndorsementName>,
    /// [`KeySet::issued_at`] of the newest set that was believed.
    pub issued_at: Option<String>,
}

impl Pins {
    /// The first pins: names that a person has compared.
    pub fn of(names: impl IntoIterator<Item = EndorsementName>) -> Self {
        Self {
            names: names.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// A key set that is believed.
#[derive(Debug)]
pub struct Trusted<'a> {
    /// All that it says. To seal, use [`Trusted::keys`].
    pub set: &'a KeySet,
    /// What to keep instead of the pins that were asked for: without them an old set, or a leaked key, passes again.
    pub pins: Pins,
    now: String,
}

impl Trusted<'_> {
    /// The keys that can be sealed for: not expired, and not compromised. Newest first within each format.
    pub fn keys(&self) -> impl Iterator<Item = &KeyEntry> {
        self.set.keys.iter().filter(|key| {
            key.not_after.as_ref().is_none_or(|until| *until > self.now)
                && name_of(key).is_some_and(|name| !self.pins.compromised.contains(&name))
        })
    }
}

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
    /// A key under the id of another.
    #[error("the key set lists {id}, which is not the id of the key beside it")]
    OtherId {
        /// The id, safe to print.
        id: String,
    },
    /// A signature that does not fit, or none.
    #[error("the key set is not signed by a key that it lists, or was changed after it was signed")]
    NotSigned,
    /// For a Project where the cluster's was asked for, or the other way round.
    #[error("the key set is for {found}, not for {wanted}")]
    OtherAudience {
        /// Whom it is for.
        found: Audience,
        /// Whom it has to be for.
        wanted: Audience,
    },
    /// Older than one that was believed before.
    #[error("the key set is of {found}, and one of {seen} was seen before: an old one is served again")]
    Older {
        /// When it was signed.
        found: String,
        /// When the newest that was seen was.
        seen: String,
    },
    /// Signed in the future.
    #[error("the key set is of {found}, which is not yet; is a clock wrong?")]
    NotYet {
        /// When it says that it was signed.
        found: String,
    },
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
            && set.compromised.len() <= COMPROMISED
            && set.keys.iter().all(|key| key.endorsements.len() <= SIGNATURES);
        let keys = set.keys.iter();
        let mut times = keys.flat_map(|key| std::iter::once(&key.not_before).chain(&key.not_after));
        let timed = is_time(&set.issued_at) && times.all(|time| is_time(time));
        if set.format != FORMAT || !bounded || !timed {
            return Err(KeySetError::NotAKeySet);
        }
        let message = document_message(&payload);
        let signers: Option<BTreeSet<_>> = envelope
            .signatures
            .iter()
            .map(|signature| signature.signer(&message))
            .collect();
        let signers = signers
            .filter(|signers| !signers.is_empty())
            .ok_or(KeySetError::NotSigned)?;
        match set.keys.iter().find(|entry| !names_itself(entry)) {
            None => Ok(Verified { set, signers }),
            Some(entry) => Err(KeySetError::OtherId {
                id: Printable(&entry.id).to_string(),
            }),
        }
    }
}

impl Verified {
    /// Who signed. On first contact a person compares one of these names, and that one alone goes into [`Pins::of`]: anybody
    /// can add a signature of their own to the others.
    #[must_use]
    pub fn signers(&self) -> &BTreeSet<EndorsementName> {
        &self.signers
    }

    /// What it says, before it is known whether that can be trusted.
    #[must_use]
    pub fn untrusted(&self) -> &KeySet {
        &self.set
    }

    /// What it says, if a pinned key signed, or one that pinned keys endorse, be it by several steps, none of them over a key
    /// that is compromised; if it is for this audience, and not older than what was seen. `now` has the form of
    /// [`KeySet::issued_at`]; the caller adds the difference between clocks that it tolerates.
    ///
    /// Who has not yet seen that a key is compromised can still be told otherwise by who holds it. A pinned offline root
    /// endorses nothing, so whoever pins only a root believes only what the root has signed.
    pub fn trusted(&self, pins: &Pins, audience: &Audience, now: &str) -> Result<Trusted<'_>, KeySetError> {
        if self.set.audience != *audience {
            return Err(KeySetError::OtherAudience {
                found: self.set.audience.clone(),
                wanted: audience.clone(),
            });
        }
        let compromised: BTreeSet<_> = pins.compromised.union(&self.set.compromised).cloned().collect();
        let reached = self.reached(pins, &compromised);
        if self.signers.is_disjoint(&reached) {
            let found = self.signers.iter().map(EndorsementName::as_str);
            return Err(KeySetError::NotPinned {
                found: found.collect::<Vec<_>>().join(", "),
            });
        }
        let found = &self.set.issued_at;
        if let Some(seen) = pins.issued_at.as_ref().filter(|seen| *seen > found) {
            return Err(KeySetError::Older {
                found: found.clone(),
                seen: seen.clone(),
            });
        }
        if found.as_str() > now {
            return Err(KeySetError::NotYet { found: found.clone() });
        }
        let listed: BTreeSet<_> = self.set.keys.iter().filter_map(name_of).collect();
        // A key that is listed and no longer signs has been followed by another: its later leak must not matter. A pin that
        // is not listed is a root's, or of a controller that comes back. Signatures are not signed themselves, so of those
        // that signed only who is listed, or was reached, is believed from now on.
        let kept = pins.names.iter().filter(|name| !listed.contains(*name));
        let signed = self
            .signers
            .iter()
            .filter(|name| listed.contains(*name) || reached.contains(*name));
        let names = kept.chain(signed).filter(|name| !compromised.contains(*name));
        Ok(Trusted {
            set: &self.set,
            pins: Pins {
                names: names.cloned().collect(),
                compromised: compromised.clone(),
                issued_at: Some(found.clone()),
            },
            now: now.to_owned(),
        })
    }

    /// The pinned keys, and those that they endorse, without the compromised ones.
    fn reached(&self, pins: &Pins, compromised: &BTreeSet<EndorsementName>) -> BTreeSet<EndorsementName> {
        let mut reached: BTreeSet<_> = pins.names.difference(compromised).cloned().collect();
        // Each signature is looked at once.
        let mut left: Vec<_> = self
            .set
            .keys
            .iter()
            .filter_map(|entry| Some((name_of(entry)?, endorsers(entry))))
            .filter(|(name, _)| !compromised.contains(name))
            .collect();
        loop {
            let before = left.len();
            left.retain(|(name, endorsers)| {
                let is_reached = endorsers.iter().any(|endorser| reached.contains(endorser));
                if is_reached {
                    reached.insert(name.clone());
                }
                !is_reached
            });
            if left.len() == before {
                return reached;
            }
        }
    }
}

/// Whether an id is that of the certificate or the recipient beside it: people compare ids, and values are sealed for keys.
/// Recipients of a kind that is not known here are nobody's, as long as they do not pass for a certificate.
fn names_itself(entry: &KeyEntry) -> bool {
    if entry.is_native() {
        let recipient = entry.public_text().parse::<Recipient>();
        recipient.map_or(!entry.id.starts_with("SHA256:"), |key| {
            key.key_id().as_str() == entry.id
        })
    } else {
        let certificate = Certificate::from_pem(entry.public_text());
        certificate.is_ok_and(|certificate| certificate.fingerprint().as_str() == entry.id)
    }
}

fn name_of(entry: &KeyEntry) -> Option<EndorsementName> {
    EndorsementName::of_public_text(&entry.endorsement_key)
}

fn endorsers(entry: &KeyEntry) -> Vec<EndorsementName> {
    let message = endorsement_message(entry);
    entry
        .endorsements
        .iter()
        .filter_map(|signature| signature.signer(&message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyset::{EndorsementKey, KeySetBuilder, Member};
    use crate::v2::{Identity, Suite};
    use serde_json::Value;

    #[test]
    fn an_id_is_that_of_its_key() {
        let native = || Identity::generate(Suite::MlKem768X25519).unwrap();
        let member = Member::native(&native(), "2026-01-01T00:00:00Z".into()).unwrap();
        let document = KeySetBuilder::new(Audience::Cluster, "2026-01-01T00:00:00Z".into())
            .member(member)
            .sign();
        let root = EndorsementKey::of_root(&[7; 32]).unwrap();
        let read = |id: &str, recipient: &str| {
            let mut envelope: Envelope = serde_json::from_str(&document).unwrap();
            let payload = base64_text::decode(&envelope.payload).unwrap();
            let mut set: Value = serde_json::from_slice(&payload).unwrap();
            set["keys"][0]["id"] = id.into();
            set["keys"][0]["recipient"] = recipient.into();
            let payload = serde_json::to_vec(&set).unwrap();
            envelope.signatures = vec![root.sign(&document_message(&payload))];
            envelope.payload = base64_text::encode(&payload);
            KeySet::read(&serde_json::to_string(&envelope).unwrap()).map(drop)
        };
        let (key, other) = (native(), native());
        let recipient = key.recipient().to_string();
        assert_eq!(read(key.key_id().as_str(), &recipient), Ok(()));
        for id in [other.key_id().as_str(), "SHA256:x", ""] {
            assert_eq!(
                read(id, &recipient),
                Err(KeySetError::OtherId { id: id.to_owned() })
            );
        }
        // Keys of formats to come are no reason to believe nothing.
        assert_eq!(read("key-of-tomorrow", "age1tomorrow1x"), Ok(()));
        assert!(read("SHA256:x", "age1tomorrow1x").is_err());
    }
}
