//! One SealedSecret's turn: decide, open, write the Secret, say so. Every step can be repeated.

use super::board::Turn;
use super::decide::{Decision, Obstacle, Plan, Takeover, decide};
use super::live::{Live, MANAGER, is_made_by_others};
use super::object::{Brief, Format, Id, Name, Object};
use super::record::{Mark, Record};
use super::status::{self, Verdict};
use super::takeover::taken;
use crate::condition;
use crate::events::{Events, Severity};
use crate::keys::DigestKey;
use crate::metrics::{Metrics, UnsealError};
use crate::request::bounded;
use crate::sync::body;
use apply::checkpoint::InputDigest;
use apply::{ApiError, Cause, ErrorKind, GroupKind, Identity, Key, KindInfo, Manner, Server};
use crds::{Sync, annotation};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use sealing::{KeyRing, Opened};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long until it is looked again whether a Sync still writes the Secret: nothing tells when it is gone.
const SYNC_LOOK: Duration = Duration::from_mins(2);

/// Pauses before each try to take back what was put into a Secret of somebody else. The next turn goes on with it.
const BACK_OUT: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// What every turn uses.
pub(super) struct Tools {
    pub(super) server: Server,
    /// The controller's own namespace. Sealing keys and records are Secrets there: none is made of what anybody sealed.
    pub(super) home: String,
    pub(super) secrets: Arc<KindInfo>,
    pub(super) digest_key: DigestKey,
    pub(super) events: Events,
    pub(super) metrics: Arc<Metrics>,
}

/// What a turn came to.
pub(super) struct Done {
    /// What is known of the Secret now, where this turn learnt it.
    pub(super) live: Option<Live>,
    /// The SealedSecret as it is now; none: it is gone.
    pub(super) brief: Option<Brief>,
    /// Whether the Secret was found to be somebody else's.
    pub(super) foreign: bool,
    pub(super) next: Next,
}

/// When the next turn is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// When SealedSecret or Secret change.
    Settled,
    /// And when the keys do.
    Keys,
    /// After a while, or after this long.
    Retry(Option<Duration>),
}

/// Why a Secret was not written.
struct Trouble {
    verdict: Verdict,
    next: Next,
    counted: UnsealError,
    /// Whether the Secret is somebody else's.
    foreign: bool,
}

impl Tools {
    pub(super) fn new(
        server: Server,
        home: &str,
        digest_key: DigestKey,
        events: Events,
        metrics: Arc<Metrics>,
    ) -> Self {
        let secrets = KindInfo {
            kind: Arc::new(GroupKind::new("", "Secret")),
            version: "v1".into(),
            plural: "secrets".into(),
            namespaced: true,
            watchable: true,
        };
        Self {
            server,
            home: home.to_owned(),
            secrets: Arc::new(secrets),
            digest_key,
            events,
            metrics,
        }
    }

    /// One turn. Without an object, it is read first.
    pub(super) async fn turn(&self, turn: Turn, ring: Arc<KeyRing>) -> Done {
        let Turn {
            id,
            object,
            live,
            twin,
        } = turn;
        let name = &id.name;
        let object = match object {
            Some(object) => object,
            None => match self.read(&id).await {
                Ok(Some(object)) => object,
                Ok(None) => {
                    return Done {
                        live: None,
                        brief: None,
                        foreign: false,
                        next: Next::Settled,
                    };
                }
                Err(before) => return before,
            },
        };
        let object = Object { twin, ..object };
        if *name.0 == *self.home && !object.brief.frozen {
            let trouble = Obstacle::Home.trouble(name);
            return self.fail(name, object, trouble).await;
        }
        let mut seen = live.clone();
        let mut decision = decide(&object.brief, live.as_ref(), twin, self.digest_key.expose());
        if let Decision::Refuse(Obstacle::Sync(sync)) = &decision
            && !self.exists(sync).await
        {
            // It left the Secret behind, and writes no more.
            seen = live.map(|live| Live { sync: None, ..live });
            decision = decide(&object.brief, seen.as_ref(), twin, self.digest_key.expose());
        }
        let settled = |brief| Done {
            live: None,
            brief: Some(brief),
            foreign: false,
            next: Next::Settled,
        };
        match decision {
            Decision::Frozen | Decision::Unchanged => settled(object.brief),
            Decision::Refuse(obstacle) => {
                let mut trouble = obstacle.trouble(name);
                if let (Obstacle::MadeByOthers, Some(live)) = (&obstacle, &seen) {
                    let undone = self.back_out(name, &self.key(name), &live.uid).await;
                    trouble = undone.err().unwrap_or(trouble);
                }
                self.fail(name, object, trouble).await
            }
            Decision::Write(plan) => {
                self.metrics.sealed.requests.inc();
                match self.write(name, &object, plan, seen.as_ref(), ring).await {
                    Ok((live, changed)) => self.succeed(name, object, plan, live, changed).await,
                    Err(trouble) => self.fail(name, object, trouble).await,
                }
            }
        }
    }

