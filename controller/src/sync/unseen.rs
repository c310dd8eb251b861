//! Records of objects that left Git and that no watch shows: gone, or there without the label that the watches go by. Labels are
//! for discovery, so one look has to tell before anything is forgotten.

use super::worker::Worker;
use apply::plan::Plan;
use apply::{Catalog, Identity, Key};
use crds::Sync;
use futures::stream::{self, StreamExt};

/// Looks under way at once.
const AT_ONCE: usize = 16;

impl Worker {
    /// Looks for them as the Sync's account. What is gone, or another's, is forgotten with what the plan forgets; what is ours is
    /// deleted like what the watches show. What could not be looked at is left to whoever deletes it: he looks first, and says what
    /// is wrong. What was found to be gone is not looked for again while the watches show nothing.
    pub(super) async fn settle_unseen(&mut self, sync: &Sync, plan: &mut Plan, catalog: &Catalog) {
        let unseen = std::mem::take(&mut plan.unseen);
        self.others.clear();
        self.gone.retain(|key| unseen.binary_search(key).is_ok());
        let (gone, left): (Vec<Key>, Vec<Key>) = unseen.into_iter().partition(|key| self.gone.contains(key));
        plan.forget.extend(gone);
        let identity = Identity::ServiceAccount {
            namespace: self.id.namespace.clone(),
            name: sync.spec.service_account_name.as_str().into(),
        };
        let (server, identity, manager) = (&self.rooms.server, &identity, &self.id.manager);
        let looks = left.into_iter().map(|key| async move {
            let found = match catalog.preferred(&key.kind) {
                Some(info) => Some(server.look(identity, info, &key, manager).await),
                // Whoever deletes it finds out whether its kind is gone.
                None => None,
            };
            (key, found)
        });
        let found: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        for (key, found) in found {
            let known = self.checkpoint.records().get(&key);
            match found {
                Some(Ok(None)) => {
                    self.gone.insert(key.clone());
                    plan.forget.push(key);
                }
                Some(Ok(Some(live)))
                    if live.owned.is_none() || !known.is_some_and(|known| known.may_be(&live.uid)) =>
                {
                    if live.owned.is_some() {
                        self.others.insert(key.clone());
                    }
                    plan.forget.push(key);
                }
                Some(Ok(Some(_)) | Err(_)) | None => {
                    if sync.spec.prune.enabled {
                        plan.prune.push(key);
                    }
                }
            }
        }
        plan.prune.sort();
        plan.forget.sort();
    }
}
