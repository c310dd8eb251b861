//! Writing a Repository's status: only what differs, and again after a failure.

use std::time::Duration;

use crds::{Repository, RepositoryStatus};
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, core::PartialObjectMeta};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::debug;

use super::Key;
use crate::request::bounded;

const RETRY: Duration = Duration::from_secs(5);

pub(super) struct Writer {
    api: Api<PartialObjectMeta<Repository>>,
    name: String,
    uid: String,
    /// What the API server holds, as far as we know: only this task writes it.
    pub(super) status: RepositoryStatus,
    unwritten: Option<(RepositoryStatus, Instant)>,
}

impl Writer {
    pub(super) fn new(client: Client, key: &Key, uid: &str, status: RepositoryStatus) -> Self {
        Self {
            api: Api::namespaced(client, &key.0),
            name: key.1.clone(),
            uid: uid.to_owned(),
            status,
            unwritten: None,
        }
    }

    /// Writes `status` if it differs. Returns whether it does. A failure is kept for [`Writer::retry`].
    pub(super) async fn write(&mut self, status: RepositoryStatus) -> bool {
        if status == self.status {
            self.unwritten = None;
            return false;
        }
        let news = self
            .unwritten
            .as_ref()
            .is_none_or(|(pending, _)| *pending != status);
        self.send(status).await;
        news
    }

    /// When a failed write is due again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.unwritten.as_ref().map(|(_, at)| *at)
    }

    /// Writes again what could not be written.
    pub(super) async fn retry(&mut self) {
        if let Some((status, _)) = self.unwritten.take() {
            self.send(status).await;
        }
    }

    async fn send(&mut self, status: RepositoryStatus) {
        let patch = Patch::Merge(body(&self.uid, &status));
        match bounded(self.api.patch_status(&self.name, &PatchParams::default(), &patch)).await {
            Ok(_) => {
                self.status = status;
                self.unwritten = None;
            }
            // Gone, or replaced by another one of the name: the watch tells.
            Err(error) if error.is_not_found() || error.is_conflict() => self.unwritten = None,
            Err(error) => {
                debug!(%error, "a Repository's status could not be written; it is tried again");
                self.unwritten = Some((status, Instant::now() + RETRY));
            }
        }
    }
}

/// A merge patch leaves out what it does not name: absent fields are named as null. The uid makes it fail on another
/// object of the same name.
fn body(uid: &str, status: &RepositoryStatus) -> Value {
    let mut value = json!(status);
    if let Value::Object(fields) = &mut value {
        for name in ["revision", "head", "verified", "lastHandledRequest", "deployKey"] {
            fields.entry(name).or_insert(Value::Null);
        }
    }
    json!({"metadata": {"uid": uid}, "status": value})
}

#[cfg(test)]
mod tests {
    use super::body;
    use crds::RepositoryStatus;
    use serde_json::Value;

    #[test]
    fn absent_fields_are_cleared() {
        let patch = body("u", &RepositoryStatus::default());
        assert_eq!(patch["metadata"]["uid"], "u");
        assert_eq!(patch["status"]["head"], Value::Null);
        assert!(patch["status"].as_object().unwrap().contains_key("revision"));
        let status = RepositoryStatus {
            revision: "main@1".into(),
            ..RepositoryStatus::default()
        };
        assert_eq!(body("u", &status)["status"]["revision"], "main@1");
        let key = crds::DeployKeyStatus::default();
        let status = RepositoryStatus {
            deploy_key: Some(key),
            ..RepositoryStatus::default()
        };
        let patch = body("u", &status);
        assert_eq!(
            patch["status"]["deployKey"]["nextPublicKey"], "",
            "a renewal that ended"
        );
    }
}
