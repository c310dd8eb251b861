//! The git command, deaf to the configuration of whoever runs the tests.

use std::path::Path;
use std::process::Command;

/// Who commits in tests.
pub(crate) const AUTHOR: &str = "Ada Example";
pub(crate) const EMAIL: &str = "ada@example.com";

/// A git command in `dir`. Author and committer are fixed, prompts are off, and no configuration but the repository's
/// own is read.
pub fn git(dir: &Path) -> Command {
    let mut command = Command::new("git");
    // Left over in the environment of a git hook, these would redirect everything to that repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", AUTHOR)
        .env("GIT_AUTHOR_EMAIL", EMAIL)
        .env("GIT_COMMITTER_NAME", AUTHOR)
        .env("GIT_COMMITTER_EMAIL", EMAIL)
        .env("LC_ALL", "C");
    command
}
