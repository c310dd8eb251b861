//! `signet rotation report`.

use crate::args::{SheetArg, SheetFormat};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::commands::status::NOT_READY;
use crate::controller::ControllerArgs;
use crate::progress::Progress;
use crate::sheet::{escaped, line};
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use clap::Args;
use crds::{
    KeyRotation, REPORT_ROWS, ReportCommit, ReportRow, ReportState, RotationReport, ValueChanged,
    report_shard,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt};
use sealing::Printable;
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

/// List what was ever sealed for a sealing key that leaked
///
/// For a KeyRotation with reason Compromised: every value that was sealed for one of its
/// old keys, in any commit of what the Repositories follow, with the first such commit and
/// its author. CHANGED says whether the value is another one by now than any that was: no
/// means that it has to be changed at its source, where it is used; sealing it again is
/// not enough. Those come first. What the values are is not known here.
///
/// Exit codes: 0 if all that is listed was changed or removed, and the report is complete;
/// 3 if something is left to be changed, or the report is not complete.
///
/// Example: a list for those who change passwords
///
///     signet rotation report spring -o markdown > leaked.md
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ReportArgs {
    /// The KeyRotation
    name: String,
    #[command(flatten)]
    format: SheetArg,
    #[command(flatten)]
    controller: ControllerArgs,
}

/// The columns of a sheet.
const HEAD: [&str; 13] = [
    "namespace",
    "name",
    "key",
    "changed",
    "changed in",
    "changed by",
    "changed at",
    "repository",
    "files",
    "sealed for",
    "first commit",
    "author",
    "date",
];
/// More ConfigMaps are not asked for.
const MOST: u64 = 128;

impl ReportArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let (report, mut rows) = {
            let _progress = Progress::start(ui, "asking the cluster for the report");
            cluster::block_on(self.fetch(global))??
        };
        rows.sort_by(|a, b| sorted(a).cmp(&sorted(b)));
        match self.format.output {
            SheetFormat::Table if rows.is_empty() => ui.status("Nothing was found."),
            SheetFormat::Table => ui.write(table(ui, &rows))?,
            SheetFormat::Json => ui.write(format!("{:#}\n", json!({"report": report, "values": rows})))?,
            SheetFormat::Csv => {
                let lines = rows.iter().map(|row| line(&cells(row)));
                let head = line(&HEAD.map(str::to_owned));
                ui.write(std::iter::once(head).chain(lines).collect::<String>())?;
            }
            SheetFormat::Markdown => ui.write(markdown(&rows))?,
        }
        let left = report.unchanged + report.unknown;
        match report.state {
            ReportState::Walking => ui.warn(
                format!("the report is not complete yet: {}", Printable(&report.progress)),
                "`signet rotation status NAME` shows how far it is",
            ),
            ReportState::Incomplete => {
                for gap in &report.gaps {
                    ui.warn(
                        format!("the report is not complete: {}", Printable(gap)),
                        if report.confirm.is_empty() {
                            "until it is, the old keys stay; it is tried again".to_owned()
                        } else {
                            let word = Printable(&report.confirm);
                            format!("until it is, or spec.retire.confirmed has the old keys' ids and {word}, they stay")
                        },
                    );
                }
            }
            ReportState::Complete => {}
        }
        ui.status(format!(
            "{} values, of which {left} are to be changed at their source, {} were changed and {} removed.",
            report.values, report.changed, report.removed
        ));
        Ok(if left == 0 && report.state == ReportState::Complete {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(NOT_READY)
        })
    }

    async fn fetch(&self, global: &GlobalArgs) -> Result<(RotationReport, Vec<ReportRow>), CommandError> {
        let cluster = Cluster::connect(global).await?;
        let namespace = self.controller.namespace();
        let api: Api<KeyRotation> = Api::namespaced(cluster.client.clone(), namespace);
        let name = Printable(&self.name);
        let rotation = api
            .get_opt(&self.name)
            .await
            .map_err(|err| cluster::explain(&err, "read the KeyRotation"))?
            .ok_or_else(|| {
                CommandError::user(
                    format!("there is no KeyRotation {namespace}/{name}"),
                    "`signet rotation status` lists all of them; --controller-namespace says where the controller is",
                )
            })?;
        let report = rotation.status.as_ref().and_then(|status| status.report.clone());
        let report = report.ok_or_else(|| {
            CommandError::user(
                format!("KeyRotation {namespace}/{name} has no report"),
                "one with reason Compromised has, as soon as its old keys are barred; `signet rotation status NAME` shows how \
                 far it is",
            )
        })?;
        let maps: Api<ConfigMap> = Api::namespaced(cluster.client, namespace);
        let uid = rotation.uid().unwrap_or_default();
        let mut rows = Vec::new();
        for number in 0..report.shards.min(MOST) {
            let shard = report_shard(&uid, number);
            let map = maps
                .get_opt(&shard)
                .await
                .map_err(|err| cluster::explain(&err, "read the report"))?;
            let data = map.and_then(|map| map.data).unwrap_or_default();
            let read = data
                .get(REPORT_ROWS)
                .map(|text| serde_json::from_str::<Vec<ReportRow>>(text));
            match read {
                Some(Ok(read)) => rows.extend(read),
                _ => {
                    return Err(CommandError::user(
                        format!("ConfigMap {namespace}/{shard} is gone or cannot be read"),
                        "restart the controller: it looks through what it still can",
                    ));
                }
            }
        }
        Ok((report, rows))
    }
}

