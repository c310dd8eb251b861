//! Which files are looked at, and what is in them.

use crate::command_error::CommandError;
use crate::git;
use crate::output::show;
use crate::repo_config::LintConfig;
use manifest::Limits;
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A file's text. It may hold secrets, or else nobody would look.
pub(crate) struct Text {
    /// As it is shown: from the top of the repository, or as it was given.
    pub(crate) name: String,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

impl Text {
    /// Whether it may hold objects; otherwise it may be a key.
    pub(crate) fn is_manifest(&self) -> bool {
        is_manifest(&self.name)
    }
}

fn extension(name: &str) -> String {
    Path::new(name)
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
        .to_lowercase()
}

fn is_manifest(name: &str) -> bool {
    matches!(extension(name).as_str(), "yaml" | "yml" | "json")
}

fn is_looked_at(name: &str) -> bool {
    is_manifest(name)
        || matches!(
            extension(name).as_str(),
            "pem" | "key" | "crt" | "cer" | "agekey" | "txt"
        )
}

/// Reads what is staged, or what is there.
pub(crate) fn read(
    top: Option<&Path>,
    paths: &[PathBuf],
    staged: bool,
    config: &LintConfig,
) -> Result<Vec<Text>, CommandError> {
    let limit = Limits::default().stream_bytes;
    let Some(top) = top else {
        if staged {
            return Err(CommandError::user(
                "--staged looks at a Git repository, and this is none",
                "run it inside a clone",
            ));
        }
        return outside(paths, limit);
    };
    let paths = paths
        .iter()
        .map(|path| git::below_top(top, path).map(PathBuf::from))
        .collect::<Result<Vec<_>, _>>()?;
    let wanted = |names: Vec<String>| -> Vec<String> {
        let names = names.into_iter().filter(|name| is_looked_at(name));
        names.filter(|name| !is_excluded(name, config)).collect()
    };
    if staged {
        let names = wanted(git::staged(top, &paths)?);
        let contents = git::staged_contents(top, &names, limit)?;
        return Ok(contents
            .into_iter()
            .map(|(name, bytes)| Text {
                name,
                bytes: Zeroizing::new(bytes),
            })
            .collect());
    }
    let mut texts = Vec::new();
    for name in wanted(git::files(top, &paths)?) {
        let path = top.join(&name);
        // A file that is removed and still followed, a link to somewhere, a submodule: nothing to look at.
        let plain = fs::symlink_metadata(&path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= limit as u64);
        if plain {
            texts.push(text(&path, name)?);
        }
    }
    Ok(texts)
}

fn is_excluded(name: &str, config: &LintConfig) -> bool {
    config.exclude.iter().any(|excluded| {
        let excluded = excluded.trim_start_matches("./").trim_end_matches('/');
        name.strip_prefix(excluded)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Outside of a repository: the files below the paths.
fn outside(paths: &[PathBuf], limit: usize) -> Result<Vec<Text>, CommandError> {
    let here = [PathBuf::from(".")];
    let mut pending: Vec<PathBuf> = if paths.is_empty() {
        here.to_vec()
    } else {
        paths.to_vec()
    };
    let mut texts = Vec::new();
    while let Some(path) = pending.pop() {
        let failed = |err: std::io::Error| {
            CommandError::user(
                format!("cannot read {}: {err}", show(&path)),
                "give files and directories that are there",
            )
        };
        let metadata = fs::symlink_metadata(&path).map_err(failed)?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed)? {
                pending.push(entry.map_err(failed)?.path());
            }
            continue;
        }
        let name = path
            .strip_prefix(".")
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        if metadata.is_file() && metadata.len() <= limit as u64 && is_looked_at(&name) {
            texts.push(text(&path, name)?);
        }
    }
    texts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(texts)
}

fn text(path: &Path, name: String) -> Result<Text, CommandError> {
    let bytes = fs::read(path).map_err(|err| {
        CommandError::user(
            format!("cannot read {}: {err}", show(path)),
            "may you read it? lint.exclude in .signet.yaml leaves files out",
        )
    })?;
    Ok(Text {
        name,
        bytes: Zeroizing::new(bytes),
    })
}
