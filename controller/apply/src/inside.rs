//! What goes with an object that is deleted: everything in a Namespace, every object of a definition's kind. Pure.

use crate::catalog::Catalog;
use crate::key::{GroupKind, Key};
use std::sync::Arc;

/// What an object takes along when it is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inside {
    /// Everything in this namespace.
    Namespace(Arc<str>),
    /// Every object of this kind.
    Kind(GroupKind),
}

impl Inside {
    /// What goes with this object; nothing for most. A definition whose kind is not served has no objects.
    #[must_use]
    pub fn of(key: &Key, catalog: &Catalog) -> Option<Self> {
        match (&*key.kind.group, &*key.kind.kind) {
            ("", "Namespace") => Some(Self::Namespace(key.name.clone())),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                // Its name is `plural.group`, always.
                let (plural, group) = key.name.split_once('.')?;
                let mut kinds = catalog.all();
                let info = kinds.find(|info| &*info.kind.group == group && &*info.plural == plural)?;
                Some(Self::Kind((*info.kind).clone()))
            }
            _ => None,
        }
    }

    /// Whether this object goes with it.
    #[must_use]
    pub fn holds(&self, key: &Key) -> bool {
        match self {
            Self::Namespace(name) => key.namespace.as_deref() == Some(name),
            Self::Kind(kind) => *key.kind == *kind,
        }
    }

    /// Whether a Sync in this namespace goes as well.
    #[must_use]
    pub fn holds_sync_in(&self, namespace: &str) -> bool {
        matches!(self, Self::Namespace(name) if &**name == namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> Key {
        Key {
            kind: Arc::new(GroupKind::new(group, kind)),
            namespace: namespace.map(Into::into),
            name: name.into(),
        }
    }

    #[test]
    fn a_namespace_takes_what_is_in_it_and_nothing_else() {
        let catalog = Catalog::default();
        let shop = Inside::of(&key("", "Namespace", None, "shop"), &catalog).unwrap();
        assert!(shop.holds(&key("", "ConfigMap", Some("shop"), "a")));
        assert!(!shop.holds(&key("", "ConfigMap", Some("shop-2"), "a")));
        assert!(!shop.holds(&key("", "Node", None, "shop")));
        assert!(shop.holds_sync_in("shop") && !shop.holds_sync_in("other"));
        assert_eq!(
            Inside::of(&key("", "ConfigMap", Some("shop"), "shop"), &catalog),
            None
        );
        let unserved = key(
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            None,
            "carts.example.com",
        );
        assert_eq!(Inside::of(&unserved, &catalog), None);
    }
}
