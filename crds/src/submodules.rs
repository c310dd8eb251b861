//! Whether a Repository's submodules are read.

use serde::{Deserialize, Serialize};

/// Reads submodules, which are links to commits of other repositories, as the directories that they stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct Submodules {
    /// Hosts beside the Repository's own that `.gitmodules` may name, such as `github.com`. They are asked over HTTPS and without
    /// the Repository's credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "kube",
        x_kube(validation = kube::core::Rule::new("self.all(host, host.size() <= 253 && host.matches('^[A-Za-z0-9.-]+$'))")
            .message("give names of hosts, without scheme, port or path")),
        schemars(length(max = 16))
    )]
    pub hosts: Vec<String>,
}
