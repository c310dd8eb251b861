//! The API server: what is there, and what an apply would make of it. As the Sync's service account, where one may.

use crate::cluster;
use crate::command_error::CommandError;
use apply::{FieldConflict, GroupKind, Key, KindInfo, applyset};
use crds::{Sync, VariableKind, VariableSource};
use http::Request;
use kube::Client;
use sealing::Printable;
use serde_json::{Value, json};
use std::sync::Arc;

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

pub(super) struct Server {
    client: Client,
    manager: String,
    namespace: String,
    /// The service account, if the user may stand for it.
    user: Option<String>,
}

/// Why something would be refused, safe to print: of a Secret, nothing that the API server quotes.
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) message: String,
    /// Fields that others own, where those are in the way.
    pub(super) conflicts: Vec<FieldConflict>,
}

impl Refusal {
    /// In our own words.
    pub(super) fn own(message: String) -> Self {
        Self {
            code: 0,
            message,
            conflicts: Vec::new(),
        }
    }
}

/// How much of an answer is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Whole,
    /// No values.
    Metadata,
}

impl Server {
    pub(super) async fn connect(client: &Client, sync: &Sync) -> Result<Self, CommandError> {
        let of = |field: &Option<String>| field.clone().unwrap_or_default();
        let (namespace, name) = (of(&sync.metadata.namespace), of(&sync.metadata.name));
        let account = &sync.spec.service_account_name;
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": "impersonate", "resource": "serviceaccounts", "namespace": namespace, "name": account,
            }},
        });
        let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header("content-type", "application/json")
            .body(review.to_string().into_bytes());
        let request = request.map_err(|err| CommandError::internal(err.to_string()))?;
        let answer: Value = client
            .request(request)
            .await
            .map_err(|err| cluster::explain(&err, "ask what you may"))?;
        let may = answer.pointer("/status/allowed").and_then(Value::as_bool) == Some(true);
        Ok(Self {
            client: client.clone(),
            manager: applyset::manager(&applyset::id(&namespace, &name)),
            namespace: namespace.clone(),
            user: may.then(|| format!("system:serviceaccount:{namespace}:{account}")),
        })
    }

    /// The Sync's namespace.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Who asks.
    pub(super) fn reader(&self) -> String {
        match &self.user {
            Some(account) => account.clone(),
            None => "your own user".to_owned(),
        }
    }

    /// What is there, if anything.
    pub(super) async fn live(
        &self,
        info: &KindInfo,
        key: &Key,
        want: Want,
    ) -> Result<Option<Value>, Refusal> {
        match self
            .send(Request::get(info.path(key)), Vec::new(), key, want)
            .await
        {
            Ok(object) => Ok(Some(object)),
            Err(refusal) if refusal.code == 404 => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// What an apply would make of it.
    pub(super) async fn dry_run(
        &self,
        info: &KindInfo,
        key: &Key,
        body: &Value,
        want: Want,
        force: bool,
    ) -> Result<Value, Refusal> {
        let path = format!(
            "{}?dryRun=All&fieldManager={}&fieldValidation=Strict&force={force}",
            info.path(key),
            self.manager.replace('/', "%2F")
        );
        let request = Request::patch(path).header("content-type", "application/apply-patch+yaml");
        self.send(request, body.to_string().into_bytes(), key, want).await
    }

    /// A ConfigMap or Secret whose keys are variables, if it is there.
    pub(super) async fn source(&self, source: &VariableSource) -> Result<Option<Value>, Refusal> {
        let (kind, plural) = match source.kind {
            VariableKind::ConfigMap => ("ConfigMap", "configmaps"),
            VariableKind::Secret => ("Secret", "secrets"),
        };
        let key = Key {
            kind: Arc::new(GroupKind::new("", kind)),
            namespace: Some(self.namespace.as_str().into()),
            name: source.name.as_str().into(),
        };
        let path = format!("/api/v1/namespaces/{}/{plural}/{}", self.namespace, source.name);
        match self.send(Request::get(path), Vec::new(), &key, Want::Whole).await {
            Ok(object) => Ok(Some(object)),
            Err(refusal) if refusal.code == 404 => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn send(
        &self,
        mut request: http::request::Builder,
        body: Vec<u8>,
        key: &Key,
        want: Want,
    ) -> Result<Value, Refusal> {
        if want == Want::Metadata {
            request = request.header("accept", METADATA);
        }
        if let Some(user) = &self.user {
            request = request.header("impersonate-user", user);
        }
        let request = request
            .body(body)
            .map_err(|_| Refusal::own("its name cannot be part of a request".to_owned()))?;
        self.client
            .request(request)
            .await
            .map_err(|err| refusal(&err, key))
    }
}

fn refusal(err: &kube::Error, key: &Key) -> Refusal {
    match err {
        kube::Error::Api(status) => {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            let conflicts =
                causes.filter_map(|cause| FieldConflict::read(&cause.reason, &cause.message, &cause.field));
            let message = if key.kind.is_secret() {
                format!(
                    "the API server answers {} {}",
                    status.code,
                    Printable(&status.reason)
                )
            } else {
                Printable(&status.message).to_string()
            };
            Refusal {
                code: status.code,
                message,
                conflicts: conflicts.collect(),
            }
        }
        // An answer that cannot be read may be quoted by its error.
        kube::Error::SerdeError(_) => Refusal::own("the API server's answer cannot be read".to_owned()),
        _ => Refusal::own("the API server cannot be reached".to_owned()),
    }
}
