//! `git log` of the clone at hand. The git binary is what the user's clone, credentials and configuration belong to.

pub(crate) mod publish;

use crate::command_error::CommandError;
use crate::output::show;
use sealing::Printable;
use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::thread::JoinHandle;

/// One commit.
#[derive(Clone)]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) author: String,
    pub(crate) time: String,
    pub(crate) subject: String,
}

const FIELDS: usize = 4;
/// What is said for a git that fails without a word.
const SILENT: &str = "git failed";
/// Bytes of what it says otherwise that are kept.
const LONGEST_COMPLAINT: u64 = 64 << 10;
/// NUL between fields and after each record: no commit can hold one.
const FORMAT: &str = "--format=tformat:%H%x00%an <%ae>%x00%cI%x00%s";

/// The newest commits that touched a path, newest first.
pub(crate) fn log(directory: &Path, path: &Path, limit: usize) -> Result<Vec<Commit>, CommandError> {
    log_of(directory, &[], "HEAD", Some(path), limit)
}

/// The same from a revision on, where a merge is one change, and what it merged is not shown.
pub(crate) fn log_first_parent(
    directory: &Path,
    revision: &str,
    path: &Path,
    limit: usize,
) -> Result<Vec<Commit>, CommandError> {
    log_of(directory, &["--first-parent"], revision, Some(path), limit)
}

/// The commits of HEAD that an earlier one does not have, newest first.
pub(crate) fn log_since(directory: &Path, before: &str, limit: usize) -> Result<Vec<Commit>, CommandError> {
    log_of(
        directory,
        &["--first-parent"],
        &format!("{before}..HEAD"),
        None,
        limit,
    )
}

fn log_of(
    directory: &Path,
    options: &[&str],
    revision: &str,
    path: Option<&Path>,
    limit: usize,
) -> Result<Vec<Commit>, CommandError> {
    let mut command = git(directory);
    command.args(["log", "-z", "--no-color", "--no-decorate", "--no-show-signature"]);
    command
        .args(options)
        .arg(format!("--max-count={limit}"))
        .arg(FORMAT)
        .arg("--end-of-options")
        .arg(revision)
        .arg("--");
    command.args(path);
    let output = run(command)?;
    let text = String::from_utf8_lossy(&output);
    let fields: Vec<&str> = text.split('\0').collect();
    Ok(fields
        .chunks_exact(FIELDS)
        .map(|record| Commit {
            id: record[0].to_owned(),
            author: record[1].to_owned(),
            time: record[2].to_owned(),
            subject: record[3].to_owned(),
        })
        .collect())
}

/// The top directory of the clone.
pub(crate) fn top(directory: &Path) -> Result<PathBuf, CommandError> {
    let mut command = git(directory);
    command.args(["rev-parse", "--show-toplevel"]);
    let output = run(command)?;
    Ok(String::from_utf8_lossy(&output).trim_end_matches('\n').into())
}

/// The full id of a commit that the clone holds.
pub(crate) fn commit(directory: &Path, revision: &str) -> Result<String, CommandError> {
    let mut command = git(directory);
    command.args(["rev-parse", "--verify", "--quiet", "--end-of-options"]);
    command.arg(format!("{revision}^{{commit}}"));
    let unknown = || {
        CommandError::user(
            format!("the clone has no commit {}", Printable(revision)),
            "`git fetch` brings what is new",
        )
    };
    let output = match run(command) {
        Ok(output) => output,
        // Nothing is said about what is not there.
        Err(err) if err.message() == SILENT => return Err(unknown()),
        Err(err) => return Err(err),
    };
    let id = String::from_utf8_lossy(&output).trim().to_owned();
    Some(id).filter(|id| !id.is_empty()).ok_or_else(unknown)
}

/// What git makes of a date, in seconds since 1970. It makes something of anything.
pub(crate) fn time(directory: &Path, text: &str) -> Option<i64> {
    let mut command = git(directory);
    command.args(["rev-parse", &format!("--since={text}")]);
    let output = run(command).ok()?;
    let output = String::from_utf8_lossy(&output);
    output.trim().strip_prefix("--max-age=")?.parse().ok()
}

/// Whether this is a commit's full id, SHA-1 or SHA-256, and so neither an option nor a name.
pub(crate) fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A Sync's path as Git writes it: without a dot in front; `.` is the whole tree.
pub(crate) fn tree_path(path: &str) -> &str {
    match path.trim_start_matches("./").trim_end_matches('/') {
        "" => ".",
        path => path,
    }
}

/// Whether the clone knows that one commit is another or comes before it.
pub(crate) fn is_ancestor(directory: &Path, ancestor: &str, descendant: &str) -> bool {
    let is_safe = |name: &str| is_id(name) || name == "HEAD";
    if !is_safe(ancestor) || !is_safe(descendant) {
        return false;
    }
    let mut command = git(directory);
    command.args(["merge-base", "--is-ancestor", ancestor, descendant]);
    run(command).is_ok()
}

