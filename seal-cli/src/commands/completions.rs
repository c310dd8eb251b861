//! `signet completions`.

use crate::cli;
use crate::command_error::CommandError;
use crate::kubeseal;
use crate::ui::Ui;
use clap::Args;
use clap_complete::Shell;
use std::process::ExitCode;

/// Print a completion script for a shell
///
/// Example: bash, for this session
///
///     source <(signet completions bash)
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    #[arg(hide_possible_values = true)]
    shell: Shell,
    /// Complete the name `kubeseal`, for a link to signet
    #[arg(long)]
    kubeseal: bool,
}

impl CompletionsArgs {
    pub(crate) fn run(&self, ui: &Ui) -> Result<ExitCode, CommandError> {
        let mut script = Vec::new();
        let (mut command, name) = if self.kubeseal {
            (kubeseal::command(), "kubeseal")
        } else {
            (cli::command(), "signet")
        };
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        ui.write(script)?;
        Ok(ExitCode::SUCCESS)
    }
}
