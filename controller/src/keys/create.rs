//! Making a sealing key and storing it, once, even if two controllers start at the same moment.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crds::label;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use sealing::{PrivateKey, SelfSigned};
use tracing::info;

use crate::request::{RequestError, bounded};

/// What to make.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) prefix: String,
    pub(crate) bits: usize,
    pub(crate) valid_for: Duration,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("the key could not be made: {0}")]
    Make(String),
    #[error("the key could not be stored: {0}")]
    Store(#[from] RequestError),
}

/// Makes a key and stores it. If another controller stored one meanwhile, that one stays and ours is taken back: every
/// starter lists *after* it has created, and gives way to any key that the API server stored before its own. Whoever
/// stored first sees nobody before itself, so exactly its key survives, and no key was published before the list.
pub(crate) async fn create(api: &Api<Secret>, recipe: &Recipe) -> Result<(), CreateError> {
    info!(
        bits = recipe.bits,
        "making a sealing key; this takes a few seconds"
    );
    let secret = {
        let recipe = recipe.clone();
        tokio::task::spawn_blocking(move || make(&recipe))
            .await
            .map_err(|_| CreateError::Make("the maker stopped".into()))??
    };
    let created = bounded(api.create(&PostParams::default(), &secret)).await?;
    let name = created.metadata.name.clone().unwrap_or_default();
    let all = bounded(api.list(&ListParams::default().labels(&selector()))).await?;
    if all.items.iter().any(|other| is_before(other, &created)) {
        info!(
            secret = name,
            "another controller stored a sealing key first; this one is taken back"
        );
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: created.metadata.uid.clone(),
                ..Preconditions::default()
            }),
            ..DeleteParams::default()
        };
        bounded(api.delete(&name, &parameters)).await?;
    } else {
        info!(secret = name, "a new sealing key is stored; back it up");
    }
    Ok(())
}

/// Selects the Secrets that hold a sealing key.
pub(crate) fn selector() -> String {
    format!("{}=active", label::SEALING_KEY)
}

fn make(recipe: &Recipe) -> Result<Secret, CreateError> {
    let key = PrivateKey::generate(recipe.bits).map_err(|e| CreateError::Make(e.to_string()))?;
    let certificate = SelfSigned::new(SystemTime::now(), recipe.valid_for)
        .sign(&key)
        .map_err(|e| CreateError::Make(e.to_string()))?;
    let pem = key.to_pkcs1_pem().map_err(|e| CreateError::Make(e.to_string()))?;
    Ok(Secret {
        metadata: ObjectMeta {
            generate_name: Some(recipe.prefix.clone()),
            labels: Some(BTreeMap::from([(
                label::SEALING_KEY.to_owned(),
                "active".to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".into()),
        data: Some(BTreeMap::from([
            (
                "tls.crt".to_owned(),
                ByteString(certificate.to_pem().as_bytes().to_vec()),
            ),
            ("tls.key".to_owned(), ByteString(pem.as_bytes().to_vec())),
        ])),
        ..Secret::default()
    })
}

/// Whether the API server stored `other` before `ours` was created. Versions only grow, so a change to `other` since
/// can make it look newer, never older: nobody gives way to a key that was stored after its own.
fn is_before(other: &Secret, ours: &Secret) -> bool {
    let version = |secret: &Secret| secret.metadata.resource_version.as_ref()?.parse::<u64>().ok();
    other.metadata.uid != ours.metadata.uid
        && other.metadata.deletion_timestamp.is_none()
        && version(other)
            .zip(version(ours))
            .is_some_and(|(other, ours)| other < ours)
}

#[cfg(test)]
mod tests {
    use super::{Recipe, Secret, is_before, make};
    use crate::keys::stored::Stored;
    use std::time::Duration;

    #[test]
    fn a_new_key_is_shaped_as_bitnamis() {
        let secret = make(&Recipe {
            prefix: "sealed-secrets-key".into(),
            bits: 2048,
            valid_for: Duration::from_hours(1),
        })
        .unwrap();
        assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/tls"));
        assert_eq!(
            secret.metadata.generate_name.as_deref(),
            Some("sealed-secrets-key")
        );
        assert_eq!(
            secret.metadata.labels.as_ref().unwrap()["sealedsecrets.bitnami.com/sealed-secrets-key"],
            "active"
        );
        let key = &secret.data.as_ref().unwrap()["tls.key"].0;
        assert!(key.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
        assert!(Stored::read(&secret).is_ok());
    }

    #[test]
    fn the_first_stored_wins() {
        let stored = |uid: &str, version: &str| {
            let mut secret = Secret::default();
            secret.metadata.uid = Some(uid.into());
            secret.metadata.resource_version = Some(version.into());
            secret
        };
        let (first, second) = (stored("a", "99"), stored("b", "100"));
        assert!(is_before(&first, &second));
        assert!(!is_before(&second, &first));
        assert!(!is_before(&first, &first));
    }
}
