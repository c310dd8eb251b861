//! What a key said of the ones that follow it, kept beside them: the key itself may be gone, and who pinned it still follows.

use std::collections::BTreeMap;

use crds::annotation;
use k8s_openapi::api::core::v1::Secret;
use sealing::keyset::Signature;

/// Longer annotations are nobody's of ours, in bytes.
const LONGEST: usize = 16 << 10;

/// What is kept beside a key. What cannot be read says nothing.
pub(super) fn kept(secret: &Secret) -> Vec<Signature> {
    let annotations = secret.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(annotation::ENDORSEMENTS))
        .filter(|text| text.len() <= LONGEST)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// Keeps it.
pub(super) fn keep(secret: &mut Secret, endorsements: &[Signature]) {
    if let Ok(text) = serde_json::to_string(endorsements)
        && !endorsements.is_empty()
    {
        let annotations: &mut BTreeMap<_, _> = secret.metadata.annotations.get_or_insert_default();
        annotations.insert(annotation::ENDORSEMENTS.to_owned(), text);
    }
}
