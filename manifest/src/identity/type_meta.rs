//! `apiVersion` and `kind`.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::name::{is_label, is_subdomain};
use crate::order::Phase;

/// Why an `apiVersion` and a `kind` make no type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidType {
    /// The `apiVersion` is not `version` or `group/version`, in lower case.
    #[error("apiVersion is not of the form `v1` or `group/v1`")]
    ApiVersion,
    /// The `kind` is not a letter followed by letters, digits or `-`, at most 63 bytes.
    #[error("kind is not a name of letters and digits")]
    Kind,
}

/// The type of an object, from its `apiVersion` and `kind`.
///
/// Displays as `Deployment.apps/v1`, `Secret/v1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupVersionKind {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group, such as `v1beta1`.
    pub version: String,
    /// Kind, in the singular and upper camel case.
    pub kind: String,
}

impl GroupVersionKind {
    /// A type from its parts, unchecked: for types that are known when this program is written.
    pub fn known(group: &str, version: &str, kind: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
        }
    }

    /// The type that an object names, or why it names none. `kind` is checked after `api_version`.
    pub fn parse(api_version: &str, kind: &str) -> Result<Self, InvalidType> {
        let (group, version) = match api_version.split_once('/') {
            Some((group, version)) if is_subdomain(group) => (group, version),
            Some(_) => return Err(InvalidType::ApiVersion),
            None => ("", api_version),
        };
        if !is_label(version) {
            return Err(InvalidType::ApiVersion);
        }
        let letters = kind.as_bytes();
        let good = (1..=63).contains(&letters.len())
            && letters.first().is_some_and(u8::is_ascii_alphabetic)
            && letters.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-');
        if good {
            Ok(Self::known(group, version, kind))
        } else {
            Err(InvalidType::Kind)
        }
    }

    /// The text for the field `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether the type is of this group and kind, in any version.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    /// The step of the apply order that the type belongs to.
    pub fn phase(&self) -> Phase {
        Phase::of(&self.group, &self.kind)
    }
}

impl Display for GroupVersionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        write!(f, "/{}", self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_and_grouped_types() {
        let secret = GroupVersionKind::parse("v1", "Secret").unwrap();
        assert_eq!((secret.group.as_str(), secret.version.as_str()), ("", "v1"));
        assert_eq!(secret.api_version(), "v1");
        assert_eq!(secret.to_string(), "Secret/v1");
        let deployment = GroupVersionKind::parse("apps/v1", "Deployment").unwrap();
        assert_eq!(deployment.api_version(), "apps/v1");
        assert_eq!(deployment.to_string(), "Deployment.apps/v1");
        assert_eq!(deployment.phase(), Phase::Workloads);
        assert!(deployment.is("apps", "Deployment"));
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for bad in [
            "",
            "/",
            "/v1",
            "apps/",
            "apps/v1/x",
            "Apps/v1",
            "v 1",
            "a b/v1",
            "v1\n",
        ] {
            assert_eq!(
                GroupVersionKind::parse(bad, "Pod"),
                Err(InvalidType::ApiVersion),
                "{bad:?}"
            );
        }
        for bad in ["", "1Pod", "Pod/x", "Pod\n", "Pöd", &"P".repeat(64)] {
            assert_eq!(
                GroupVersionKind::parse("v1", bad),
                Err(InvalidType::Kind),
                "{bad:?}"
            );
        }
    }
}
