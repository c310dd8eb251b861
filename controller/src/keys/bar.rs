//! A sealing key that leaked is barred: labelled compromised, so that nobody seals for it any more and it vouches for nothing,
//! while it opens what is still sealed for it until the rotation that leaves it is complete.

use crds::{annotation, label};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;

use super::inventory::{KeyFormat, KeySecret};
use super::labelled::COMPROMISED;
use crate::request::{RequestError, bounded};

/// Bars a key, for the rotation with this mark. Gone already is gone; one of the same name that is another is left alone.
///
/// # Errors
/// The API server's, a conflict with somebody who changed the Secret at the same moment among them.
pub(crate) async fn bar(api: &Api<Secret>, key: &KeySecret, mark: &str) -> Result<(), RequestError> {
    let Some(mut secret) = bounded(api.get_opt(&key.secret)).await? else {
        return Ok(());
    };
    if secret.metadata.uid.as_deref() != Some(&key.uid) {
        return Ok(());
    }
    let label = match key.format {
        KeyFormat::V1 => label::SEALING_KEY,
        KeyFormat::V2 => label::NATIVE_SEALING_KEY,
    };
    let labels = secret.metadata.labels.get_or_insert_default();
    labels.insert(label.to_owned(), COMPROMISED.to_owned());
    let annotations = secret.metadata.annotations.get_or_insert_default();
    annotations.insert(annotation::LEAVING.to_owned(), mark.to_owned());
    // With the resourceVersion that was read: nobody's change is written over.
    let params = PostParams::default();
    bounded(api.replace(&key.secret, &params, &secret))
        .await
        .map(|_| ())
}
