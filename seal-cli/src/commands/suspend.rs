//! `signet suspend` and `signet resume`.

use crate::args::{Format, NamespaceArg, OutputArg};
use crate::cli::GlobalArgs;
use crate::cluster;
use crate::command_error::CommandError;
use crate::progress::Progress;
use crate::syncs::{Syncs, full_name};
use crate::ui::Ui;
use clap::Args;
use crds::Sync;
use kube::ResourceExt as _;
use sealing::Printable;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Why a Sync is suspended, in its user's words.
const REASON: &str = "signet.dev/suspend-reason";
/// The API server bounds all annotations together; a reason is a sentence.
const REASON_LIMIT: usize = 1024;

/// Stop applying and repairing, for now
///
/// What is applied stays. The reason is kept in the annotation
/// signet.dev/suspend-reason of the Sync.
///
/// Example: leave the shop alone while somebody looks
///
///     signet suspend shop -n shop --reason "incident 4711, ask Ada"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct SuspendArgs {
    #[command(flatten)]
    which: Which,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
    #[command(flatten)]
    format: OutputArg,
}

/// Apply and repair again
///
/// Example: every Sync of the namespace
///
///     signet resume -n shop --all
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    format: OutputArg,
}

#[derive(Args)]
struct Which {
    /// The Syncs
    #[arg(value_name = "SYNC", required_unless_present = "all")]
    names: Vec<String>,
    /// Every Sync of the namespace
    #[arg(long, conflicts_with = "names")]
    all: bool,
    #[command(flatten)]
    place: NamespaceArg,
}

impl SuspendArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        self.which
            .set(ui, global, true, self.reason.as_deref(), self.format.output)
    }
}

impl ResumeArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        self.which.set(ui, global, false, None, self.format.output)
    }
}

impl Which {
    fn set(
        &self,
        ui: &Ui,
        global: &GlobalArgs,
        suspend: bool,
        reason: Option<&str>,
        format: Format,
    ) -> Result<ExitCode, CommandError> {
        let (verb, done) = if suspend {
            ("suspend", "Suspended")
        } else {
            ("resume", "Resumed")
        };
        let outcome = {
            let _progress = Progress::start(ui, "changing the Syncs");
            cluster::block_on(self.patch(global, suspend, reason))??
        };
        if format == Format::Json {
            let rows: Vec<_> = outcome.syncs.iter().map(as_json).collect();
            ui.write(format!("{:#}\n", json!(rows)))?;
        }
        for (sync, changed) in &outcome.syncs {
            ui.status(if *changed {
                format!("{done} {}.", full_name(sync))
            } else {
                format!("{} was {} already.", full_name(sync), done.to_lowercase())
            });
        }
        if outcome.syncs.is_empty() && outcome.failures.is_empty() {
            ui.status("There are no Syncs here.");
        }
        if outcome.failures.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        Err(CommandError::user(
            format!("cannot {verb} every Sync:"),
            "ask for `patch` on syncs.signet.dev in that namespace, or correct the names",
        )
        .details(outcome.failures))
    }

    async fn patch(
        &self,
        global: &GlobalArgs,
        suspend: bool,
        reason: Option<&str>,
    ) -> Result<Outcome, CommandError> {
        let syncs = Syncs::connect(global, self.place.namespace.as_deref()).await?;
        let mut outcome = Outcome::default();
        // All names first: a mistyped one changes nothing.
        for sync in syncs.named(&self.names).await? {
            let before = sync.annotations().get(REASON).cloned();
            // Without a new reason the old one still holds.
            let after = match (suspend, reason) {
                (true, Some(reason)) => Some(reason.to_owned()),
                (true, None) if sync.spec.suspend => before.clone(),
                _ => None,
            };
            if sync.spec.suspend == suspend && before == after {
                outcome.syncs.push((sync, false));
                continue;
            }
            let patch = json!({
                "metadata": {"annotations": {REASON: after}},
                "spec": {"suspend": suspend},
            });
            match syncs.patch(&sync.name_any(), &patch).await {
                Ok(sync) => outcome.syncs.push((sync, true)),
                Err(err) => {
                    let said = cluster::explain(&err, "change it");
                    outcome
                        .failures
                        .push(format!("{}: {}", full_name(&sync), said.message()));
                }
            }
        }
        Ok(outcome)
    }
}

#[derive(Default)]
struct Outcome {
    /// With whether each was changed.
    syncs: Vec<(Sync, bool)>,
    failures: Vec<String>,
}

fn as_json((sync, changed): &(Sync, bool)) -> Value {
    json!({
        "namespace": sync.metadata.namespace,
        "name": sync.metadata.name,
        "suspended": sync.spec.suspend,
        "reason": sync.annotations().get(REASON),
        "changed": changed,
    })
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("a reason is a sentence".to_owned());
    }
    if text.len() > REASON_LIMIT {
        return Err(format!("a reason has at most {REASON_LIMIT} bytes"));
    }
    Ok(Printable(text).to_string())
}
