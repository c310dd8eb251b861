//! Which Secrets are made by SealedSecret objects of the cluster, for the Syncs: they leave those alone.

use super::object::{Format, Id, Name};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

/// Namespaces and names of Secrets, and which kind of SealedSecret makes them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Claims(Arc<RwLock<HashMap<Name, HashSet<Format>>>>);

impl Claims {
    /// Whether a SealedSecret object of the cluster makes this Secret.
    #[must_use]
    pub fn holds(&self, namespace: &str, name: &str) -> bool {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !held.is_empty() && held.contains_key(&(namespace.into(), name.into()))
    }

    pub(super) fn hold(&self, id: &Id) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.entry(id.name.clone()).or_default().insert(id.format);
    }

    pub(super) fn release(&self, id: &Id) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(by) = held.get_mut(&id.name) {
            by.remove(&id.format);
            if by.is_empty() {
                held.remove(&id.name);
            }
        }
    }
}
