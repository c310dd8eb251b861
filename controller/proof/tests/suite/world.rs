//! A repository, keys, and the tools that make signatures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proof::{Trust, Verdict};

/// When commits are made unless a test says otherwise: 2023-11-14T22:13:20Z.
pub(crate) const NOW: &str = "1700000000";

pub(crate) struct World {
    home: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        // GnuPG's sockets need a short path.
        let home = tempfile::Builder::new().prefix("pf").tempdir_in("/tmp").unwrap();
        let world = Self { home };
        for dir in ["repo", "gnupg"] {
            fs::create_dir(world.path(dir)).unwrap();
        }
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(world.path("gnupg"), private).unwrap();
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A command that knows nothing of whoever runs the tests.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.home.path())
            .env("GNUPGHOME", self.path("gnupg"))
            .env("TZ", "UTC")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.org")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.org")
            .current_dir(self.path("repo"));
        command
    }

    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        ok(program, self.command(program).args(arguments).output().unwrap())
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> Vec<u8> {
        self.git_at(NOW, arguments)
    }

    pub(crate) fn git_at(&self, time: &str, arguments: &[&str]) -> Vec<u8> {
        let date = format!("{time} +0000");
        let mut command = self.command("git");
        command
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .args(arguments);
        ok("git", command.output().unwrap())
    }

    /// Whether `git verify-commit` (or `verify-tag`) takes the object, with the same trust.
    pub(crate) fn git_verifies(&self, verb: &str, name: &str, revoked: Option<&Path>) -> bool {
        let mut command = self.command("git");
        let allowed = self.path("allowed_signers");
        command
            .arg("-c")
            .arg(format!("gpg.ssh.allowedSignersFile={}", allowed.display()));
        if let Some(revoked) = revoked {
            command
                .arg("-c")
                .arg(format!("gpg.ssh.revocationFile={}", revoked.display()));
        }
        command.args([verb, name]).output().unwrap().status.success()
    }

    /// Makes an SSH key and gives its public half, without the comment.
    pub(crate) fn ssh_key(&self, name: &str, kind: &[&str]) -> String {
        let file = self.path(name).display().to_string();
        let mut arguments = vec!["-q", "-N", "", "-C", "", "-f", &file, "-t"];
        arguments.extend_from_slice(kind);
        self.run("ssh-keygen", &arguments);
        fs::read_to_string(self.path(&format!("{name}.pub")))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Writes `allowed_signers` and reads it back as trust, with more files.
    pub(crate) fn trust(&self, lines: &[String], more: &[(&str, &[u8])]) -> Trust {
        let text = lines.join("\n") + "\n";
        fs::write(self.path("allowed_signers"), &text).unwrap();
        let first = [("allowed_signers", text.as_bytes())];
        Trust::read(first.into_iter().chain(more.iter().copied())).unwrap()
    }

    /// A commit signed with an SSH key, or not at all. Gives its bytes.
    pub(crate) fn commit(&self, key: Option<&str>) -> Vec<u8> {
        self.commit_at(NOW, key)
    }

    pub(crate) fn commit_at(&self, time: &str, key: Option<&str>) -> Vec<u8> {
        let signing = key.map(|key| format!("user.signingkey={}", self.path(key).display()));
        let mut arguments = vec!["-c", "gpg.format=ssh"];
        if let Some(signing) = &signing {
            arguments.extend(["-c", signing.as_str()]);
        }
        arguments.extend(["commit", "--quiet", "--allow-empty", "--message", "Change"]);
        if signing.is_some() {
            arguments.push("-S");
        }
        self.git_at(time, &arguments);
        self.object("commit", "HEAD")
    }

    pub(crate) fn object(&self, kind: &str, name: &str) -> Vec<u8> {
        self.git(&["cat-file", kind, name])
    }

    /// Stores bytes as an object and gives its name: what nobody's tool would make.
    pub(crate) fn store(&self, kind: &str, bytes: &[u8]) -> String {
        let file = self.path("object");
        fs::write(&file, bytes).unwrap();
        let file = file.display().to_string();
        let name = self.git(&["hash-object", "-t", kind, "-w", "--literally", &file]);
        String::from_utf8(name).unwrap().trim().to_owned()
    }

    /// Ends what GnuPG left running.
    fn end_agent(&self) {
        let _ = self.command("gpgconf").args(["--kill", "all"]).output();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end_agent();
    }
}

fn ok(program: &str, output: Output) -> Vec<u8> {
    assert!(
        output.status.success(),
        "{program}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The names of a good signer.
pub(crate) fn names(verdict: &Verdict) -> Vec<&str> {
    let signer = verdict.signer().unwrap_or_else(|| panic!("{verdict}"));
    signer.names.iter().map(String::as_str).collect()
}
