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

use super::digest::DigestKey;
use super::inventory::KeySecret;
use crate::request::{RequestError, bounded};
use crate::text;

/// The type of a Secret that holds a key for somebody else to open.
const TYPE: &str = "signet.dev/archived-sealing-key";
/// What the names of such Secrets begin with.
pub(crate) const PREFIX: &str = "signet-archived-key-";
/// The field: an age file that `signet keys restore` reads.
const FIELD: &str = "key.age";

/// Why a key was not archived, or is not to be deleted. Says nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("it cannot be encrypted for spec.retire.recipients")]
    Encrypt,
    #[error(
        "Secret {0} has the name of its archive, and is none that this controller has written of this key for these recipients: \
         look at it, and remove it"
    )]
    Taken(String),
    #[error("Secret {0} has changed while it was archived")]
    Changed(String),
    #[error(
        "the archive, Secret {0}, is not what was written: restore it, or remove it and the key is archived again"
    )]
    NotAsWritten(String),
}

/// An archive as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Archived {
    /// The Secret's name.
    pub(crate) secret: String,
    pub(crate) uid: String,
    /// SHA-256 of the encrypted file, in hex.
    pub(crate) digest: String,
}

/// Encrypts a key's Secret, stores it, and reads it back. One that this controller wrote before it was interrupted is known by
/// its keyed digest and taken.
///
/// # Errors
/// Where the key's Secret is not the one that was looked at, or something else has the archive's name.
pub(crate) async fn archive(
    api: &Api<Secret>,
    key: &KeySecret,
    mark: &str,
    recipients: &Recipients,
    digest_key: &DigestKey,
) -> Result<Archived, ArchiveError> {
    let name = name(&key.id, recipients);
    let written = Written {
        key,
        recipients,
        digest_key,
    };
    if let Some(there) = bounded(api.get_opt(&name)).await? {
        return written.check(&there).ok_or(ArchiveError::Taken(name));
    }
    let secret = bounded(api.get(&key.secret)).await?;
    // Else it may be another key by now.
    if secret.metadata.uid.as_deref() != Some(&key.uid)
        || secret.metadata.resource_version.as_deref() != Some(&key.version)
    {
        return Err(ArchiveError::Changed(key.secret.clone()));
    }
    let text = Zeroizing::new(backup(&secret).to_string());
    let file = recipients
        .encrypt(text.as_bytes())
        .map_err(|_| ArchiveError::Encrypt)?;
    let archive = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some([(label::ROTATION.to_owned(), mark.to_owned())].into()),
            annotations: Some(
                [
                    (annotation::ARCHIVED.to_owned(), key.id.clone()),
                    (annotation::ARCHIVED_DIGEST.to_owned(), written.digest(&file)),
                ]
                .into(),
            ),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        type_: Some(TYPE.into()),
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(file.clone()))])),
        ..Secret::default()
    };
    let made = bounded(api.create(&PostParams::default(), &archive)).await?;
    let back = bounded(api.get(&name)).await?;
    let same = back.metadata.uid == made.metadata.uid && field(&back) == Some(&file);
    let found = written.check(&back).filter(|_| same);
    found.ok_or(ArchiveError::NotAsWritten(name))
}

/// Proves, as far as can be without the recipients' keys, that the archive of a key is there: it is the very Secret that was
/// written, its file is the same to the byte, was written by this controller of this key, and is for as many recipients.
///
/// # Errors
/// Where it is not. Then the key stays.
pub(crate) async fn prove(
    api: &Api<Secret>,
    key: &KeySecret,
    known: &Archived,
    recipients: &Recipients,
    digest_key: &DigestKey,
) -> Result<(), ArchiveError> {
    let written = Written {
        key,
        recipients,
        digest_key,
    };
    let there = bounded(api.get_opt(&known.secret)).await?;
    let found = there.and_then(|there| written.check(&there));
    match found {
        Some(found) if found == *known => Ok(()),
        _ => Err(ArchiveError::NotAsWritten(known.secret.clone())),
    }
}

/// What an archive has to be.
struct Written<'w> {
    key: &'w KeySecret,
    recipients: &'w Recipients,
    digest_key: &'w DigestKey,
}

impl Written<'_> {
    /// A keyed digest that nobody makes but who has the digest key: of the key that it is of, whom it is for, and the file.
    fn digest(&self, file: &[u8]) -> String {
        let ids: Vec<String> = self
            .recipients
            .key_ids()
            .iter()
            .map(ToString::to_string)
            .collect();
        let ids = ids.join(",");
        let parts: [&[u8]; 4] = [b"archived key", self.key.id.as_bytes(), ids.as_bytes(), file];
        let digest = apply::checkpoint::InputDigest::keyed(self.digest_key.expose(), &parts);
        text::hex(&digest.0)
    }

    fn check(&self, secret: &Secret) -> Option<Archived> {
        let metadata = &secret.metadata;
        let annotations = metadata.annotations.as_ref()?;
        let file = field(secret)?;
        let is_it = secret.type_.as_deref() == Some(TYPE)
            && metadata.deletion_timestamp.is_none()
            && annotations.get(annotation::ARCHIVED) == Some(&self.key.id)
            && annotations.get(annotation::ARCHIVED_DIGEST) == Some(&self.digest(file))
            && self.recipients.fit(file);
        is_it.then(|| Archived {
            secret: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            digest: text::hex(&Sha256::digest(file)),
        })
    }
}

