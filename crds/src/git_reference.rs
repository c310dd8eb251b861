//! Which ref of a remote a Repository follows.

use serde::{Deserialize, Serialize};

/// The branch that is followed where nothing is said.
const DEFAULT_BRANCH: &str = "main";

/// Which ref of the remote to follow: one of the fields; the branch `main` where none is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[cfg_attr(
    feature = "kube",
    x_kube(validation = kube::core::Rule::new(
        "[has(self.branch), has(self.tag), has(self.semver), has(self.commit), has(self.name)].filter(x, x).size() <= 1"
    ).message("give one of branch, tag, semver, commit and name"))
)]
#[serde(rename_all = "camelCase")]
pub struct GitReference {
    /// A branch, without `refs/heads/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "kube",
        x_kube(validation = kube::core::Rule::new("!self.startsWith('refs/') && !self.startsWith('-') && !self.contains('..')")
            .message("branch is a plain branch name, such as main")),
        schemars(length(min = 1, max = 244))
    )]
    pub branch: Option<String>,
    /// A tag, without `refs/tags/`. An annotated tag stands for its commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "kube",
        x_kube(validation = kube::core::Rule::new("!self.startsWith('refs/') && !self.startsWith('-') && !self.contains('..')")
            .message("tag is a plain tag name, such as v1.2.3")),
        schemars(length(min = 1, max = 244))
    )]
    pub tag: Option<String>,
    /// A range of versions, such as `>=1.2.0 <2.0.0`, `~1.2` or `1.x`: the highest tag in it is followed. Tags that are not
    /// versions are left out, and so are pre-releases, unless the range names one of the same version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 256)))]
    pub semver: Option<String>,
    /// One commit by its full id. Nothing is polled once it is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(regex(pattern = "^[0-9a-f]{40}$")))]
    pub commit: Option<String>,
    /// Any ref by its full name, such as `refs/pull/7/head` or `refs/merge-requests/7/head`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "kube",
        x_kube(validation = kube::core::Rule::new("self.startsWith('refs/') && !self.contains('..')")
            .message("name is a full ref name, such as refs/pull/7/head")),
        schemars(length(min = 6, max = 255))
    )]
    pub name: Option<String>,
}

impl GitReference {
    /// The branch that is followed, where no other kind of ref is.
    #[must_use]
    pub fn branch_or_default(&self) -> &str {
        self.branch.as_deref().unwrap_or(DEFAULT_BRANCH)
    }
}
