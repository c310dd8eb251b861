//! A question whose answer is not shown while it is typed.

use crate::command_error::CommandError;
use crate::ui::Ui;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use sealing::Plaintext;
use std::io::{self, BufRead as _, Read as _};
use zeroize::Zeroizing;

const LARGEST: u64 = 64 << 10;

/// The terminal as it was, when this goes.
struct Hidden(Termios);

impl Hidden {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Asks for one line. Its end is no part of it.
pub(crate) fn ask(ui: &Ui, question: &str) -> Result<Plaintext, CommandError> {
    let failed = |err: io::Error| {
        CommandError::user(
            format!("cannot ask on this terminal: {err}"),
            "pipe the value in: KEY=-",
        )
    };
    let _hidden = Hidden::new().map_err(failed)?;
    ui.question(question)?;
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    io::stdin()
        .lock()
        .take(LARGEST)
        .read_until(b'\n', &mut line)
        .map_err(failed)?;
    if line.pop_if(|byte| *byte == b'\n').is_none() {
        return Err(CommandError::user(
            "no value was given",
            "end it with the enter key",
        ));
    }
    Ok(Plaintext::from(line))
}
