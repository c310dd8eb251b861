//! Process-wide settings of libgit2. Here, and in what this sets (`ration`), is the only unsafe code of the controller.

use std::sync::OnceLock;

use git2::{ConfigLevel, opts};

use crate::{SourceError, ration, transport};

/// Largest object that a delta may rebuild, in bytes. Packs of remotes are weighed before they come here (see `transport::pack`); this
/// is for repositories on the controller's own disk.
const MAX_OBJECT_BYTES: usize = 256 << 20;

/// Objects that stay parsed in memory, in bytes, over all open repositories.
const OBJECT_CACHE_BYTES: isize = 2 << 20;

/// One mapping of a pack, and all of them together, in bytes: mapped pages count as resident memory.
const PACK_WINDOW_BYTES: usize = 4 << 20;
const PACK_MAPPED_BYTES: usize = 32 << 20;

/// Sets libgit2 up. Every entry point of this crate calls it first; only the first call does anything.
pub(crate) fn init() -> Result<(), SourceError> {
    static DONE: OnceLock<bool> = OnceLock::new();
    if *DONE.get_or_init(|| settings().is_ok()) {
        Ok(())
    } else {
        Err(SourceError::Store("libgit2 cannot be set up".into()))
    }
}

#[allow(unsafe_code)]
fn settings() -> Result<(), git2::Error> {
    // SAFETY: these functions write libgit2's global variables without locks, so nothing else may be
    // inside libgit2 meanwhile. `init` runs this once, under `OnceLock`, before this crate's first use
    // of libgit2; no other crate of the workspace uses libgit2 without going through this one.
    // The option number and the argument type of `git_libgit2_opts` are those of libgit2 1.9.7's
    // settings.c (a `size_t`).
    unsafe {
        ration::install();
        // No configuration from outside the store: `url.*.insteadOf` could send credentials elsewhere.
        for level in [
            ConfigLevel::ProgramData,
            ConfigLevel::System,
            ConfigLevel::XDG,
            ConfigLevel::Global,
        ] {
            opts::set_search_path(level, "/nonexistent")?;
        }
        opts::set_cache_max_size(OBJECT_CACHE_BYTES)?;
        opts::set_mwindow_size(PACK_WINDOW_BYTES)?;
        opts::set_mwindow_mapped_limit(PACK_MAPPED_BYTES)?;
        let option = libgit2_sys::GIT_OPT_SET_PACK_MAX_OBJECT_SIZE.cast_signed();
        libgit2_sys::git_libgit2_opts(option, MAX_OBJECT_BYTES);
        transport::register()
    }
}
