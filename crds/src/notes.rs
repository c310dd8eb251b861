//! Where the controller writes what became of each commit.

use crate::LocalReference;
use serde::{Deserialize, Serialize};

/// Git notes (git-notes(1)) about the commits that were applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Notes {
    /// The name of this cluster: the notes are in `refs/notes/signet/NAME` of the remote, which no other cluster writes.
    #[cfg_attr(
        feature = "kube",
        schemars(
            length(min = 1, max = 63),
            regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
        )
    )]
    pub cluster: String,
    /// A Secret in this namespace that may push, with the fields that `secretRef` takes.
    pub push_secret_ref: LocalReference,
}

impl Notes {
    /// The ref's full name.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("refs/notes/signet/{}", self.cluster)
    }
}
