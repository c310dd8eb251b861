//! What an apply would make of an object, with fields that others own judged as the controller judges them.

use super::server::{Refusal, Server, Want};
use crate::syncs::Syncs;
use apply::conflicts::{self, Judgement, Parties, shown};
use apply::fields::{self, FieldPath};
use apply::{FieldConflict, Key, KindInfo, applyset};
use crds::{Sync, label};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use sealing::Printable;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::OnceLock;

/// As many applies as the controller tries.
const APPLIES: usize = 4;

/// Which Sync a field manager is, as far as one may know. Read when it is asked for first: mostly nobody asks.
pub(super) struct Managers<'a> {
    syncs: &'a Syncs,
    known: OnceLock<Known>,
}

impl<'a> Managers<'a> {
    pub(super) fn of(syncs: &'a Syncs) -> Self {
        Self {
            syncs,
            known: OnceLock::new(),
        }
    }

    async fn known(&self) -> &Known {
        if self.known.get().is_none() {
            // Whoever reads at the same time reads the same.
            let _ = self.known.set(Known::read(self.syncs).await);
        }
        self.known.get_or_init(Known::default)
    }
}

#[derive(Default)]
struct Known {
    names: HashMap<String, String>,
    /// Whether these are all: then a manager of a Sync that is not here is gone.
    complete: bool,
}

impl Known {
    async fn read(syncs: &Syncs) -> Self {
        let everywhere: Api<Sync> = Api::all(syncs.client.clone());
        let (found, complete) = if let Ok(list) = everywhere.list(&ListParams::default()).await {
            (list.items, true)
        } else {
            let here = syncs.api.list(&ListParams::default()).await;
            (here.map(|list| list.items).unwrap_or_default(), false)
        };
        let names = found.iter().map(|sync| {
            let (namespace, name) = (sync.namespace().unwrap_or_default(), sync.name_any());
            let manager = applyset::manager(&applyset::id(&namespace, &name));
            (manager, format!("{namespace}/{name}"))
        });
        Self {
            names: names.collect(),
            complete,
        }
    }

    fn is_left(&self, conflict: &FieldConflict) -> bool {
        let manager = &conflict.manager;
        manager.starts_with(applyset::MANAGER_PREFIX) && self.complete && !self.names.contains_key(manager)
    }

    /// What may not be touched, in words.
    fn claim(&self, conflicts: &[FieldConflict]) -> Option<String> {
        conflicts.iter().find_map(|conflict| {
            let manager = &conflict.manager;
            if manager.starts_with(applyset::MANAGER_PREFIX) {
                let field = shown(&conflict.field);
                return match self.names.get(manager) {
                    Some(name) => Some(format!("field {field} belongs to Sync {name}")),
                    None if self.complete => None,
                    None => Some(format!(
                        "field {field} belongs to another Sync, field manager {manager:?}"
                    )),
                };
            }
            let member = conflict.field.ends_with(label::APPLYSET_PART_OF);
            member.then(|| {
                format!("the object is a member of another tool's ApplySet, field manager {manager:?}")
            })
        })
    }
}

/// An apply that would be accepted.
pub(super) struct Settled {
    pub(super) object: Value,
    /// What is left to others, and what is taken from them; empty where nobody is in the way.
    pub(super) note: String,
}

/// Asks until nobody else's field is in the way.
pub(super) async fn settle(
    server: &Server,
    managers: &Managers<'_>,
    sync: &Sync,
    (info, key): (&KindInfo, &Key),
    body: &Value,
    want: Want,
) -> Result<Settled, Refusal> {
    let (mut body, mut force, mut notes) = (body.clone(), false, Vec::new());
    for _ in 0..APPLIES {
        let refusal = match server.dry_run(info, key, &body, want, force).await {
            Ok(object) => {
                let note = notes.join("; ");
                return Ok(Settled { object, note });
            }
            Err(refusal) if force || refusal.conflicts.is_empty() => return Err(refusal),
            Err(refusal) => refusal,
        };
        let (met, known) = (refusal.conflicts, managers.known().await);
        let parties = Parties {
            policy: sync.spec.conflicts,
            trusts: &|manager| fields::is_trusted(manager, &sync.spec.trusted_managers),
            is_left: &|conflict| known.is_left(conflict),
        };
        match conflicts::judge(&met, known.claim(&met), &parties) {
            Judgement::Refuse { message, .. } => return Err(Refusal::own(message)),
            Judgement::TakeOver => {
                force = true;
                notes.extend(met.iter().take(3).map(|conflict| note("takes", conflict, "from")));
            }
            Judgement::Yield(left) => {
                let paths: Option<Vec<_>> = left
                    .iter()
                    .map(|conflict| FieldPath::resolve(&conflict.field, &body))
                    .collect();
                let Some(paths) = paths else {
                    return Err(Refusal::own(
                        "a field that others own cannot be left out".to_owned(),
                    ));
                };
                for path in paths.iter().rev() {
                    fields::remove(&mut body, path);
                }
                notes.extend(left.iter().map(|conflict| note("leaves", conflict, "to")));
            }
        }
    }
    Err(Refusal::own("others keep taking fields of the object".to_owned()))
}

fn note(verb: &str, conflict: &FieldConflict, word: &str) -> String {
    let text = format!("{verb} {} {word} {}", shown(&conflict.field), conflict.manager);
    Printable(&text).to_string()
}
