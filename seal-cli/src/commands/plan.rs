//! `signet plan`, and a plan as people read it.

use crate::args::{Format, NamespaceArg, OutputArg};
use crate::cli::GlobalArgs;
use crate::cluster;
use crate::command_error::CommandError;
use crate::progress::Progress;
use crate::syncs::{Syncs, current_status, full_name};
use crate::ui::{Style, Ui};
use clap::Args;
use crds::{Mode, PlanReport, Sync};
use sealing::Printable;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

/// As for diff: something differs.
pub(super) const DIFFERENT: u8 = 1;
/// As for diff: there was trouble.
pub(super) const TROUBLE: u8 = 2;

/// Show what a Sync would do, and what it waits for
///
/// It is what the controller has found and not done: because it waits for an
/// approval, for a window or for another Sync, because it is suspended, or
/// because the Sync only reports (mode Detect).
///
/// Exit codes, as of diff: 0 if there is nothing to do; 1 if changes are
/// pending; 2 if that is not known.
///
/// Example: look at it, then approve exactly that
///
///     signet plan shop -n shop
///     signet approve shop -n shop --digest 0f1e2d3c4b5a69788796a5b4c3d2e1f0
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct PlanArgs {
    /// The Sync
    name: String,
    #[command(flatten)]
    place: NamespaceArg,
    #[command(flatten)]
    format: OutputArg,
}

impl PlanArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        self.show(ui, global).map_err(|err| err.exits(TROUBLE))
    }

    fn show(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let sync = {
            let _progress = Progress::start(ui, "asking the cluster for the Sync");
            cluster::block_on(async {
                let syncs = Syncs::connect(global, self.place.namespace.as_deref()).await?;
                syncs.get(&self.name).await
            })??
        };
        let plan = known(&sync)?;
        match self.format.output {
            Format::Json => ui.write(format!("{:#}\n", as_json(&sync, plan)))?,
            Format::Table => match plan {
                Some(plan) => ui.write(text(ui, &sync, plan))?,
                None => ui.status(format!("There is nothing to do for {}.", full_name(&sync))),
            },
        }
        Ok(match plan {
            Some(_) => ExitCode::from(DIFFERENT),
            None => ExitCode::SUCCESS,
        })
    }
}

/// The plan, if there is one; an error where the controller has not said yet.
pub(super) fn known(sync: &Sync) -> Result<Option<&PlanReport>, CommandError> {
    match current_status(sync) {
        Some(status) => Ok(status.plan.as_ref()),
        // Its controller looks away, and the last plan is as good as any.
        None if sync.spec.suspend && sync.status.is_some() => {
            Ok(sync.status.as_ref().and_then(|status| status.plan.as_ref()))
        }
        None => Err(CommandError::not_ready(
            format!(
                "the controller has not looked at Sync {} as it is now",
                full_name(sync)
            ),
            format!(
                "is it running? `signet wait {} --for applied` waits for it",
                Printable(sync.metadata.name.as_deref().unwrap_or_default())
            ),
        )),
    }
}

/// A plan, for people.
pub(super) fn text(ui: &Ui, sync: &Sync, plan: &PlanReport) -> String {
    let revision = match plan.revision.as_str() {
        "" => String::new(),
        revision => format!(" {}", Printable(revision)),
    };
    let mut text = format!(
        "{}{revision}: {} to create, {} to change, {} to delete{}\n",
        full_name(sync),
        plan.create,
        plan.update,
        plan.delete,
        match plan.run {
            0 => String::new(),
            1 => ", 1 hook to run".to_owned(),
            count => format!(", {count} hooks to run"),
        }
    );
    let _ = writeln!(text, "waits:  {}", Printable(reason(sync, plan)));
    let _ = writeln!(text, "digest: {}", Printable(&plan.digest));
    if !plan.actions.is_empty() {
        text.push('\n');
    }
    for action in &plan.actions {
        let line = Printable(action).to_string();
        let style = match action.split(' ').next() {
            Some("create") => Style::Good,
            Some("delete") => Style::Bad,
            _ => Style::Waiting,
        };
        let _ = writeln!(text, "  {}", ui.paint(style, &line));
    }
    let more = total(plan).saturating_sub(plan.actions.len() as u64);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    text
}

/// Why it is not done.
fn reason<'a>(sync: &Sync, plan: &'a PlanReport) -> &'a str {
    match (sync.spec.suspend, plan.reason.as_str(), sync.spec.mode) {
        (true, ..) => "the Sync is suspended",
        (false, "", Mode::Detect) => "the Sync only reports (mode Detect)",
        (false, "", Mode::Approval) => "it needs an approval",
        (false, "", Mode::Automatic) => "the controller does not say why",
        (false, said, _) => said,
    }
}

fn total(plan: &PlanReport) -> u64 {
    u64::from(plan.create) + u64::from(plan.update) + u64::from(plan.delete) + u64::from(plan.run)
}

fn as_json(sync: &Sync, plan: Option<&PlanReport>) -> Value {
    json!({
        "namespace": sync.metadata.namespace,
        "name": sync.metadata.name,
        "mode": sync.spec.mode,
        "suspended": sync.spec.suspend,
        "pending": plan.is_some(),
        "plan": plan.map(|plan| json!({
            "digest": plan.digest,
            "revision": plan.revision,
            "reason": reason(sync, plan),
            "create": plan.create,
            "update": plan.update,
            "delete": plan.delete,
            "run": plan.run,
            "actions": plan.actions,
            // The controller lists no more than fifty.
            "complete": plan.actions.len() as u64 >= total(plan),
        })),
    })
}
