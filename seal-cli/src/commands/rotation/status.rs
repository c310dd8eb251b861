//! `signet rotation status`.

use crate::args::{Format, OutputArg};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::commands::status::NOT_READY;
use crate::controller::ControllerArgs;
use crate::progress::Progress;
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use clap::Args;
use crds::{
    ConditionStatus, KeyRotation, KeyRotationStatus, RepositoryRotation, RotationPhase, RotationStep,
    condition,
};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use sealing::Printable;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Show KeyRotations, how far they are, and what holds them up
///
/// With a name, shows that rotation phase by phase, each Repository, everything that
/// holds it up, and the commands that are left to a person.
///
/// Exit codes: 0 if every rotation shown is complete; 3 if one is not.
///
/// Example: in a script
///
///     signet rotation status spring -o json | jq -r '.[].blockers[].message'
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct StatusArgs {
    /// One KeyRotation
    name: Option<String>,
    #[command(flatten)]
    output: OutputArg,
    #[command(flatten)]
    controller: ControllerArgs,
}

/// The phases, in order.
const PHASES: [&str; 8] = [
    condition::BARRED,
    condition::KEY_MADE,
    condition::REPORTED,
    condition::PUBLISHED,
    condition::RESEALED,
    condition::APPLIED,
    condition::VERIFIED,
    condition::RETIRED,
];

impl StatusArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let all = {
            let _progress = Progress::start(ui, "asking the cluster for its KeyRotations");
            cluster::block_on(self.fetch(global))??
        };
        match self.output.output {
            Format::Json => {
                let all: Vec<_> = all.iter().map(as_json).collect();
                ui.write(format!("{:#}\n", json!(all)))?;
            }
            Format::Table if all.is_empty() => ui.status("There are no KeyRotations."),
            Format::Table => {
                let mut text = render(ui, &all);
                if self.name.is_some() {
                    text.extend(all.iter().map(|rotation| details(ui, rotation)));
                }
                ui.write(text)?;
            }
        }
        let complete = all
            .iter()
            .all(|rotation| status(rotation).phase == RotationPhase::Complete);
        Ok(if complete {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(NOT_READY)
        })
    }

    async fn fetch(&self, global: &GlobalArgs) -> Result<Vec<KeyRotation>, CommandError> {
        let cluster = Cluster::connect(global).await?;
        let namespace = self.controller.namespace();
        let api: Api<KeyRotation> = Api::namespaced(cluster.client, namespace);
        let Some(name) = &self.name else {
            let list = api.list(&ListParams::default()).await;
            return list
                .map(|list| list.items)
                .map_err(|err| cluster::explain(&err, "list KeyRotations"));
        };
        match api.get_opt(name).await {
            Ok(Some(rotation)) => Ok(vec![rotation]),
            Ok(None) => Err(CommandError::user(
                format!("there is no KeyRotation {namespace}/{}", Printable(name)),
                "`signet rotation status` lists all of them; --controller-namespace says where the controller is",
            )),
            Err(err) => Err(cluster::explain(&err, "read the KeyRotation")),
        }
    }
}

fn status(rotation: &KeyRotation) -> KeyRotationStatus {
    rotation.status.clone().unwrap_or_default()
}

/// What it says of itself.
fn message(status: &KeyRotationStatus) -> &str {
    let ready = status
        .conditions
        .iter()
        .find(|known| known.type_ == condition::READY);
    ready.map_or("the controller has not looked at it yet", |ready| &ready.message)
}

fn is_stalled(status: &KeyRotationStatus) -> bool {
    let mut found = status
        .conditions
        .iter()
        .filter(|known| known.type_ == condition::STALLED);
    found.any(|known| known.status == ConditionStatus::True)
}

fn render(ui: &Ui, all: &[KeyRotation]) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|rotation| {
            let status = status(rotation);
            let style = match status.phase {
                RotationPhase::Complete => Style::Good,
                _ if is_stalled(&status) => Style::Bad,
                _ => Style::Waiting,
            };
            let keys: Vec<_> = status.new_keys.iter().map(|key| key.secret.as_str()).collect();
            vec![
                Cell::new(rotation.name_any()),
                Cell::styled(status.phase.as_str(), style),
                Cell::new(keys.join(",")),
                Cell::new(&status.progress),
                Cell::new(message(&status)),
            ]
        })
        .collect();
    table::render(ui, &["NAME", "PHASE", "KEYS", "PROGRESS", "MESSAGE"], &rows)
}

