//! `signet`, in directories that are watched, with everything that it prints kept.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::Cluster;
use tests::command::{self, Answer};

use super::sinks::{Capture, printed};

/// Runs `signet` and keeps what it said.
pub(super) struct Cli {
    kubeconfig: PathBuf,
    home: PathBuf,
    certificate: String,
    said: Vec<Capture>,
}

impl Cli {
    /// `home` is watched but for `home/input`, where plain Secrets lie.
    pub(super) fn new(cluster: &Cluster, home: &Path, certificate: String) -> Self {
        for dir in ["tmp", "home", "work", "../input"] {
            fs::create_dir_all(home.join(dir)).expect("a directory");
        }
        Self {
            kubeconfig: cluster.kubeconfig().to_owned(),
            home: home.to_owned(),
            certificate,
            said: Vec::new(),
        }
    }

    /// Runs it with these arguments.
    pub(super) fn run(&mut self, arguments: &[&str], input: impl AsRef<[u8]>) -> Answer {
        self.run_in(&self.home.join("work"), arguments, input)
    }

    /// The same, in another directory.
    pub(super) fn run_in(&mut self, dir: &Path, arguments: &[&str], input: impl AsRef<[u8]>) -> Answer {
        let mut signet = command::signet(&self.kubeconfig);
        signet
            .args(arguments)
            .current_dir(dir)
            .env("TMPDIR", self.home.join("tmp"))
            .env("HOME", self.home.join("home"))
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full");
        let answer = command::run(signet, input.as_ref());
        self.said.push(printed(&answer));
        answer
    }

    /// `signet seal` for the controller's certificate.
    pub(super) fn seal_with(&mut self, arguments: &[&str], input: impl AsRef<[u8]>) -> Answer {
        let certificate = self.certificate.clone();
        let arguments = [&["seal", "--cert", &certificate], arguments].concat();
        self.run(&arguments, input)
    }

    /// One Secret, sealed.
    pub(super) fn seal(&mut self, arguments: &[&str], secret: &Value) -> Value {
        let arguments = [&["--output", "json"], arguments].concat();
        let sealed = self.seal_with(&arguments, secret.to_string()).ok();
        serde_json::from_str(&sealed).expect("JSON, as asked")
    }

    /// A file that holds something secret, beside what is watched.
    pub(super) fn input(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let file = self.home.join("../input").join(name);
        fs::write(&file, content).expect("a file");
        file.to_str().expect("a path in UTF-8").to_owned()
    }

    /// Where it writes to.
    pub(super) fn output(&self, name: &str) -> String {
        let file = self.home.join("work").join(name);
        file.to_str().expect("a path in UTF-8").to_owned()
    }

    /// What it said so far.
    pub(super) fn end(self) -> Vec<Capture> {
        self.said
    }
}