    async fn read(&self, id: &Id) -> Result<Option<Object>, Done> {
        let name = &id.name;
        let read = bounded(self.objects(id.format, name).get_opt(&name.1)).await;
        match read {
            Ok(found) => {
                Ok(found.and_then(|object| Object::read(id.format, object, self.digest_key.expose())))
            }
            Err(error) => {
                tracing::debug!(namespace = %name.0, name = %name.1, %error, "a SealedSecret could not be read");
                self.metrics.sealed.failed(UnsealError::Fetch, &name.0);
                // The brief that is known stays: nothing was learnt.
                Err(Done {
                    live: None,
                    brief: None,
                    foreign: false,
                    next: Next::Retry(None),
                })
            }
        }
    }

    /// Opens the SealedSecret and writes its Secret, unless the Secret holds just that. Gives the Secret as it is then, and
    /// whether it was changed.
    async fn write(
        &self,
        name: &Name,
        object: &Object,
        plan: Plan,
        live: Option<&Live>,
        ring: Arc<KeyRing>,
    ) -> Result<(Live, bool), Trouble> {
        let (manifest, namespace) = (Arc::clone(&object.manifest), Arc::clone(&name.0));
        let opened = tokio::task::spawn_blocking(move || body::open(&manifest, &namespace, &ring)).await;
        let mut opened = opened
            .unwrap_or_else(|_| {
                Err(body::Refusal {
                    message: "opening it failed in a way that should not happen".into(),
                    hint: "look at the controller's log",
                    unopened: Vec::new(),
                })
            })
            .map_err(|refusal| unopened(&refusal))?;
        let owner = plan.owns.then_some(&object.brief);
        let mark = self.mark(object.brief.format, &opened, plan, owner);
        if let Some(live) = live
            && holds(&object.brief, live, plan, &mark, self.digest_key.expose())
        {
            return Ok((live.clone(), false));
        }
        dress(opened.metadata_mut(), name, owner, &mark);
        let key = self.key(name);
        if let Some(live) = live {
            // Another one that took its place meanwhile is refused.
            opened.metadata_mut().insert("uid".into(), (*live.uid).into());
            if plan.takeover != Takeover::Nothing {
                self.take_over(name, &key, plan.takeover, &live.uid).await?;
            }
        }
        // What is put into a Secret that is immutable then could not be taken back.
        let frozen = live.is_none() && opened.thaw();
        let (mut after, made_by_others) = self.put(name, &key, &opened, live.is_some()).await?;
        if live.is_none() && made_by_others {
            drop(opened);
            self.back_out(name, &key, &after.uid).await?;
            return Err(Obstacle::Unmanaged.trouble(name));
        }
        if frozen {
            opened.freeze();
            opened.metadata_mut().insert("uid".into(), (*after.uid).into());
            (after, _) = self.put(name, &key, &opened, true).await?;
        }
        let changed = live.is_none_or(|before| before.version != after.version);
        Ok((after, changed))
    }

    /// Sends the Secret. Gives it as it is then, and whether it was there before, of others.
    async fn put(
        &self,
        name: &Name,
        key: &Key,
        opened: &Opened,
        force: bool,
    ) -> Result<(Live, bool), Trouble> {
        let manner = Manner {
            manager: MANAGER,
            // What is to be made anew meets nobody.
            force,
            dry_run: false,
            quote: false,
        };
        let mut body = opened.write_json();
        let reply = self
            .server
            .apply(
                &Identity::Controller,
                &self.secrets,
                key,
                &manner,
                std::mem::take(&mut *body),
            )
            .await
            .map_err(|error| refused(name, &error))?;
        let after =
            Live::read(&reply.meta.0).ok_or_else(|| retry("the API server's answer cannot be read"))?;
        Ok((after, !reply.created && is_made_by_others(&reply.meta.0)))
    }

