//! The allowed signers: a Secret or ConfigMap in the Repository's own namespace, read with the controller's rights.

use std::collections::BTreeMap;

use crds::{SignersKind, SignersReference};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use proof::Trust;
use tokio::task::spawn_blocking;

use crate::mark::Mark;
use crate::repository::failure::Failure;
use crate::request::{RequestError, bounded};

/// Whose signatures count.
pub(in crate::repository) struct Signers {
    pub(in crate::repository) trust: Trust,
    /// Of the files that they were read from.
    pub(in crate::repository) mark: Mark,
}

/// Reads the signers. Failures quote names and numbers of lines, and no content.
pub(in crate::repository) async fn read(
    client: Client,
    namespace: &str,
    reference: &SignersReference,
) -> Result<Signers, Failure> {
    let name = &reference.name;
    let (kind, files): (_, Result<BTreeMap<String, Vec<u8>>, _>) = match reference.kind {
        SignersKind::Secret => {
            let api: Api<Secret> = Api::namespaced(client, namespace);
            (
                "Secret",
                bounded(api.get(name)).await.map(|secret| {
                    let data = secret.data.unwrap_or_default();
                    data.into_iter().map(|(name, bytes)| (name, bytes.0)).collect()
                }),
            )
        }
        SignersKind::ConfigMap => {
            let api: Api<ConfigMap> = Api::namespaced(client, namespace);
            ("ConfigMap", bounded(api.get(name)).await.map(files_of))
        }
    };
    let files = files.map_err(|error| unread(&error, kind, name, namespace))?;
    // Lists of revoked keys are long.
    let parsed = spawn_blocking(move || {
        let parts = files.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes]);
        let mark = Mark::of(&parts.collect::<Vec<_>>());
        let files = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        Trust::read(files).map(|trust| Signers { trust, mark })
    });
    let signers = parsed.await.map_err(|_| Failure {
        reason: "Failed",
        message: "Reading the signers stopped unexpectedly. It is tried again.".into(),
        temporary: true,
    })?;
    signers.map_err(|error| Failure {
        reason: "SignersUnusable",
        message: format!("{kind} {name} of spec.verify.signersRef cannot be used: {error}."),
        temporary: false,
    })
}

fn files_of(map: ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let binary = map.binary_data.unwrap_or_default();
    let binary = binary.into_iter().map(|(name, bytes)| (name, bytes.0));
    let text = map.data.unwrap_or_default();
    text.into_iter()
        .map(|(name, text)| (name, text.into_bytes()))
        .chain(binary)
        .collect()
}

fn unread(error: &RequestError, kind: &str, name: &str, namespace: &str) -> Failure {
    let (reason, message, temporary) = if error.is_not_found() {
        let message = format!(
            "{kind} {name} of spec.verify.signersRef does not exist in namespace {namespace}. Create it with \
             allowed_signers or NAME.asc."
        );
        ("SignersMissing", message, false)
    } else if error.is_forbidden() {
        let message = format!(
            "The controller may not read {kind} {name} in namespace {namespace}. Grant it with a Role (see \
             deploy/README.md)."
        );
        ("SignersForbidden", message, false)
    } else {
        let message = format!("{kind} {name} of spec.verify.signersRef cannot be read: {error}.");
        ("SignersUnread", message, true)
    };
    Failure {
        reason,
        message,
        temporary,
    }
}
