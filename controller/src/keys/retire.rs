//! The end of a sealing key: encrypted for somebody else where that is wished, and deleted.

use std::collections::BTreeMap;

use crds::{annotation, label};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{DeleteParams, PostParams, Preconditions};
use sealing::v2::Recipients;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::inventory::KeySecret;
use crate::request::{RequestError, bounded};

/// The type of a Secret that holds a key for somebody else to open.
const TYPE: &str = "signet.dev/archived-sealing-key";
/// What the names of such Secrets begin with.
pub(crate) const PREFIX: &str = "signet-archived-key-";
/// The field: an age file that `signet keys restore` reads.
const FIELD: &str = "key.age";

/// Why a key was not archived. Says nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("it cannot be encrypted for spec.retire.recipients")]
    Encrypt,
    #[error("Secret {0} has the name of its archive, and is none of this key")]
    Taken(String),
}

/// Encrypts a key's Secret and stores it; gives the name. What is there already is not made again.
pub(crate) async fn archive(
    api: &Api<Secret>,
    key: &KeySecret,
    mark: &str,
    recipients: &Recipients,
) -> Result<String, ArchiveError> {
    let name = name(&key.id);
    let is_it = |there: &Secret| {
        let annotations = there.metadata.annotations.as_ref();
        there.type_.as_deref() == Some(TYPE)
            && annotations.and_then(|all| all.get(annotation::ARCHIVED)) == Some(&key.id)
    };
    match bounded(api.get_opt(&name)).await? {
        Some(there) if is_it(&there) => return Ok(name),
        Some(_) => return Err(ArchiveError::Taken(name)),
        None => {}
    }
    let secret = bounded(api.get(&key.secret)).await?;
    let text = Zeroizing::new(backup(&secret).to_string());
    let file = recipients
        .encrypt(text.as_bytes())
        .map_err(|_| ArchiveError::Encrypt)?;
    let archive = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some([(label::ROTATION.to_owned(), mark.to_owned())].into()),
            annotations: Some([(annotation::ARCHIVED.to_owned(), key.id.clone())].into()),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        type_: Some(TYPE.into()),
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(file))])),
        ..Secret::default()
    };
    bounded(api.create(&PostParams::default(), &archive)).await?;
    Ok(name)
}

/// Deletes a key's Secret, if it is the one that was looked at and nobody changed it since. Gone already is gone.
pub(crate) async fn delete(api: &Api<Secret>, key: &KeySecret) -> Result<(), RequestError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(key.uid.clone()),
            resource_version: Some(key.version.clone()),
        }),
        ..DeleteParams::default()
    };
    match bounded(api.delete(&key.secret, &params)).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// A name for the archive of a key: the same for the same key, whatever its Secret is called.
fn name(id: &str) -> String {
    use std::fmt::Write;
    let mut name = PREFIX.to_owned();
    for byte in &Sha256::digest(id)[..10] {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// What `signet keys backup` writes of one key: a List, for kubectl as well, without what belongs to this cluster alone.
fn backup(secret: &Secret) -> Value {
    let metadata = &secret.metadata;
    let item = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": secret.type_,
        "metadata": {
            "name": metadata.name,
            "labels": metadata.labels,
            "annotations": metadata.annotations,
            "creationTimestamp": metadata.creation_timestamp,
        },
        "data": secret.data,
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [item]})
}

#[cfg(test)]
mod tests {
    use super::{PREFIX, name};

    #[test]
    fn names_are_names_of_objects_and_differ() {
        let one = name("SHA256:nZD0IFD7LgOxXbh/a7KMF7PKx3t2kTSKROGo2OGwU2w");
        assert!(sealing::is_object_name(&one) && one.starts_with(PREFIX), "{one}");
        assert_ne!(one, name("key-91ab22f4"));
    }
}
