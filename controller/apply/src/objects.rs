//! What is done to one object: apply, look, delete. Answers carry metadata only.

mod edit;
mod meta;
mod values;

pub use meta::{Meta, Reply};
pub use values::{Values, ValuesOf};

use crate::catalog::KindInfo;
use crate::error::{ApiError, ErrorKind};
use crate::key::Key;
use crate::managed::FieldSet;
use crate::request::{Call, Identity, Server};
use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

const APPLY: &str = "application/apply-patch+yaml";
const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

/// The metadata of a live object, as far as an owner needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveMeta {
    /// Its uid.
    pub uid: Box<str>,
    /// Its resource version; numeric and comparable (KEP-5504).
    pub resource_version: u64,
    /// What the asking manager owns of it.
    pub owned: Option<FieldSet>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The low bits of its generation, which moves with its spec; none where its kind counts none.
    pub generation: Option<u32>,
}

impl LiveMeta {
    /// Reads what `manager` has to know from an object's metadata. None where uid or resource version are missing.
    #[must_use]
    pub fn read(metadata: &ObjectMeta, manager: &str) -> Option<Self> {
        Some(Self {
            uid: metadata.uid.as_deref()?.into(),
            resource_version: metadata.resource_version.as_deref()?.parse().ok()?,
            owned: FieldSet::of(metadata, manager),
            deleting: metadata.deletion_timestamp.is_some(),
            generation: metadata
                .generation
                .and_then(|generation| u32::try_from(generation & 0xffff_ffff).ok()),
        })
    }
}

/// How an object is applied.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// Whether fields that others own are taken over.
    pub force: bool,
    /// Whether it is only asked what would come of it.
    pub dry_run: bool,
    /// Whether the server's words about a failure may be repeated: never about an object that holds a secret.
    pub quote: bool,
}

/// What an apply did.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The object's metadata after it.
    pub live: LiveMeta,
    /// Whether the object did not exist before.
    pub created: bool,
}

/// What a delete found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// It is deleted, and no longer there.
    Deleted,
    /// It is being deleted, and goes when its finalizers or its grace period let it.
    Leaving,
    /// It had gone already.
    Gone,
    /// Another object stands under the same name: it is not ours.
    NotOurs,
}

impl Server {
    /// Server-side apply with strict field validation. `body` is the whole object as JSON; it leaves this process as it
    /// is and comes back as metadata only.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where fields belong to others and `force` is not set; otherwise as the server answers.
    pub async fn apply(
        &self,
        identity: &Identity,
        info: &KindInfo,
        key: &Key,
        manner: &Manner<'_>,
        body: Vec<u8>,
    ) -> Result<Reply, ApiError> {
        let path = format!(
            "{}?fieldManager={}&fieldValidation=Strict&force={}{}",
            info.path(key),
            manager_in_query(manner.manager),
            manner.force,
            if manner.dry_run { "&dryRun=All" } else { "" },
        );
        let call = Call {
            method: Method::PATCH,
            content_type: APPLY,
            body,
            quote: manner.quote && !key.kind.is_secret(),
            applying: true,
            ..Call::get(&path).metadata_only()
        };
        let answer = self.send(identity, call).await?;
        Ok(Reply {
            created: answer.code == 201,
            meta: Meta::read(&answer.body)?,
        })
    }

    /// The metadata of an object, or none where it does not exist.
    ///
    /// # Errors
    /// As the server answers, but for "not found".
    pub async fn look(
        &self,
        identity: &Identity,
        info: &KindInfo,
        key: &Key,
        manager: &str,
    ) -> Result<Option<LiveMeta>, ApiError> {
        let meta = self.metadata(identity, info, key).await?;
        meta.map(|meta| meta.live(manager)).transpose()
    }

    /// Deletes exactly the object that has this uid and resource version.
    ///
    /// # Errors
    /// [`ErrorKind::Precondition`] where the object changed since `live` was seen; otherwise as the server answers.
    pub async fn delete(
        &self,
        identity: &Identity,
        info: &KindInfo,
        key: &Key,
        live: &LiveMeta,
    ) -> Result<DeleteOutcome, ApiError> {
        let path = info.path(key);
        let body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": live.uid, "resourceVersion": live.resource_version.to_string()},
        });
        let call = Call {
            method: Method::DELETE,
            content_type: JSON,
            body: body.to_string().into_bytes(),
            quote: !key.kind.is_secret(),
            ..Call::get(&path).metadata_only()
        };
        match self.send(identity, call).await {
            // What is gone is answered with a Status, or with the object as it was; what is not, with when it is to go.
            Ok(answer) => Ok(match Meta::read(&answer.body) {
                Ok(meta) if meta.0.deletion_timestamp.is_some() => DeleteOutcome::Leaving,
                _ => DeleteOutcome::Deleted,
            }),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(DeleteOutcome::Gone),
            Err(error) if error.kind == ErrorKind::Precondition => {
                // Which precondition failed cannot be told from the answer: look again.
                match self.look(identity, info, key, "").await? {
                    None => Ok(DeleteOutcome::Gone),
                    Some(now) if now.uid != live.uid => Ok(DeleteOutcome::NotOurs),
                    Some(_) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a service account exists. The API server lets anybody with the right impersonate one that does not.
    ///
    /// # Errors
    /// As the server answers, but for "not found".
    pub async fn service_account_exists(&self, namespace: &str, name: &str) -> Result<bool, ApiError> {
        let mut path = String::from("/api/v1/namespaces/");
        crate::catalog::escape(&mut path, namespace);
        path.push_str("/serviceaccounts/");
        crate::catalog::escape(&mut path, name);
        match self
            .send(&Identity::Controller, Call::get(&path).metadata_only())
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Applies `object` with the controller's own rights: its checkpoints, and the status and labels of its Syncs.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn apply_own(&self, path: &str, manager: &str, object: &Value) -> Result<LiveMeta, ApiError> {
        let path = format!("{path}?fieldManager={manager}&force=true");
        let call = Call {
            method: Method::PATCH,
            content_type: APPLY,
            body: object.to_string().into_bytes(),
            quote: false,
            ..Call::get(&path).metadata_only()
        };
        let answer = self.send(&Identity::Controller, call).await?;
        Meta::read(&answer.body)?.live(manager)
    }

    /// The metadata of a list.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn metadata_list(&self, identity: &Identity, path: &str) -> Result<Vec<u8>, ApiError> {
        let call = Call {
            accept: METADATA_LIST,
            ..Call::get(path)
        };
        Ok(self.send(identity, call).await?.body)
    }

    /// Any request with the controller's own rights; a body makes it `method` with JSON, and a PATCH a JSON merge patch
    /// (RFC 7386). Failures are never quoted.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn own(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, ApiError> {
        let content_type = match (body, &method) {
            (None, _) => "",
            (Some(_), &Method::PATCH) => MERGE,
            (Some(_), _) => JSON,
        };
        let call = Call {
            method,
            content_type,
            body: body.map(|b| b.to_string().into_bytes()).unwrap_or_default(),
            quote: false,
            ..Call::get(path)
        };
        Ok(self.send(&Identity::Controller, call).await?.body)
    }
}

/// A field manager as a query holds it.
fn manager_in_query(manager: &str) -> String {
    manager.replace('/', "%2F")
}
