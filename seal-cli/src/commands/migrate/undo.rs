//! The way back: objects, keys, and Bitnami's controller, in this order.

use super::keys;
use super::objects;
use super::record::Record;
use crate::command_error::CommandError;
use crate::commands::keys::stored;
use crate::ui::Ui;
use kube::Client;
use sealing::Printable;

pub(super) async fn undo(ui: &Ui, client: &Client, record: &Record) -> Result<(), CommandError> {
    // What was sealed since then is sealed for Signet's key.
    let known = stored::secrets(client, &record.theirs).await?;
    let (ours, _) = keys::read(client, &record.ours, &known).await?;
    for key in ours.iter().filter(|key| key.is_wanted()) {
        let name = keys::copy(client, key, &record.theirs).await?;
        ui.status(format!("Copied key {} to {}/{name}.", key.name, record.theirs));
    }
    for removed in &record.removed {
        let metadata = &removed.object["metadata"];
        let text = |field: &str| Printable(metadata[field].as_str().unwrap_or_default()).to_string();
        let owns = objects::give_back(client, removed).await?;
        ui.status(format!(
            "SealedSecret {}/{} is back{}.",
            text("namespace"),
            text("name"),
            if owns { ", and its Secret is its own" } else { "" }
        ));
    }
    if let Some(workload) = &record.workload {
        workload.scale(client, workload.replicas).await?;
        ui.status(format!(
            "Deployment {} has {} replicas again.",
            workload.shown(),
            workload.replicas
        ));
    }
    if !record.keys.is_empty() {
        ui.status(format!(
            "Its keys stay in {} too: {}. Delete them there when nothing that Signet opens is sealed for them.",
            record.ours,
            record.keys.join(", ")
        ));
    }
    ui.warn(
        "two controllers would write the same Secrets",
        "if Signet opens SealedSecret objects, switch that off: SIGNET_SEALED_SECRETS=off (deploy/README.md)",
    );
    Ok(())
}
