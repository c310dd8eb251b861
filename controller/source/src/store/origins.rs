//! Which remotes the objects of a store came from, so that nobody is given what their own remote has not sent.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::disk;
use crate::SourceError;

/// Addresses, a line each. They have no password ([`Remote::url`](crate::Remote::url)).
const FILE: &str = "remotes";

/// Something of this remote is about to come into the repository in `dir`.
pub(crate) fn note(dir: &Path, address: &str) -> Result<(), SourceError> {
    if read(dir)?.lines().any(|line| line == address) {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    let opened = options.create(true).append(true).mode(0o600).open(dir.join(FILE));
    let written = opened.and_then(|mut file| writeln!(file, "{}", address.replace('\n', " ")));
    written.map_err(|error| disk(&error))
}

/// Whether all that is in it came from this remote.
pub(super) fn is_only(dir: &Path, address: &str) -> Result<bool, SourceError> {
    Ok(read(dir)?.lines().eq([address]))
}

fn read(dir: &Path) -> Result<String, SourceError> {
    match fs::read_to_string(dir.join(FILE)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| disk(&error)),
    }
}
