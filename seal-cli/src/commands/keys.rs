//! `signet keys`: the controller's sealing keys, what is sealed for them, and their backup.

mod backup;
mod list;
pub(super) mod restore;
pub(super) mod stored;
mod usage;

use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::ui::Ui;
use backup::BackupArgs;
use clap::{Args, Subcommand};
use list::ListArgs;
use restore::RestoreArgs;
use std::process::ExitCode;
use usage::UsageArgs;

/// Look after sealing keys: which there are, what hangs on each, their backup
///
/// Example: what is still sealed for an old key, before it is retired
///
///     signet keys usage --cluster-keys
///
/// Example: a backup that only the holder of an age key can open
///
///     signet keys backup --recipient age1… -w keys.age
#[derive(Args)]
#[command(verbatim_doc_comment, arg_required_else_help = true)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    List(ListArgs),
    Usage(UsageArgs),
    Backup(BackupArgs),
    Restore(RestoreArgs),
}

impl KeysArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        match &self.command {
            KeysCommand::List(args) => args.run(ui, global),
            KeysCommand::Usage(args) => args.run(ui, global),
            KeysCommand::Backup(args) => args.run(ui, global),
            KeysCommand::Restore(args) => args.run(ui, global),
        }
    }
}
