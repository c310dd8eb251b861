//! The pre-commit hook.

use crate::command_error::CommandError;
use crate::git;
use crate::output::{self, show};
use crate::ui::Ui;
use std::fs;
use std::io;
use std::path::Path;

const HOOK: &str = "\
#!/bin/sh
# Written by `signet lint --install-hook`.
exec signet lint --staged
";

/// Writes it, unless there is another one.
pub(super) fn install(ui: &Ui, top: Option<&Path>) -> Result<(), CommandError> {
    let top =
        top.ok_or_else(|| CommandError::user("this is not a Git repository", "run it inside a clone"))?;
    let directory = git::hooks(top)?;
    let path = directory.join("pre-commit");
    match fs::read_to_string(&path) {
        Ok(text) if text == HOOK => {
            ui.status(format!("{} is there already.", show(&path)));
            return Ok(());
        }
        Ok(_) => {
            return Err(CommandError::user(
                format!("there is another hook already: {}", show(&path)),
                "add this line to it: signet lint --staged || exit 1",
            ));
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => {}
        Err(err) => {
            return Err(CommandError::user(
                format!("cannot read {}: {err}", show(&path)),
                "add this line to the hook yourself: signet lint --staged || exit 1",
            ));
        }
    }
    let written = fs::create_dir_all(&directory).and_then(|()| executable(&path));
    written.map_err(|err| {
        CommandError::user(
            format!("cannot write {}: {}", show(&path), err.kind()),
            "may you write there?",
        )
    })?;
    output::replace(&path, HOOK)?;
    ui.status(format!("Wrote {}: each commit is looked at first.", show(&path)));
    Ok(())
}

/// An empty file that may be run; its text comes by renaming, which keeps that.
#[cfg(unix)]
fn executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o755)
        .open(path)
        .map(drop)
}
