//! Whether a Repository's submodules are read.

use serde::{Deserialize, Serialize};

/// Reads submodules, which are links to commits of other repositories, as the directories that they stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct Submodules {
    /// Hosts beside the Repository's own that `.gitmodules` may name, such as `github.com`, without scheme, port or path. They
    /// are asked over HTTPS and without
    /// the Repository's credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "kube",
        schemars(
            length(max = 16),
            inner(length(min = 1, max = 253), regex(pattern = "^[A-Za-z0-9.-]+$"))
        )
    )]
    pub hosts: Vec<String>,
}
