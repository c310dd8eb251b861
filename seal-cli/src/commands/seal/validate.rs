//! `--validate`: can the controller open it? It answers yes or no, and no more.

use super::Job;
use super::input::Overrides;
use super::refused::Refused;
use crate::cluster;
use crate::command_error::CommandError;
use crate::controller::Controller;
use crate::progress::Progress;
use manifest::Manifest;

/// A document that the controller is asked about is one of its own kind.
pub(super) fn is_sealed_secret(found: &Manifest) -> bool {
    found.id.gvk.kind == "SealedSecret" && matches!(found.id.gvk.group.as_str(), "bitnami.com" | "signet.dev")
}

impl Job<'_> {
    /// Asks about every document, and reports every one that does not open.
    pub(super) fn validate(&self) -> Result<(), CommandError> {
        let found = self.sealed_secrets()?;
        let mut refused = Refused::default();
        cluster::block_on(async {
            let controller = self.controller().await?;
            for (number, one) in found.iter().enumerate() {
                let _progress = Progress::start(
                    self.ui,
                    format!("asking the controller, {} of {}", number + 1, found.len()),
                );
                let body = one.object.to_string().into_bytes();
                let answer = controller
                    .post("/v1/verify", body, "validate sealed secret")
                    .await?;
                match answer.status {
                    200 => {}
                    409 => refused.add(
                        one,
                        format!("unable to decrypt sealed secret: {}", one.id.name),
                        "was it sealed for this cluster, and for this name, namespace and scope?",
                    ),
                    _ => return Err(controller.refusal(&answer, "validate sealed secret")),
                }
            }
            Ok(())
        })??;
        refused.into_result("the controller cannot open all of it")?;
        let count = found.len();
        self.ui.status(if count == 1 {
            "The controller opens it.".to_owned()
        } else {
            format!("The controller opens all {count}.")
        });
        Ok(())
    }

    /// What was given, if all of it is SealedSecrets. kubeseal takes no input for valid input; that hides a mistake in
    /// a pipe.
    pub(super) fn sealed_secrets(&self) -> Result<Vec<Manifest>, CommandError> {
        let mut input = self.read_input(&Overrides::default())?;
        for found in input.manifests.iter().filter(|found| !is_sealed_secret(found)) {
            input.refused.add(
                found,
                "it is not a SealedSecret",
                "give SealedSecrets only; keep other objects in files of their own",
            );
        }
        input.refused.into_result("nothing was done")?;
        if input.manifests.is_empty() {
            return Err(CommandError::user(
                "no sealed secrets found. Ensure the input is valid and UTF-8 encoded",
                "name a file with -f FILE, or pipe SealedSecrets in",
            ));
        }
        Ok(input.manifests)
    }

    /// The controller, through the API server: by the name of kubeseal as kubeseal asks, else as somebody.
    pub(super) async fn controller(&self) -> Result<Controller, CommandError> {
        let (args, connection) = (&self.args.controller, &self.args.connection);
        if self.is_kubeseal() {
            Controller::find(args, true, self.global, connection).await
        } else {
            Controller::ask(args, &self.args.caller, self.global, connection).await
        }
    }
}