/// What is left to be done first.
fn sorted(row: &ReportRow) -> (u8, &str, &str, &str, &str) {
    let rank = match row.changed {
        ValueChanged::No => 0,
        ValueChanged::Unknown => 1,
        ValueChanged::Yes => 2,
        ValueChanged::Removed => 3,
    };
    (rank, &row.namespace, &row.name, &row.key, &row.repository)
}

fn table(ui: &Ui, rows: &[ReportRow]) -> String {
    let headings = [
        "NAMESPACE",
        "NAME",
        "KEY",
        "CHANGED",
        "REPOSITORY",
        "FILE",
        "COMMIT",
        "DATE",
        "AUTHOR",
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let style = match row.changed {
                ValueChanged::No => Style::Bad,
                ValueChanged::Unknown => Style::Waiting,
                ValueChanged::Yes | ValueChanged::Removed => Style::Good,
            };
            let first = row.first.clone().unwrap_or_default();
            vec![
                Cell::new(&row.namespace),
                Cell::new(&row.name),
                Cell::new(&row.key),
                Cell::styled(row.changed.as_str(), style),
                Cell::new(repository(row)),
                Cell::new(row.files.last().map_or("", String::as_str)),
                Cell::new(short(&first.id)),
                Cell::new(&first.date),
                Cell::new(&first.author),
            ]
        })
        .collect();
    table::render(ui, &headings, &rows)
}

fn markdown(rows: &[ReportRow]) -> String {
    let mut out = format!("| {} |\n|{}\n", HEAD.join(" | "), "---|".repeat(HEAD.len()));
    for row in rows {
        let cells = cells(row).map(|cell| escaped(&cell));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

fn cells(row: &ReportRow) -> [String; 13] {
    let commit = |commit: &Option<ReportCommit>| commit.clone().unwrap_or_default();
    let (since, first) = (commit(&row.since), commit(&row.first));
    let sealed_for = if row.sealed_for.is_empty() {
        "the same as a value that leaked elsewhere".to_owned()
    } else {
        row.sealed_for.clone()
    };
    [
        row.namespace.clone(),
        row.name.clone(),
        row.key.clone(),
        row.changed.as_str().to_owned(),
        since.id,
        since.author,
        since.date,
        repository(row).to_owned(),
        row.files.join("; "),
        sealed_for,
        first.id,
        first.author,
        first.date,
    ]
}

fn repository(row: &ReportRow) -> &str {
    if row.repository.is_empty() {
        "(the cluster)"
    } else {
        &row.repository
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
