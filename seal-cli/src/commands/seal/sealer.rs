//! Secrets to SealedSecrets: each is put into its place, and sealed for a certificate.

use super::Job;
use super::format::SealFor;
use super::refused::Refused;
use crate::command_error::CommandError;
use jiff::Timestamp;
use manifest::Manifest;
use sealing::{
    CLUSTER_WIDE, Certificate, CertificateError, NAMESPACE_WIDE, PublicKey, Scope, SealError, SealOptions, v2,
};
use sealing::{SealProblem, seal_secret};
use serde_json::Value;
use std::time::SystemTime;

/// What was not done, where something is refused.
pub(super) const NOT_SEALED: &str = "nothing was sealed";

impl Job<'_> {
    /// Refuses the whole input unless every object is a Secret with a place to live in.
    pub(super) fn secrets(
        &self,
        manifests: Vec<Manifest>,
        mut refused: Refused,
    ) -> Result<Vec<Manifest>, CommandError> {
        let default_namespace = self.default_namespace_of(&manifests)?;
        let mut secrets = Vec::with_capacity(manifests.len());
        for mut found in manifests {
            let gvk = &found.id.gvk;
            if gvk.kind == "Secret" && gvk.group.is_empty() {
                if let Err((problem, hint)) = self.place(&mut found, default_namespace.as_deref()) {
                    refused.add(&found, &problem, hint);
                }
                secrets.push(found);
            } else if gvk.kind == "SealedSecret" {
                refused.add(&found, "it is sealed already", "leave out what is sealed already");
            } else {
                refused.add(
                    &found,
                    "it is not a Secret",
                    "only Secrets are sealed; keep other objects in files of their own",
                );
            }
        }
        refused.into_result(NOT_SEALED)?;
        if secrets.is_empty() {
            return Err(CommandError::user(
                "no secrets found. Ensure the input is valid and UTF-8 encoded",
                "give a file, or pipe a manifest in: kubectl create secret … --dry-run=client -o yaml | signet seal",
            ));
        }
        Ok(secrets)
    }

    /// The kubeconfig is not even read where every Secret names its namespace.
    fn default_namespace_of(&self, manifests: &[Manifest]) -> Result<Option<String>, CommandError> {
        if manifests.iter().all(|found| found.id.namespace.is_some()) {
            return Ok(self.asked_namespace().map(ToOwned::to_owned));
        }
        self.default_namespace()
    }

    /// Gives a Secret its scope, and the default namespace if it names none.
    fn place(&self, found: &mut Manifest, default: Option<&str>) -> Result<(), (String, &'static str)> {
        let scope = self.scope();
        // On kubeseal's command line the flag wins over the annotations.
        if let (true, Some(_)) = (self.is_kubeseal(), scope)
            && let Some(Value::Object(annotations)) = found.object.pointer_mut("/metadata/annotations")
        {
            annotations.retain(|name, _| name != CLUSTER_WIDE && name != NAMESPACE_WIDE);
        }
        let annotations = found.object.pointer("/metadata/annotations");
        let scope = scope.unwrap_or_else(|| Scope::from_annotations(annotations));
        match (found.id.namespace.as_deref(), self.asked_namespace(), default) {
            _ if scope == Scope::Cluster => Ok(()),
            (Some(own), Some(asked), _) if own != asked => Err((
                format!(
                    "namespace mismatch: input secret is in namespace \"{own}\" but \"{}\" was specified",
                    sealing::Printable(asked)
                ),
                "leave out --namespace, or seal the files of each namespace on their own",
            )),
            (Some(_), _, _) => Ok(()),
            (None, _, Some(default)) => {
                found.object["metadata"]["namespace"] = default.into();
                Ok(())
            }
            (None, _, None) => Err((
                format!("secret must declare a namespace: scope {scope} needs one"),
                "write metadata.namespace, or give --namespace NAME, or --scope cluster-wide",
            )),
        }
    }

    /// Seals on every core: sealing is nothing but computing.
    pub(super) fn seal_all(
        &self,
        seal_for: &SealFor,
        secrets: &[Manifest],
        scope: Option<Scope>,
    ) -> Result<Vec<Value>, CommandError> {
        let options = SealOptions {
            scope,
            allow_empty: self.args.allow_empty_data,
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let share = secrets.len().div_ceil(workers).max(1);
        let one: &(dyn Fn(&Value) -> Result<Value, SealError> + Sync) = match seal_for {
            SealFor::Certificate(certificate) => {
                let key = key(certificate)?;
                &move |secret| seal_secret(secret, key, options)
            }
            SealFor::Recipients(recipients) => {
                &|secret| v2::seal_secret(secret, recipients, options).map(|sealed| sealed.to_value())
            }
        };
        let results: Vec<Result<Value, SealError>> = std::thread::scope(|scope| {
            let seal =
                |part: &[Manifest]| -> Vec<_> { part.iter().map(|found| one(&found.object)).collect() };
            let workers: Vec<_> = secrets
                .chunks(share)
                .map(|part| scope.spawn(move || seal(part)))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().map_err(|_| ()))
                .collect::<Result<Vec<_>, ()>>()
        })
        .map_err(|()| CommandError::internal("a thread that sealed has panicked"))?
        .into_iter()
        .flatten()
        .collect();

        let mut refused = Refused::default();
        let mut sealed = Vec::with_capacity(results.len());
        for (found, result) in secrets.iter().zip(results) {
            match result {
                Ok(value) => sealed.push(value),
                Err(err) => refused.add(found, problem(&err), hint(err.problem)),
            }
        }
        refused.into_result(NOT_SEALED)?;
        Ok(sealed)
    }
}

/// The key to seal for; an expired certificate gives none.
pub(super) fn key(certificate: &Certificate) -> Result<&PublicKey, CommandError> {
    certificate
        .public_key_at(SystemTime::now())
        .map_err(|err| match err {
            CertificateError::Expired(_) => {
                let day = Timestamp::try_from(certificate.not_after()).map_or_else(
                    |_| "an unknown day".to_owned(),
                    |time| time.strftime("%B %-d, %Y").to_string(),
                );
                CommandError::user(
                    format!("failed to encrypt using an expired certificate on {day}"),
                    "fetch the current one with `signet cert`; an expired key cannot be sealed for",
                )
            }
            err => CommandError::user(
                format!("cannot seal: {err}"),
                "fetch the current one with `signet cert`",
            ),
        })
}

/// Why a Secret cannot be sealed, in kubeseal's words where it has some.
fn problem(err: &SealError) -> String {
    match err.problem {
        SealProblem::Empty => {
            "secret.data is empty in input Secret, assuming this is an error and aborting. To work \
                               with empty data, --allow-empty-data can be used"
                .to_owned()
        }
        SealProblem::Missing if err.path == "metadata.name" => {
            "missing metadata.name in input Secret".to_owned()
        }
        _ => err.to_string(),
    }
}

/// What is to be done about a Secret that cannot be sealed.
fn hint(problem: SealProblem) -> &'static str {
    match problem {
        SealProblem::Empty => "if the Secret is meant to be empty, give --allow-empty-data",
        SealProblem::NotBase64 => "values in data are base64; plain text goes into stringData",
        SealProblem::ScopeConflict { .. } => "remove the annotation, or leave out --scope",
        SealProblem::UnknownField => "a slip in a field's name? What a Secret does not have would be lost",
        SealProblem::WrongType(_) => {
            "YAML reads unquoted numbers, yes, no, true and null as other types: quote them"
        }
        _ => {
            "correct the Secret; `kubectl create --dry-run=server -f FILE` tells what Kubernetes thinks of it"
        }
    }
}
