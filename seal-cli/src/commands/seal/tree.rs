//! `--in-place DIR`: every plain Secret below a directory, sealed where it stands. What is sealed already stays byte for
//! byte, so that a second run changes nothing.

use super::Job;
use super::format::SealFor;
use super::in_place::OpenFile;
use super::refused::Refused;
use super::sealer::NOT_SEALED;
use super::{unchanged, write};
use crate::command_error::CommandError;
use crate::output::show;
use crate::sealed_file::SealedObject;
use crate::{git, repo_config, unread};
use manifest::{Limits, Manifest, Origin, manifests, read_stream};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// More than any repository of manifests has.
const MOST_FILES: usize = 200_000;

impl Job<'_> {
    /// Seals all of them, or, if one cannot be, none.
    pub(super) fn seal_tree(&self, dir: &Path) -> Result<(), CommandError> {
        let mut files = Vec::new();
        walk(dir, &mut files)?;
        let mut refused = Refused::default();
        let mut found = Vec::new();
        for file in &files {
            for secret in plain_secrets(file, &mut refused)? {
                found.push((file, secret));
            }
        }
        if found.is_empty() {
            refused.into_result(NOT_SEALED)?;
            self.ui
                .status(format!("There is no plain Secret below {}.", show(dir)));
            return Ok(());
        }
        let (paths, secrets): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let secrets = self.secrets(secrets, refused)?;
        let seal_for = self.seal_for(self.sealed_format()?)?;
        let mut sealed = self.seal_all(&seal_for, &secrets, self.scope())?;
        self.keep_committed(dir, &paths, &secrets, &mut sealed, &seal_for)?;

        let mut open: BTreeMap<&PathBuf, OpenFile> = BTreeMap::new();
        let mut dropped = 0;
        for ((path, secret), sealed) in paths.iter().zip(&secrets).zip(sealed) {
            if !open.contains_key(path) {
                open.insert(path, OpenFile::read(path)?);
            }
            if let Some(file) = open.get_mut(path) {
                dropped += usize::from(put(file, secret, sealed)?);
            }
        }
        let count = open.len();
        open.into_values().try_for_each(OpenFile::write)?;
        if dropped > 0 {
            self.ui.warn(
                format!("comments inside of {dropped} of the Secrets are gone, as they may have held what is secret"),
                "comments above a Secret stay; `git diff` shows which are gone",
            );
        }
        self.ui.status(format!(
            "Sealed {} in {}{}.",
            plural(secrets.len(), "Secret"),
            plural(count, "file"),
            seal_for.told()
        ));
        Ok(())
    }

    /// Takes the lines of equal values from the last commit, where a private key opens them.
    fn keep_committed(
        &self,
        dir: &Path,
        paths: &[&PathBuf],
        secrets: &[Manifest],
        sealed: &mut [Value],
        seal_for: &SealFor,
    ) -> Result<(), CommandError> {
        let Some(top) = repo_config::top_of(dir) else {
            return Ok(());
        };
        let keys = self.args.private.read()?;
        let mut files: BTreeMap<&PathBuf, Vec<SealedObject>> = BTreeMap::new();
        let mut anew = Vec::new();
        for ((path, secret), sealed) in paths.iter().zip(secrets).zip(sealed) {
            let committed = files.entry(*path).or_insert_with(|| {
                let below = git::below_top(&top, path).ok();
                let bytes = below.and_then(|below| git::at_head(&top, &below));
                bytes.map_or_else(Vec::new, |bytes| unchanged::objects(path, &bytes))
            });
            match (unchanged::before(committed, sealed), &keys) {
                (Some(before), Some(keys)) => {
                    *sealed = unchanged::keep(&secret.object, sealed.take(), before, keys, seal_for);
                }
                (Some(before), None) => anew.push(before.shown()),
                (None, _) => {}
            }
        }
        if !anew.is_empty() {
            self.ui.warn(
                format!(
                    "all values of {} are sealed anew, changed or not: the last commit has them sealed",
                    unchanged::named(&anew)
                ),
                "with --key FILE, a private key that opens them, the lines of unchanged values stay",
            );
        }
        Ok(())
    }
}

/// Files of manifests below a directory. Links are not followed, and hidden directories, such as `.git`, not entered.
fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), CommandError> {
    let fail = |err: std::io::Error| {
        CommandError::user(
            format!("cannot read {}: {err}", show(dir)),
            "--in-place takes a directory",
        )
    };
    let mut entries = fs::read_dir(dir)
        .map_err(fail)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(fail)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(fail)?;
        let path = entry.path();
        let is_manifest = matches!(
            path.extension().and_then(|end| end.to_str()),
            Some("yaml" | "yml" | "json")
        );
        if kind.is_dir() && !entry.file_name().as_encoded_bytes().starts_with(b".") {
            walk(&path, files)?;
        } else if kind.is_file() && is_manifest {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            return Err(CommandError::user(
                format!("there are more than {MOST_FILES} files below {}", show(dir)),
                "name a directory with fewer files",
            ));
        }
    }
    Ok(())
}

