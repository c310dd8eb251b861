//! The command line: global options, the list of commands, and the way from an error to an exit code.

use crate::command_error::CommandError;
use crate::commands::{
    AdoptArgs, ApproveArgs, AuditArgs, BootstrapArgs, CertArgs, CompletionsArgs, DeployKeyArgs, DiffArgs,
    EditArgs, EventsArgs, HistoryArgs, KeysArgs, LintArgs, ManArgs, MigrateArgs, PlanArgs, RenameArgs,
    ResealArgs, ResumeArgs, RetemplateArgs, RollbackArgs, RotationArgs, SealArgs, SetArgs, StatusArgs,
    SuspendArgs, SyncArgs, TreeArgs, UnsetArgs, VerifyArgs, ViewArgs, WaitArgs,
};
use crate::ui::Ui;
use crate::{environment, kubeseal};
use clap::{ArgAction, Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Seal Kubernetes Secrets for Git, and see what Signet made of them
///
/// `signet seal` turns a Secret into a SealedSecret that is safe to commit. The controller opens it in the cluster
/// that holds the private key, and in no other.
///
/// Data goes to standard output, everything else to standard error.
///
/// Exit codes: 0 success; 1 the input was refused or the command failed; 2 the command line is wrong; 3 something is
/// not ready (`status`, `sync`) or not in time (`wait`, `bootstrap`); 4 the cluster or a server cannot be reached; 255 a bug. Of
/// `plan` and `diff`, as of diff: 0 nothing differs; 1 something does; 2 an error. `lint`, `verify` and `migrate` end so too.
#[derive(Parser)]
#[command(
    name = "signet",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// When to colour: auto (on a terminal, unless `NO_COLOR` is set), always or never
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        global = true,
        hide_possible_values = true
    )]
    color: ColorChoice,
    /// Print errors only
    #[arg(long, short, action = ArgAction::SetTrue, global = true)]
    quiet: bool,
    /// Take the cluster from this kubeconfig file instead of `KUBECONFIG` or `~/.kube/config`
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Take this context of the kubeconfig
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) context: Option<String>,
}

impl GlobalArgs {
    /// When to colour.
    pub(crate) fn color(&self) -> ColorChoice {
        self.color
    }
}

#[derive(Subcommand)]
enum Command {
    Adopt(AdoptArgs),
    Approve(ApproveArgs),
    Audit(Box<AuditArgs>),
    Bootstrap(Box<BootstrapArgs>),
    Cert(CertArgs),
    Completions(CompletionsArgs),
    DeployKey(DeployKeyArgs),
    Diff(DiffArgs),
    Edit(EditArgs),
    Events(EventsArgs),
    History(HistoryArgs),
    Keys(KeysArgs),
    Lint(LintArgs),
    Man(ManArgs),
    Migrate(MigrateArgs),
    Plan(PlanArgs),
    Rename(RenameArgs),
    Reseal(ResealArgs),
    Resume(ResumeArgs),
    Retemplate(RetemplateArgs),
    Rollback(RollbackArgs),
    Rotation(RotationArgs),
    Seal(Box<SealArgs>),
    Set(SetArgs),
    Status(StatusArgs),
    Suspend(SuspendArgs),
    Sync(SyncArgs),
    Tree(TreeArgs),
    Unset(UnsetArgs),
    Verify(VerifyArgs),
    View(ViewArgs),
    Wait(WaitArgs),
}

/// Reads the command line and runs the command.
pub(crate) fn run() -> ExitCode {
    let mut arguments = std::env::args_os().peekable();
    if arguments
        .peek()
        .is_some_and(|program| kubeseal::is_called(program))
    {
        return kubeseal::run(arguments);
    }
    let parsed = command()
        .mut_subcommand("seal", environment::kubeseals)
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        // clap prints help and version to standard output, its errors to standard error, and ends with 0 or 2.
        Err(err) => {
            let code = if err.use_stderr() { 2 } else { 0 };
            let _ = err.print();
            return ExitCode::from(code);
        }
    };
    let ui = Ui::new(cli.global.color, cli.global.quiet);
    match dispatch(&ui, &cli) {
        Ok(code) => code,
        Err(err) => {
            err.print(&ui);
            ExitCode::from(err.exit_code())
        }
    }
}

/// The command line as clap knows it, for completions and manual pages.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommand("seal", environment::as_pflag)
}

fn dispatch(ui: &Ui, cli: &Cli) -> Result<ExitCode, CommandError> {
    let global = &cli.global;
    match &cli.command {
        Command::Adopt(args) => args.run(ui, global),
        Command::Approve(args) => args.run(ui, global),
        Command::Audit(args) => args.run(ui, global),
        Command::Bootstrap(args) => args.run(ui, global),
        Command::Cert(args) => args.run(ui, global),
        Command::Completions(args) => args.run(ui),
        Command::DeployKey(args) => args.run(ui, global),
        Command::Diff(args) => args.run(ui, global),
        Command::Edit(args) => args.run(ui, global),
        Command::Events(args) => args.run(ui, global),
        Command::History(args) => args.run(ui, global),
        Command::Keys(args) => args.run(ui, global),
        Command::Lint(args) => args.run(ui),
        Command::Man(args) => args.run(ui),
        Command::Migrate(args) => args.run(ui, global),
        Command::Plan(args) => args.run(ui, global),
        Command::Rename(args) => args.run(ui, global),
        Command::Reseal(args) => args.run(ui, global),
        Command::Resume(args) => args.run(ui, global),
        Command::Retemplate(args) => args.run(ui, global),
        Command::Rollback(args) => args.run(ui, global),
        Command::Rotation(args) => args.run(ui, global),
        Command::Seal(args) => args.run(ui, global),
        Command::Set(args) => args.run(ui, global),
        Command::Status(args) => args.run(ui, global),
        Command::Suspend(args) => args.run(ui, global),
        Command::Sync(args) => args.run(ui, global),
        Command::Tree(args) => args.run(ui, global),
        Command::Unset(args) => args.run(ui),
        Command::Verify(args) => args.run(ui, global),
        Command::View(args) => args.run(ui),
        Command::Wait(args) => args.run(ui, global),
    }
}
