//! `signet migrate sealed-secrets`: the arguments, and which of its jobs they ask for.

use super::carry_out::Extent;
use super::plan::Plan;
use super::record::Record;
use super::survey::{self, Survey};
use super::{carry_out, report, undo};
use crate::args::{OutputArg, duration};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::controller::ControllerArgs;
use crate::progress::Progress;
use crate::ui::Ui;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Take over from Bitnami's sealed-secrets controller
///
/// Without more it reads the cluster and says what would change, and changes
/// nothing. With --apply it
///
/// 1. copies the sealing keys into Signet's namespace,
/// 2. scales Bitnami's controller to nothing and waits until it is gone,
/// 3. waits until Signet has taken over every SealedSecret: the same Secrets,
///    which are there all the time, now kept up by Signet.
///
/// Signet has to open SealedSecret objects for that
/// (deploy/sealed-secrets.yaml). With the keys copied first (--only-keys), it
/// does so from its first moment on.
///
/// With --remove-objects the SealedSecret objects go as well, for clusters that
/// get their SealedSecrets from Git by a Sync: each Secret is detached from its
/// SealedSecret first, so that Kubernetes does not delete it with that.
///
/// Everything is written into a record before it is done. --undo reads it: the
/// objects come back and own their Secrets again, keys that were made since are
/// copied back, and Bitnami's controller runs as before.
///
/// Exit codes: 0 nothing is left to do; 1 changes are pending (with --apply:
/// something could not be taken over); 2 an error.
///
/// Example: all the way
///
///     signet migrate sealed-secrets
///     signet migrate sealed-secrets --apply --only-keys
///     kubectl apply -f deploy/sealed-secrets.yaml
///     kubectl -n signet-system rollout restart deployment/signet-controller
///     signet migrate sealed-secrets --apply
///
/// Example: think better of it
///
///     signet migrate sealed-secrets --undo
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct SealedSecretsArgs {
    /// Do what the plan says
    #[arg(long, conflicts_with = "undo")]
    apply: bool,
    /// With --apply, copy the keys and go no further: before Signet is told to open SealedSecret objects
    #[arg(long, conflicts_with = "remove_objects")]
    only_keys: bool,
    /// Put everything back, as the record has it
    #[arg(long)]
    undo: bool,
    /// Remove the SealedSecret objects from the cluster too; their Secrets stay
    #[arg(long)]
    remove_objects: bool,
    /// Go on although Signet will not open some; their Secrets stay as they are, and nobody keeps them up
    #[arg(long)]
    accept_refused: bool,
    /// Where to write down what was done
    #[arg(long, value_name = "FILE", default_value = "sealed-secrets-migration.json")]
    record: PathBuf,
    /// How long Signet may take until it has taken over, such as 5m
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
    /// Namespace of Bitnami's controller and of its keys [default: where its Deployment is found]
    #[arg(long, value_name = "NAME")]
    from_namespace: Option<String>,
    /// Name of its Deployment [default: found by its label, or sealed-secrets-controller]
    #[arg(long, value_name = "NAME")]
    from_name: Option<String>,
    /// It has no Deployment, and is stopped already
    #[arg(long)]
    stopped: bool,
    #[command(flatten)]
    output: OutputArg,
    #[command(flatten)]
    controller: ControllerArgs,
}

impl SealedSecretsArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        cluster::block_on(self.work(ui, global))
            .and_then(|done| done)
            .map_err(|err| err.exits(2))
    }

    async fn work(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let cluster = Cluster::connect_to_watch(global).await?;
        let id = survey::cluster_id(&cluster.client).await?;
        if self.undo {
            let record = Record::read(&self.record, &id)?.ok_or_else(|| {
                CommandError::user(
                    "there is no record of a migration",
                    "--record names the file that `--apply` wrote",
                )
            })?;
            undo::undo(ui, &cluster.client, &record).await?;
            return Ok(ExitCode::SUCCESS);
        }
        let survey = {
            let _progress = Progress::start(ui, "reading keys and SealedSecrets");
            Survey::take(
                &cluster.client,
                self.controller.namespace(),
                self.from_namespace.as_deref(),
                self.from_name.as_deref(),
            )
            .await?
        };
        let plan = Plan::of(&survey, self.remove_objects);
        if !self.apply {
            report::plan(ui, self.output.output, &plan, self.remove_objects)?;
            return Ok(ExitCode::from(u8::from(plan.is_pending())));
        }
        if !self.only_keys {
            self.check(&plan)?;
        }
        let record = Record::read(&self.record, &id)?;
        let record = record.unwrap_or_else(|| Record::new(&id, &survey));
        let extent = match (self.only_keys, self.remove_objects) {
            (true, _) => Extent::Keys,
            (false, true) => Extent::Removal,
            (false, false) => Extent::TakeOver,
        };
        let done = carry_out::carry_out(
            ui,
            &cluster.client,
            &survey,
            record,
            &self.record,
            extent,
            self.timeout,
        )
        .await?;
        report::done(ui, self.output.output, &done, extent)?;
        Ok(ExitCode::from(u8::from(!done.left.is_empty())))
    }

    /// What has to be settled by a person first.
    fn check(&self, plan: &Plan) -> Result<(), CommandError> {
        let refused: Vec<String> = plan.refused().collect();
        if !refused.is_empty() && !self.accept_refused {
            return Err(CommandError::user(
                format!(
                    "Signet will not open {} of them, and nothing was changed:",
                    refused.len()
                ),
                "correct them first; --accept-refused goes on, and leaves their Secrets as they are",
            )
            .details(refused));
        }
        if plan.workload.is_none() && !self.stopped {
            return Err(CommandError::user(
                "there is no Deployment of Bitnami's controller in that namespace, and nothing was changed",
                "--from-name names it; if it runs otherwise, stop it, and say --stopped",
            ));
        }
        Ok(())
    }
}
