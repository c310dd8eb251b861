//! Runs the commands of the story as they are shown, in a shell whose PATH begins with our binaries.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::ui::Ui;
use tests::{command, git, paths};

/// A shell in the clone, logged in to the cluster.
pub(crate) struct Shell {
    dir: PathBuf,
    bin: PathBuf,
    kubeconfig: PathBuf,
}

impl Shell {
    /// Puts `kubectl` and `signet` into `bin`.
    pub(crate) fn new(dir: &Path, bin: &Path, kubeconfig: &Path) -> Self {
        fs::create_dir_all(bin).expect("a directory for the commands");
        for (name, binary) in [
            ("kubectl", paths::signet_cluster()),
            ("signet", paths::binary("signet")),
        ] {
            let link = bin.join(name);
            let _ = fs::remove_file(&link);
            symlink(binary, link).expect("a link to the command");
        }
        Self {
            dir: dir.to_owned(),
            bin: bin.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// The directory of the commands.
    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    /// Shows a command, runs it, and shows the first lines of its output.
    pub(crate) fn run(&self, ui: &Ui, line: &str, lines: usize) -> String {
        ui.command(line);
        let output = self.quietly(line);
        ui.output(&output, lines);
        output
    }

    /// Runs a command without a word.
    pub(crate) fn quietly(&self, line: &str) -> String {
        command::run(self.command(line), b"").ok()
    }

    /// The command, ready to run.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut path = vec![self.bin.clone()];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        // As git runs in tests: with an author, and without whatever the user has configured.
        let mut shell = git::git(&self.dir);
        let environment: Vec<_> = shell
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
            .collect();
        shell = Command::new("bash");
        for (name, value) in environment {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
            .args(["-o", "pipefail", "-c", line])
            .current_dir(&self.dir)
            .env("PATH", env::join_paths(path).expect("a usable PATH"))
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBERC", "off");
        shell
    }
}
