//! `signet sync`.

use super::status::{self, NOT_READY, readiness};
use crate::args::{duration, human};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::progress::Progress;
use crate::ui::Ui;
use clap::{ArgAction, Args};
use crds::{Repository, Sync, annotation};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt as _};
use sealing::Printable;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Ask the controller to fetch and apply now
///
/// Asks for the Sync's Repository to be fetched, and then for the Sync to be
/// applied; waits for both and shows the result.
///
/// Exit codes: 0 if the Sync is ready, or with --no-wait if it was asked; 3 if
/// it is not ready, or not in time.
///
/// Example: after a push, wait until the cluster has it
///
///     git push && signet sync shop -n shop
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct SyncArgs {
    /// The Sync
    name: String,
    /// Its namespace [default: that of the kubeconfig's context]
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Wait for the result; this is the default
    #[arg(long, overrides_with = "no_wait", action = ArgAction::SetTrue, hide = true)]
    wait: bool,
    /// Do not wait for the result
    #[arg(long)]
    no_wait: bool,
    /// How long to wait, such as 30s or 10m
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
}

impl SyncArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        cluster::block_on(self.ask(ui, global))?
    }

    async fn ask(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let cluster = Cluster::connect(global).await?;
        let namespace = self.namespace.as_deref().unwrap_or(&cluster.namespace);
        let syncs: Api<Sync> = Api::namespaced(cluster.client.clone(), namespace);
        let repositories: Api<Repository> = Api::namespaced(cluster.client.clone(), namespace);
        let full_name = format!("{namespace}/{}", Printable(&self.name));

        let sync = get(&syncs, &self.name, "Sync", namespace).await?;
        let source = sync.spec.source_ref.name.as_str();
        let repository = get(&repositories, source, "Repository", namespace).await?;
        for (suspended, what, name) in [
            (sync.spec.suspend, "Sync", self.name.as_str()),
            (repository.spec.suspend, "Repository", source),
        ] {
            if suspended {
                return Err(CommandError::user(
                    format!(
                        "the {what} {namespace}/{} is suspended, so nothing would happen",
                        Printable(name)
                    ),
                    "set spec.suspend to false, and ask again",
                ));
            }
        }

        let request = Timestamp::now().to_string();
        let deadline = Instant::now() + self.timeout;
        annotate(&repositories, source, "Repository", &request).await?;
        if self.no_wait {
            annotate(&syncs, &self.name, "Sync", &request).await?;
            ui.status(format!("Asked for {full_name}."));
            return Ok(ExitCode::SUCCESS);
        }

        let progress = Progress::start(ui, format!("waiting for {full_name}"));
        // In this order, so that the Sync's answer speaks of what the fetch has found.
        let handled = |found: &Repository| {
            found
                .status
                .as_ref()
                .is_some_and(|status| status.last_handled_request == request)
        };
        if wait_for(&repositories, source, deadline, handled)
            .await?
            .is_none()
        {
            return Err(self.too_late("fetched", "Repository", namespace, source));
        }
        annotate(&syncs, &self.name, "Sync", &request).await?;
        let handled = |found: &Sync| {
            let status = found.status.as_ref();
            status.is_some_and(|status| status.last_handled_request == request)
                && readiness(found).0.is_some()
        };
        // What is applied and on its way is waited for, as far as there is time.
        let settled = |found: &Sync| handled(found) && !is_under_way(found);
        let sync = match wait_for(&syncs, &self.name, deadline, settled).await? {
            Some(sync) => sync,
            None => get(&syncs, &self.name, "Sync", namespace).await?,
        };
        if !handled(&sync) {
            return Err(self.too_late("applied", "Sync", namespace, &self.name));
        }
        drop(progress);
        ui.write(status::render(ui, std::slice::from_ref(&sync)) + &status::reports(&sync))?;
        let ready = readiness(&sync).0 == Some(true);
        Ok(if ready {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(NOT_READY)
        })
    }

    fn too_late(&self, done: &str, kind: &str, namespace: &str, name: &str) -> CommandError {
        let name = Printable(name);
        CommandError::not_ready(
            format!(
                "the {kind} {namespace}/{name} was not {done} within {}",
                human(self.timeout)
            ),
            format!(
                "is the controller running? `signet status {} -n {namespace}` shows what is known",
                Printable(&self.name)
            ),
        )
    }
}

/// Whether objects or hooks are still waited for.
fn is_under_way(sync: &Sync) -> bool {
    let conditions = sync.status.as_ref().map(|status| status.conditions.as_slice());
    conditions
        .unwrap_or_default()
        .iter()
        .any(|condition| condition.type_ == crds::condition::READY && condition.reason == "Progressing")
}

async fn get<K>(api: &Api<K>, name: &str, kind: &str, namespace: &str) -> Result<K, CommandError>
where
    K: Clone + DeserializeOwned + Debug,
{
    let found = api.get_opt(name).await;
    found
        .map_err(|err| cluster::explain(&err, &format!("read the {kind}")))?
        .ok_or_else(|| {
            CommandError::user(
                format!("there is no {kind} {namespace}/{}", Printable(name)),
                if kind == "Repository" {
                    "create the Repository, or correct spec.sourceRef.name of the Sync"
                } else {
                    "`signet status -A` lists all Syncs; -n chooses the namespace"
                },
            )
        })
}

async fn annotate<K>(api: &Api<K>, name: &str, kind: &str, request: &str) -> Result<(), CommandError>
where
    K: Clone + DeserializeOwned + Debug,
{
    let patch = json!({"metadata": {"annotations": {annotation::REQUESTED_AT: request}}});
    let params = PatchParams {
        field_manager: Some("signet-cli".to_owned()),
        ..PatchParams::default()
    };
    let patched = api.patch(name, &params, &Patch::Merge(&patch)).await;
    patched
        .map(drop)
        .map_err(|err| cluster::explain(&err, &format!("annotate the {kind}")))
}

/// Looks again and again, more slowly with time, until it is so or the deadline has passed.
async fn wait_for<K>(
    api: &Api<K>,
    name: &str,
    deadline: Instant,
    is_so: impl Fn(&K) -> bool,
) -> Result<Option<K>, CommandError>
where
    K: Clone + DeserializeOwned + Debug + Resource,
{
    let mut pause = Duration::from_millis(50);
    loop {
        let found = api
            .get(name)
            .await
            .map_err(|err| cluster::explain(&err, "wait for the result"))?;
        if is_so(&found) {
            return Ok(Some(found));
        }
        if found.meta().deletion_timestamp.is_some() {
            return Err(CommandError::user(
                format!("{} is being deleted", Printable(&found.name_any())),
                "nothing more will be applied",
            ));
        }
        if Instant::now() + pause > deadline {
            return Ok(None);
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}
