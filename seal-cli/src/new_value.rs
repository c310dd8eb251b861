//! Values that are to be sealed, as the command line names them: `KEY=VALUE`, `KEY@FILE`, `KEY=-`, `KEY`.

use crate::command_error::CommandError;
use crate::hidden_input;
use crate::output::show;
use crate::ui::Ui;
use sealing::{Plaintext, Printable, is_data_key};
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// A Secret holds one mebibyte in all.
const LARGEST: u64 = 1 << 20;
const HINT: &str = "KEY=VALUE, KEY@FILE, KEY=- for standard input, or KEY alone to be asked";

/// A key and its new value.
pub(crate) struct NewValue {
    pub(crate) key: String,
    pub(crate) value: Plaintext,
}

enum From<'a> {
    Argument(&'a str),
    File(&'a Path),
    Stdin,
    Question,
}

/// Reads all of them, or none.
pub(crate) fn read_all(ui: &Ui, arguments: &[String]) -> Result<Vec<NewValue>, CommandError> {
    let mut parsed = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let (key, from) = split(argument);
        if !is_data_key(key) {
            return Err(CommandError::user(
                format!("`{}` is not a key that a Secret can have", Printable(key)),
                "a key holds only letters, digits, `-`, `_` and `.`, at most 253 of them",
            ));
        }
        if parsed.iter().any(|(other, _)| *other == key) {
            return Err(CommandError::user(
                format!("{key} is given twice"),
                "give each key once",
            ));
        }
        parsed.push((key, from));
    }
    let from_stdin = |from: &From<'_>| match from {
        From::Stdin => true,
        From::Question => !io::stdin().is_terminal(),
        _ => false,
    };
    if parsed.iter().filter(|(_, from)| from_stdin(from)).count() > 1 {
        return Err(CommandError::user("standard input can hold one value only", HINT));
    }
    parsed
        .into_iter()
        .map(|(key, from)| {
            Ok(NewValue {
                key: key.to_owned(),
                value: read(ui, key, &from)?,
            })
        })
        .collect()
}

fn split(argument: &str) -> (&str, From<'_>) {
    // Neither `=` nor `@` can stand in a key.
    match argument.find(['=', '@']) {
        None => (argument, From::Question),
        Some(end) => {
            let (key, rest) = argument.split_at(end);
            let from = match (rest.starts_with('@'), &rest[1..]) {
                (true, file) => From::File(Path::new(file)),
                (false, "-") => From::Stdin,
                (false, value) => match value.strip_prefix('@') {
                    Some(file) => From::File(Path::new(file)),
                    None => From::Argument(value),
                },
            };
            (key, from)
        }
    }
}

fn read(ui: &Ui, key: &str, from: &From<'_>) -> Result<Plaintext, CommandError> {
    match from {
        From::Argument(value) => Ok(Plaintext::new(value.as_bytes().to_vec())),
        From::File(path) => {
            let failed = |err: io::Error| {
                CommandError::user(
                    format!("cannot read {} for {key}: {err}", show(path)),
                    "a value that begins with @ comes from standard input: KEY=-",
                )
            };
            let file = File::open(path).map_err(failed)?;
            all_of(file).map_err(failed)
        }
        From::Question if ui.can_ask() => hidden_input::ask(ui, &format!("{key}: ")),
        From::Stdin | From::Question => {
            if io::stdin().is_terminal() {
                return Err(CommandError::user(
                    format!("standard input is a terminal, and {key} would be seen on it"),
                    HINT,
                ));
            }
            let value = all_of(io::stdin().lock()).map_err(|err| {
                CommandError::user(
                    format!("cannot read standard input: {err}"),
                    "does what is piped in succeed on its own?",
                )
            })?;
            if value.expose().ends_with(b"\n") {
                ui.warn(
                    format!("the value of {key} ends with a line end, which is sealed too"),
                    "if that is not meant: printf %s VALUE | signet set …, instead of echo",
                );
            }
            Ok(value)
        }
    }
}

fn all_of(from: impl Read) -> io::Result<Plaintext> {
    // Sized once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 << 10));
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(
            "it is larger than 1 MiB, the most that a Secret can hold",
        ));
    }
    Ok(Plaintext::from(bytes))
}
