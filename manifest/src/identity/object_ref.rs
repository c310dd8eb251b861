//! The identity of an object in a cluster.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use super::type_meta::GroupVersionKind;
use crate::text::Printable;

/// Type, namespace and name: what tells one object of a cluster from another.
///
/// Displays as `Deployment shop/web` or `Namespace shop`; a kind of a group that Kubernetes itself does not define
/// carries the group, since its name alone may be ambiguous: `ServiceMonitor.monitoring.coreos.com shop/web`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The object's type, with the version in which it was written.
    pub gvk: GroupVersionKind,
    /// Namespace as written. `None` where none is written: whether the kind is cluster-scoped, only a cluster knows.
    pub namespace: Option<String>,
    /// Name, checked to be one that some kind accepts.
    pub name: String,
}

impl ObjectRef {
    /// A form that always names the group, if there is one: `Deployment.apps shop/web`.
    pub fn full(&self) -> impl Display + '_ {
        Full {
            id: self,
            group: true,
        }
    }

    /// Whether both are the same object of a cluster: versions are only views of it.
    pub fn same_object(&self, other: &Self) -> bool {
        self.gvk.group == other.gvk.group
            && self.gvk.kind == other.gvk.kind
            && self.namespace == other.namespace
            && self.name == other.name
    }
}

impl Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = &self.gvk.group;
        let built_in = !group.contains('.') || group.ends_with(".k8s.io");
        Full {
            id: self,
            group: !built_in,
        }
        .fmt(f)
    }
}

struct Full<'a> {
    id: &'a ObjectRef,
    group: bool,
}

impl Display for Full<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ObjectRef { gvk, namespace, name } = self.id;
        write!(f, "{}", Printable(&gvk.kind))?;
        if self.group && !gvk.group.is_empty() {
            write!(f, ".{}", Printable(&gvk.group))?;
        }
        f.write_str(" ")?;
        if let Some(namespace) = namespace {
            write!(f, "{}/", Printable(namespace))?;
        }
        write!(f, "{}", Printable(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectRef {
        ObjectRef {
            gvk: GroupVersionKind::parse(api_version, kind).unwrap(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    #[test]
    fn displays() {
        let web = id("apps/v1", "Deployment", Some("shop"), "web");
        assert_eq!(web.to_string(), "Deployment shop/web");
        assert_eq!(web.full().to_string(), "Deployment.apps shop/web");
        assert_eq!(id("v1", "Namespace", None, "shop").to_string(), "Namespace shop");
        assert_eq!(
            id("v1", "Namespace", None, "shop").full().to_string(),
            "Namespace shop"
        );
        let monitor = id("monitoring.coreos.com/v1", "ServiceMonitor", Some("shop"), "web");
        assert_eq!(
            monitor.to_string(),
            "ServiceMonitor.monitoring.coreos.com shop/web"
        );
        assert_eq!(
            id("networking.k8s.io/v1", "Ingress", Some("a"), "b").to_string(),
            "Ingress a/b"
        );
    }

    #[test]
    fn versions_are_views_of_one_object() {
        let one = id("autoscaling/v1", "HorizontalPodAutoscaler", Some("a"), "b");
        let two = id("autoscaling/v2", "HorizontalPodAutoscaler", Some("a"), "b");
        assert_ne!(one, two);
        assert!(one.same_object(&two));
    }
}
