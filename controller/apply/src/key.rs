//! Which object: group, kind, namespace and name. The version is not part of an object's identity.

use std::fmt;
use std::sync::Arc;

/// A kind without its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKind {
    /// API group; empty for the core group.
    pub group: Box<str>,
    /// Kind.
    pub kind: Box<str>,
}

impl GroupKind {
    /// A kind of an API group.
    #[must_use]
    pub fn new(group: &str, kind: &str) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
        }
    }

    /// Whether objects of this kind hold secret values, so that no answer about them may be quoted.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.group.is_empty() && &*self.kind == "Secret"
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        // Built-in groups are known by their kinds; of anybody else's the group says whose.
        if self.group.contains('.') && !self.group.ends_with(".k8s.io") {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

/// One object of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Its kind.
    pub kind: Arc<GroupKind>,
    /// Its namespace; none for cluster-scoped kinds.
    pub namespace: Option<Arc<str>>,
    /// Its name.
    pub name: Arc<str>,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_as_people_write_them() {
        let key = |group, kind, namespace: Option<&str>, name: &str| {
            Key {
                kind: Arc::new(GroupKind::new(group, kind)),
                namespace: namespace.map(Into::into),
                name: name.into(),
            }
            .to_string()
        };
        assert_eq!(
            key("apps", "Deployment", Some("shop"), "web"),
            "Deployment shop/web"
        );
        assert_eq!(key("", "Namespace", None, "shop"), "Namespace shop");
        assert_eq!(
            key("monitoring.coreos.com", "ServiceMonitor", Some("m"), "x"),
            "ServiceMonitor.monitoring.coreos.com m/x"
        );
        assert_eq!(
            key("rbac.authorization.k8s.io", "ClusterRole", None, "x"),
            "ClusterRole x"
        );
    }
}
