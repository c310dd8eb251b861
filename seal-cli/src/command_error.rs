//! Errors as people meet them: what went wrong, in which places, and what to do about it.

use crate::ui::Ui;
use std::fmt::Display;
use std::io;

/// Who is at fault, and so the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The reader of our output went away.
    BrokenPipe,
    /// A bug.
    Internal,
    /// What was waited for did not happen in time.
    NotReady,
    /// The cluster or a server cannot be reached, or does not answer in time.
    Unreachable,
    /// The input, a file, or what was asked for.
    User,
}

/// An error of a command.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: ErrorKind,
    message: String,
    details: Vec<String>,
    hints: Vec<String>,
    /// Instead of that of the kind, where a command documents codes of its own.
    code: Option<u8>,
}

impl CommandError {
    /// The user can do something about it, and the hint says what.
    pub(crate) fn user(message: impl Display, hint: impl Display) -> Self {
        Self::new(ErrorKind::User, message).hint(hint)
    }

    /// Something out there does not answer.
    pub(crate) fn unreachable(message: impl Display, hint: impl Display) -> Self {
        Self::new(ErrorKind::Unreachable, message).hint(hint)
    }

    /// It did not happen in time.
    pub(crate) fn not_ready(message: impl Display, hint: impl Display) -> Self {
        Self::new(ErrorKind::NotReady, message).hint(hint)
    }

    /// Something that cannot happen.
    pub(crate) fn internal(message: impl Display) -> Self {
        Self::new(ErrorKind::Internal, message).hint("this is a bug in signet; please report it")
    }

    fn new(kind: ErrorKind, message: impl Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
            details: Vec::new(),
            hints: Vec::new(),
            code: None,
        }
    }

    /// Ends the command with this code, whatever the kind.
    #[must_use]
    pub(crate) fn exits(mut self, code: u8) -> Self {
        if self.kind != ErrorKind::BrokenPipe {
            self.code = Some(code);
        }
        self
    }

    /// Adds one of several things that are wrong.
    #[must_use]
    pub(crate) fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    /// Adds something to do about it, once.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        let hint = hint.to_string();
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
        self
    }

    /// The exit code, as the top help documents it.
    pub(crate) fn exit_code(&self) -> u8 {
        if let Some(code) = self.code {
            return code;
        }
        match self.kind {
            // What a shell reports for a program that SIGPIPE ended.
            ErrorKind::BrokenPipe => 141,
            ErrorKind::Internal => 255,
            ErrorKind::NotReady => 3,
            ErrorKind::Unreachable => 4,
            ErrorKind::User => 1,
        }
    }

    /// Whether something out there does not answer.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.kind == ErrorKind::Unreachable
    }

    /// The message without details and hints, for a note about something that is not fatal.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Prints it. Nothing is said when the reader went away: `signet … | head` is no error.
    pub(crate) fn print(&self, ui: &Ui) {
        if self.kind == ErrorKind::BrokenPipe {
            return;
        }
        ui.error(&self.message);
        for detail in &self.details {
            ui.detail(detail);
        }
        for hint in &self.hints {
            ui.hint(hint);
        }
    }
}

impl CommandError {
    /// Prints it as kubeseal does: each thing that is wrong on a line that begins with `error: `.
    pub(crate) fn print_as_kubeseal(&self, ui: &Ui) {
        if self.kind == ErrorKind::BrokenPipe {
            return;
        }
        // What only introduces the details says nothing by itself.
        let introduces = self.message.ends_with(':') && !self.details.is_empty();
        for line in (!introduces)
            .then_some(&self.message)
            .into_iter()
            .chain(&self.details)
        {
            ui.error(line);
        }
        for hint in &self.hints {
            ui.hint(hint);
        }
    }
}

/// Writing to standard output failed.
impl From<io::Error> for CommandError {
    fn from(err: io::Error) -> Self {
        match err.kind() {
            io::ErrorKind::BrokenPipe => Self::new(ErrorKind::BrokenPipe, err),
            _ => Self::user(format!("cannot write the output: {err}"), "is the disk full?"),
        }
    }
}
