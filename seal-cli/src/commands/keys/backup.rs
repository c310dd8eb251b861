//! `signet keys backup`.

use super::stored;
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::controller::ControllerArgs;
use crate::output::{self, show};
use crate::trust::parse_recipients;
use crate::ui::Ui;
use clap::Args;
use crds::label;
use k8s_openapi::api::core::v1::Secret;
use sealing::Printable;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Write a backup of the sealing keys that only an age key opens
///
/// All key Secrets of the controller, of both formats, encrypted before they are
/// written: nothing is on the disk in plain text. `signet keys restore` reads it,
/// and so does stock age (`age -d -i key.txt keys.age`), which gives a List of
/// Secrets for kubectl.
///
/// A new key is not in an old backup: make one after each renewal, and try the
/// restore now and then.
///
/// Example:
///
///     age-keygen -o recovery.txt        # keep it offline
///     signet keys backup --recipient age1… -w keys.age
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct BackupArgs {
    /// Encrypt for this age recipient (age1… or age1pq1…); may be given several times
    #[arg(long, short, value_name = "RECIPIENT", required = true)]
    recipient: Vec<String>,
    /// The file to write
    #[arg(long, short = 'w', value_name = "FILE")]
    output_file: PathBuf,
    #[command(flatten)]
    controller: ControllerArgs,
}

impl BackupArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let recipients = parse_recipients(&self.recipient)?;
        let namespace = self.controller.namespace();
        let secrets = cluster::block_on(async {
            let cluster = Cluster::connect(global).await?;
            stored::secrets(&cluster.client, namespace).await
        })??;
        if secrets.is_empty() {
            return Err(CommandError::user(
                format!("there are no sealing keys in namespace {}", Printable(namespace)),
                "--controller-namespace says where the controller is",
            ));
        }
        let items = secrets.iter().map(stripped).collect::<Result<Vec<Value>, _>>()?;
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let text = Zeroizing::new(list.to_string());
        let file = recipients
            .encrypt(text.as_bytes())
            .map_err(|err| CommandError::internal(err.to_string()))?;
        output::replace_bytes(&self.output_file, &file)?;
        let count = match secrets.len() {
            1 => "1 key".to_owned(),
            several => format!("{several} keys"),
        };
        ui.status(format!(
            "Wrote {count} to {}, for {} to open.",
            show(&self.output_file),
            self.recipient.join(", ")
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// A key Secret without what belongs to this cluster alone. Its age stays, for who restores it by hand to read.
fn stripped(secret: &Secret) -> Result<Value, CommandError> {
    let broken = |_| CommandError::internal("a Secret is no JSON");
    let metadata = &secret.metadata;
    let mut kept = json!({"name": metadata.name, "labels": metadata.labels});
    if stored::is_legacy(secret) {
        // Without it a running controller would not see it come back.
        kept["labels"] = json!({label::SEALING_KEY: "active"});
    }
    if let Some(annotations) = &metadata.annotations {
        let annotations: serde_json::Map<String, Value> = annotations
            .iter()
            .filter(|(name, _)| *name != "kubectl.kubernetes.io/last-applied-configuration")
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        kept["annotations"] = Value::Object(annotations);
    }
    if let Some(created) = &metadata.creation_timestamp {
        kept["creationTimestamp"] = serde_json::to_value(created).map_err(broken)?;
    }
    let data = serde_json::to_value(&secret.data).map_err(broken)?;
    Ok(json!({"apiVersion": "v1", "kind": "Secret", "type": secret.type_, "metadata": kept, "data": data}))
}
