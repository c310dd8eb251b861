//! The command by the name of `kubeseal`: its way of reading a command line, of saying what is wrong, and of ending.
//!
//! What it does is `signet seal` (`commands/seal`), which takes the same flags.

use crate::cli::GlobalArgs;
use crate::commands::SealArgs;
use crate::environment;
use crate::ui::Ui;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// The version of kubeseal whose command line this is, and ours behind the `+`, where versions are not compared
/// (semver.org, 10).
const VERSION: &str = concat!("0.40.0+signet.", env!("CARGO_PKG_VERSION"));

/// Seal Kubernetes Secrets for Git, with kubeseal's command line
///
/// All of kubeseal's flags are understood, and its variables `SEALED_SECRETS_…`. `signet seal` does the same, with
/// progress, hints, and several files.
///
/// Exit codes: 0 success; 1 an error; 2 the command line is wrong.
///
/// Example: kubectl create secret generic db -n shop --from-literal=password=… --dry-run=client -o yaml | kubeseal -w
/// db.yaml
#[derive(Parser)]
#[command(name = "kubeseal", disable_version_flag = true)]
struct Kubeseal {
    #[command(flatten)]
    seal: SealArgs,
    #[command(flatten)]
    global: GlobalArgs,
    /// Print the version
    #[arg(long)]
    version: bool,
}

/// Whether the program was called by this name.
pub(crate) fn is_called(program: &OsStr) -> bool {
    let name = Path::new(program)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let name = name.strip_suffix(".exe").unwrap_or(&name);
    name == "kubeseal" || name.starts_with("kubeseal-")
}

/// The command line as clap knows it, for completions and manual pages.
pub(crate) fn command() -> clap::Command {
    environment::as_pflag(Kubeseal::command())
}

/// Reads the command line and does what it says.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let parsed = environment::kubeseals(command())
        .try_get_matches_from(arguments)
        .and_then(|matches| Kubeseal::from_arg_matches(&matches));
    let ui = |args: &GlobalArgs| Ui::new(args.color(), true);
    let kubeseal = match parsed {
        Ok(kubeseal) => kubeseal,
        Err(err) => return usage(&err),
    };
    let ui = ui(&kubeseal.global);
    if kubeseal.version {
        return match ui.write(format!("kubeseal version: {VERSION}\n")) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    match kubeseal.seal.run_as_kubeseal(&ui, &kubeseal.global) {
        Ok(code) => code,
        Err(err) => {
            err.print_as_kubeseal(&ui);
            ExitCode::from(1)
        }
    }
}

/// Help, or a command line that is wrong: said as pflag says it, on standard output, with the flags behind it, and once
/// more on standard error, for those whose standard output goes into a file.
fn usage(err: &clap::Error) -> ExitCode {
    let ui = Ui::new(clap::ColorChoice::Auto, true);
    if !err.use_stderr() {
        let _ = err.print();
        return ExitCode::SUCCESS;
    }
    let problem = wrong(err);
    let _ = ui.write(format!("{}\n{problem}\n", command().render_help()));
    ui.error(problem);
    ExitCode::from(2)
}

/// What is wrong, in pflag's words.
fn wrong(err: &clap::Error) -> String {
    let text = |kind| match err.get(kind) {
        Some(ContextValue::String(text)) => sealing::Printable(text).to_string(),
        _ => String::new(),
    };
    let flag = text(ContextKind::InvalidArg);
    match err.kind() {
        ErrorKind::UnknownArgument if flag.starts_with("--") => format!("unknown flag: {flag}"),
        ErrorKind::UnknownArgument => {
            let letter = flag.trim_start_matches('-').chars().next().unwrap_or('-');
            format!("unknown shorthand flag: '{letter}' in {flag}")
        }
        ErrorKind::InvalidValue if text(ContextKind::InvalidValue).is_empty() => {
            format!("flag needs an argument: {}", name(&flag))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let reason = match name(&flag).as_str() {
                "--scope" => "must be one of: strict, namespace-wide, cluster-wide".to_owned(),
                _ => std::error::Error::source(err)
                    .map_or_else(|| "invalid syntax".to_owned(), ToString::to_string),
            };
            let value = text(ContextKind::InvalidValue);
            format!(
                "invalid argument \"{value}\" for \"{}\" flag: {reason}",
                name(&flag)
            )
        }
        _ => err
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    }
}

/// The flag in clap's `--format <FORMAT>`, as pflag names it: `-o, --format`.
fn name(flag: &str) -> String {
    let long = flag.split([' ', '=', '[']).next().unwrap_or(flag);
    let command = command();
    let mut args = command.get_arguments();
    let short = args
        .find(|arg| arg.get_long() == long.strip_prefix("--"))
        .and_then(clap::Arg::get_short);
    short.map_or_else(|| long.to_owned(), |short| format!("-{short}, {long}"))
}