/// The Secrets of a file that hold something. A file that cannot be read, such as a Helm template, is passed over unless it
/// looks as if there were a Secret in it.
fn plain_secrets(path: &Path, refused: &mut Refused) -> Result<Vec<Manifest>, CommandError> {
    let bytes = fs::read(path).map(Zeroizing::new).map_err(|err| {
        CommandError::user(format!("cannot read {}: {err}", show(path)), "may you read it?")
    })?;
    if !bytes.windows(6).any(|word| word == b"Secret") {
        return Ok(Vec::new());
    }
    let limits = Limits::default();
    let documents = match read_stream(&bytes, &limits) {
        Ok(documents) => documents,
        Err(err) => {
            unreadable(&bytes, format!("{}: {err}", show(path)), refused);
            return Ok(Vec::new());
        }
    };
    let mut found = Vec::new();
    for document in documents {
        let origin = Origin {
            file: show(path).into(),
            document: document.number,
            item: None,
            line: document.line,
        };
        let text = &bytes[document.range.clone()];
        let value = match document.value {
            Ok(value) => value,
            Err(err) => {
                unreadable(text, format!("{origin}: {err}"), refused);
                continue;
            }
        };
        for object in manifests(value, &origin, &limits) {
            match object {
                Ok(object) if is_plain(&object) => found.push(object),
                Ok(_) => {}
                Err(err) => unreadable(text, err.to_string(), refused),
            }
        }
    }
    Ok(found)
}

fn unreadable(text: &[u8], what: String, refused: &mut Refused) {
    if unread::may_be_secret(text) {
        refused.line(what, "it may be a Secret: correct it, or seal it by hand");
    }
}

/// A Secret with something in it. An empty one is for others to fill, such as a service account's token.
fn is_plain(found: &Manifest) -> bool {
    let holds = |field| {
        found
            .object
            .get(field)
            .and_then(Value::as_object)
            .is_some_and(|map| !map.is_empty())
    };
    found.id.gvk.kind == "Secret" && found.id.gvk.group.is_empty() && (holds("data") || holds("stringData"))
}

/// Puts a SealedSecret in the place of a Secret. Says whether comments went with it.
fn put(file: &mut OpenFile, secret: &Manifest, sealed: Value) -> Result<bool, CommandError> {
    let number = secret.origin.document;
    let before = file.document(number).to_owned();
    let is_json = before.trim_start().starts_with('{');
    let object = match (secret.origin.item, file.value(number)) {
        (Some(item), Some(list)) => {
            let mut list = list.clone();
            let name = |item: &Value| item.pointer("/metadata/name").cloned();
            match list.get_mut("items").and_then(|items| items.get_mut(item - 1)) {
                Some(place) if name(place) == name(&secret.object) => *place = sealed,
                _ => {
                    return Err(CommandError::user(
                        format!("{}: {}: it is in a List in a List", secret.origin, secret.id),
                        "write the objects as separate documents",
                    ));
                }
            }
            list
        }
        _ => sealed,
    };
    let (head, gone) = if is_json {
        (String::new(), false)
    } else {
        comments(&before, &secret.object)
    };
    let text = if is_json {
        write::pretty(&object)?
    } else {
        manifest::write_yaml(&[object])
    };
    file.replace(number, &(head + &text))?;
    Ok(gone)
}

/// The comments above a document's first line, unless they repeat a value; and whether there are others, or were.
fn comments(document: &str, secret: &Value) -> (String, bool) {
    let is_comment = |line: &&str| line.trim_start().starts_with('#');
    let head: Vec<&str> = document
        .lines()
        .take_while(|line| is_comment(line) || line.trim().is_empty())
        .collect();
    let others = document
        .lines()
        .skip(head.len())
        .any(|line| is_comment(&line) || line.contains(" #"));
    let repeats = head
        .iter()
        .any(|line| values(secret).iter().any(|value| line.contains(value.as_str())));
    if repeats {
        return (String::new(), true);
    }
    let head = head.iter().flat_map(|line| [*line, "\n"]).collect();
    (head, others)
}

/// What must not stand in a comment: the values as they are written, and decoded.
fn values(secret: &Value) -> Vec<Zeroizing<String>> {
    use base64::Engine as _;
    let mut values = Vec::new();
    for field in ["data", "stringData"] {
        for text in secret
            .get(field)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(_, v)| v.as_str())
        {
            values.push(Zeroizing::new(text.trim().to_owned()));
            let decoded = base64::engine::general_purpose::STANDARD.decode(text.trim());
            if let (true, Ok(decoded)) = (field == "data", decoded.map(Zeroizing::new))
                && let Ok(decoded) = std::str::from_utf8(&decoded)
            {
                values.push(Zeroizing::new(decoded.trim().to_owned()));
            }
        }
    }
    values.retain(|value| value.len() >= 4);
    values
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}
