//! Files that are written whole or not at all.

use crate::command_error::CommandError;
use sealing::Printable;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Puts this text in the place of a file: into a new file beside it, then by renaming, so that a reader sees the old
/// text or the new one, and a failure leaves the old one. Only what may be public goes through here.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), CommandError> {
    replace_bytes(path, text.as_bytes())
}

/// The same for what is no text.
pub(crate) fn replace_bytes(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    replace_with(path, bytes, |before| {
        before.map_or_else(new_file, fs::Metadata::permissions)
    })
}

/// The same for what is secret: only its owner may read the file.
pub(crate) fn replace_private(path: &Path, text: &str) -> Result<(), CommandError> {
    replace_with(path, text.as_bytes(), |_| private_file())
}

fn replace_with(
    path: &Path,
    bytes: &[u8],
    permissions: impl Fn(Option<&fs::Metadata>) -> Permissions,
) -> Result<(), CommandError> {
    write(path, bytes, permissions).map_err(|err| {
        CommandError::user(
            // The kind only: the text names the temporary file, which is not what the user asked for.
            format!("cannot write {}: {}", show(path), reason(&err.kind().into())),
            "is the directory there, and may you write to it?",
        )
    })
}

/// Why a file could not be used. A missing one is said as Go says it: scripts around kubeseal look for that.
pub(crate) fn reason(err: &io::Error) -> String {
    match err.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => err.to_string(),
    }
}

/// A path, safe to print.
pub(crate) fn show(path: &Path) -> String {
    Printable(&path.to_string_lossy()).to_string()
}

fn write(
    path: &Path,
    bytes: &[u8],
    permissions: impl Fn(Option<&fs::Metadata>) -> Permissions,
) -> io::Result<()> {
    // A link stays a link: what it leads to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let before = fs::metadata(&target).ok();
    if before.as_ref().is_some_and(|metadata| !metadata.is_file()) {
        // A device or a pipe, such as /dev/stdout, cannot be renamed over.
        return File::options().write(true).open(&target)?.write_all(bytes);
    }
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".signet-")
        .permissions(permissions(before.as_ref()))
        .tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&target)?;
    Ok(())
}

/// What any new file gets; the umask takes its part.
#[cfg(unix)]
fn new_file() -> Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    Permissions::from_mode(0o666)
}

#[cfg(unix)]
fn private_file() -> Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    Permissions::from_mode(0o600)
}
