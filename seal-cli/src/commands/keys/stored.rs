//! The Secrets that hold sealing keys, in the controller's namespace.

use crate::cluster;
use crate::command_error::CommandError;
use crds::label;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client};
use sealing::{Certificate, KeyRing, Printable, PrivateKey, SealingKey};

/// Reads all of them, of both formats. They hold the private keys: who may read them can open everything.
pub(in crate::commands) async fn secrets(
    client: &Client,
    namespace: &str,
) -> Result<Vec<Secret>, CommandError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut all = Vec::new();
    for selector in [label::SEALING_KEY, label::NATIVE_SEALING_KEY] {
        let listed = api.list(&ListParams::default().labels(selector)).await;
        all.extend(
            listed
                .map_err(|err| {
                    cluster::explain(&err, "read the key Secrets").hint(format!(
                        "they are in namespace {}; reading them is a right over everything sealed",
                        Printable(namespace)
                    ))
                })?
                .items,
        );
    }
    all.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    all.dedup_by(|a, b| a.metadata.name == b.metadata.name);
    Ok(all)
}

/// A text of a Secret's data.
pub(in crate::commands) fn text<'s>(secret: &'s Secret, field: &str) -> Option<&'s str> {
    std::str::from_utf8(&secret.data.as_ref()?.get(field)?.0).ok()
}

/// The certificate of a key of format v1.
pub(in crate::commands) fn certificate(secret: &Secret) -> Option<Certificate> {
    Certificate::from_pem(text(secret, "tls.crt")?).ok()
}

/// The keys of format v1.
pub(in crate::commands) fn ring(secrets: &[Secret]) -> KeyRing {
    KeyRing::new(secrets.iter().filter_map(|secret| {
        let key = PrivateKey::from_pem(text(secret, "tls.key")?).ok()?;
        SealingKey::new(key, certificate(secret)?).ok()
    }))
}

/// `active`, `compromised`, or what somebody wrote.
pub(in crate::commands) fn state(secret: &Secret) -> String {
    let labels = secret.metadata.labels.as_ref();
    let value = |name: &str| labels.and_then(|labels| labels.get(name));
    value(label::SEALING_KEY)
        .or_else(|| value(label::NATIVE_SEALING_KEY))
        .cloned()
        .unwrap_or_default()
}
