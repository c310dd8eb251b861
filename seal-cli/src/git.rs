//! `git log` of the clone at hand. The git binary is what the user's clone, credentials and configuration belong to.

use crate::command_error::CommandError;
use sealing::Printable;
use std::path::Path;
use std::process::Command;

/// One commit.
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) author: String,
    pub(crate) time: String,
    pub(crate) subject: String,
}

const FIELDS: usize = 4;
/// NUL between fields and after each record: no commit can hold one.
const FORMAT: &str = "--format=tformat:%H%x00%an <%ae>%x00%cI%x00%s";

/// The newest commits that touched a path, newest first.
pub(crate) fn log(directory: &Path, path: &Path, limit: usize) -> Result<Vec<Commit>, CommandError> {
    let mut command = git(directory);
    command.args(["log", "-z", "--no-color", "--no-decorate", "--no-show-signature"]);
    command
        .arg(format!("--max-count={limit}"))
        .arg(FORMAT)
        .arg("--")
        .arg(path);
    let output = run(command)?;
    let text = String::from_utf8_lossy(&output);
    let fields: Vec<&str> = text.split('\0').collect();
    Ok(fields
        .chunks_exact(FIELDS)
        .map(|record| Commit {
            id: record[0].to_owned(),
            author: record[1].to_owned(),
            time: record[2].to_owned(),
            subject: record[3].to_owned(),
        })
        .collect())
}

/// The top directory of the clone.
pub(crate) fn top(directory: &Path) -> Result<std::path::PathBuf, CommandError> {
    let mut command = git(directory);
    command.args(["rev-parse", "--show-toplevel"]);
    let output = run(command)?;
    Ok(String::from_utf8_lossy(&output).trim_end_matches('\n').into())
}

fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    // Pathspecs are paths, no patterns; messages are in the language that the errors below are written in.
    command.args([
        "--no-pager",
        "--literal-pathspecs",
        "-c",
        "i18n.logOutputEncoding=UTF-8",
    ]);
    command
        .current_dir(directory)
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0");
    command
}

fn run(mut command: Command) -> Result<Vec<u8>, CommandError> {
    let output = command.output().map_err(|err| {
        CommandError::user(
            format!("cannot run git: {err}"),
            "install git, and have it in the PATH",
        )
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text
        .lines()
        .next()
        .unwrap_or("git failed")
        .trim_start_matches("fatal: ");
    let hint = if line.contains("not a git repository") {
        "run it inside a clone of the repository"
    } else {
        "does `git log` work here?"
    };
    Err(CommandError::user(Printable(line), hint))
}