fn field(secret: &Secret) -> Option<&Vec<u8>> {
    Some(&secret.data.as_ref()?.get(FIELD)?.0)
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

/// Whether a Secret is gone: one without its label, or that is being deleted, is there still, and so is the key in it.
pub(crate) async fn is_gone(api: &Api<Secret>, secret: &str) -> Result<bool, RequestError> {
    Ok(bounded(api.get_metadata_opt(secret)).await?.is_none())
}

/// A name for the archive of a key: the same for the same key and the same recipients, whatever its Secret is called.
fn name(id: &str, recipients: &Recipients) -> String {
    let mut digest = Sha256::new_with_prefix(id);
    for id in recipients.key_ids() {
        digest.update([0]);
        digest.update(id.as_str());
    }
    format!("{PREFIX}{}", text::hex(&digest.finalize()[..10]))
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
    use super::*;
    use crate::keys::inventory::KeyFormat;
    use crate::keys::labelled::KeyState;
    use crate::leader::Fence;
    use jiff::Timestamp;
    use sealing::v2::{Identity, Suite};

    fn recipients(count: usize) -> Recipients {
        let keys = (0..count).map(|_| Identity::generate(Suite::X25519).unwrap());
        Recipients::new(keys.map(|key| key.recipient().clone())).unwrap()
    }

    fn key(id: &str) -> KeySecret {
        KeySecret {
            format: KeyFormat::V1,
            id: id.into(),
            state: KeyState::Active,
            secret: "sealed-secrets-key1".into(),
            uid: "u".into(),
            version: "1".into(),
            created: Timestamp::UNIX_EPOCH,
            rotation: None,
        }
    }

    #[test]
    fn names_are_names_of_objects_and_differ() {
        let to = recipients(1);
        let one = name("SHA256:nZD0IFD7LgOxXbh/a7KMF7PKx3t2kTSKROGo2OGwU2w", &to);
        assert!(sealing::is_object_name(&one) && one.starts_with(PREFIX), "{one}");
        assert_ne!(one, name("key-91ab22f4", &to));
        assert_eq!(name("key-91ab22f4", &to), name("key-91ab22f4", &to));
        assert_ne!(name("key-91ab22f4", &recipients(1)), name("key-91ab22f4", &to));
    }

    #[test]
    fn an_archive_is_taken_for_one_only_as_it_was_written() {
        let (to, key, digest_key) = (recipients(2), key("key-1"), DigestKey::for_tests());
        let written = Written {
            key: &key,
            recipients: &to,
            digest_key: &digest_key,
        };
        let file = to.encrypt(b"the key").unwrap();
        let good = Secret {
            metadata: ObjectMeta {
                name: Some("archive".into()),
                uid: Some("a".into()),
                annotations: Some(
                    [
                        (annotation::ARCHIVED.to_owned(), key.id.clone()),
                        (annotation::ARCHIVED_DIGEST.to_owned(), written.digest(&file)),
                    ]
                    .into(),
                ),
                ..ObjectMeta::default()
            },
            type_: Some(TYPE.into()),
            data: Some([(FIELD.to_owned(), ByteString(file.clone()))].into()),
            ..Secret::default()
        };
        let found = written.check(&good).unwrap();
        assert_eq!((found.secret.as_str(), found.uid.as_str()), ("archive", "a"));

        // A byte differs, or all of it is missing.
        let mut bad = good.clone();
        bad.data.as_mut().unwrap().get_mut(FIELD).unwrap().0[60] ^= 1;
        assert_eq!(written.check(&bad), None);
        bad.data = Some(BTreeMap::new());
        assert_eq!(written.check(&bad), None);
        // Somebody else's of the same shape.
        let mut bad = good.clone();
        let other = to.encrypt(b"another").unwrap();
        bad.data = Some([(FIELD.to_owned(), ByteString(other))].into());
        assert_eq!(written.check(&bad), None);
        // Of another key, for others, or being deleted.
        let other_key = super::KeySecret {
            id: "key-2".into(),
            ..key.clone()
        };
        assert_eq!(
            Written {
                key: &other_key,
                ..written
            }
            .check(&good),
            None
        );
        let others = recipients(2);
        let written = Written {
            key: &key,
            recipients: &others,
            digest_key: &digest_key,
        };
        assert_eq!(written.check(&good), None);
        // A header that names others than it should: one recipient for two.
        assert!(to.fit(&file) && !to.fit(&recipients(1).encrypt(b"the key").unwrap()) && !to.fit(b"nothing"));
    }

    #[tokio::test]
    async fn who_does_not_hold_the_lease_deletes_nothing() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let came = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&came);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        // Shut: the Lease was never ours, or is another's.
        let client = crate::client::build(config, Fence::new("signet-system")).unwrap();
        let api: Api<Secret> = Api::namespaced(client, "signet-system");
        let error = delete(&api, &key("key-1")).await.unwrap_err();
        assert_eq!(error, RequestError::Unreachable);
        assert_eq!(came.load(Ordering::SeqCst), 0, "nothing was sent");
    }
}
