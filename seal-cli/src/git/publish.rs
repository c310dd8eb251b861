//! A commit that goes to the remote first, and into the clone only when it was taken there.

use super::{Command, CommandError, Path, PathBuf, Stdio, git, is_id, output, run, run_or};
use tempfile::TempDir;

/// Clones a branch into an empty directory, shallow. A remote without a commit is fine.
pub(crate) fn clone(address: &str, branch: Option<&str>, into: &Path) -> Result<(), CommandError> {
    let mut command = git(Path::new("."));
    command.args(["clone", "--quiet", "--depth=1", "--no-tags"]);
    if let Some(branch) = branch {
        command.arg(format!("--branch={branch}"));
    }
    command.arg("--").arg(address).arg(into);
    let advice = "git has to reach it with your own credentials; or name the directory of a clone";
    run_or(command, advice).map(drop)
}

/// Where the clone's remote `origin` is.
pub(crate) fn origin(top: &Path) -> Result<String, CommandError> {
    let mut command = git(top);
    command.args(["remote", "get-url", "origin"]);
    let output = run_or(command, "`git remote add origin ADDRESS` names the remote")?;
    Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
}

/// The commit that the remote's branch is at, if it is there.
pub(crate) fn remote_head(top: &Path, branch: &str) -> Result<Option<String>, CommandError> {
    let name = format!("refs/heads/{branch}");
    let mut command = git(top);
    command.args(["ls-remote", "--quiet", "origin", &name]);
    let output = run_or(command, "git has to reach the remote with your own credentials")?;
    let text = String::from_utf8_lossy(&output);
    let found = text.lines().find_map(|line| {
        let (id, found) = line.split_once('\t')?;
        (found == name && is_id(id)).then(|| id.to_owned())
    });
    Ok(found)
}

/// The commit that is checked out, if the branch has one.
pub(crate) fn head(top: &Path) -> Option<String> {
    let mut command = git(top);
    command.args(["rev-parse", "--verify", "--quiet", "HEAD"]);
    let output = run(command).ok()?;
    Some(String::from_utf8_lossy(&output).trim().to_owned()).filter(|id| is_id(id))
}

/// The files of the last commit straight below a directory, by their paths from the top.
pub(crate) fn files_at_head(top: &Path, directory: &str) -> Vec<String> {
    let mut command = git(top);
    command.args(["ls-tree", "-z", "--name-only", "HEAD", "--"]);
    command.arg(format!("{directory}/"));
    run(command)
        .map(|output| super::names(&output))
        .unwrap_or_default()
}

/// Manifests of the last commit, by their names, that have this word.
pub(crate) fn files_with(top: &Path, word: &str) -> Result<Vec<String>, CommandError> {
    if head(top).is_none() {
        return Ok(Vec::new());
    }
    let mut command = git(top);
    command.args(["grep", "-z", "-a", "-l", "-F", "-e", word, "HEAD"]);
    let output = command.output().ok();
    let found = match output {
        Some(output) if output.status.success() => super::names(&output.stdout),
        // Nothing was found.
        Some(output) if output.status.code() == Some(1) => Vec::new(),
        _ => {
            return Err(CommandError::user(
                "the repository's files cannot be searched",
                "does `git grep` work there?",
            ));
        }
    };
    let plain = found
        .iter()
        .map(|name| name.strip_prefix("HEAD:").unwrap_or(name).to_owned());
    let manifest = |name: &String| [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
    Ok(plain.filter(manifest).collect())
}

/// A commit of the last one with these files, signed where the clone's configuration signs commits. Neither the index nor
/// the branch is touched.
pub(crate) fn commit_files(
    top: &Path,
    parent: Option<&str>,
    files: &[(String, String)],
    message: &str,
) -> Result<String, CommandError> {
    let scratch = scratch()?;
    let index = scratch.path().join("index");
    let with_index = |arguments: &[&str]| {
        let mut command = git(top);
        command.args(arguments).env("GIT_INDEX_FILE", &index);
        run(command).map(|output| String::from_utf8_lossy(&output).trim().to_owned())
    };
    if let Some(parent) = parent {
        with_index(&["read-tree", parent])?;
    }
    for (path, text) in files {
        let arguments = ["hash-object", "-w", "--stdin"].map(str::to_owned);
        let blob = output(top, &arguments, text.clone().into_bytes())?;
        let blob = String::from_utf8_lossy(&blob).trim().to_owned();
        with_index(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("100644,{blob},{path}"),
        ])?;
    }
    let tree = with_index(&["write-tree"])?;
    let mut command = git(top);
    command.args(["commit-tree", "-m", message]);
    if let Some(parent) = parent {
        command.args(["-p", parent]);
    }
    if signs(top) {
        command.arg("-S");
    }
    command.arg(&tree);
    let made = run_or(command, "`git config user.name` and `user.email` say who commits")?;
    Ok(String::from_utf8_lossy(&made).trim().to_owned())
}

/// Sends a commit to the remote's branch, never by force.
pub(crate) fn push_commit(top: &Path, commit: &str, branch: &str) -> Result<(), CommandError> {
    let mut command = git(top);
    command.args(["push", "--quiet", "origin"]);
    command.arg(format!("{commit}:refs/heads/{branch}"));
    let advice = "may you push there? If somebody else just did, `git pull` and run it again";
    run_or(command, advice).map(drop)
}

/// Moves the branch that is checked out on to a commit, with its files. Refused where that would touch what is not
/// committed.
pub(crate) fn forward(top: &Path, commit: &str) -> Result<(), CommandError> {
    let mut command = git(top);
    command.args(["merge", "--quiet", "--ff-only", commit]);
    run(command).map(drop)
}

fn signs(top: &Path) -> bool {
    let mut command: Command = git(top);
    command
        .args(["config", "--type=bool", "commit.gpgSign"])
        .stdin(Stdio::null());
    run(command).is_ok_and(|output| output.starts_with(b"true"))
}

fn scratch() -> Result<TempDir, CommandError> {
    let made = tempfile::Builder::new().prefix("signet-bootstrap-").tempdir();
    made.map_err(|err| {
        CommandError::user(
            format!("cannot make a temporary directory: {}", err.kind()),
            "is there room in the directory for temporary files (TMPDIR)?",
        )
    })
}

/// A directory for a clone that is gone afterwards.
pub(crate) fn temporary() -> Result<(TempDir, PathBuf), CommandError> {
    let directory = scratch()?;
    let path = directory.path().join("clone");
    Ok((directory, path))
}

/// Whether this names a directory that is there, and no address. A repository without files is one to clone from.
pub(crate) fn is_directory(text: &str) -> bool {
    let path = Path::new(text);
    let is_bare = path.join("HEAD").is_file() && path.join("objects").is_dir();
    path.is_dir() && !is_bare
}
