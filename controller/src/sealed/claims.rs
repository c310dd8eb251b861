//! Which Secrets are made by SealedSecret objects of the cluster, for the Syncs: they leave those alone.

use super::object::{Format, Id, Name};
use super::watches::{self, List};
use super::{GRACE, concerns_namespace};
use crate::config::SealedScope;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;
use tokio::time::timeout;

/// Namespaces and names of Secrets, and which kind of SealedSecret makes them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Claims {
    held: Arc<RwLock<HashMap<Name, HashSet<Format>>>>,
    /// First lists that are not complete, and looked through. Until they are, a Secret may be somebody's without a claim on it.
    to_come: Arc<watch::Sender<HashSet<List>>>,
}

impl Default for Claims {
    fn default() -> Self {
        Self::of(&SealedScope::Off)
    }
}

impl Claims {
    /// None yet, of SealedSecrets in this scope.
    #[must_use]
    pub fn of(scope: &SealedScope) -> Self {
        Self {
            held: Arc::default(),
            to_come: Arc::new(watch::Sender::new(watches::lists(scope))),
        }
    }

    /// Whether a SealedSecret object of the cluster makes this Secret.
    #[must_use]
    pub fn holds(&self, namespace: &str, name: &str) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        !held.is_empty() && held.contains_key(&(namespace.into(), name.into()))
    }

    /// Waits until the SealedSecrets of a namespace are known: after a start they are read while the Syncs begin. That takes
    /// milliseconds, and no longer than what one of them would wait for itself.
    pub(crate) async fn known(&self, namespace: &str) {
        let mut to_come = self.to_come.subscribe();
        let all = to_come.wait_for(|lists| !lists.iter().any(|list| concerns_namespace(list, namespace)));
        // Whoever sends is held by ourselves.
        let _ = timeout(GRACE, all).await;
    }

    /// These lists are still to come: what the others have shown is looked through.
    pub(super) fn awaits(&self, lists: &HashSet<List>) {
        self.to_come.send_if_modified(|known| {
            let changed = known != lists;
            if changed {
                known.clone_from(lists);
            }
            changed
        });
    }

    pub(super) fn hold(&self, id: &Id) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.entry(id.name.clone()).or_default().insert(id.format);
    }

    pub(super) fn release(&self, id: &Id) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(by) = held.get_mut(&id.name) {
            by.remove(&id.format);
            if by.is_empty() {
                held.remove(&id.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn who_asks_waits_for_the_lists_of_its_namespace_alone() {
        let claims = Claims::of(&SealedScope::In(vec!["shop".into()]));
        let known = |namespace: &str| claims.known(namespace).now_or_never().is_some();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        assert!(known("other") && !known("shop"));
        let mut lists = watches::lists(&SealedScope::In(vec!["shop".into()]));
        lists.retain(|(kind, _)| kind.is_none());
        claims.awaits(&lists);
        assert!(!known("shop"), "nor of the Secrets");
        claims.awaits(&HashSet::new());
        assert!(known("shop"));
        let everywhere = Claims::of(&SealedScope::All);
        assert!(everywhere.known("other").now_or_never().is_none());
        assert!(
            Claims::default().known("other").now_or_never().is_some(),
            "it is off"
        );
    }
}
