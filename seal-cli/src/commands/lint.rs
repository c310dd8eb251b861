//! `signet lint`.

mod duplicates;
mod finding;
mod hook;
mod plain;
mod report;
mod sarif;
mod sealed;

use crate::command_error::CommandError;
use crate::repo_config::{self, RepoConfig};
use crate::repo_files::{self, Text};
use crate::ui::Ui;
use crate::unread;
use clap::{Args, ValueEnum};
use finding::{Finding, Level, Place, Rule};
use manifest::{Document, Limits, Path as Way, each_object, read_stream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Look for secrets in plain text, and for sealed ones that will not open
///
/// Reads manifests (YAML and JSON) and key files, and needs neither a key nor a
/// cluster. Values are never quoted.
///
/// Without PATH it reads what Git follows, and what `git add` would; outside of
/// a repository, the directory. --staged reads what the next commit changes, as
/// it is staged: for a pre-commit hook, which --install-hook writes.
///
/// An object that is meant to be as it is says so in the annotation
/// `signet.dev/lint-ignore: RULE,RULE`; files and directories are left out by
/// `lint.exclude` in .signet.yaml.
///
/// Rules: plain-secret, plain-env, private-key, unreadable, sealed-invalid,
/// sealed-moved, sealed-scope, unknown-key, expired-certificate, duplicate.
///
/// Exit codes: 0 nothing but warnings; 1 errors (with --strict, warnings too); 2
/// it could not be looked.
///
/// Example: before every commit
///
///     signet lint --install-hook
///
/// Example: for code scanning
///
///     signet lint --output sarif > signet.sarif
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct LintArgs {
    /// Files and directories to look at
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Look at what is staged for the next commit
    #[arg(long)]
    staged: bool,
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
    /// Write a hook that looks at what is staged before each commit
    #[arg(long, conflicts_with_all = ["paths", "staged"])]
    install_hook: bool,
    /// Print text, json or sarif
    #[arg(
        long,
        short = 'o',
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    output: Output,
}

/// How findings are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people and editors.
    Text,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

impl LintArgs {
    pub(crate) fn run(&self, ui: &Ui) -> Result<ExitCode, CommandError> {
        self.look(ui).map_err(|err| err.exits(2))
    }

    fn look(&self, ui: &Ui) -> Result<ExitCode, CommandError> {
        let top = repo_config::top_of(Path::new("."));
        if self.install_hook {
            hook::install(ui, top.as_deref())?;
            return Ok(ExitCode::SUCCESS);
        }
        let config = match &top {
            Some(top) => RepoConfig::read(top)?,
            None => RepoConfig::default(),
        };
        let texts = repo_files::read(top.as_deref(), &self.paths, self.staged, &config.lint)?;
        let mut found = sealed::pins(&config);
        let mut known = duplicates::Known::default();
        for text in &texts {
            if text.is_manifest() {
                manifests(text, &config, &mut known, &mut found);
            } else {
                found.extend(plain::key_file(text));
            }
        }
        found.extend(known.findings(&texts));
        found.sort_by(|a, b| {
            (&a.place.file, a.place.line, a.rule).cmp(&(&b.place.file, b.place.line, b.rule))
        });
        report::print(ui, self.output, &found, texts.len())?;
        let bad = |finding: &Finding| finding.level == Level::Error || self.strict;
        Ok(ExitCode::from(u8::from(found.iter().any(bad))))
    }
}

/// Looks at every object of a file.
fn manifests(text: &Text, config: &RepoConfig, known: &mut duplicates::Known, found: &mut Vec<Finding>) {
    let limits = Limits::default();
    let documents = match read_stream(&text.bytes, &limits) {
        Ok(documents) => documents,
        Err(err) => {
            found.extend(unreadable(text, &text.bytes, err.line, &err, err.hint()));
            return;
        }
    };
    for document in &documents {
        let value = match &document.value {
            Ok(value) => value,
            Err(err) => {
                let own = text.bytes.get(document.range.clone()).unwrap_or_default();
                found.extend(unreadable(text, own, err.line, err, err.hint()));
                continue;
            }
        };
        each_object(value, limits.list_depth, &mut |object, at| {
            let mut own = Vec::new();
            let object = finding::Object {
                text,
                document,
                at,
                value: object,
            };
            plain::object(&object, &mut own);
            sealed::object(&object, config, &mut own);
            known.add(&object);
            let ignored = object.ignored();
            own.retain(|finding| !ignored.contains(&finding.rule.id()));
            found.append(&mut own);
        });
    }
}

/// A document that cannot be read, unless it is a template for some other program. One that may be a Secret is no exception:
/// what stands in it cannot be known.
fn unreadable(
    text: &Text,
    own: &[u8],
    line: usize,
    err: &dyn std::fmt::Display,
    hint: Option<&'static str>,
) -> Option<Finding> {
    let template = own.windows(2).any(|pair| pair == b"{{");
    let secret = unread::may_be_secret(own);
    let (message, hint) = match (secret, template) {
        (false, true) => return None,
        (true, true) => (
            format!("it may be a Secret, and cannot be looked into: {err}"),
            Some("if no value stands in the template, leave it out with lint.exclude in .signet.yaml"),
        ),
        (_, false) => (err.to_string(), hint),
    };
    Some(Finding {
        rule: Rule::Unreadable,
        level: Level::Error,
        place: Place {
            file: text.name.clone(),
            line,
        },
        object: None,
        message,
        hint: hint.unwrap_or("correct the file, or leave it out with lint.exclude in .signet.yaml"),
    })
}

/// The line of a way in a document, from the start of its file.
fn line_of(document: &Document, bytes: &[u8], way: &Way) -> usize {
    let text = bytes.get(document.range.clone()).unwrap_or_default();
    document.line + manifest::line_of(text, way).unwrap_or(0)
}
