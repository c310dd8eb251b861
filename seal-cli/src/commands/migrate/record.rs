//! What was done, for it to be undone. Written before it is done. It holds sealed values, and none that is open.

use super::plan::{Action, action};
use super::survey::{Survey, Target};
use super::workload::Workload;
use crate::command_error::CommandError;
use crate::output::{self, show};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

const FORMAT: &str = "signet.dev/sealed-secrets-migration/v1";

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    format: String,
    /// The uid of the cluster's namespace kube-system.
    cluster: String,
    /// Namespace of Bitnami's controller.
    pub(super) theirs: String,
    /// Namespace of Signet's.
    pub(super) ours: String,
    /// As it was before.
    pub(super) workload: Option<Workload>,
    /// Names of the key Secrets that were copied.
    pub(super) keys: Vec<String>,
    /// The SealedSecrets that were removed.
    pub(super) removed: Vec<Removed>,
}

/// A SealedSecret that was removed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Removed {
    /// As it can be created again.
    pub(super) object: Value,
    /// Its uid.
    pub(super) uid: String,
    /// The uid of its Secret.
    pub(super) secret: Option<String>,
    /// Whether it owned that.
    pub(super) owned: bool,
}

/// Keeps a second run away from records of a directory until it is dropped: both would write what they read at their start.
pub(super) struct Locked {
    _directory: File,
}

impl Locked {
    /// Locks those beside this one.
    pub(super) fn new(path: &Path) -> Result<Self, CommandError> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let cannot = |why: &str| {
            CommandError::user(
                format!("{}: {why}, and nothing was changed", show(path)),
                "one run at a time writes its record: wait for the other, or name another directory with --record",
            )
        };
        let opened = File::open(directory);
        let opened = opened.map_err(|err| cannot(&format!("cannot be locked: {}", output::reason(&err))))?;
        match opened.try_lock() {
            Ok(()) => Ok(Self { _directory: opened }),
            Err(TryLockError::WouldBlock) => Err(cannot("another run is at work on it")),
            Err(TryLockError::Error(err)) => {
                Err(cannot(&format!("cannot be locked: {}", output::reason(&err))))
            }
        }
    }
}

impl Record {
    /// Of a cluster in which nothing was done yet.
    pub(super) fn new(cluster: &str, survey: &Survey) -> Self {
        Self {
            format: FORMAT.to_owned(),
            cluster: cluster.to_owned(),
            theirs: survey.theirs.clone(),
            ours: survey.ours.clone(),
            workload: survey.workload.clone(),
            keys: Vec::new(),
            removed: Vec::new(),
        }
    }

    /// Reads a file, if it is there.
    pub(super) fn read(path: &Path, cluster: &str) -> Result<Option<Self>, CommandError> {
        let hint = "--record names the file; move this one away if it is of another migration";
        let bad = |problem: &str| CommandError::user(format!("{}: {problem}", show(path)), hint);
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(bad(&format!("cannot be read: {err}"))),
        };
        let record: Self = serde_json::from_slice(&text).map_err(|_| bad("not the record of a migration"))?;
        if record.format != FORMAT {
            return Err(bad("a record of another version"));
        }
        if record.cluster != cluster {
            return Err(bad("it is of another cluster"));
        }
        Ok(Some(record))
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), CommandError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|err| CommandError::internal(format!("cannot write the record: {err}")))?;
        output::replace(path, &(text + "\n"))
    }

    /// Notes what is about to be removed.
    pub(super) fn note_removals(&mut self, survey: &Survey) {
        for object in &survey.objects {
            // What is there already may have been changed by us since it was noted.
            if action(object, true) != Action::Remove
                || self.removed.iter().any(|removed| removed.uid == object.uid)
            {
                continue;
            }
            self.removed.retain(|removed| {
                let metadata = &removed.object["metadata"];
                metadata["namespace"] != object.namespace.as_str() || metadata["name"] != object.name.as_str()
            });
            self.removed.push(Removed {
                object: clean(&object.value),
                uid: object.uid.clone(),
                secret: match &object.secret {
                    Target::Owned(uid) | Target::Ownerless(uid) => Some(uid.clone()),
                    _ => None,
                },
                owned: matches!(object.secret, Target::Owned(_)),
            });
        }
    }
}

/// What a person wrote of an object.
fn clean(object: &Value) -> Value {
    let mut metadata = Map::new();
    for field in ["name", "namespace", "labels", "annotations"] {
        if let Some(value) = object["metadata"].get(field).filter(|value| !value.is_null()) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata, "spec": object["spec"],
    })
}
