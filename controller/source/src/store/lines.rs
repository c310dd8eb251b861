//! Files of a store of our own that are a list: a line each, added at the end.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::disk;
use crate::SourceError;

/// All of it; empty where there is none.
pub(super) fn read(file: &Path) -> Result<String, SourceError> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| disk(&error)),
    }
}

/// Adds lines, in one write.
pub(super) fn add<T: std::fmt::Display>(
    file: &Path,
    lines: impl IntoIterator<Item = T>,
) -> Result<(), SourceError> {
    let lines: Vec<String> = lines.into_iter().map(|line| format!("{line}\n")).collect();
    let mut options = OpenOptions::new();
    let opened = options.append(true).create(true).mode(0o600).open(file);
    opened
        .and_then(|mut file| file.write_all(lines.concat().as_bytes()))
        .map_err(|error| disk(&error))
}
