//! `signet rollback --pin` and `--unpin`: the Sync's own spec says which commit it applies, and until when.

use super::{RollbackArgs, choose};
use crate::args::Format;
use crate::cli::GlobalArgs;
use crate::cluster;
use crate::command_error::CommandError;
use crate::git;
use crate::progress::Progress;
use crate::syncs::{Syncs, full_name};
use crate::ui::Ui;
use crds::Sync;
use jiff::{SignedDuration, Timestamp};
use sealing::Printable;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// What the CRD allows.
const REASON_LIMIT: usize = 1024;

impl RollbackArgs {
    /// Pins, or takes a pin away.
    pub(super) fn set_pin(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let (sync, pin) = {
            let _progress = Progress::start(ui, "changing the Sync");
            cluster::block_on(async {
                let syncs = Syncs::connect(global, self.place.namespace.as_deref()).await?;
                let sync = syncs.get(&self.name).await?;
                let pin = match self.lasts {
                    Some(lasts) if self.pin => self.pin_for(&sync, lasts)?,
                    _ => Value::Null,
                };
                let patch = json!({"spec": {"pin": pin}});
                let patched = syncs.patch(&self.name, &patch).await;
                patched.map_err(|err| cluster::explain(&err, "change the Sync"))?;
                Ok::<_, CommandError>((sync, pin))
            })??
        };
        match (&pin["commit"], &pin["until"]) {
            (Value::String(commit), Value::String(until)) => ui.status(format!(
                "Pinned {} to {} until {until}. What the branch gets meanwhile waits until then.",
                full_name(&sync),
                commit.get(..12).unwrap_or(commit)
            )),
            _ if sync.spec.pin.is_some() => {
                ui.status(format!("{} follows its branch again.", full_name(&sync)));
            }
            _ => ui.status(format!("{} was not pinned.", full_name(&sync))),
        }
        if self.format.output == Format::Json {
            ui.write(format!("{:#}\n", json!({"pin": pin})))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn pin_for(&self, sync: &Sync, lasts: Duration) -> Result<Value, CommandError> {
        let too_long = || CommandError::user("--for is too long", "a pin is for a while, such as 2h");
        let end = SignedDuration::try_from(lasts)
            .ok()
            .and_then(|lasts| Timestamp::now().checked_add(lasts).ok())
            .ok_or_else(too_long)?;
        let until = format!("{end:.0}");
        let mut pin = json!({"commit": self.pinned_commit(sync)?, "until": until});
        if let Some(reason) = &self.reason {
            pin["reason"] = reason.as_str().into();
        }
        Ok(pin)
    }

    /// The commit that is meant. Where the Sync itself knows, no clone is needed.
    fn pinned_commit(&self, sync: &Sync) -> Result<String, CommandError> {
        if let Some(to) = self.to.as_deref().filter(|to| is_full_id(to)) {
            return Ok(to.to_owned());
        }
        let status = sync.status.as_ref();
        let applied = status.and_then(|status| status.last_applied_revision.as_ref());
        let attempted = status.and_then(|status| status.last_attempted_revision.as_ref());
        if let (None, Some(applied), Some(attempted)) = (&self.to, applied, attempted)
            && applied.commit != attempted.commit
        {
            // The newest one fails: back to what was well.
            return Ok(applied.commit.clone());
        }
        let top = git::top(Path::new(".")).map_err(|_| {
            CommandError::user(
                "which commit is meant is looked up in a clone, and this is none",
                "run it inside a clone of the Sync's Repository, or give the commit's full id with --to",
            )
        })?;
        if let Some(to) = &self.to {
            return git::commit(&top, to);
        }
        choose::choose(&top, sync, None)?.target.ok_or_else(|| {
            CommandError::user(
                format!("there is no commit before the one that {} has", full_name(sync)),
                "--to names one",
            )
        })
    }
}

fn is_full_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A reason, for clap.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > REASON_LIMIT {
        return Err(format!("a reason is a sentence of at most {REASON_LIMIT} bytes"));
    }
    Ok(Printable(text).to_string())
}
