//! `signet migrate`: in the place of another tool.

mod carry_out;
mod keys;
mod objects;
mod plan;
mod record;
mod report;
mod sealed_secrets;
mod survey;
mod undo;
mod workload;

use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::ui::Ui;
use clap::{Args, Subcommand};
use sealed_secrets::SealedSecretsArgs;
use std::process::ExitCode;

/// Take the place of another tool, and give it back if need be
///
/// Example: what would change
///
///     signet migrate sealed-secrets
#[derive(Args)]
#[command(verbatim_doc_comment, arg_required_else_help = true)]
pub(crate) struct MigrateArgs {
    #[command(subcommand)]
    command: MigrateCommand,
}

#[derive(Subcommand)]
enum MigrateCommand {
    SealedSecrets(Box<SealedSecretsArgs>),
}

impl MigrateArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        match &self.command {
            MigrateCommand::SealedSecrets(args) => args.run(ui, global),
        }
    }
}