    /// Takes out of a Secret what was put into it. Somebody made it between our look and our request, and a server-side apply
    /// has no way to ask that nothing be there; it has not taken a field of theirs, and takes none away now.
    async fn back_out(&self, name: &Name, key: &Key, uid: &str) -> Result<(), Trouble> {
        let body = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": &*name.1, "namespace": &*name.0, "uid": uid}})
        .to_string();
        let manner = Manner {
            manager: MANAGER,
            force: false,
            dry_run: false,
            quote: false,
        };
        for pause in BACK_OUT {
            tokio::time::sleep(pause).await;
            let sent = self
                .server
                .apply(
                    &Identity::Controller,
                    &self.secrets,
                    key,
                    &manner,
                    body.clone().into_bytes(),
                )
                .await;
            match sent {
                Ok(_) => return Ok(()),
                Err(error) if error.cause == Cause::OtherUid => return Ok(()),
                Err(error) if error.kind == ErrorKind::Precondition => {
                    // It may be gone.
                    if let Ok(None) = self.metadata(name).await {
                        return Ok(());
                    }
                }
                Err(_) => {}
            }
        }
        tracing::error!(
            namespace = %name.0, name = %name.1,
            "what a SealedSecret put into a Secret that somebody else made at the same moment could not be taken out of it"
        );
        Err(retry(
            "somebody else made a Secret of this name at the same moment",
        ))
    }

    /// A keyed digest of all that is put into the Secret, whoever puts it there.
    fn mark(&self, format: Format, opened: &Opened, plan: Plan, owner: Option<&Brief>) -> Mark {
        let key = self.digest_key.expose();
        let content = InputDigest::keyed(
            key,
            &[
                b"unsealed content",
                &opened.keyed_digest(key),
                // Labels, annotations and type: nothing in it is secret.
                &sealing::sealed_digest(&opened.skeleton()),
                owner.map_or(&b""[..], |owner| owner.uid.as_bytes()),
            ],
        );
        Mark {
            format,
            mode: plan.mode,
            content: crate::text::hex(&content.0).into(),
        }
    }

    async fn take_over(&self, name: &Name, key: &Key, what: Takeover, uid: &str) -> Result<(), Trouble> {
        let gone = || retry("the Secret changes too often to be taken over");
        let metadata = self.metadata(name).await.map_err(|error| refused(name, &error))?;
        let Some(metadata) = metadata.filter(|found| found.uid.as_deref() == Some(uid)) else {
            return Err(gone());
        };
        let entries = metadata.managed_fields.as_deref().unwrap_or_default();
        let Some(merged) = taken(entries, what, &Time(jiff::Timestamp::now())) else {
            return Ok(());
        };
        let version = metadata.resource_version.as_deref().unwrap_or_default();
        let patch = apply::fields::patch(&merged, version);
        let edited = self
            .server
            .edit(&Identity::Controller, &self.secrets, key, MANAGER, &patch)
            .await;
        edited.map(|_| ()).map_err(|error| match error.kind {
            ErrorKind::Precondition => gone(),
            _ => refused(name, &error),
        })
    }

