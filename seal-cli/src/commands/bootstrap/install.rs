//! Objects applied with the user's own rights, each only where it differs: what is as it should be is not written.

use super::conflict;
use crate::cluster;
use crate::command_error::CommandError;
use crate::kinds;
use apply::applyset::BOOTSTRAP_MANAGER;
use apply::{Catalog, GroupKind, Key, KindInfo};
use http::Request;
use kube::Client;
use manifest::{Manifest, Phase};
use sealing::Printable;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const PAUSE: Duration = Duration::from_millis(200);
/// How long definitions may take until they are served.
const DEFINED: Duration = Duration::from_mins(1);
/// Metadata that the API server writes.
const SERVERS: [&str; 5] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "uid",
    "creationTimestamp",
];

/// What becomes of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Changed,
    Unchanged,
    /// Left to the Sync, which is at work.
    Synced,
}

impl Change {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Synced => "synced",
        }
    }
}

/// An object, as people write it, and what became of it.
pub(super) type Told = (String, Change);

pub(super) struct Installer {
    client: Client,
    catalog: Catalog,
    dry_run: bool,
    /// Whether what is there is the Sync's to change.
    synced: bool,
    /// Whether fields that somebody else has set are taken from them.
    take_over: bool,
}

/// Where an object goes, and what of it is sent.
struct Parcel<'a> {
    info: &'a KindInfo,
    key: Key,
    body: Value,
}

impl Installer {
    pub(super) async fn new(
        client: &Client,
        dry_run: bool,
        synced: bool,
        take_over: bool,
    ) -> Result<Self, CommandError> {
        Ok(Self {
            client: client.clone(),
            catalog: kinds::catalog(client).await?,
            dry_run,
            synced,
            take_over,
        })
    }

