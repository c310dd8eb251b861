//! Sealing keys from one namespace into another. They hold what everything is sealed with: read, copied, and nowhere else.

use super::objects::secret_error;
use crate::command_error::CommandError;
use crate::commands::keys::stored;
use crate::syncs::MANAGER;
use crds::label;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use sealing::{KeyRing, Printable, PrivateKey, SealingKey};
use std::collections::{BTreeMap, BTreeSet};

/// A key Secret of another namespace.
pub(super) struct Key {
    pub(super) name: String,
    /// `SHA256:…`; none where it is no key that can be used.
    pub(super) fingerprint: Option<String>,
    /// Whether Signet has this key.
    pub(super) there: bool,
    /// As its label says; Bitnami's controller loads `active` ones.
    pub(super) state: String,
    secret: Secret,
}

impl Key {
    /// Whether it is to be copied.
    pub(super) fn is_wanted(&self) -> bool {
        !self.there && self.fingerprint.is_some() && self.state == ACTIVE
    }
}

const ACTIVE: &str = "active";

/// The keys of a namespace, and all that can open: these and our own.
pub(super) async fn read(
    client: &Client,
    namespace: &str,
    own: &[Secret],
) -> Result<(Vec<Key>, KeyRing), CommandError> {
    let mut secrets = stored::secrets(client, namespace).await?;
    secrets.retain(|secret| !has_label(secret, label::NATIVE_SEALING_KEY));

    let known: BTreeSet<String> = own.iter().filter_map(fingerprint).collect();
    let all: Vec<Secret> = secrets.iter().chain(own).cloned().collect();
    let keys = secrets.into_iter().map(|secret| {
        let fingerprint = fingerprint(&secret);
        let state = stored::state(&secret);
        Key {
            name: secret.metadata.name.clone().unwrap_or_default(),
            there: fingerprint.as_ref().is_some_and(|id| known.contains(id)),
            fingerprint,
            state,
            secret,
        }
    });
    Ok((keys.collect(), stored::ring(&all)))
}

/// Copies a key. Gives the name that it has now.
pub(super) async fn copy(client: &Client, key: &Key, into: &str) -> Result<String, CommandError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), into);
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    // Another key may have the name.
    for name in [key.name.clone(), format!("{}-bitnami", key.name)] {
        let copy = Secret {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(BTreeMap::from([(
                    label::SEALING_KEY.to_owned(),
                    ACTIVE.to_owned(),
                )])),
                ..ObjectMeta::default()
            },
            type_: key.secret.type_.clone(),
            data: key.secret.data.clone(),
            ..Secret::default()
        };
        match api.create(&params, &copy).await {
            Ok(_) => return Ok(name),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let there = api.get_opt(&name).await;
                let there = there.map_err(|err| secret_error(&err, "read a key Secret"))?;
                if there.is_some_and(|there| fingerprint(&there) == key.fingerprint) {
                    return Ok(name);
                }
            }
            Err(err) => return Err(secret_error(&err, "create a key Secret")),
        }
    }
    Err(CommandError::user(
        format!(
            "key {} cannot be copied: Secrets of its name in {} are other keys",
            Printable(&key.name),
            Printable(into)
        ),
        "copy it by hand under another name, with the label of a sealing key; then run it again",
    ))
}

fn has_label(secret: &Secret, name: &str) -> bool {
    let labels = secret.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(name))
}

/// Of a whole pair.
fn fingerprint(secret: &Secret) -> Option<String> {
    let key = PrivateKey::from_pem(stored::text(secret, "tls.key")?).ok()?;
    let pair = SealingKey::new(key, stored::certificate(secret)?).ok()?;
    Some(pair.fingerprint().as_str().to_owned())
}
