//! Making and signing a key set.

use super::document::{Audience, Envelope, KeyEntry, KeySet, RSA};
use super::endorsement::{EndorsementKey, EndorsementName, Signature};
use super::{FORMAT, document_message, endorsement_message};
use crate::v2::Identity;
use crate::{SealingKey, base64_text};
use std::collections::BTreeSet;

/// Endorsements that are kept beside a key. A document may hold 16 of each ([`super::verify`]).
const KEPT: usize = 12;

/// A key to be listed. Keys of one format are given oldest first.
pub struct Member {
    entry: KeyEntry,
    endorsement: EndorsementKey,
    compromised: bool,
}

impl Member {
    /// A key of format v1, with its validity, as [`KeySet::issued_at`] has times.
    #[must_use]
    pub fn rsa(key: &SealingKey, not_before: String, not_after: String) -> Option<Self> {
        let certificate = key.certificate();
        let entry = KeyEntry {
            id: key.fingerprint().as_str().to_owned(),
            suite: RSA.to_owned(),
            recipient: None,
            certificate: Some(certificate.to_pem().to_owned()),
            endorsement_key: String::new(),
            not_before,
            not_after: Some(not_after),
            endorsements: Vec::new(),
        };
        Some(Self::new(entry, EndorsementKey::of_rsa(key.private_key())?))
    }

    /// A key of format v2, with the time from which it is used, as [`KeySet::issued_at`] has times.
    #[must_use]
    pub fn native(key: &Identity, not_before: String) -> Option<Self> {
        let entry = KeyEntry {
            id: key.key_id().as_str().to_owned(),
            suite: key.suite().as_str().to_owned(),
            recipient: Some(key.recipient().to_string()),
            certificate: None,
            endorsement_key: String::new(),
            not_before,
            not_after: None,
            endorsements: Vec::new(),
        };
        Some(Self::new(entry, EndorsementKey::of_identity(key)?))
    }

    fn new(mut entry: KeyEntry, endorsement: EndorsementKey) -> Self {
        entry.endorsement_key = endorsement.public_text();
        Self {
            entry,
            endorsement,
            compromised: false,
        }
    }

    /// What another key says of it: that who believes the other one may believe this one. To be kept where the other one
    /// goes away.
    #[must_use]
    pub fn endorse(&self, by: &EndorsementKey) -> Signature {
        by.sign(&endorsement_message(&self.entry))
    }

    /// Adds endorsements that were kept, by keys that may be gone by now. What is none of this key is left out, and so is
    /// what is more than 12.
    #[must_use]
    pub fn endorsed(mut self, kept: impl IntoIterator<Item = Signature>) -> Self {
        let message = endorsement_message(&self.entry);
        for signature in kept.into_iter().take(KEPT) {
            if signature.signer(&message).is_some() {
                self.entry.endorsements.push(signature);
            }
        }
        self
    }

    /// Marks it as compromised: it is not listed as a key but named as compromised, and endorses and signs nothing.
    #[must_use]
    pub fn compromised(mut self) -> Self {
        self.compromised = true;
        self
    }
}

/// Makes a key set.
pub struct KeySetBuilder {
    audience: Audience,
    issued_at: String,
    members: Vec<Member>,
    roots: Vec<EndorsementKey>,
    compromised: BTreeSet<EndorsementName>,
}

impl KeySetBuilder {
    /// For an audience, at a time as [`KeySet::issued_at`] has it.
    #[must_use]
    pub fn new(audience: Audience, issued_at: String) -> Self {
        Self {
            audience,
            issued_at,
            members: Vec::new(),
            roots: Vec::new(),
            compromised: BTreeSet::new(),
        }
    }

    /// Adds a key: of each format, the oldest first.
    #[must_use]
    pub fn member(mut self, member: Member) -> Self {
        self.members.push(member);
        self
    }

    /// Names an endorsement key as compromised whose sealing key is gone. Those of members are named by themselves. A name
    /// has to stay for ever: a client that sees it for the first time has nothing else to tell it.
    #[must_use]
    pub fn compromised(mut self, name: EndorsementName) -> Self {
        self.compromised.insert(name);
        self
    }

    /// Signs with an offline root too.
    #[must_use]
    pub fn root(mut self, root: EndorsementKey) -> Self {
        self.roots.push(root);
        self
    }

    /// The signed document, as it is served. Each key is endorsed by the one before it in its format that is not
    /// compromised, beside what was kept; the newest of each format signs the whole.
    #[must_use]
    pub fn sign(mut self) -> String {
        let mut signers = Vec::new();
        for native in [false, true] {
            let mut before: Option<usize> = None;
            for index in 0..self.members.len() {
                if self.members[index].entry.is_native() != native || self.members[index].compromised {
                    continue;
                }
                if let Some(before) = before {
                    let message = endorsement_message(&self.members[index].entry);
                    let signature = self.members[before].endorsement.sign(&message);
                    let endorsements = &mut self.members[index].entry.endorsements;
                    endorsements.retain(|kept| kept.public_key != signature.public_key);
                    endorsements.push(signature);
                }
                before = Some(index);
            }
            signers.extend(before);
        }
        let gone = self.members.iter().filter(|member| member.compromised);
        self.compromised
            .extend(gone.map(|member| member.endorsement.name()));
        let mut keys: Vec<_> = self
            .members
            .iter()
            .filter(|member| !member.compromised)
            .map(|member| member.entry.clone())
            .collect();
        for endorsement in keys.iter_mut().map(|entry| &mut entry.endorsements) {
            endorsement.retain(|kept| {
                let by = EndorsementName::of_public_text(&kept.public_key);
                by.is_some_and(|by| !self.compromised.contains(&by))
            });
        }
        keys.reverse();
        let set = KeySet {
            format: FORMAT.to_owned(),
            audience: self.audience,
            issued_at: self.issued_at,
            compromised: self.compromised,
            keys,
        };
        // Our own types have no way to fail.
        let payload = serde_json::to_vec(&set).unwrap_or_default();
        let message = document_message(&payload);
        let keys = signers.into_iter().map(|index| &self.members[index].endorsement);
        let envelope = Envelope {
            payload: base64_text::encode(&payload),
            signatures: keys.chain(&self.roots).map(|key| key.sign(&message)).collect(),
        };
        serde_json::to_string(&envelope).unwrap_or_default()
    }
}