/// Whether the clone knows that two commits have the same files below a path, which counts from its top.
pub(crate) fn same_below(top: &Path, one: &str, other: &str, path: &str) -> bool {
    if !is_id(one) || !is_id(other) {
        return false;
    }
    let mut command = git(top);
    command.args([
        "diff",
        "--quiet",
        "--no-ext-diff",
        "--no-textconv",
        one,
        other,
        "--",
    ]);
    command.arg(tree_path(path));
    run(command).is_ok()
}

/// The branch that is checked out, if one is.
pub(crate) fn branch(directory: &Path) -> Option<String> {
    let mut command = git(directory);
    command.args(["symbolic-ref", "--quiet", "--short", "HEAD"]);
    let output = run(command).ok()?;
    Some(String::from_utf8_lossy(&output).trim().to_owned())
}

/// Whether nothing that Git follows is changed. Files that it does not follow do not count.
pub(crate) fn is_clean(directory: &Path) -> Result<bool, CommandError> {
    let mut command = git(directory);
    command.args(["status", "--porcelain", "--untracked-files=no"]);
    Ok(run(command)?.is_empty())
}

/// Whether Git is in the middle of something that makes commits.
pub(crate) fn is_busy(top: &Path) -> Result<bool, CommandError> {
    let mut command = git(top);
    command.arg("rev-parse");
    for state in [
        "sequencer",
        "MERGE_HEAD",
        "CHERRY_PICK_HEAD",
        "REVERT_HEAD",
        "rebase-merge",
        "rebase-apply",
    ] {
        command.args(["--git-path", state]);
    }
    let output = run(command)?;
    let text = String::from_utf8_lossy(&output);
    Ok(text.lines().any(|path| top.join(path).exists()))
}

/// Whether a commit changes a file that is not below a path, compared with its first parent.
pub(crate) fn touches_beside(top: &Path, commit: &str, path: &str) -> bool {
    let path = tree_path(path);
    if path == "." || !is_id(commit) {
        return false;
    }
    let mut command = git(top);
    command.args([
        "diff-tree",
        "-r",
        "-z",
        "--name-only",
        "--no-commit-id",
        "--root",
        "-m",
        "--first-parent",
        commit,
    ]);
    let below = format!("{path}/");
    run(command).is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output);
        let mut names = text.split('\0').filter(|name| !name.is_empty());
        names.any(|name| name != path && !name.starts_with(&below))
    })
}

/// Makes a commit that reverts each of these, in their order. After a failure the clone is as it was.
pub(crate) fn revert(top: &Path, commits: &[&str]) -> Result<(), CommandError> {
    let mut command = git(top);
    // Of a merge, all that it brought to the branch; Git 2.21 takes the option for other commits too.
    command
        .args(["revert", "--no-edit", "--mainline=1"])
        .args(commits);
    let advice = "a later change stands in the way; the clone is as it was. Revert by hand, or go back further with --to";
    run_or(command, advice).map(drop).inspect_err(|_| {
        let mut abort = git(top);
        abort.args(["revert", "--abort"]);
        // Without a revert under way there is nothing to undo.
        let _ = run(abort);
    })
}

/// Pushes the branch as the clone is configured to.
pub(crate) fn push(top: &Path) -> Result<(), CommandError> {
    let mut command = git(top);
    command.arg("push");
    let advice = "the reverts are committed in the clone; push them when it can be done, or take them back with `git reset --keep`";
    run_or(command, advice).map(drop)
}

/// The clone's object database.
pub(crate) fn objects(top: &Path) -> Result<PathBuf, CommandError> {
    let mut command = git(top);
    command.args(["rev-parse", "--git-path", "objects"]);
    let output = run(command)?;
    let path = top.join(String::from_utf8_lossy(&output).trim_end_matches('\n'));
    path.canonicalize().map_err(|err| {
        CommandError::user(
            format!("cannot find the clone's objects: {err}"),
            "does `git log` work here?",
        )
    })
}

/// A path as it counts from the top of the clone; `.` is the top.
pub(crate) fn below_top(top: &Path, path: &Path) -> Result<String, CommandError> {
    let hint = "name a directory inside the clone";
    let shown = show(path);
    let outside = |_| CommandError::user(format!("{shown} is not inside the clone"), hint);
    let real = |path: &Path| {
        path.canonicalize()
            .map_err(|err| CommandError::user(format!("cannot find {}: {err}", show(path)), hint))
    };
    let below = real(path)?
        .strip_prefix(real(top)?)
        .map_err(outside)?
        .to_str()
        .map(str::to_owned)
        .ok_or_else(|| CommandError::user(format!("{shown} is not UTF-8"), hint))?;
    Ok(tree_path(&below).to_owned())
}

