//! A bare repository and a clone to write it with.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A repository `repo.git` that accepts pushes over HTTP, and a work tree whose `origin` it is.
pub struct Repo {
    dir: TempDir,
}

impl Repo {
    /// Without commits.
    pub fn empty() -> Self {
        let repo = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let path = repo.root().to_str().unwrap();
        git(repo.root(), &["init", "-q", "--bare", "-b", "main", "repo.git"]);
        git(&repo.bare(), &["config", "http.receivepack", "true"]);
        git(repo.root(), &["init", "-q", "-b", "main", "work"]);
        git(
            &repo.work(),
            &["remote", "add", "origin", &format!("{path}/repo.git")],
        );
        repo
    }

    /// With one commit that holds these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let repo = Self::empty();
        repo.commit("first", files);
        repo.push();
        repo
    }

    /// The directory that a server serves: the repository is `/repo.git` in it.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn bare(&self) -> PathBuf {
        self.root().join("repo.git")
    }

    pub fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.work().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes the files, commits everything, and returns the commit's id.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            self.write(path, text);
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    /// `count` empty commits.
    pub fn commits(&self, count: usize) -> String {
        for number in 0..count {
            self.git(&["commit", "-q", "--allow-empty", "-m", &format!("number {number}")]);
        }
        self.head()
    }

    pub fn push(&self) {
        self.git(&["push", "-q", "--force", "origin", "HEAD:main"]);
    }

    /// A setting of the served repository.
    pub fn configure(&self, name: &str, value: &str) {
        git(&self.bare(), &["config", name, value]);
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn git(&self, args: &[&str]) -> String {
        git(&self.work(), args)
    }

    /// Writes an object of any content and returns its id.
    pub fn object(&self, kind: &str, content: &[u8]) -> String {
        let mut child = command(&self.work())
            .args(["hash-object", "-w", "-t", kind, "--literally", "--stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(content).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes a tree of any content: mode, name and id of each entry, as they are.
    pub fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut content = Vec::new();
        for (mode, name, id) in entries {
            content.extend_from_slice(mode.as_bytes());
            content.push(b' ');
            content.extend_from_slice(name);
            content.push(0);
            content.extend(
                (0..40)
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()),
            );
        }
        self.object("tree", &content)
    }

    /// Makes `main` a commit of this tree.
    pub fn publish_tree(&self, tree: &str) -> String {
        let commit = self.git(&["commit-tree", "-m", "made by hand", tree]);
        self.git(&[
            "push",
            "-q",
            "--force",
            "origin",
            &format!("{commit}:refs/heads/main"),
        ]);
        commit
    }
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = command(dir).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// git, blind to this machine's and this user's configuration.
pub fn command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .envs([
            ("GIT_AUTHOR_NAME", "Ann"),
            ("GIT_AUTHOR_EMAIL", "ann@example.org"),
        ])
        .envs([
            ("GIT_COMMITTER_NAME", "Bob"),
            ("GIT_COMMITTER_EMAIL", "bob@example.org"),
        ])
        .envs([
            ("GIT_AUTHOR_DATE", "1700000000 +0100"),
            ("GIT_COMMITTER_DATE", "1700000001 +0000"),
        ]);
    command
}
