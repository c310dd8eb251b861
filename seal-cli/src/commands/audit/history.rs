//! The commits, and the files that each of them changes, as git lists them.

use super::since::Since;
use crate::command_error::CommandError;
use crate::git;
use audit::{File, LARGEST_FILE, is_manifest};
use std::collections::HashMap;
use std::path::Path;

/// Which commits to list.
pub(super) struct Filter<'a> {
    pub(super) revision: &'a str,
    pub(super) path: Option<&'a str>,
    pub(super) since: Option<&'a str>,
    pub(super) author: Option<&'a str>,
    pub(super) limit: usize,
}

/// One commit.
#[derive(Clone)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) author: String,
    pub(super) authored: String,
    pub(super) committer: String,
    pub(super) committed: String,
    pub(super) subject: String,
    pub(super) merge: bool,
    pub(super) files: Vec<File>,
}

/// NUL between fields and after each record: no commit can hold one.
const FORMAT: &str = "--format=tformat:%H%x00%P%x00%an <%ae>%x00%aI%x00%cn <%ce>%x00%cI%x00%s%x00%ct";
const FIELDS: usize = 8;

/// Lists commits, newest first, with their files.
///
/// Times and people are compared here: git's own `--since` ends at the first commit that is older, whoever set the clock, and its
/// `--author` is another name where the repository's `.mailmap` says so.
pub(super) fn log(top: &Path, filter: &Filter<'_>) -> Result<Vec<Commit>, CommandError> {
    let mut arguments = vec![
        "log".to_owned(),
        "-z".into(),
        "--no-color".into(),
        "--no-show-signature".into(),
        // Side branches too, whatever became of them.
        "--full-history".into(),
        FORMAT.into(),
    ];
    let mut range = git::commit(top, filter.revision)?;
    let since = filter.since.map(|since| Since::read(top, since)).transpose()?;
    if let Some(Since::Commit(commit)) = &since {
        range = format!("{commit}..{range}");
    }
    arguments.push("--end-of-options".into());
    arguments.push(range);
    arguments.push("--".into());
    arguments.extend(filter.path.map(str::to_owned));
    let mut commits = Vec::new();
    git::records(top, &arguments, FIELDS, |record| {
        if commits.len() == filter.limit {
            return false;
        }
        let [
            id,
            parents,
            author,
            authored,
            committer,
            committed,
            subject,
            seconds,
        ] = record
        else {
            return true;
        };
        let late = match since {
            Some(Since::Time(since)) => seconds.parse().is_ok_and(|time: i64| time >= since),
            _ => true,
        };
        if late && filter.author.is_none_or(|text| author.contains(text)) {
            commits.push(Commit {
                id: id.clone(),
                merge: parents.contains(' '),
                author: author.clone(),
                authored: offset(authored),
                committer: committer.clone(),
                committed: offset(committed),
                subject: subject.clone(),
                files: Vec::new(),
            });
        }
        true
    })?;
    files(top, filter.path, &mut commits)?;
    Ok(commits)
}

/// Adds the files: `git diff-tree`, which reads the commits from its input.
fn files(top: &Path, path: Option<&str>, commits: &mut [Commit]) -> Result<(), CommandError> {
    let mut arguments: Vec<String> = [
        "diff-tree",
        "--stdin",
        "-z",
        "-r",
        "-c",
        "--root",
        "--raw",
        "--no-renames",
    ]
    .map(str::to_owned)
    .into();
    arguments.extend(["--no-abbrev".into(), "--no-color".into(), "--".into()]);
    arguments.extend(path.map(str::to_owned));
    if commits.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = commits.iter().map(|commit| commit.id.as_str()).collect();
    let input = ids.join("\n") + "\n";
    let output = git::output(top, &arguments, input.into_bytes())?;
    let places: HashMap<String, usize> = commits
        .iter()
        .enumerate()
        .map(|(place, commit)| (commit.id.clone(), place))
        .collect();
    let mut current: Option<usize> = None;
    let mut tokens = output.split(|byte| *byte == 0);
    while let Some(token) = tokens.next() {
        let token = String::from_utf8_lossy(token);
        if token.starts_with(':') {
            let path = String::from_utf8_lossy(tokens.next().unwrap_or_default()).into_owned();
            if let (Some(place), Some(file)) = (current, file(&token, path))
                && let Some(commit) = commits.get_mut(place)
            {
                commit.files.push(file);
            }
        } else if let Some(place) = places.get(token.trim()) {
            current = Some(*place);
        }
    }
    Ok(())
}

/// `:modes… names… status`, with one colon a parent.
fn file(head: &str, path: String) -> Option<File> {
    let parents = head.bytes().take_while(|byte| *byte == b':').count();
    let words: Vec<&str> = head.trim_start_matches(':').split(' ').collect();
    let name = |index: usize| -> Option<String> {
        let name = words.get(index)?;
        (!name.bytes().all(|byte| byte == b'0')).then(|| (*name).to_owned())
    };
    words.get(2 * parents + 2)?;
    Some(File {
        path,
        before: name(parents + 1),
        after: name(2 * parents + 1),
    })
}

/// The bytes of commits and of their manifests, by name. What is too large is left out.
pub(super) fn contents(top: &Path, commits: &[Commit]) -> Result<HashMap<String, Vec<u8>>, CommandError> {
    let mut names: Vec<String> = Vec::new();
    for commit in commits {
        names.push(commit.id.clone());
        let manifests = commit.files.iter().filter(|file| is_manifest(&file.path));
        names.extend(
            manifests
                .flat_map(|file| [&file.before, &file.after])
                .flatten()
                .cloned(),
        );
    }
    names.sort_unstable();
    names.dedup();
    git::contents(top, &names, LARGEST_FILE)
}

/// The path of a Sync that the last commit's manifests hold.
pub(super) fn path_of_sync(top: &Path, name: &str) -> Result<String, CommandError> {
    let files = git::output(
        top,
        &["ls-tree", "-r", "-z", "--name-only", "HEAD"].map(str::to_owned),
        Vec::new(),
    )?;
    for file in files.split(|byte| *byte == 0) {
        let file = String::from_utf8_lossy(file);
        if !is_manifest(&file) {
            continue;
        }
        let bytes = git::at_head(top, &file).unwrap_or_default();
        if let Some(path) = audit::path_of_sync(&bytes, name) {
            return Ok(git::tree_path(&path).to_owned());
        }
    }
    Err(CommandError::user(
        format!("the clone has no Sync {}", sealing::Printable(name)),
        "a Sync that lives in the cluster alone cannot be looked up here: name its path with --path, or ask the controller with \
         --repository",
    ))
}

/// UTC as older versions of git write it.
fn offset(time: &str) -> String {
    time.strip_suffix('Z')
        .map_or_else(|| time.to_owned(), |rest| format!("{rest}+00:00"))
}
