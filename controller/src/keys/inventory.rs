//! The key Secrets as they are stored: which key each holds, without the key.

use crds::label;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;

use super::labelled::{KeyState, Labelled, Stored, made, selector};
use super::native::NativeKey;
use super::stored::RsaKey;
use crate::request::{RequestError, bounded};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum KeyFormat {
    /// Bitnami's.
    V1,
    /// The native one.
    V2,
}

impl KeyFormat {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

/// A Secret that holds a sealing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeySecret {
    pub(crate) format: KeyFormat,
    /// `SHA256:…` or `key-…`.
    pub(crate) id: String,
    pub(crate) state: KeyState,
    pub(crate) secret: String,
    pub(crate) uid: String,
    pub(crate) version: String,
    /// When it was first made.
    pub(crate) created: Timestamp,
    /// The KeyRotation that made it, as its label says.
    pub(crate) rotation: Option<String>,
}

/// What is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    pub(crate) keys: Vec<KeySecret>,
    /// Secrets that are labelled as keys and cannot be read: of which format, which, and why. Nobody knows what hangs on them.
    pub(crate) unread: Vec<(KeyFormat, String, String)>,
}

/// All of them. `legacy`: the name of a Secret that is a key of format v1 without a label, as Bitnami's first versions had it.
pub(crate) async fn inventory(api: &Api<Secret>, legacy: &str) -> Result<Inventory, RequestError> {
    let mut all = Inventory::default();
    let list = |label: &str| ListParams::default().labels(&selector(label));
    let mut of_v1 = bounded(api.list(&list(label::SEALING_KEY))).await?.items;
    if let Some(secret) = bounded(api.get_opt(legacy)).await? {
        let labels = secret.metadata.labels.as_ref();
        if !labels.is_some_and(|labels| labels.contains_key(label::SEALING_KEY)) {
            of_v1.push(secret);
        }
    }
    collect::<RsaKey>(KeyFormat::V1, &of_v1, &mut all);
    let of_v2 = bounded(api.list(&list(label::NATIVE_SEALING_KEY))).await?.items;
    collect::<NativeKey>(KeyFormat::V2, &of_v2, &mut all);
    Ok(all)
}

fn collect<K: Stored>(format: KeyFormat, secrets: &[Secret], all: &mut Inventory) {
    let mut labelled = Labelled::<K>::default();
    for secret in secrets {
        let name = secret.metadata.name.clone().unwrap_or_default();
        if let (_, Some(why)) = labelled.insert(name.clone(), secret) {
            all.unread.push((format, name, why.to_string()));
        }
    }
    for (name, key, state) in labelled.all() {
        let found = secrets
            .iter()
            .find(|secret| secret.metadata.name.as_deref() == Some(name));
        let Some(secret) = found.filter(|secret| secret.metadata.deletion_timestamp.is_none()) else {
            continue;
        };
        let metadata = &secret.metadata;
        let labels = metadata.labels.as_ref();
        all.keys.push(KeySecret {
            format,
            id: key.id().to_owned(),
            state,
            secret: name.to_owned(),
            uid: metadata.uid.clone().unwrap_or_default(),
            version: metadata.resource_version.clone().unwrap_or_default(),
            created: made(secret),
            rotation: labels.and_then(|labels| labels.get(label::ROTATION)).cloned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::test_secret;

    #[test]
    fn what_is_labelled_as_a_key_and_is_none_is_named() {
        let mut secret = test_secret(&[("tls.key", "hunter2")]);
        secret.metadata.name = Some("broken".into());
        let mut all = Inventory::default();
        collect::<RsaKey>(KeyFormat::V1, &[secret], &mut all);
        assert!(all.keys.is_empty());
        assert_eq!(
            all.unread,
            [(KeyFormat::V1, "broken".to_owned(), "it has no tls.crt".to_owned())]
        );
    }
}