/// One rotation, phase by phase.
fn details(ui: &Ui, rotation: &KeyRotation) -> String {
    let status = status(rotation);
    let mut text = String::from("\n");
    let rows: Vec<_> = PHASES
        .iter()
        .filter_map(|phase| status.conditions.iter().find(|known| known.type_ == *phase))
        .map(|known| {
            let (word, style) = match known.status {
                ConditionStatus::True => ("yes", Style::Good),
                _ => ("no", Style::Waiting),
            };
            vec![
                Cell::new(&known.type_),
                Cell::styled(word, style),
                Cell::new(&known.last_transition_time),
                Cell::new(&known.message),
            ]
        })
        .collect();
    text.push_str(&table::render(ui, &["PHASE", "DONE", "SINCE", "MESSAGE"], &rows));
    if !status.repositories.is_empty() {
        let rows: Vec<_> = status.repositories.iter().map(row).collect();
        text.push('\n');
        text.push_str(&table::render(
            ui,
            &["REPOSITORY", "STEP", "VALUES", "LEFT", "COMMIT", "MESSAGE"],
            &rows,
        ));
    }
    let open =
        |one: &&RepositoryRotation| !one.pull_request.is_empty() && one.step == RotationStep::AwaitingMerge;
    for one in status.repositories.iter().filter(open) {
        let name = format!("{}/{}", one.namespace, one.name);
        let _ = writeln!(
            text,
            "\nto merge: {}: {}",
            Printable(&name),
            Printable(&one.pull_request)
        );
    }
    for blocker in &status.blockers {
        let object = if blocker.object.is_empty() {
            String::new()
        } else {
            format!(" {}:", Printable(&blocker.object))
        };
        let place = Printable(&blocker.place);
        let _ = writeln!(
            text,
            "\nheld up: {place}:{object} {}",
            Printable(&blocker.message)
        );
    }
    let shown = u64::try_from(status.blockers.len()).unwrap_or(u64::MAX);
    if status.blocked > shown {
        let _ = writeln!(text, "\nheld up: and by {} more", status.blocked - shown);
    }
    let mut commands: Vec<_> = status
        .repositories
        .iter()
        .filter(|one| !one.command.is_empty())
        .map(|one| one.command.as_str())
        .collect();
    commands.dedup();
    for command in commands {
        let _ = write!(
            text,
            "\nto run in a clone of each Repository with step AwaitingCommit; then commit and push:\n  {}\n",
            Printable(command)
        );
    }
    text
}

fn row(one: &RepositoryRotation) -> Vec<Cell> {
    let (word, style) = match one.step {
        RotationStep::Clean => ("Clean", Style::Good),
        RotationStep::Unknown => ("Unknown", Style::Waiting),
        RotationStep::Pushing => ("Pushing", Style::Waiting),
        RotationStep::Pushed => ("Pushed", Style::Waiting),
        RotationStep::AwaitingCommit => ("AwaitingCommit", Style::Bad),
        RotationStep::AwaitingMerge => ("AwaitingMerge", Style::Bad),
        RotationStep::RolledBack => ("RolledBack", Style::Bad),
        RotationStep::Blocked => ("Blocked", Style::Bad),
    };
    vec![
        Cell::new(format!("{}/{}", one.namespace, one.name)),
        Cell::styled(word, style),
        Cell::new(one.values.to_string()),
        Cell::new(one.left.to_string()),
        Cell::new(one.commit.get(..12).unwrap_or(&one.commit)),
        Cell::new(&one.message),
    ]
}

fn as_json(rotation: &KeyRotation) -> Value {
    let status = status(rotation);
    json!({
        "name": rotation.name_any(),
        "phase": status.phase,
        "complete": status.phase == RotationPhase::Complete,
        "stalled": is_stalled(&status),
        "message": message(&status),
        "progress": status.progress,
        "newKeys": status.new_keys,
        "oldKeys": status.old_keys,
        "repositories": status.repositories,
        "objects": status.objects,
        "report": status.report,
        "blockers": status.blockers,
        "blocked": status.blocked,
        "started": status.started,
        "unusedSince": status.unused_since,
        "completed": status.completed,
        "conditions": status.conditions,
    })
}
