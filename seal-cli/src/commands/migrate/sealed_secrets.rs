//! `signet migrate sealed-secrets`: the arguments, and which of its jobs they ask for.

use super::carry_out::Extent;
use super::plan::{KeyAction, Plan};
use super::record::{Locked, Record};
use super::survey::{self, Survey};
use super::workload::Workload;
use super::{carry_out, report, undo};
use crate::args::{OutputArg, duration};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::controller::ControllerArgs;
use crate::output::show;
use crate::progress::Progress;
use crate::ui::Ui;
use clap::Args;
use sealing::Printable;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Take over from Bitnami's sealed-secrets controller
///
/// Without more it reads the cluster and says what would change, and changes
/// nothing. With --apply it
///
/// 1. copies the sealing keys into Signet's namespace,
/// 2. waits until Signet has taken over every SealedSecret: the same Secrets,
///    which are there all the time, now kept up by Signet,
/// 3. scales Bitnami's controller to nothing and waits until it is gone. It
///    goes on where Signet has not said of every one that it has taken over.
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
    /// Namespace of Bitnami's controller and of its keys; with --apply it has to be named unless that is kube-system [default:
    /// where its Deployment is found]
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
        // Until the end: what was read of the record is what is written back.
        let _locked = if self.apply || self.undo {
            Some(Locked::new(&self.record)?)
        } else {
            None
        };
        let cluster = Cluster::connect_to_watch(global).await?;
        let id = survey::cluster_id(&cluster.client).await?;
        let record = Record::read(&self.record, &id)?;
        if self.undo {
            let record = record.ok_or_else(|| {
                CommandError::user(
                    "there is no record of a migration",
                    "--record names the file that `--apply` wrote",
                )
            })?;
            undo::undo(ui, &cluster.client, &record).await?;
            return Ok(ExitCode::SUCCESS);
        }
        let (namespace, name) = self.whose(record.as_ref())?;
        let mut survey = {
            let _progress = Progress::start(ui, "reading keys and SealedSecrets");
            Survey::take(&cluster.client, self.controller.namespace(), namespace, name).await?
        };
        let plan = Plan::of(&survey, self.remove_objects);
        if !self.apply {
            report::plan(ui, self.output.output, &plan, self.remove_objects)?;
            return Ok(ExitCode::from(u8::from(plan.is_pending())));
        }
        self.check_whose(record.as_ref(), &survey)?;
        if !self.only_keys {
            self.check(&plan)?;
        }
        let mut record = record.unwrap_or_else(|| Record::new(&id, &survey));
        if record.workload.is_none() {
            record.workload.clone_from(&survey.workload);
        }
        let extent = match (self.only_keys, self.remove_objects) {
            (true, _) => Extent::Keys,
            (false, true) => Extent::Removal,
            (false, false) => Extent::TakeOver,
        };
        let done = carry_out::carry_out(
            ui,
            &cluster.client,
            &mut survey,
            record,
            &self.record,
            extent,
            self.timeout,
        )
        .await?;
        report::done(ui, self.output.output, &done, extent)?;
        Ok(ExitCode::from(u8::from(!done.left.is_empty())))
    }

    /// Where Bitnami's controller is looked for: once there is a record, where that has it.
    fn whose<'a>(
        &'a self,
        record: Option<&'a Record>,
    ) -> Result<(Option<&'a str>, Option<&'a str>), CommandError> {
        let (namespace, name) = (self.from_namespace.as_deref(), self.from_name.as_deref());
        let Some(record) = record else {
            return Ok((namespace, name));
        };
        let workload = record.workload.as_ref().map(|workload| workload.name.as_str());
        let same =
            |asked: Option<&str>, known: Option<&str>| asked.is_none() || known.is_none() || asked == known;
        if same(namespace, Some(&record.theirs)) && same(name, workload) {
            return Ok((Some(&record.theirs), workload.or(name)));
        }
        Err(CommandError::user(
            format!(
                "{} is the record of a migration from {}",
                show(&self.record),
                record.workload.as_ref().map_or_else(
                    || format!("namespace {}", Printable(&record.theirs)),
                    Workload::shown
                ),
            ),
            "--undo ends that one; or name another file with --record",
        ))
    }

    /// Anybody can give a Deployment of their own that name or label, and the keys beside it become Signet's: which one it is
    /// says a person, the record, or the place that is the administrators' alone.
    fn check_whose(&self, record: Option<&Record>, survey: &Survey) -> Result<(), CommandError> {
        let Some(workload) = &survey.workload else {
            return Ok(());
        };
        let known = match record {
            Some(record) => record.workload.is_some() || self.from_name.is_some(),
            None => self.from_namespace.is_some() || workload.is_where_it_belongs(),
        };
        if known {
            return Ok(());
        }
        let hint = if record.is_some() {
            format!(
                "the record knows of none; if it is, add --from-name {}",
                Printable(&workload.name)
            )
        } else {
            format!(
                "if it is, add --from-namespace {}",
                Printable(&workload.namespace)
            )
        };
        Err(CommandError::user(
            format!(
                "Deployment {} may be Bitnami's controller or somebody else's, and nothing was changed",
                workload.shown()
            ),
            hint,
        ))
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
        if self.remove_objects && plan.keys.iter().any(|key| key.action == KeyAction::Copy) {
            // With a key that it gets only now, Signet would begin on objects that are about to go.
            return Err(CommandError::user(
                "there are keys that Signet has not got yet, and nothing was changed",
                "copy them first: --apply --only-keys",
            ));
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
