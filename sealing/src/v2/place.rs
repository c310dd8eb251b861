//! Where an object's values may be opened: its scope, and the names that the scope uses.

use crate::path::Printable;
use crate::{Scope, digest};
use std::fmt;

/// The scope's name in format v2.
#[must_use]
pub fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Strict => "Strict",
        Scope::Namespace => "Namespace",
        Scope::Cluster => "Cluster",
    }
}

/// The scope of a name in format v2.
#[must_use]
pub fn scope_from_name(name: &str) -> Option<Scope> {
    Scope::ALL.into_iter().find(|scope| scope_name(*scope) == name)
}

/// Where values may be opened. What the scope does not use is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    scope: Scope,
    namespace: String,
    name: String,
}

impl Place {
    /// The place of an object of this name.
    #[must_use]
    pub fn new(scope: Scope, namespace: &str, name: &str) -> Self {
        Self {
            scope,
            namespace: if scope == Scope::Cluster { "" } else { namespace }.to_owned(),
            name: if scope == Scope::Strict { name } else { "" }.to_owned(),
        }
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The namespace; empty for scope Cluster.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name; empty unless the scope is Strict.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Format, scope, namespace and name, with whatever follows.
    pub(super) fn encode(&self, purpose: &str, more: &[&[u8]]) -> Vec<u8> {
        let mut fields = vec![
            purpose.as_bytes(),
            scope_name(self.scope).as_bytes(),
            self.namespace.as_bytes(),
            self.name.as_bytes(),
        ];
        fields.extend_from_slice(more);
        digest::length_prefixed(&fields)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Strict => write!(
                f,
                "{} in namespace {}",
                Printable(&self.name),
                Printable(&self.namespace)
            ),
            Scope::Namespace => write!(f, "any name in namespace {}", Printable(&self.namespace)),
            Scope::Cluster => f.write_str("any name in any namespace"),
        }
    }
}