/// Writes a commit of HEAD with the files below `path` as they are, into another object database. The clone's own objects and
/// index are left alone.
pub(crate) fn commit_worktree(
    top: &Path,
    objects: &Path,
    index: &Path,
    path: &str,
) -> Result<String, CommandError> {
    let elsewhere = |arguments: &[&str]| {
        let mut command = git(top);
        command
            .args(["-c", "commit.gpgSign=false"])
            .args(arguments)
            .env("GIT_INDEX_FILE", index)
            .env("GIT_OBJECT_DIRECTORY", objects);
        for name in ["GIT_AUTHOR", "GIT_COMMITTER"] {
            command
                .env(format!("{name}_NAME"), "signet")
                .env(format!("{name}_EMAIL"), "signet@localhost");
        }
        run(command).map(|output| String::from_utf8_lossy(&output).trim().to_owned())
    };
    elsewhere(&["read-tree", "HEAD"])?;
    elsewhere(&["add", "--all", "--", path])?;
    let tree = elsewhere(&["write-tree"])?;
    elsewhere(&["commit-tree", "-m", "the working tree", &tree])
}

/// The files that Git follows, or would if they were added, below these paths; as they count from the top.
pub(crate) fn files(top: &Path, paths: &[PathBuf]) -> Result<Vec<String>, CommandError> {
    let mut command = git(top);
    command.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
        "--",
    ]);
    command.args(paths);
    Ok(names(&run(command)?))
}

/// The files whose next commit differs from the last one, without those that are removed.
pub(crate) fn staged(top: &Path, paths: &[PathBuf]) -> Result<Vec<String>, CommandError> {
    let mut command = git(top);
    command.args([
        "diff",
        "--cached",
        "--name-only",
        "-z",
        "--no-renames",
        "--diff-filter=ACMT",
        "--",
    ]);
    command.args(paths);
    Ok(names(&run(command)?))
}

fn names(output: &[u8]) -> Vec<String> {
    let names = output.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

/// What of these files is staged, in one run of git. Files larger than `limit` are left out.
pub(crate) fn staged_contents(
    top: &Path,
    names: &[String],
    limit: usize,
) -> Result<Vec<(String, Vec<u8>)>, CommandError> {
    // A name with a line end in it cannot be asked for.
    let names: Vec<&String> = names.iter().filter(|name| !name.contains('\n')).collect();
    let asked: Vec<String> = names.iter().map(|name| format!(":{name}")).collect();
    let found = batch(top, &asked, limit, &["blob"])?;
    let named = found.into_iter().filter_map(|(place, bytes)| {
        let name = names.get(place)?;
        Some(((*name).clone(), bytes))
    });
    Ok(named.collect())
}

/// The bytes of blobs and commits by their ids, in one run of git. What is larger than `limit`, or is not there, is left
/// out.
pub(crate) fn contents(
    top: &Path,
    ids: &[String],
    limit: usize,
) -> Result<HashMap<String, Vec<u8>>, CommandError> {
    let ids: Vec<String> = ids.iter().filter(|id| is_id(id)).cloned().collect();
    let found = batch(top, &ids, limit, &["blob", "commit"])?;
    let named = found
        .into_iter()
        .filter_map(|(place, bytes)| Some((ids.get(place)?.clone(), bytes)));
    Ok(named.collect())
}

/// Objects of these kinds, each with the place of its name in the list.
fn batch(
    top: &Path,
    names: &[String],
    limit: usize,
    kinds: &[&str],
) -> Result<Vec<(usize, Vec<u8>)>, CommandError> {
    let mut command = git(top);
    command
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let failed = |err: io::Error| {
        CommandError::user(
            format!("cannot read what git holds: {err}"),
            "does `git status` work here?",
        )
    };
    let mut child = command.spawn().map_err(failed)?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(CommandError::internal("git has no pipes"));
    };
    let request: Vec<u8> = names
        .iter()
        .flat_map(|name| [name.as_bytes(), b"\n"].concat())
        .collect();
    let writer = feed(stdin, request);
    let mut reader = BufReader::new(stdout);
    let mut contents = Vec::new();
    for place in 0..names.len() {
        let mut head = String::new();
        reader.read_line(&mut head).map_err(failed)?;
        let mut words = head.trim_end().rsplit(' ');
        let (size, kind) = (words.next().unwrap_or_default(), words.next());
        let Ok(size) = size.parse::<usize>() else { continue };
        if kind.is_some_and(|kind| kinds.contains(&kind)) && size <= limit {
            let mut bytes = vec![0; size];
            reader.read_exact(&mut bytes).map_err(failed)?;
            contents.push((place, bytes));
        } else {
            io::copy(&mut (&mut reader).take(size as u64), &mut io::sink()).map_err(failed)?;
        }
        reader.read_exact(&mut [0]).map_err(failed)?;
    }
    drop(writer.join());
    child.wait().map_err(failed)?;
    Ok(contents)
}

