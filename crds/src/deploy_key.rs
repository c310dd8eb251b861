//! The deploy key that the controller makes for a Repository.

use serde::{Deserialize, Serialize};

/// A key of the controller's own making, for SSH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeployKey {
    /// The controller makes an ed25519 key, keeps it in the Secret `NAME-deploy-key` beside the Repository, and shows the
    /// public half in `status.deployKey`. The annotation `signet.dev/renewDeployKey` with a new value asks for another one.
    #[cfg_attr(
        feature = "kube",
        x_kube(validation = kube::core::Rule::new("self").message("leave deployKey out, or set generate to true"))
    )]
    pub generate: bool,
    /// Which keys the host may show, as in `~/.ssh/known_hosts`. They are no secret.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 65536)))]
    pub known_hosts: String,
}

/// The public halves of the deploy key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeployKeyStatus {
    /// The key in use, ready to paste: `ssh-ed25519 AAAA… signet:NAMESPACE/NAME`.
    #[serde(default)]
    pub public_key: String,
    /// As the Git host shows it.
    #[serde(default)]
    pub fingerprint: String,
    // Written even when empty: a merge patch leaves in place what it does not name.
    /// The key that takes over as soon as the host accepts it; empty unless the key is being renewed.
    #[serde(default)]
    pub next_public_key: String,
    /// As the Git host shows it.
    #[serde(default)]
    pub next_fingerprint: String,
}
