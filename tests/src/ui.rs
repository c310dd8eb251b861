//! What the demo says: numbered steps, commands as one would type them, short outputs. Colour only on a terminal.

use std::io::{IsTerminal, Write};

/// Longest line of a command's output that is shown.
const WIDTH: usize = 110;

/// Writes to standard output.
#[derive(Debug)]
pub struct Ui {
    colour: bool,
    step: u32,
}

impl Default for Ui {
    fn default() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            colour: wanted && std::io::stdout().is_terminal(),
            step: 0,
        }
    }
}

impl Ui {
    /// The heading of everything.
    pub fn title(&self, text: &str) {
        self.line(&format!("\n{}", self.styled("1", text)));
    }

    /// Begins the next step.
    pub fn step(&mut self, text: &str) {
        self.step += 1;
        let heading = self.styled("1;34", &format!("{}. {text}", self.step));
        self.line(&format!("\n{heading}"));
    }

    /// A sentence of the story.
    pub fn say(&self, text: &str) {
        self.line(&format!("   {text}"));
    }

    /// Something that went as it should.
    pub fn good(&self, text: &str) {
        self.line(&format!("   {} {text}", self.styled("32", "✓")));
    }

    /// A command, as one would type it.
    pub fn command(&self, command: &str) {
        let prompt = self.styled("2", "$");
        for (number, line) in command.lines().enumerate() {
            let prompt = if number == 0 { &prompt } else { " " };
            self.line(&format!("   {prompt} {}", self.styled("36", line)));
        }
    }

    /// The first lines of what a command printed.
    pub fn output(&self, text: &str, lines: usize) {
        for line in text.lines().take(lines) {
            let mut line: String = line.replace('\t', "    ");
            if line.chars().count() > WIDTH {
                line = line.chars().take(WIDTH - 1).chain(['…']).collect();
            }
            self.line(&format!("     {line}"));
        }
        if text.lines().count() > lines {
            self.line(&format!("     {}", self.styled("2", "…")));
        }
    }

    /// A line that somebody will copy: no indentation, no decoration.
    pub fn plain(&self, text: &str) {
        self.line(text);
    }

    /// What went wrong.
    pub fn bad(&self, text: &str) {
        self.line(&format!("\n{} {text}", self.styled("1;31", "✗")));
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    #[allow(clippy::unused_self)] // what is written to is this object's business
    fn line(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A reader that went away, such as `head`, has seen enough.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}
