//! The other requests about one object: read it, patch it, ask whether one like it could be made, make its namespace.

use super::{JSON, Manner, Meta, manager_in_query};
use crate::catalog::KindInfo;
use crate::error::{ApiError, Cause, ErrorKind};
use crate::key::Key;
use crate::request::{Call, Identity, Server};
use http::Method;
use serde_json::{Value, json};

const JSON_PATCH: &str = "application/json-patch+json";

impl Server {
    /// The metadata of an object, or none where it does not exist.
    ///
    /// # Errors
    /// As the server answers, but for "not found".
    pub async fn metadata(
        &self,
        identity: &Identity,
        info: &KindInfo,
        key: &Key,
    ) -> Result<Option<Meta>, ApiError> {
        let path = info.path(key);
        match self.send(identity, Call::get(&path).metadata_only()).await {
            Ok(answer) => Meta::read(&answer.body).map(Some),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The whole object, or none where it does not exist. Of a Secret only what it is called and its metadata: no value
    /// of it is ever read back.
    ///
    /// # Errors
    /// As the server answers, but for "not found".
    pub async fn object(
        &self,
        identity: &Identity,
        info: &KindInfo,
        key: &Key,
    ) -> Result<Option<Value>, ApiError> {
        let path = info.path(key);
        let mut call = Call::get(&path);
        if key.kind.is_secret() {
            call = call.metadata_only();
        }
        match self.send(identity, call).await {
            Ok(answer) => serde_json::from_slice(&answer.body).map(Some).map_err(|_| {
                ApiError::unavailable("the API server answered with something that is not an object")
            }),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes an object by a JSON patch (RFC 6902), and gives its metadata after it.
    ///
    /// # Errors
    /// [`ErrorKind::Precondition`] or [`ErrorKind::Invalid`] where the patch tests for what is no longer so; otherwise as
    /// the server answers, never in its own words.
    pub async fn edit(
        &self,
        identity: &Identity,
        info: &KindInfo,
        key: &Key,
        manager: &str,
        patch: &Value,
    ) -> Result<Meta, ApiError> {
        let path = format!("{}?fieldManager={}", info.path(key), manager_in_query(manager));
        let call = Call {
            method: Method::PATCH,
            content_type: JSON_PATCH,
            body: patch.to_string().into_bytes(),
            quote: false,
            ..Call::get(&path).metadata_only()
        };
        let answer = self.send(identity, call).await?;
        Meta::read(&answer.body)
    }

    /// Whether the object in `body`, which has another name than `key`, could be created where `key` is. Nothing is
    /// created.
    ///
    /// # Errors
    /// As the API server would answer to the create.
    pub async fn try_create(
        &self,
        identity: &Identity,
        info: &KindInfo,
        key: &Key,
        manner: &Manner<'_>,
        body: Vec<u8>,
    ) -> Result<(), ApiError> {
        let object = info.path(key);
        // A name has no slash: it is escaped.
        let collection = object.rsplit_once('/').map_or(&*object, |(parent, _)| parent);
        let path = format!(
            "{collection}?dryRun=All&fieldValidation=Strict&fieldManager={}",
            manager_in_query(manner.manager)
        );
        let call = Call {
            method: Method::POST,
            content_type: JSON,
            body,
            quote: manner.quote && !key.kind.is_secret(),
            ..Call::get(&path).metadata_only()
        };
        self.send(identity, call).await.map(|_| ())
    }

    /// Makes a namespace, unless it exists. It has no mark of a Sync's: nobody will delete it.
    ///
    /// # Errors
    /// As the server answers, but for "already exists".
    pub async fn create_namespace(&self, identity: &Identity, name: &str) -> Result<(), ApiError> {
        let body = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "signet"}},
        });
        let call = Call {
            method: Method::POST,
            content_type: JSON,
            body: body.to_string().into_bytes(),
            ..Call::get("/api/v1/namespaces").metadata_only()
        };
        match self.send(identity, call).await {
            Err(error) if error.cause == Cause::Exists => Ok(()),
            answer => answer.map(|_| ()),
        }
    }
}
