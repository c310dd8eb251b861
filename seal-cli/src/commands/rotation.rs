//! `signet rotation`: changes of sealing keys, and how far they are.

mod report;
mod status;

use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::ui::Ui;
use clap::{Args, Subcommand};
use report::ReportArgs;
use status::StatusArgs;
use std::process::ExitCode;

/// Look after changes of sealing keys (KeyRotations)
///
/// A KeyRotation makes a new key, seals everything again for it, in Git and in the
/// cluster, and retires the old one when nothing needs it any more.
///
/// Example: what holds a rotation up
///
///     signet rotation status spring
#[derive(Args)]
#[command(verbatim_doc_comment, arg_required_else_help = true)]
pub(crate) struct RotationArgs {
    #[command(subcommand)]
    command: RotationCommand,
}

#[derive(Subcommand)]
enum RotationCommand {
    Report(ReportArgs),
    Status(StatusArgs),
}

impl RotationArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        match &self.command {
            RotationCommand::Report(args) => args.run(ui, global),
            RotationCommand::Status(args) => args.run(ui, global),
        }
    }
}
