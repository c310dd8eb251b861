//! How far a sealed value may travel.

use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// Annotation of a SealedSecret whose values may be used under any name in any namespace.
pub const CLUSTER_WIDE: &str = "sealedsecrets.bitnami.com/cluster-wide";
/// Annotation of a SealedSecret whose values may be used under any name in its namespace.
pub const NAMESPACE_WIDE: &str = "sealedsecrets.bitnami.com/namespace-wide";

/// How far a sealed value may travel. The scope is part of what the value is sealed for, by its [label](Scope::label).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Only under this name in this namespace.
    #[default]
    Strict,
    /// Under any name in this namespace.
    Namespace,
    /// Under any name in any namespace.
    Cluster,
}

impl Scope {
    /// Every scope, narrowest first.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Namespace, Self::Cluster];

    /// The OAEP label: `namespace/name`, `namespace`, or nothing. Names hold no slash (they are checked wherever a
    /// label is made from outside input), so the labels of two scopes never meet.
    #[must_use]
    pub fn label(self, namespace: &str, name: &str) -> Vec<u8> {
        match self {
            Self::Strict => format!("{namespace}/{name}").into_bytes(),
            Self::Namespace => namespace.as_bytes().to_vec(),
            Self::Cluster => Vec::new(),
        }
    }

    /// Reads the scope from an object's `metadata.annotations`. Only the exact string `"true"` counts, and
    /// cluster-wide wins: upstream's rules.
    #[must_use]
    pub fn from_annotations(annotations: Option<&Value>) -> Self {
        let set = |name| annotations.and_then(|all| all.get(name)).and_then(Value::as_str) == Some("true");
        if set(CLUSTER_WIDE) {
            Self::Cluster
        } else if set(NAMESPACE_WIDE) {
            Self::Namespace
        } else {
            Self::Strict
        }
    }

    /// The annotation that stands for this scope; the strict scope has none.
    #[must_use]
    pub fn annotation(self) -> Option<&'static str> {
        match self {
            Self::Strict => None,
            Self::Namespace => Some(NAMESPACE_WIDE),
            Self::Cluster => Some(CLUSTER_WIDE),
        }
    }

    /// The name that `kubeseal --scope` uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Namespace => "namespace-wide",
            Self::Cluster => "cluster-wide",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not a scope's name.
#[derive(Debug, thiserror::Error)]
#[error("the scope is one of strict, namespace-wide, cluster-wide")]
pub struct UnknownScope;

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(UnknownScope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_exact_string_true_counts() {
        let scope = |value| Scope::from_annotations(Some(&value));
        assert_eq!(
            scope(json!({CLUSTER_WIDE: "true", NAMESPACE_WIDE: "true"})),
            Scope::Cluster
        );
        assert_eq!(scope(json!({NAMESPACE_WIDE: "true"})), Scope::Namespace);
        for not in [
            json!("True"),
            json!("1"),
            json!(true),
            json!(" true"),
            json!(null),
        ] {
            assert_eq!(scope(json!({CLUSTER_WIDE: not})), Scope::Strict);
        }
        assert_eq!(Scope::from_annotations(None), Scope::Strict);
    }

    #[test]
    fn labels() {
        let labels = Scope::ALL.map(|scope| String::from_utf8(scope.label("ns", "n")).unwrap());
        assert_eq!(labels, ["ns/n", "ns", ""]);
    }
}