    /// The Secret's metadata, by a list of one: a right to get Secrets is not needed for anything else.
    async fn metadata(&self, name: &Name) -> Result<Option<ObjectMeta>, ApiError> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<Item>,
        }
        #[derive(Deserialize)]
        struct Item {
            metadata: ObjectMeta,
        }
        // Names and namespaces hold nothing that has to be escaped.
        let path = format!(
            "/api/v1/namespaces/{}/secrets?fieldSelector=metadata.name%3D{}",
            name.0, name.1
        );
        let answer = self.server.metadata_list(&Identity::Controller, &path).await?;
        let list: List = serde_json::from_slice(&answer).map_err(|_| {
            ApiError::unavailable("the API server answered with something that is not a list")
        })?;
        Ok(list.items.into_iter().next().map(|item| item.metadata))
    }

    /// Whether the Sync that a Secret names is there. Where that cannot be said, it is.
    async fn exists(&self, sync: &str) -> bool {
        let Some((namespace, name)) = sync.split_once('/') else {
            return false;
        };
        let api: Api<PartialObjectMeta<Sync>> = Api::namespaced(self.server.client().clone(), namespace);
        !matches!(bounded(api.get_metadata_opt(name)).await, Ok(None))
    }

    async fn succeed(&self, name: &Name, object: Object, plan: Plan, live: Live, changed: bool) -> Done {
        if changed {
            tracing::info!(namespace = %name.0, name = %name.1, "a SealedSecret was opened and its Secret written");
            let about = reference(name, &object.brief);
            self.events.publish(
                &about,
                Severity::Normal,
                "Unsealed",
                "SealedSecret unsealed successfully",
            );
        }
        let record = Record::of(plan.mode, object.brief.digest, &live, self.digest_key.expose());
        let (brief, next) = self
            .say(name, object, &Verdict::good(), Some(record), Next::Settled)
            .await;
        Done {
            live: Some(live),
            brief: Some(brief),
            foreign: false,
            next,
        }
    }

    async fn fail(&self, name: &Name, object: Object, trouble: Trouble) -> Done {
        let Trouble {
            verdict,
            next,
            counted,
            foreign,
        } = trouble;
        self.metrics.sealed.failed(counted, &name.0);
        tracing::warn!(namespace = %name.0, name = %name.1, reason = verdict.reason, "{}", verdict.message);
        let about = reference(name, &object.brief);
        let note = match counted {
            UnsealError::Unseal => format!("Failed to unseal: {}", verdict.message),
            _ => verdict.message.clone(),
        };
        self.events
            .publish(&about, Severity::Warning, verdict.reason, note);
        // What was done before may still hold, and saves an opening once the way is clear.
        let record = object.brief.record;
        let (brief, next) = self.say(name, object, &verdict, record, next).await;
        Done {
            live: None,
            brief: Some(brief),
            foreign,
            next,
        }
    }

    /// Writes the status, where it says something else. Gives the SealedSecret as it is then.
    async fn say(
        &self,
        name: &Name,
        object: Object,
        verdict: &Verdict,
        record: Option<Record>,
        next: Next,
    ) -> (Brief, Next) {
        let Object {
            mut brief,
            status,
            twin,
            ..
        } = object;
        let now = condition::now();
        let wanted = status::next(&status, verdict, brief.generation, record, &now);
        // Where there are two, the metrics of the name are those of Bitnami's kind.
        if brief.format == Format::V1 || !twin {
            self.metrics
                .sealed
                .condition(name, brief.instance.as_deref(), Some(verdict.synced));
        }
        if wanted != status {
            let patch = json!({"metadata": {"uid": &*brief.uid}, "status": {
                "observedGeneration": wanted.observed_generation,
                "conditions": wanted.conditions,
                "inputs": wanted.inputs,
            }});
            let api = self.objects(brief.format, name);
            let sent =
                bounded(api.patch_status(&name.1, &PatchParams::default(), &Patch::Merge(patch))).await;
            match sent {
                Ok(_) => {}
                // Gone, or another one of the name: the watch tells.
                Err(error) if error.is_not_found() || error.is_conflict() => return (brief, Next::Settled),
                Err(error) => {
                    tracing::debug!(namespace = %name.0, name = %name.1, %error, "a status could not be written");
                    self.metrics.sealed.failed(UnsealError::Status, &name.0);
                    return (brief, Next::Retry(None));
                }
            }
        }
        brief.observed = Some(brief.generation);
        brief.synced = verdict.synced;
        brief.record = record;
        (brief, next)
    }

    fn objects(&self, format: Format, name: &Name) -> Api<DynamicObject> {
        Api::namespaced_with(self.server.client().clone(), &name.0, &format.resource())
    }

    fn key(&self, name: &Name) -> Key {
        Key {
            kind: Arc::clone(&self.secrets.kind),
            namespace: Some(Arc::clone(&name.0)),
            name: Arc::clone(&name.1),
        }
    }
}

/// Whether the Secret holds just what would be written: the SealedSecret was sealed anew, and says the same.
fn holds(brief: &Brief, live: &Live, plan: Plan, mark: &Mark, digest_key: &[u8; 32]) -> bool {
    plan.takeover == Takeover::Nothing
        && live.mark.as_ref() == Some(mark)
        && brief.record.is_some_and(|record| {
            record.secret == Record::of(plan.mode, brief.digest, live, digest_key).secret
        })
}

/// What the Secret carries beside what its template says.
fn dress(metadata: &mut Map<String, Value>, name: &Name, owner: Option<&Brief>, mark: &Mark) {
    if let Some(owner) = owner {
        let resource = owner.format.resource();
        metadata.insert(
            "ownerReferences".into(),
            json!([{"apiVersion": resource.api_version, "kind": resource.kind, "name": &*name.1, "uid": &*owner.uid,
                "controller": true}]),
        );
    }
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(annotation::UNSEALED.into(), mark.to_string().into());
    }
}

