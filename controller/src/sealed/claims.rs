//! Which Secrets are made by SealedSecret objects of the cluster, for the Syncs: they leave those alone.

use super::object::Name;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

/// Namespaces and names of Secrets. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Claims(Arc<RwLock<HashSet<Name>>>);

impl Claims {
    /// Whether a SealedSecret object of the cluster makes this Secret.
    #[must_use]
    pub fn holds(&self, namespace: &str, name: &str) -> bool {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !held.is_empty() && held.contains(&(namespace.into(), name.into()))
    }

    pub(super) fn hold(&self, name: &Name) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.insert(name.clone());
    }

    pub(super) fn release(&self, name: &Name) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.remove(name);
    }
}
