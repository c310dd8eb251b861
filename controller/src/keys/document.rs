//! The key set document that `/v1/keys` serves: made when the keys change, signed by the newest.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealing::KeyRing;
use sealing::keyset::{Audience, EndorsementKey, EndorsementName, KeySetBuilder, Member, Signature};

use super::labelled::Stored;
use super::native::NativeKey;

/// The document of the keys of a ring, and of those of format v2, oldest first. Keys that are compromised are named by what
/// they endorse with. `endorsed`: what was kept of keys that may be gone, by the id of the key that it is about.
pub(super) fn document(
    ring: &KeyRing,
    natives: &[&NativeKey],
    endorsed: &BTreeMap<&str, &[Signature]>,
    compromised: impl IntoIterator<Item = EndorsementName>,
) -> String {
    let mut builder = KeySetBuilder::new(Audience::Cluster, seconds(Timestamp::now()));
    let kept = |id: &str| endorsed.get(id).copied().unwrap_or_default().iter().cloned();
    // A ring has the newest first; a chain of endorsements begins with the oldest.
    let published = |key: &&sealing::SealingKey| !ring.is_barred(key.fingerprint().as_str());
    for key in ring.keys().iter().rev().filter(published) {
        let certificate = key.certificate();
        let time = |at| Timestamp::try_from(at).map(seconds).unwrap_or_default();
        let (from, until) = (time(certificate.not_before()), time(certificate.not_after()));
        if let Some(member) = Member::rsa(key, from, until) {
            builder = builder.member(member.endorsed(kept(key.fingerprint().as_str())));
        }
    }
    for key in natives {
        let member = key
            .identity()
            .and_then(|identity| Member::native(&identity, seconds(key.created)));
        if let Some(member) = member {
            builder = builder.member(member.endorsed(kept(key.id())));
        }
    }
    compromised
        .into_iter()
        .fold(builder, KeySetBuilder::compromised)
        .sign()
}

/// Who signs that document: what people compare with what they pin.
pub(super) fn signers(ring: &KeyRing, natives: &[&NativeKey]) -> impl Iterator<Item = EndorsementName> {
    let of_v1 = ring
        .newest()
        .and_then(|key| Some(EndorsementKey::of_rsa(key.private_key())?.name()));
    let native = natives.last().and_then(|key| key.endorsement());
    of_v1.into_iter().chain(native)
}

/// In UTC, with whole seconds: the form in which texts sort as times do.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
