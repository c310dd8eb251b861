//! Making a sealing key and storing it, once, even if several controllers start at the same moment.
//!
//! Bitnami's controller lets the API server choose a name. Then two starters store two keys, and taking one back is too
//! late: a controller that runs already may have handed out its certificate. So the names are counted here, and storing
//! is atomic: whoever comes second finds the name taken, and uses what is there.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crds::label;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;
use sealing::{PrivateKey, SelfSigned};
use tracing::info;

use super::labelled::is_in_use;
use super::stored::RsaKey;
use crate::config::Config;
use crate::request::{RequestError, bounded};

/// How many names are tried.
const NAMES: u32 = 1000;

/// What to make.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) prefix: String,
    pub(crate) bits: usize,
    pub(crate) valid_for: Duration,
    /// Of the certificate's subject; empty: none.
    pub(crate) common_name: String,
    /// Beside the label that makes it a key.
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) annotations: Vec<(String, String)>,
}

impl Recipe {
    /// What the flags say.
    pub(super) fn of(config: &Config) -> Self {
        Self {
            prefix: config.key_prefix.clone(),
            bits: config.key_size,
            valid_for: config.key_ttl,
            common_name: config.my_cn.clone(),
            labels: config.private_key_labels.0.clone(),
            annotations: config.private_key_annotations.0.clone(),
        }
    }
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("the key could not be made: {0}")]
    Make(String),
    #[error("the key could not be stored: {0}")]
    Store(#[from] RequestError),
    #[error("all names for sealing keys are taken")]
    NoName,
}

/// Makes a key and stores it under the first name that is free, unless another controller is found to have stored one that
/// is not among the `known`.
pub(crate) async fn create(
    api: &Api<Secret>,
    recipe: &Recipe,
    known: impl Fn(&str) -> bool,
) -> Result<(), CreateError> {
    info!(
        bits = recipe.bits,
        "making a sealing key; this can take a few seconds"
    );
    let secret = {
        let recipe = recipe.clone();
        tokio::task::spawn_blocking(move || make(&recipe))
            .await
            .map_err(|_| CreateError::Make("the maker stopped".into()))??
    };
    store(api, &recipe.prefix, secret, known, is_in_use::<RsaKey>).await
}

/// Stores a key under the first name that is free, unless a key is found there that is in use and not among the `known`:
/// another controller's.
pub(super) async fn store(
    api: &Api<Secret>,
    prefix: &str,
    mut secret: Secret,
    known: impl Fn(&str) -> bool,
    is_in_use: impl Fn(&Secret) -> bool,
) -> Result<(), CreateError> {
    for number in 1..=NAMES {
        let name = format!("{prefix}{number:05}");
        if known(&name) {
            continue;
        }
        secret.metadata.name = Some(name.clone());
        match bounded(api.create(&PostParams::default(), &secret)).await {
            Ok(_) => {
                info!(secret = name, "a new sealing key is stored; back it up");
                return Ok(());
            }
            Err(error) if error.is_conflict() => {
                let there = bounded(api.get_opt(&name)).await?;
                if there.as_ref().is_some_and(&is_in_use) {
                    info!(
                        secret = name,
                        "another controller stored a sealing key first; it is used"
                    );
                    return Ok(());
                }
                // A retired or damaged key keeps its name.
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(CreateError::NoName)
}

pub(super) fn make(recipe: &Recipe) -> Result<Secret, CreateError> {
    let key = PrivateKey::generate(recipe.bits).map_err(|e| CreateError::Make(e.to_string()))?;
    let certificate = SelfSigned::new(SystemTime::now(), recipe.valid_for)
        .common_name(recipe.common_name.as_str())
        .sign(&key)
        .map_err(|e| CreateError::Make(e.to_string()))?;
    let pem = key.to_pkcs1_pem().map_err(|e| CreateError::Make(e.to_string()))?;
    let mut labels: BTreeMap<_, _> = recipe.labels.iter().cloned().collect();
    labels.insert(label::SEALING_KEY.to_owned(), "active".to_owned());
    let annotations: BTreeMap<_, _> = recipe.annotations.iter().cloned().collect();
    Ok(Secret {
        metadata: ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations).filter(|all| !all.is_empty()),
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

#[cfg(test)]
mod tests {
    use super::{Recipe, RsaKey, is_in_use, make};
    use std::time::Duration;

    #[test]
    fn a_new_key_is_shaped_as_bitnamis() {
        let mut secret = make(&Recipe {
            prefix: "sealed-secrets-key".into(),
            bits: 2048,
            valid_for: Duration::from_hours(1),
            common_name: "sealing".into(),
            labels: vec![
                ("team".into(), "a".into()),
                ("sealedsecrets.bitnami.com/sealed-secrets-key".into(), "no".into()),
            ],
            annotations: vec![("why".into(), "test".into())],
        })
        .unwrap();
        assert_eq!(secret.metadata.annotations.as_ref().unwrap()["why"], "test");
        assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/tls"));
        let labels = secret.metadata.labels.as_ref().unwrap();
        assert_eq!(labels["sealedsecrets.bitnami.com/sealed-secrets-key"], "active");
        assert_eq!(labels["team"], "a");
        let key = &secret.data.as_ref().unwrap()["tls.key"].0;
        assert!(key.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
        assert!(is_in_use::<RsaKey>(&secret));

        // A key under the name that was retired, or damaged, is not given way to.
        let mut damaged = secret.clone();
        damaged.data.as_mut().unwrap().remove("tls.crt");
        assert!(!is_in_use::<RsaKey>(&damaged));
        secret
            .metadata
            .labels
            .as_mut()
            .unwrap()
            .insert(crds::label::SEALING_KEY.into(), "compromised".into());
        assert!(!is_in_use::<RsaKey>(&secret));
    }
}
