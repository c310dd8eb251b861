//! `signet status`.

use crate::args::Format;
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::progress::Progress;
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use clap::Args;
use crds::{ConditionStatus, ObjectReport, Sync, SyncStatus, condition};
use kube::{Api, api::ListParams};
use sealing::Printable;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

/// The exit code for something that is not ready.
pub(super) const NOT_READY: u8 = 3;

/// Show Syncs, what they applied, and what is wrong
///
/// With a name, shows that Sync and each of its failures and warnings.
///
/// Exit codes: 0 if every Sync shown is ready; 3 if one is not, or not known to
/// be.
///
/// Example: everything in the cluster, as a check in a script
///
///     signet status --all-namespaces && echo all applied
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct StatusArgs {
    /// One Sync
    name: Option<String>,
    /// The namespace [default: that of the kubeconfig's context]
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Syncs of every namespace
    #[arg(long, short = 'A', conflicts_with_all = ["namespace", "name"])]
    all_namespaces: bool,
    /// Print a table or json
    #[arg(
        long,
        short = 'o',
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    output: Format,
}

impl StatusArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let syncs = {
            let _progress = Progress::start(ui, "asking the cluster for its Syncs");
            cluster::block_on(self.fetch(global))??
        };
        match self.output {
            Format::Json => {
                let all: Vec<_> = syncs.iter().map(as_json).collect();
                ui.write(format!("{:#}\n", json!(all)))?;
            }
            Format::Table if syncs.is_empty() => ui.status("There are no Syncs here."),
            Format::Table => {
                let mut text = render(ui, &syncs);
                if self.name.is_some() {
                    text.extend(syncs.iter().map(reports));
                }
                ui.write(text)?;
            }
        }
        // What is suspended is left as it is by somebody's will.
        let ready = syncs
            .iter()
            .all(|sync| sync.spec.suspend || readiness(sync).0 == Some(true));
        Ok(if ready {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(NOT_READY)
        })
    }

    async fn fetch(&self, global: &GlobalArgs) -> Result<Vec<Sync>, CommandError> {
        let cluster = Cluster::connect(global).await?;
        let namespace = self.namespace.as_deref().unwrap_or(&cluster.namespace);
        let api: Api<Sync> = if self.all_namespaces {
            Api::all(cluster.client.clone())
        } else {
            Api::namespaced(cluster.client.clone(), namespace)
        };
        let Some(name) = &self.name else {
            let list = api.list(&ListParams::default()).await;
            return list
                .map(|list| list.items)
                .map_err(|err| cluster::explain(&err, "list Syncs"));
        };
        match api.get_opt(name).await {
            Ok(Some(sync)) => Ok(vec![sync]),
            Ok(None) => Err(CommandError::user(
                format!("there is no Sync {namespace}/{}", Printable(name)),
                "`signet status -A` lists all of them; -n chooses the namespace",
            )),
            Err(err) => Err(cluster::explain(&err, "read the Sync")),
        }
    }
}

/// Whether a Sync is ready, and what it says of itself. A status of an older generation says nothing about this one.
pub(super) fn readiness(sync: &Sync) -> (Option<bool>, &str) {
    let Some(status) = &sync.status else {
        return (None, "the controller has not looked at it yet");
    };
    let Some(ready) = status
        .conditions
        .iter()
        .find(|found| found.type_ == condition::READY)
    else {
        return (None, "the controller has not looked at it yet");
    };
    if ready.observed_generation < sync.metadata.generation.unwrap_or(0) {
        return (
            None,
            "it was changed, and the controller has not looked at it since",
        );
    }
    let known = match ready.status {
        ConditionStatus::True => Some(true),
        ConditionStatus::False => Some(false),
        ConditionStatus::Unknown => None,
    };
    (known, &ready.message)
}

/// The table, also of one row for `signet sync`.
pub(super) fn render(ui: &Ui, syncs: &[Sync]) -> String {
    let rows: Vec<_> = syncs
        .iter()
        .map(|sync| {
            let (ready, message) = match readiness(sync) {
                (ready, _) if sync.spec.suspend => (ready, "nothing is applied or repaired"),
                said => said,
            };
            let message = match pinned(sync) {
                Some(pinned) => format!("{pinned} {message}"),
                None => message.to_owned(),
            };
            let default = SyncStatus::default();
            let status = sync.status.as_ref().unwrap_or(&default);
            let subject = status
                .last_applied_revision
                .as_ref()
                .map_or("", |revision| &revision.subject);
            let ready = match ready {
                _ if sync.spec.suspend => Cell::styled("Suspended", Style::Waiting),
                Some(true) => Cell::styled("True", Style::Good),
                Some(false) => Cell::styled("False", Style::Bad),
                None => Cell::styled("Unknown", Style::Waiting),
            };
            vec![
                Cell::new(sync.metadata.namespace.as_deref().unwrap_or_default()),
                Cell::new(sync.metadata.name.as_deref().unwrap_or_default()),
                ready,
                Cell::new(&status.revision),
                Cell::new(status.counts.objects.to_string()),
                Cell::new(status.counts.failed.to_string()),
                Cell::new(subject),
                Cell::new(&message),
            ]
        })
        .collect();
    table::render(
        ui,
        &[
            "NAMESPACE",
            "NAME",
            "READY",
            "REVISION",
            "OBJECTS",
            "FAILED",
            "SUBJECT",
            "MESSAGE",
        ],
        &rows,
    )
}

/// To what, and until when, a Sync is pinned, as a sentence.
fn pinned(sync: &Sync) -> Option<&str> {
    let conditions = &sync.status.as_ref()?.conditions;
    let found = conditions.iter().find(|found| found.type_ == condition::PINNED)?;
    Some(&found.message)
}

/// Failures and warnings, a paragraph each.
pub(super) fn reports(sync: &Sync) -> String {
    let mut text = String::new();
    let Some(status) = &sync.status else { return text };
    for object in &status.frozen {
        let _ = writeln!(
            text,
            "\nfrozen: {}: somebody asked in the cluster that it be left alone",
            Printable(object)
        );
    }
    for (word, list) in [("failed", &status.failures), ("warning", &status.warnings)] {
        for ObjectReport {
            object,
            source,
            message,
            hint,
        } in list
        {
            let place: Vec<_> = [object, source]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect();
            let place = place
                .iter()
                .map(|part| Printable(part).to_string())
                .collect::<Vec<_>>()
                .join(", ");
            let place = if place.is_empty() {
                place
            } else {
                format!("{place}: ")
            };
            let _ = write!(text, "\n{word}: {place}{}\n", Printable(message));
            if !hint.is_empty() {
                let _ = writeln!(text, "  hint: {}", Printable(hint));
            }
        }
    }
    text
}

fn as_json(sync: &Sync) -> Value {
    let (ready, message) = readiness(sync);
    let status = sync.status.clone().unwrap_or_default();
    json!({
        "namespace": sync.metadata.namespace,
        "name": sync.metadata.name,
        // Null: not known.
        "ready": ready,
        "suspended": sync.spec.suspend,
        // A sentence, while it is pinned to a commit.
        "pinned": pinned(sync),
        "frozen": status.frozen,
        "message": message,
        "revision": status.revision,
        "lastAppliedRevision": status.last_applied_revision,
        "lastAttemptedRevision": status.last_attempted_revision,
        "counts": status.counts,
        "failures": status.failures,
        "warnings": status.warnings,
    })
}
