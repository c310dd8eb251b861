//! Which remotes the objects of a store came from, so that nobody is given what their own remote has not sent.

use std::path::Path;

use super::lines;
use crate::SourceError;

/// Addresses, a line each. They have no password ([`Remote::url`](crate::Remote::url)).
const FILE: &str = "remotes";

/// Something of this remote is about to come into the repository in `dir`.
pub(crate) fn note(dir: &Path, address: &str) -> Result<(), SourceError> {
    let file = dir.join(FILE);
    if lines::read(&file)?.lines().any(|line| line == address) {
        return Ok(());
    }
    lines::add(&file, [address.replace('\n', " ")])
}

/// Whether all that is in it came from this remote.
pub(super) fn is_only(dir: &Path, address: &str) -> Result<bool, SourceError> {
    Ok(lines::read(&dir.join(FILE))?.lines().eq([address]))
}
