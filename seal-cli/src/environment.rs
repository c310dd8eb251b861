//! kubeseal's environment variables: `SEALED_SECRETS_` and the name of a flag.

use clap::{Arg, ArgAction, Command};
use std::ffi::OsStr;

const PREFIX: &str = "SEALED_SECRETS_";

/// Gives every flag the variable of its name, where it is set to something that the flag takes. What it does not take
/// is ignored without a word, as kubeseal does; a flag on the command line wins, and so does a variable of our own.
pub(crate) fn kubeseals(command: Command) -> Command {
    command.mut_args(|arg| match variable(&arg) {
        Some(name) => arg.env(name).hide_env(true),
        None => arg,
    })
}

fn variable(arg: &Arg) -> Option<&'static str> {
    let set = |name: &OsStr| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if arg.get_env().is_some_and(set) {
        return None;
    }
    let long = arg.get_long()?;
    let aliases = arg.get_all_aliases().unwrap_or_default();
    for flag in std::iter::once(long).chain(aliases) {
        let name = format!("{PREFIX}{}", flag.to_ascii_uppercase().replace('-', "_"));
        if let Ok(value) = std::env::var(&name)
            && takes(arg, long, &value)
        {
            // clap keeps names for as long as the process lives, which reads its command line once.
            return Some(name.leak());
        }
    }
    None
}

/// Whether the flag takes this value.
fn takes(arg: &Arg, flag: &str, value: &str) -> bool {
    let alone = arg.clone().env(None::<&str>).global(false);
    let trial = Command::new("trial").disable_help_flag(true).arg(alone);
    trial
        .try_get_matches_from(["trial", &format!("--{flag}={value}")])
        .is_ok()
}

/// Makes flags take what pflag takes: a switch may be followed by `=true` or `=false`, and the last one wins.
pub(crate) fn as_pflag(command: Command) -> Command {
    command
        .args_override_self(true)
        .mut_args(|arg| match arg.get_action() {
            ArgAction::SetTrue => arg
                .action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .default_value("false")
                .hide_default_value(true)
                .hide_possible_values(true)
                .value_name("BOOL")
                .value_parser(go_bool),
            ArgAction::Set | ArgAction::Append if !arg.is_positional() => arg.allow_hyphen_values(true),
            _ => arg,
        })
}

/// As Go's `strconv.ParseBool`.
fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("it is true or false".to_owned()),
    }
}
