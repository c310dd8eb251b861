//! `signet deploy-key`.

use std::process::ExitCode;

use crate::args::{Format, NamespaceArg, OutputArg};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::progress::Progress;
use crate::syncs::MANAGER;
use crate::ui::Ui;
use clap::Args;
use crds::{Repository, annotation};
use kube::Api;
use kube::api::{Patch, PatchParams};
use sealing::Printable;
use serde_json::json;

/// Show the deploy key that the controller made for a Repository
///
/// Prints the public half, ready to paste into the Git host's page of deploy
/// keys. The Repository has `spec.deployKey.generate: true`.
///
/// With --renew the controller makes another key. Until the host accepts it,
/// the old one stays in use; then it is forgotten, and can be removed there.
///
/// Example: add the key at a host that has a command line
///
///     signet deploy-key shop -n shop > key.pub
///     gh repo deploy-key add key.pub --repo team/shop
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DeployKeyArgs {
    /// The Repository
    #[arg(value_name = "REPOSITORY")]
    name: String,
    /// Ask for another key
    #[arg(long)]
    renew: bool,
    #[command(flatten)]
    place: NamespaceArg,
    #[command(flatten)]
    format: OutputArg,
}

impl DeployKeyArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let repository = {
            let _progress = Progress::start(ui, "reading the Repository");
            cluster::block_on(self.read(global))??
        };
        let status = repository
            .status
            .and_then(|status| status.deploy_key)
            .unwrap_or_default();
        if self.format.output == Format::Json {
            ui.write(format!("{:#}\n", json!(status)))?;
        } else {
            let newest = [&status.next_public_key, &status.public_key];
            let newest = newest.into_iter().find(|key| !key.is_empty());
            if let Some(key) = newest {
                ui.write(format!("{}\n", Printable(key)))?;
            }
        }
        if !status.next_public_key.is_empty() {
            ui.status(format!(
                "Add this key at the Git host. Until it is accepted, {} stays in use.",
                Printable(&status.fingerprint)
            ));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The Repository with a key, and after a renewal with the next one.
    async fn read(&self, global: &GlobalArgs) -> Result<Repository, CommandError> {
        let cluster = Cluster::connect(global).await?;
        let namespace = self.place.namespace.clone().unwrap_or(cluster.namespace);
        let api: Api<Repository> = Api::namespaced(cluster.client, &namespace);
        let get = async || {
            let found = api.get_opt(&self.name).await;
            found
                .map_err(|err| cluster::explain(&err, "read the Repository"))?
                .ok_or_else(|| self.missing(&namespace))
        };
        let mut repository = get().await?;
        if repository.spec.deploy_key.is_none() {
            return Err(CommandError::user(
                format!(
                    "Repository {namespace}/{} has no spec.deployKey",
                    Printable(&self.name)
                ),
                "set spec.deployKey.generate to true, and knownHosts to the host's line of known_hosts",
            ));
        }
        let next = |repository: &Repository| {
            let key = repository
                .status
                .as_ref()
                .and_then(|status| status.deploy_key.as_ref());
            key.map(|key| (key.public_key.clone(), key.next_public_key.clone()))
        };
        let before = next(&repository);
        if self.renew {
            let now = jiff::Timestamp::now().to_string();
            let patch = json!({"metadata": {"annotations": {annotation::RENEW_DEPLOY_KEY: now}}});
            let params = PatchParams {
                field_manager: Some(MANAGER.to_owned()),
                ..PatchParams::default()
            };
            api.patch(&self.name, &params, &Patch::Merge(patch))
                .await
                .map_err(|err| cluster::explain(&err, "ask for another key"))?;
        }
        // The controller answers in the status, in a moment.
        for _ in 0..120 {
            let known = next(&repository);
            if known.is_some() && !(self.renew && known == before) {
                return Ok(repository);
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            repository = get().await?;
        }
        Err(CommandError::user(
            format!(
                "the controller has not made a key for {namespace}/{}",
                Printable(&self.name)
            ),
            "`kubectl describe repository` says why; is the controller running?",
        ))
    }

    fn missing(&self, namespace: &str) -> CommandError {
        CommandError::user(
            format!("there is no Repository {namespace}/{}", Printable(&self.name)),
            "`kubectl get repositories -A` lists all of them; -n chooses the namespace",
        )
    }
}
