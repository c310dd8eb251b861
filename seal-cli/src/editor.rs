//! The user's editor, on one file.

use crate::cluster;
use crate::command_error::CommandError;
use std::path::Path;
use std::process::{Command, ExitStatus};
use tokio::signal::unix::{Signal, SignalKind, signal};

const HINT: &str =
    "EDITOR names the editor, as for git; it has to wait until the file is closed (such as `code --wait`)";

/// Opens the editor and waits for it. While it runs, `^C` is the editor's; a signal that asks this process to end, ends both,
/// so that what was put down for the editor is taken away again.
pub(crate) fn run(path: &Path) -> Result<(), CommandError> {
    let editor = ["SIGNET_EDITOR", "VISUAL", "EDITOR"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.trim().is_empty())
        .unwrap_or_else(|| "vi".to_owned());
    let failed = |err: std::io::Error| CommandError::user(format!("cannot run the editor: {err}"), HINT);
    let status = cluster::block_on(async {
        let mut signals = Signals::new()?;
        // As git runs it: with the shell, since it may have arguments.
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("{editor} \"$@\""))
            .arg(&editor)
            .arg(path);
        let mut child = command.spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if signals.next().await {
                let _ = child.kill();
                let _ = child.wait();
                return Ok(None);
            }
        }
    })?
    .map_err(failed)?;
    match status {
        Some(status) if ExitStatus::success(&status) => Ok(()),
        Some(_) => Err(CommandError::user(
            "the editor failed, so nothing was changed",
            HINT,
        )),
        None => Err(CommandError::user(
            "ended by a signal; nothing was changed",
            "run it again",
        )),
    }
}

struct Signals {
    child: Signal,
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            child: signal(SignalKind::child())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one; whether it asks to end.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.child.recv() => false,
            _ = self.interrupt.recv() => false,
            _ = self.quit.recv() => false,
            _ = self.terminate.recv() => true,
            _ = self.hangup.recv() => true,
        }
    }
}
