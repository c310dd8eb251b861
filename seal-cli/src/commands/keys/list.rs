//! `signet keys list`.

use super::stored;
use crate::args::{Format as Output, OutputArg};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::controller::ControllerArgs;
use crate::repo_config::{self, FILE, RepoConfig};
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use clap::Args;
use jiff::Timestamp;
use sealing::Certificate;
use sealing::v2::Recipient;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

/// List sealing keys: those that are pinned, and those of the cluster
///
/// Those of the cluster are read from their Secrets, which takes the right to read
/// them; of each, only what is public is kept. With --offline only
/// what .signet.yaml pins is listed.
///
/// Example:
///
///     signet keys list
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ListArgs {
    /// List what .signet.yaml pins, and ask nobody
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    output: OutputArg,
    #[command(flatten)]
    controller: ControllerArgs,
}

struct Row {
    key: String,
    kind: String,
    until: Option<SystemTime>,
    state: String,
    place: String,
}

impl ListArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let mut rows = match repo_config::top_of(Path::new(".")) {
            Some(top) => pinned(&RepoConfig::read(&top)?),
            None => Vec::new(),
        };
        if !self.offline {
            rows.extend(self.stored(global)?);
        }
        match self.output.output {
            Output::Json => {
                let all: Vec<Value> = rows
                    .iter()
                    .map(|row| {
                        json!({"key": row.key, "kind": row.kind, "validUntil": row.until.map(day), "state": row.state,
                               "place": row.place})
                    })
                    .collect();
                ui.write(format!("{:#}\n", Value::from(all)))?;
            }
            Output::Table => {
                let now = SystemTime::now();
                let cells: Vec<Vec<Cell>> = rows
                    .iter()
                    .map(|row| {
                        let until = row.until.map_or_else(|| "for ever".to_owned(), day);
                        let until = match row.until {
                            Some(time) if time < now => Cell::styled(until, Style::Bad),
                            _ => Cell::new(until),
                        };
                        vec![
                            Cell::new(&row.key),
                            Cell::new(&row.kind),
                            until,
                            Cell::new(&row.state),
                            Cell::new(&row.place),
                        ]
                    })
                    .collect();
                ui.write(table::render(
                    ui,
                    &["KEY", "KIND", "VALID UNTIL", "STATE", "PLACE"],
                    &cells,
                ))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn stored(&self, global: &GlobalArgs) -> Result<Vec<Row>, CommandError> {
        let namespace = self.controller.namespace();
        let secrets = cluster::block_on(async {
            let cluster = Cluster::connect(global).await?;
            stored::secrets(&cluster.client, namespace).await
        })??;
        Ok(secrets
            .iter()
            .map(|secret| {
                let place = format!(
                    "Secret {namespace}/{}",
                    secret.metadata.name.as_deref().unwrap_or_default()
                );
                let state = stored::state(secret);
                if let Some(certificate) = stored::certificate(secret) {
                    return of_certificate(&certificate, state, place);
                }
                match stored::text(secret, "recipient").and_then(|text| text.trim().parse().ok()) {
                    Some(recipient) => of_recipient(&recipient, state, place),
                    None => Row {
                        key: "?".to_owned(),
                        kind: "unusable".to_owned(),
                        until: None,
                        state,
                        place,
                    },
                }
            })
            .collect())
    }
}

fn pinned(config: &RepoConfig) -> Vec<Row> {
    let mut rows = Vec::new();
    for pin in &config.sealing_keys {
        let place = match &pin.cluster {
            Some(cluster) => format!("{FILE}, cluster {cluster}"),
            None => FILE.to_owned(),
        };
        if let Ok(certificate) = pin.certificate() {
            rows.push(of_certificate(&certificate, "pinned".to_owned(), place.clone()));
        }
        for recipient in pin.native().filter_map(|text| text.parse().ok()) {
            rows.push(of_recipient(&recipient, "pinned".to_owned(), place.clone()));
        }
    }
    rows
}

fn of_certificate(certificate: &Certificate, state: String, place: String) -> Row {
    Row {
        key: certificate.fingerprint().to_string(),
        kind: format!("RSA {}", certificate.bits()),
        until: Some(certificate.not_after()),
        state,
        place,
    }
}

fn of_recipient(recipient: &Recipient, state: String, place: String) -> Row {
    Row {
        key: recipient.key_id().as_str().to_owned(),
        kind: recipient.suite().as_str().to_owned(),
        until: None,
        state,
        place,
    }
}

fn day(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(
        |_| "an unknown day".to_owned(),
        |time| time.strftime("%F").to_string(),
    )
}
