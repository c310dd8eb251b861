//! The only place that prints.

use clap::ColorChoice;
use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

/// More than any yes or no, in bytes.
const ANSWER_LIMIT: u64 = 64;

/// Standard output for data, standard error for talk, each with its own idea of colour.
pub(crate) struct Ui {
    quiet: bool,
    stdout_color: bool,
    stderr_color: bool,
}

/// A colour, where there are colours.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    /// Good news.
    Good,
    /// Bad news.
    Bad,
    /// Neither yet.
    Waiting,
    /// A heading.
    Heading,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Waiting => "33",
            Self::Heading => "1",
        }
    }
}

impl Ui {
    /// `auto` colours a terminal, unless `NO_COLOR` is set to anything (no-color.org).
    pub(crate) fn new(color: ColorChoice, quiet: bool) -> Self {
        let allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let decide = |is_terminal| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => allowed && is_terminal,
        };
        Self {
            quiet,
            stdout_color: decide(io::stdout().is_terminal()),
            stderr_color: decide(io::stderr().is_terminal()),
        }
    }

    /// Whether progress is shown: only to a person.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Whether lines may be drawn: to a person whose terminal shows UTF-8, by the locale (POSIX, 8.2).
    #[allow(clippy::unused_self)] // whoever draws has been given the Ui
    pub(crate) fn draws(&self) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty())
            .unwrap_or_default()
            .to_lowercase();
        io::stdout().is_terminal() && (locale.contains("utf-8") || locale.contains("utf8"))
    }

    /// Writes data.
    #[allow(clippy::unused_self)] // whoever prints has been given the Ui
    pub(crate) fn write(&self, data: impl AsRef<[u8]>) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(data.as_ref())?;
        stdout.flush()
    }

    /// A text in colour, for standard output.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        paint(self.stdout_color, style, text)
    }

    /// Says what was done.
    pub(crate) fn status(&self, message: impl Display) {
        if !self.quiet {
            say("", &message);
        }
    }

    /// Says what has to be said to the quiet too.
    #[allow(clippy::unused_self)] // whoever talks has been given the Ui
    pub(crate) fn note(&self, message: impl Display) {
        say("", &message);
    }

    /// Says what is to be looked at, and what to do about it.
    pub(crate) fn warn(&self, message: impl Display, hint: impl Display) {
        if !self.quiet {
            say(&paint(self.stderr_color, Style::Waiting, "warning: "), &message);
            self.hint(hint);
        }
    }

    /// Whether there is somebody who can answer a question.
    #[allow(clippy::unused_self)] // whoever asks has been given the Ui
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks for something. The answer is the caller's to read.
    #[allow(clippy::unused_self)] // as above
    pub(crate) fn question(&self, question: impl Display) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{question}")?;
        stderr.flush()
    }

    /// Asks for a yes. Anything else is a no.
    #[allow(clippy::unused_self)] // as above
    pub(crate) fn confirm(&self, question: impl Display) -> io::Result<bool> {
        self.question(format_args!("{question} [y/N] "))?;
        let mut answer = String::new();
        io::stdin().lock().take(ANSWER_LIMIT).read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Says what went wrong.
    pub(crate) fn error(&self, message: impl Display) {
        say(&paint(self.stderr_color, Style::Bad, "error: "), &message);
    }

    /// Says one of several things that went wrong.
    #[allow(clippy::unused_self)] // as above
    pub(crate) fn detail(&self, message: impl Display) {
        say("  ", &message);
    }

    /// Says what to do.
    pub(crate) fn hint(&self, message: impl Display) {
        say(&paint(self.stderr_color, Style::Heading, "hint: "), &message);
    }
}

/// A failure to write to standard error has nowhere to be reported.
fn say(prefix: &str, message: &dyn Display) {
    let _ = writeln!(io::stderr().lock(), "{prefix}{message}");
}

fn paint(color: bool, style: Style, text: &str) -> String {
    if color {
        format!("\x1b[{}m{text}\x1b[0m", style.code())
    } else {
        text.to_owned()
    }
}
