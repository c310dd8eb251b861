//! SealedSecret objects of the cluster, sealed by the real kubeseal.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tests::{Space, Stage, command, http, objects};

pub(crate) const MANAGED: &str = "sealedsecrets.bitnami.com/managed";
pub(crate) const PATCH: &str = "sealedsecrets.bitnami.com/patch";

/// A namespace, and the certificate of the controller.
pub(crate) struct Sealed<'a> {
    pub(crate) team: Space<'a>,
    certificate: PathBuf,
    _home: tempfile::TempDir,
}

impl<'a> Sealed<'a> {
    pub(crate) async fn on(stage: &'a Stage, name: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let certificate = home.path().join("cert.pem");
        let pem = http::get(&stage.controller.certificate_url()).await.unwrap().body;
        std::fs::write(&certificate, pem).unwrap();
        Self {
            team: stage.space(name),
            certificate,
            _home: home,
        }
    }

    /// A Secret of this namespace, with a label.
    pub(crate) fn secret(&self, name: &str, values: &[(&str, &str)]) -> Value {
        let mut secret = objects::secret(self.team.name(), name, values);
        secret["metadata"]["labels"] = json!({"mylabel": "myvalue"});
        secret
    }

    /// What kubeseal makes of a Secret.
    pub(crate) fn seal(&self, secret: &Value) -> Value {
        self.seal_with(&[], secret)
    }

    pub(crate) fn seal_with(&self, arguments: &[&str], secret: &Value) -> Value {
        let mut kubeseal = command::kubeseal();
        kubeseal.arg("--cert").arg(&self.certificate).args(arguments);
        let sealed = command::run(kubeseal, secret.to_string().as_bytes()).ok();
        serde_json::from_str(&sealed).unwrap()
    }

    /// Seals a Secret of one value and hands it in.
    pub(crate) fn sealed(&self, name: &str, values: &[(&str, &str)]) {
        self.create(&self.seal(&self.secret(name, values)));
    }

    /// Creates an object, as kubectl does.
    pub(crate) fn create(&self, object: &Value) {
        self.kubectl(&["create", "-f", "-"], object);
    }

    /// Replaces an object, as kubectl does.
    pub(crate) fn replace(&self, object: &Value) {
        self.kubectl(&["replace", "-f", "-"], object);
    }

    fn kubectl(&self, arguments: &[&str], object: &Value) {
        let here = ["--namespace", self.team.name()];
        let arguments = here.into_iter().chain(arguments.iter().copied());
        self.team
            .stage()
            .cluster
            .kubectl_with(arguments, &object.to_string())
            .ok();
    }

    /// Changes a SealedSecret, or what else a merge patch can change.
    pub(crate) async fn merge(&self, name: &str, patch: Value) {
        self.team
            .api::<SealedSecret>()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Waits for a Secret with this data.
    pub(crate) async fn holds(&self, name: &str, values: &[(&str, &str)]) -> Secret {
        let wanted: BTreeMap<String, String> = values
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let what = format!("Secret {name} to hold {wanted:?}");
        self.team
            .until(name, &what, |secret: &Secret| data(secret) == wanted)
            .await
    }

    /// Waits until a SealedSecret says that its Secret is there, in its present generation.
    pub(crate) async fn synced(&self, name: &str) -> SealedSecret {
        self.team
            .until(name, "the SealedSecret to be synced", |sealed: &SealedSecret| {
                is(sealed, "Synced", "True") && observed(sealed) == sealed.metadata.generation
            })
            .await
    }

    /// Waits until a SealedSecret says that it could not be made into its Secret, and gives what it says.
    pub(crate) async fn failed(&self, name: &str) -> String {
        let sealed = self
            .team
            .until(
                name,
                "the SealedSecret to have failed",
                |sealed: &SealedSecret| {
                    is(sealed, "Synced", "False") && observed(sealed) == sealed.metadata.generation
                },
            )
            .await;
        assert!(is(&sealed, "Ready", "False"));
        said(&sealed)
    }

    /// Whether a Secret is there.
    pub(crate) async fn has(&self, name: &str) -> bool {
        let found = self.team.api::<Secret>().get_opt(name).await;
        found.unwrap().is_some()
    }

    pub(crate) async fn version(&self, name: &str) -> String {
        let secret = self.team.api::<Secret>().get(name).await.unwrap();
        secret.resource_version().unwrap()
    }

    pub(crate) async fn event(&self, name: &str, reason: &str) -> String {
        self.team.event("SealedSecret", name, reason).await
    }
}

pub(crate) fn data(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| (key.clone(), String::from_utf8_lossy(&value.0).into_owned()))
        .collect()
}

/// A condition's status.
pub(crate) fn is(sealed: &SealedSecret, type_: &str, status: &str) -> bool {
    let conditions = sealed
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .flatten();
    let mut found = conditions.filter(|known| known.type_ == type_);
    found.any(|known| known.status == status)
}

pub(crate) fn observed(sealed: &SealedSecret) -> Option<i64> {
    sealed.status.as_ref()?.observed_generation
}

/// What the first condition says.
pub(crate) fn said(sealed: &SealedSecret) -> String {
    let conditions = sealed
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let first = conditions.and_then(|all| all.first());
    first.and_then(|known| known.message.clone()).unwrap_or_default()
}

/// Annotations without our own.
pub(crate) fn annotations(secret: &Secret) -> BTreeMap<String, String> {
    let mut all = secret.metadata.annotations.clone().unwrap_or_default();
    all.retain(|key, _| !key.starts_with("signet.dev/"));
    all
}