    /// Refuses to begin where somebody else made what is there, and made it otherwise. All of it is named.
    pub(super) async fn check<'a>(
        &self,
        objects: impl Iterator<Item = &'a Value>,
    ) -> Result<(), CommandError> {
        if self.synced || self.take_over {
            return Ok(());
        }
        let mut all = Vec::new();
        for object in objects {
            // What the API server does not know yet, nobody has made.
            let Some(parcel) = self.parcel(object) else {
                continue;
            };
            let Some(live) = self.get(&parcel).await? else {
                continue;
            };
            let Err(err) = self.patch(&parcel, true, false).await? else {
                continue;
            };
            if let Some(theirs) = conflict::of(&err, &parcel.key).filter(|found| !found.is_empty())
                && !self.is_as_live(&parcel, &live).await?
            {
                all.push(theirs);
            }
        }
        conflict::refuse(&all)
    }

    /// Applies the objects of these phases, in their order. Definitions are waited for.
    pub(super) async fn apply(
        &mut self,
        objects: &[Manifest],
        wanted: impl Fn(Phase) -> bool,
        told: &mut Vec<Told>,
    ) -> Result<(), CommandError> {
        for phase in Phase::APPLY_ORDER.into_iter().filter(|phase| wanted(*phase)) {
            for object in objects.iter().filter(|object| object.id.gvk.phase() == phase) {
                told.push(self.one(&object.object).await?);
            }
            if phase == Phase::Definitions && !self.dry_run {
                self.await_kinds(objects).await?;
            }
        }
        Ok(())
    }

    /// Applies one object.
    pub(super) async fn one(&self, object: &Value) -> Result<Told, CommandError> {
        let Some(parcel) = self.parcel(object) else {
            let key = key(object).1.to_string();
            if self.dry_run {
                return Ok((key, Change::Created)); // its definition is to be created, too
            }
            return Err(CommandError::user(
                format!("the API server does not know {}", Printable(&key)),
                "Kubernetes 1.30 or later is needed",
            ));
        };
        let shown = Printable(&parcel.key.to_string()).to_string();
        let Some(live) = self.get(&parcel).await? else {
            if !self.dry_run {
                self.send(&parcel, false).await?;
            }
            return Ok((shown, Change::Created));
        };
        if self.synced && !parcel.key.kind.is_secret() {
            return Ok((shown, Change::Synced));
        }
        if self.is_as_live(&parcel, &live).await? {
            return Ok((shown, Change::Unchanged));
        }
        self.send(&parcel, self.dry_run).await?;
        Ok((shown, Change::Changed))
    }

    /// `None` for a kind that the API server does not know.
    fn parcel(&self, object: &Value) -> Option<Parcel<'_>> {
        let mut body = object.clone();
        // The API server fills these in from other roles.
        if body.get("aggregationRule").is_some()
            && let Some(fields) = body.as_object_mut()
        {
            fields.remove("rules");
        }
        let (version, mut key) = key(object);
        let info = self.catalog.resolve(&key.kind.group, version, &key.kind.kind)?;
        if !info.namespaced {
            key.namespace = None;
        }
        Some(Parcel { info, key, body })
    }

    async fn get(&self, Parcel { info, key, .. }: &Parcel<'_>) -> Result<Option<Value>, CommandError> {
        let request = Request::get(info.path(key)).body(Vec::new());
        let request = request.map_err(|_| unnamed(key))?;
        match self.client.request::<Value>(request).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(err) => Err(failed(&err, "read", key)),
        }
    }

    /// Whether the object would stay as it is, whoever has set its fields. Not every conflict is a difference: of a list that is
    /// somebody's as a whole, what the API server filled in is what sets it apart from the same list as it was written.
    async fn is_as_live(&self, parcel: &Parcel<'_>, live: &Value) -> Result<bool, CommandError> {
        match self.patch(parcel, true, true).await? {
            Ok(after) => Ok(plain(after) == plain(live.clone())),
            // What is refused is said when it is to be done.
            Err(kube::Error::Api(_)) => Ok(false),
            Err(err) => Err(failed(&err, "apply", &parcel.key)),
        }
    }

    /// Takes fields from nobody but Signet, unless that is asked for.
    async fn send(&self, parcel: &Parcel<'_>, dry: bool) -> Result<Value, CommandError> {
        let answer = match self.patch(parcel, dry, self.take_over).await? {
            Err(err) => match conflict::of(&err, &parcel.key) {
                Some(theirs) => {
                    conflict::refuse(&[theirs])?;
                    self.patch(parcel, dry, true).await?
                }
                None => Err(err),
            },
            sent => sent,
        };
        answer.map_err(|err| failed(&err, "apply", &parcel.key))
    }

    async fn patch(
        &self,
        Parcel { info, key, body }: &Parcel<'_>,
        dry: bool,
        force: bool,
    ) -> Result<Result<Value, kube::Error>, CommandError> {
        let path = format!(
            "{}?fieldManager={BOOTSTRAP_MANAGER}&force={force}&fieldValidation=Strict{}",
            info.path(key),
            if dry { "&dryRun=All" } else { "" }
        );
        let request = Request::patch(path)
            .header("content-type", "application/apply-patch+yaml")
            .body(body.to_string().into_bytes());
        let request = request.map_err(|_| unnamed(key))?;
        Ok(self.client.request::<Value>(request).await)
    }

    /// Waits until the kinds of all objects are served.
    async fn await_kinds(&mut self, objects: &[Manifest]) -> Result<(), CommandError> {
        let end = Instant::now() + DEFINED;
        loop {
            self.catalog = kinds::catalog(&self.client).await?;
            let lacking = objects.iter().find(|object| {
                let gvk = &object.id.gvk;
                self.catalog
                    .resolve(&gvk.group, &gvk.version, &gvk.kind)
                    .is_none()
            });
            let Some(lacking) = lacking else { return Ok(()) };
            if Instant::now() >= end {
                return Err(CommandError::not_ready(
                    format!(
                        "the API server does not serve the kind {}",
                        Printable(&lacking.id.gvk.kind)
                    ),
                    "kubectl describe crd says why; run it again",
                ));
            }
            sleep(PAUSE).await;
        }
    }
}

/// An object's version, and how it is named in whatever namespace it says.
fn key(object: &Value) -> (&str, Key) {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (group, version) = match text("/apiVersion").split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", text("/apiVersion")),
    };
    let namespace = text("/metadata/namespace");
    let key = Key {
        kind: Arc::new(GroupKind::new(group, text("/kind"))),
        namespace: Some(namespace).filter(|name| !name.is_empty()).map(Into::into),
        name: text("/metadata/name").into(),
    };
    (version, key)
}

/// What people write of an object.
fn plain(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in SERVERS {
            metadata.remove(name);
        }
    }
    object
}

fn failed(err: &kube::Error, doing: &str, key: &Key) -> CommandError {
    let what = Printable(&key.to_string()).to_string();
    match err {
        // The text of the API server could quote what was sent.
        kube::Error::Api(status) if key.kind.is_secret() => CommandError::user(
            format!(
                "cannot {doing} {what}: the API server answered with status {}",
                status.code
            ),
            "it takes the rights of a cluster's administrator",
        ),
        kube::Error::SerdeError(_) => CommandError::user(
            format!("cannot {doing} {what}: the answer cannot be read"),
            "run it again",
        ),
        err => cluster::explain(err, &format!("{doing} {what}"))
            .hint("it takes the rights of a cluster's administrator"),
    }
}

fn unnamed(key: &Key) -> CommandError {
    CommandError::internal(format!(
        "{} cannot be part of a request",
        Printable(&key.to_string())
    ))
}
