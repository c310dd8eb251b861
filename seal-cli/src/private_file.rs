//! A file for an editor that holds plaintext: in memory only, for its owner only, and wiped when it is done with.
//!
//! DESIGN says that plaintext is in no temporary file. An editor can be given nothing but a file, so this is the one
//! exception, and only `signet edit` makes it: the file lies in a file system that is memory (tmpfs), never on a disk; where
//! there is none, it is refused. Whatever an editor puts beside it, such as a swap file, lies in the same directory, and
//! goes with it.

use crate::command_error::CommandError;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` (statfs(2)).
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// A Secret is at most one mebibyte, in base64 a third more.
const LARGEST: u64 = 4 << 20;

/// The file in its directory.
pub(crate) struct PrivateFile {
    directory: TempDir,
    pub(crate) path: PathBuf,
}

impl PrivateFile {
    /// Writes one.
    pub(crate) fn new(text: &str) -> Result<Self, CommandError> {
        let memory = memory().ok_or_else(|| {
            CommandError::user(
                "there is no place in memory for the file that the editor gets, and on a disk it must not lie",
                "set XDG_RUNTIME_DIR to a directory in a tmpfs; or use `signet set`, which needs no file",
            )
        })?;
        let failed = |err: io::Error| {
            CommandError::user(
                format!("cannot write a private file: {}", err.kind()),
                "is there space in XDG_RUNTIME_DIR?",
            )
        };
        let directory = tempfile::Builder::new()
            .prefix("signet-edit-")
            .permissions(mode(0o700))
            .tempdir_in(memory)
            .map_err(failed)?;
        let path = directory.path().join("values.yaml");
        let file = Self { directory, path };
        let mut options = File::options();
        options.write(true).create_new(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options
            .open(&file.path)
            .and_then(|mut open| open.write_all(text.as_bytes()));
        written.map_err(failed)?;
        Ok(file)
    }

    /// What is in it now.
    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let size = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        if size > LARGEST {
            return Err(CommandError::user(
                "what was edited is larger than any Secret",
                "a Secret holds at most 1 MiB",
            ));
        }
        fs::read(&self.path).map(Zeroizing::new).map_err(|err| {
            CommandError::user(
                format!("cannot read what was edited: {}", err.kind()),
                "does the editor save to the file that it was given?",
            )
        })
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        // The pages of a tmpfs file are zeroed before anybody else gets them; this is for those who look before.
        let entries = fs::read_dir(self.directory.path());
        for entry in entries.into_iter().flatten().flatten() {
            let _ = wipe(&entry.path());
        }
    }
}

fn wipe(path: &Path) -> io::Result<()> {
    let size = fs::symlink_metadata(path)?;
    if size.is_file() {
        let mut file = File::options().write(true).open(path)?;
        let zeros = [0; 4096];
        let mut left = size.len();
        while left > 0 {
            let part = zeros.len().min(usize::try_from(left).unwrap_or(zeros.len()));
            file.write_all(&zeros[..part])?;
            left -= part as u64;
        }
    }
    Ok(())
}

/// A directory of this user in a file system that is memory.
fn memory() -> Option<PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty());
    let places = own
        .map(PathBuf::from)
        .into_iter()
        .chain([PathBuf::from("/dev/shm")]);
    places.into_iter().find(|place| is_memory(place))
}

#[cfg(target_os = "linux")]
fn is_memory(place: &Path) -> bool {
    #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)] // its type differs between platforms
    rustix::fs::statfs(place).is_ok_and(|found| IN_MEMORY.contains(&(found.f_type as u64 & 0xffff_ffff)))
}

#[cfg(not(target_os = "linux"))]
fn is_memory(_place: &Path) -> bool {
    let _ = IN_MEMORY;
    false
}

fn mode(bits: u32) -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    fs::Permissions::from_mode(bits)
}
