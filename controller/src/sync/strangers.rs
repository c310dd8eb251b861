//! Who else is in a Namespace, or of a definition's kind, that is about to be deleted: what no Sync has, and nobody's plan shows.

use super::inside::Inside;
use super::listing::list;
use super::worker::Worker;
use apply::{Catalog, GroupKind, Identity, Key, KindInfo};
use crds::{annotation, label};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::HashSet;
use std::sync::Arc;

/// Of a Namespace, what is looked for: data, and what somebody runs there. All else comes from these, or with the Namespace.
const LOOKED_FOR: [(&str, &str); 5] = [
    ("", "PersistentVolumeClaim"),
    ("apps", "StatefulSet"),
    ("apps", "Deployment"),
    ("apps", "DaemonSet"),
    ("batch", "CronJob"),
];

/// Strangers that are looked for: one is enough to ask, more are counted.
const MOST: usize = 100;

impl Worker {
    /// What would go with an object and is no Sync's, as the beginning of a sentence. What cannot be looked at may be anybody's.
    ///
    /// The Sync's account is asked first: the controller itself may look at few custom kinds.
    pub(super) async fn strangers(
        &self,
        identity: &Identity,
        inside: &Inside,
        catalog: &Catalog,
    ) -> Option<String> {
        let (kinds, namespace) = match inside {
            Inside::Kind(kind) => (vec![kind.clone()], None),
            Inside::Namespace(name) => {
                let kinds = LOOKED_FOR.map(|(group, kind)| GroupKind::new(group, kind));
                (kinds.to_vec(), Some(name))
            }
        };
        let mut found = Vec::new();
        for kind in kinds {
            let Some(info) = catalog.preferred(&kind) else {
                continue;
            };
            let mut answer = self.strangers_of(identity, info, namespace).await;
            if answer.is_err() {
                answer = self.strangers_of(&Identity::Controller, info, namespace).await;
            }
            match answer {
                Ok(more) => found.extend(more),
                Err(error) => {
                    let why = error.in_own_words();
                    return Some(format!(
                        "whether there are objects of kind {kind} cannot be told ({why}), and if so they"
                    ));
                }
            }
        }
        let first = found.first()?;
        Some(match found.len() - 1 {
            0 => format!("{first} is no Sync's, and"),
            more => format!("{first} and {more} more are no Sync's, and"),
        })
    }

    async fn strangers_of(
        &self,
        identity: &Identity,
        info: &KindInfo,
        namespace: Option<&Arc<str>>,
    ) -> Result<Vec<Key>, apply::ApiError> {
        let collection = match namespace {
            Some(namespace) => info.collection_in(namespace),
            None => info.collection(),
        };
        let uids = self.checkpoint.records().values();
        let uids: HashSet<&str> = uids.filter_map(|record| record.uid.as_deref()).collect();
        let stranger = |metadata: ObjectMeta| {
            let is_ours = metadata.uid.as_deref().is_some_and(|uid| uids.contains(uid));
            let owners = metadata.owner_references.as_deref().unwrap_or_default();
            // What another object controls goes, or is counted, with that.
            let is_made = owners.iter().any(|owner| owner.controller == Some(true));
            if is_ours || is_made || metadata.deletion_timestamp.is_some() || self.is_own_hook(&metadata) {
                return None;
            }
            Some(Key {
                kind: Arc::clone(&info.kind),
                namespace: metadata.namespace.as_deref().map(Into::into),
                name: metadata.name.as_deref()?.into(),
            })
        };
        list((&self.rooms.server, identity), &collection, "", MOST, stranger).await
    }

    /// Hooks have a journal, and no record.
    fn is_own_hook(&self, metadata: &ObjectMeta) -> bool {
        let labels = metadata.labels.as_ref();
        let set = labels.and_then(|labels| labels.get(label::APPLYSET_PART_OF));
        let annotations = metadata.annotations.as_ref();
        set == Some(&self.id.applyset) && annotations.is_some_and(|all| all.contains_key(annotation::RUN))
    }
}
