//! What is done to one object: apply, look, delete. Answers carry metadata only.

use crate::catalog::KindInfo;
use crate::error::{ApiError, ErrorKind};
use crate::key::Key;
use crate::managed::FieldSet;
use crate::request::{Call, Identity, Server};
use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Value, json};

const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";

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
        })
    }
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
    /// It is deleted, or being deleted.
    Deleted,
    /// It had gone already.
    Gone,
    /// Another object stands under the same name: it is not ours.
    NotOurs,
}

#[derive(Deserialize)]
struct Partial {
    metadata: ObjectMeta,
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
        manager: &str,
        force: bool,
        body: Vec<u8>,
    ) -> Result<Applied, ApiError> {
        let path = format!(
            "{}?fieldManager={}&fieldValidation=Strict&force={force}",
            info.path(key),
            manager.replace('/', "%2F")
        );
        let quote = !key.kind.is_secret();
        let call = Call {
            method: Method::PATCH,
            content_type: APPLY,
            body,
            quote,
            applying: true,
            ..Call::get(&path).metadata_only()
        };
        let answer = self.send(identity, call).await?;
        let live = read_live(&answer.body, manager)?;
        Ok(Applied {
            live,
            created: answer.code == 201,
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
        let path = info.path(key);
        match self.send(identity, Call::get(&path).metadata_only()).await {
            Ok(answer) => read_live(&answer.body, manager).map(Some),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
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
            Ok(_) => Ok(DeleteOutcome::Deleted),
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
        read_live(&answer.body, manager)
    }

    /// Any request with the controller's own rights; a body makes it `method` with JSON. Failures are never quoted.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn own(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, ApiError> {
        let call = Call {
            method,
            content_type: if body.is_some() { JSON } else { "" },
            body: body.map(|b| b.to_string().into_bytes()).unwrap_or_default(),
            quote: false,
            ..Call::get(path)
        };
        Ok(self.send(&Identity::Controller, call).await?.body)
    }
}

fn read_live(body: &[u8], manager: &str) -> Result<LiveMeta, ApiError> {
    let partial: Partial = serde_json::from_slice(body)
        .map_err(|_| ApiError::unavailable("the API server answered with something that is not an object"))?;
    LiveMeta::read(&partial.metadata, manager)
        .ok_or_else(|| ApiError::unavailable("the API server's answer lacks uid or resourceVersion"))
}
