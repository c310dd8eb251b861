//! `signet man`, for packagers.

use crate::cli;
use crate::command_error::CommandError;
use crate::kubeseal;
use crate::output::show;
use crate::ui::Ui;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write the manual pages into a directory
#[derive(Args)]
#[command(hide = true)]
pub(crate) struct ManArgs {
    /// The directory; it has to exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl ManArgs {
    pub(crate) fn run(&self, ui: &Ui) -> Result<ExitCode, CommandError> {
        let written = [cli::command(), kubeseal::command()]
            .into_iter()
            .try_for_each(|command| clap_mangen::generate_to(command, &self.out));
        written.map_err(|err| {
            CommandError::user(
                format!("cannot write manual pages to {}: {err}", show(&self.out)),
                "is the directory there, and may you write to it?",
            )
        })?;
        ui.status(format!("Manual pages are in {}.", show(&self.out)));
        Ok(ExitCode::SUCCESS)
    }
}