impl Obstacle {
    fn trouble(&self, name: &Name) -> Trouble {
        let exists = format!(
            "failed update: Resource \"{}\" already exists and is not managed by SealedSecret",
            name.1
        );
        let (message, stalled) = match self {
            Self::Unmanaged | Self::MadeByOthers => (
                format!(
                    "{exists}: delete that Secret, or annotate it with {}: \"true\" to let it be replaced, or with {}: \
                     \"true\" to let this SealedSecret add to it",
                    annotation::MANAGED,
                    annotation::PATCH
                ),
                true,
            ),
            Self::Controlled(by) => (format!("{exists}: {by} controls that Secret"), true),
            Self::Twin(maker) => (
                format!(
                    "{exists}: a SealedSecret of {} has the same name and makes that Secret; delete one of the two",
                    maker.group()
                ),
                true,
            ),
            Self::Sync(sync) => (
                format!(
                    "{exists}: Sync {sync} writes it from Git, and two writers would fight; delete this SealedSecret \
                     object, or take the Secret out of the Sync's path"
                ),
                true,
            ),
            Self::Home => (
                "Secrets in the controller's own namespace are its keys and records: none is made of a SealedSecret"
                    .into(),
                true,
            ),
            Self::Leaving => ("the Secret is being deleted; it is made again when it is gone".into(), false),
            Self::PatchedIsGone => (
                "the Secret that this SealedSecret was added to is gone: this is done again when there is one, or when \
                 the SealedSecret changes"
                    .into(),
                false,
            ),
        };
        Trouble {
            verdict: Verdict {
                reason: "ErrUpdateFailed",
                message,
                synced: false,
                stalled,
            },
            next: match self {
                Self::Sync(_) => Next::Retry(Some(SYNC_LOOK)),
                _ => Next::Settled,
            },
            counted: UnsealError::Unmanaged,
            foreign: *self != Self::Leaving,
        }
    }
}

fn unopened(refusal: &body::Refusal) -> Trouble {
    let keys = &refusal.unopened;
    // Bitnami's words, which people look for, and then what is known.
    let theirs = if keys.is_empty() {
        String::new()
    } else {
        format!("no key could decrypt secret ({}): ", keys.join(", "))
    };
    Trouble {
        verdict: Verdict {
            reason: "ErrUnsealFailed",
            message: format!("{theirs}{}; {}", refusal.message, refusal.hint),
            synced: false,
            stalled: true,
        },
        next: Next::Keys,
        counted: UnsealError::Unseal,
        foreign: false,
    }
}

fn refused(name: &Name, error: &ApiError) -> Trouble {
    let passing = Next::Retry(error.retry_after);
    let (message, stalled, next) = match (error.cause, error.kind) {
        (Cause::Immutable, _) => (
            "the target Secret is immutable, or its type was to change: Kubernetes does not allow that. You can only \
             delete and recreate the Secret"
                .to_owned(),
            true,
            Next::Settled,
        ),
        (Cause::OtherUid, _) | (_, ErrorKind::Precondition) => (
            "the Secret was deleted, or made anew, at the same moment; it is tried again".to_owned(),
            false,
            passing,
        ),
        (Cause::NamespaceLeaving, _) => ("the namespace is being deleted".to_owned(), false, passing),
        (_, ErrorKind::Forbidden) => (
            format!(
                "the controller may not write Secrets in namespace {}: bind the ClusterRole signet-sealed-secrets there \
                 (deploy/README.md)",
                name.0
            ),
            true,
            passing,
        ),
        (_, ErrorKind::Conflict) => {
            ("somebody else made a Secret of this name at the same moment".to_owned(), false, passing)
        }
        (_, ErrorKind::Invalid) => (format!("{}; correct the SealedSecret", error.message), true, passing),
        _ => (error.message.clone(), false, passing),
    };
    Trouble {
        verdict: Verdict {
            reason: "ErrUpdateFailed",
            message,
            synced: false,
            stalled,
        },
        next,
        counted: UnsealError::Update,
        foreign: false,
    }
}

fn retry(message: &str) -> Trouble {
    Trouble {
        verdict: Verdict {
            reason: "ErrUpdateFailed",
            message: format!("{message}; it is tried again"),
            synced: false,
            stalled: false,
        },
        next: Next::Retry(None),
        counted: UnsealError::Update,
        foreign: false,
    }
}

fn reference(name: &Name, brief: &Brief) -> ObjectReference {
    let resource = brief.format.resource();
    ObjectReference {
        api_version: Some(resource.api_version),
        kind: Some(resource.kind),
        namespace: Some(name.0.to_string()),
        name: Some(name.1.to_string()),
        uid: Some(brief.uid.to_string()),
        ..ObjectReference::default()
    }
}
