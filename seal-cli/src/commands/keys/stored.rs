//! The Secrets that hold sealing keys, in the controller's namespace.

use crate::cluster;
use crate::command_error::CommandError;
use crds::label;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client};
use sealing::{Certificate, KeyRing, Printable, PrivateKey, SealingKey};

/// The name of a key from before there were labels (Bitnami's first versions).
const LEGACY: &str = "sealed-secrets-key";

/// Reads all of them, of both formats, and the one that is known by its name alone. They hold the private keys: who may read them can open everything.
pub(in crate::commands) async fn secrets(
    client: &Client,
    namespace: &str,
) -> Result<Vec<Secret>, CommandError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let refused = |err: kube::Error| {
        cluster::explain(&err, "read the key Secrets").hint(format!(
            "they are in namespace {}; reading them is a right over everything sealed",
            Printable(namespace)
        ))
    };
    let mut all = Vec::new();
    for selector in [label::SEALING_KEY, label::NATIVE_SEALING_KEY] {
        let listed = api.list(&ListParams::default().labels(selector)).await;
        all.extend(listed.map_err(refused)?.items);
    }
    all.extend(api.get_opt(LEGACY).await.map_err(refused)?);
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

/// Whether it is known by its name alone.
pub(in crate::commands) fn is_legacy(secret: &Secret) -> bool {
    let labels = secret.metadata.labels.as_ref();
    let labelled = |name: &str| labels.is_some_and(|labels| labels.contains_key(name));
    !labelled(label::SEALING_KEY) && !labelled(label::NATIVE_SEALING_KEY)
}

/// `active`, `compromised`, or what somebody wrote.
pub(in crate::commands) fn state(secret: &Secret) -> String {
    if is_legacy(secret) {
        return "active".to_owned();
    }
    let labels = secret.metadata.labels.as_ref();
    let value = |name: &str| labels.and_then(|labels| labels.get(name));
    value(label::SEALING_KEY)
        .or_else(|| value(label::NATIVE_SEALING_KEY))
        .cloned()
        .unwrap_or_default()
}