/// Writes beside the reading, or both wait for each other once the pipes are full.
fn feed(mut stdin: ChildStdin, request: Vec<u8>) -> JoinHandle<io::Result<()>> {
    std::thread::spawn(move || stdin.write_all(&request))
}

/// What a run of git prints that reads `input`.
pub(crate) fn output(top: &Path, arguments: &[String], input: Vec<u8>) -> Result<Vec<u8>, CommandError> {
    let mut command = git(top);
    command.args(arguments);
    if input.is_empty() {
        return run(command);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let failed = |err: io::Error| {
        CommandError::user(
            format!("cannot run git: {err}"),
            "install git, and have it in the PATH",
        )
    };
    let mut child = command.spawn().map_err(failed)?;
    let Some(stdin) = child.stdin.take() else {
        return Err(CommandError::internal("git has no pipes"));
    };
    let writer = feed(stdin, input);
    let output = child.wait_with_output().map_err(failed)?;
    drop(writer.join());
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(CommandError::user(SILENT, "does `git log` work here?"))
}

/// Reads what a run of git prints, record by record, each of so many fields with a NUL behind each, until `see` wants no more. What is
/// not wanted is not kept: there may be much of it.
pub(crate) fn records(
    top: &Path,
    arguments: &[String],
    fields: usize,
    mut see: impl FnMut(&[String]) -> bool,
) -> Result<(), CommandError> {
    let mut command = git(top);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let failed = |err: io::Error| {
        CommandError::user(
            format!("cannot run git: {err}"),
            "install git, and have it in the PATH",
        )
    };
    let mut child = command.spawn().map_err(failed)?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(CommandError::internal("git has no pipes"));
    };
    let complaint = std::thread::spawn(move || {
        let (mut text, mut stderr) = (Vec::new(), stderr);
        let _ = (&mut stderr).take(LONGEST_COMPLAINT).read_to_end(&mut text);
        // It is to go on, whatever it says.
        let _ = io::copy(&mut stderr, &mut io::sink());
        text
    });
    let mut reader = BufReader::new(stdout);
    let mut record = Vec::with_capacity(fields);
    loop {
        let mut field = Vec::new();
        reader.read_until(0, &mut field).map_err(failed)?;
        if field.pop() != Some(0) {
            break;
        }
        record.push(String::from_utf8_lossy(&field).into_owned());
        if record.len() < fields {
            continue;
        }
        if !see(&record) {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(());
        }
        record.clear();
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let text = complaint.join().unwrap_or_default();
    Err(complained(&text, "does `git log` work here?"))
}

/// Where the clone's hooks are.
pub(crate) fn hooks(top: &Path) -> Result<PathBuf, CommandError> {
    let mut command = git(top);
    command.args(["rev-parse", "--git-path", "hooks"]);
    let output = run(command)?;
    Ok(top.join(String::from_utf8_lossy(&output).trim_end_matches('\n')))
}

/// A file of the last commit, by its path from the top; none where the commit has none.
pub(crate) fn at_head(top: &Path, path: &str) -> Option<Vec<u8>> {
    let mut command = git(top);
    command.args(["cat-file", "blob", &format!("HEAD:{path}")]);
    run(command).ok()
}

fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    // Pathspecs are paths, no patterns; messages are in the language that the errors below are written in.
    command.args([
        "--no-pager",
        "--literal-pathspecs",
        "-c",
        "i18n.logOutputEncoding=UTF-8",
    ]);
    command
        .current_dir(directory)
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0");
    command
}

fn run(command: Command) -> Result<Vec<u8>, CommandError> {
    run_or(command, "does `git log` work here?")
}

/// The same, with what to do about a failure.
fn run_or(mut command: Command, advice: &str) -> Result<Vec<u8>, CommandError> {
    let output = command.output().map_err(|err| {
        CommandError::user(
            format!("cannot run git: {err}"),
            "install git, and have it in the PATH",
        )
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(complained(&output.stderr, advice))
}

/// What git says when it fails.
fn complained(text: &[u8], advice: &str) -> CommandError {
    let text = String::from_utf8_lossy(text);
    let line = text
        .lines()
        .next()
        .unwrap_or(SILENT)
        .trim_start_matches("fatal: ")
        .trim_start_matches("error: ");
    let hint = if line.contains("not a git repository") {
        "run it inside a clone of the repository"
    } else {
        advice
    };
    CommandError::user(Printable(line), hint)
}
