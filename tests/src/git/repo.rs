//! One team's clone: files are written, committed and pushed with the real git.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command;
use crate::git::command::git;

/// A clone with its remote.
#[derive(Clone, Debug)]
pub struct Repo {
    url: String,
    bare: PathBuf,
    work: PathBuf,
}

impl Repo {
    /// Makes an empty bare repository in `served` and an unborn clone of it in `work`.
    pub(crate) fn create(url: String, bare: PathBuf, work: PathBuf) -> Self {
        fs::create_dir_all(&bare).expect("a directory for the remote");
        fs::create_dir_all(&work).expect("a directory for the clone");
        let repo = Self { url, bare, work };
        let run = |dir: &Path, arguments: &[&str]| {
            let mut command = git(dir);
            command.args(arguments);
            command::run(command, b"").ok();
        };
        run(
            &repo.bare,
            &["init", "--quiet", "--bare", "--initial-branch=main"],
        );
        // Pushes over HTTP are for whoever the server lets in; it asks for the password, or for none.
        run(&repo.bare, &["config", "http.receivepack", "true"]);
        run(&repo.bare, &["config", "gc.auto", "0"]);
        // As the large hosts have it.
        run(&repo.bare, &["config", "uploadpack.allowFilter", "true"]);
        run(&repo.work, &["init", "--quiet", "--initial-branch=main"]);
        // Straight to the directory, so that the server's counts are the controller's requests alone.
        let remote = repo.bare.to_str().expect("a path in UTF-8").to_owned();
        run(&repo.work, &["remote", "add", "origin", &remote]);
        run(&repo.work, &["config", "gc.auto", "0"]);
        run(&repo.work, &["config", "commit.gpgsign", "false"]);
        repo
    }

    /// The remote's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The remote's directory.
    pub fn bare(&self) -> &Path {
        &self.bare
    }

    /// The clone's directory.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Writes a file.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let file = self.work.join(path);
        fs::create_dir_all(file.parent().expect("a file's path")).expect("a directory");
        fs::write(&file, content).expect("a file");
        self
    }

    /// Removes a file or a directory.
    pub fn remove(&self, path: &str) -> &Self {
        let file = self.work.join(path);
        if file.is_dir() {
            fs::remove_dir_all(&file)
        } else {
            fs::remove_file(&file)
        }
        .unwrap_or_else(|error| panic!("removing {path}: {error}"));
        self
    }

    /// Commits everything, pushes it, and gives the commit's id.
    pub fn commit(&self, subject: &str) -> String {
        let id = self.commit_only(subject);
        self.push();
        id
    }

    /// Commits everything without pushing it.
    pub fn commit_only(&self, subject: &str) -> String {
        self.git(["add", "--all"]);
        self.git(["commit", "--quiet", "--allow-empty", "--message", subject]);
        self.head()
    }

    /// Pushes the branch.
    pub fn push(&self) {
        self.git(["push", "--quiet", "origin", "HEAD"]);
    }

    /// Pushes the branch over whatever the remote has.
    pub fn force_push(&self) {
        self.git(["push", "--quiet", "--force", "origin", "HEAD"]);
    }

    /// Reverts the last commit with a commit, pushes it, and gives its id.
    pub fn revert(&self) -> String {
        self.git(["revert", "--no-edit", "HEAD"]);
        self.push();
        self.head()
    }

    /// The id of the clone's last commit.
    pub fn head(&self) -> String {
        self.git(["rev-parse", "HEAD"])
    }

    /// Runs git in the clone and gives what it printed, without the last line break.
    pub fn git<const N: usize>(&self, arguments: [&str; N]) -> String {
        let mut command = git(&self.work);
        command.args(arguments);
        command::run(command, b"").ok().trim_end().to_owned()
    }
}
