//! `--recovery-unseal`: SealedSecrets to Secrets in plain text, with a backup of the private keys. The one job that
//! prints what is secret.

use super::Job;
use super::input::Overrides;
use super::raw::csv;
use super::refused::Refused;
use super::validate::is_sealed_secret;
use super::write;
use crate::command_error::CommandError;
use crate::output;
use crate::private_keys::{self, PrivateKeys};
use manifest::Manifest;
use sealing::{ItemError, ItemProblem, SealedSecret, v2};
use serde_json::{Value, json};
use std::path::PathBuf;
use zeroize::Zeroizing;

const NOT_OPENED: &str = "nothing was opened";

impl Job<'_> {
    /// Opens all that was given, or nothing.
    pub(super) fn recover(&self) -> Result<(), CommandError> {
        let files = self.args.jobs.recovery_private_key.iter();
        let files: Vec<PathBuf> = files.flat_map(|list| csv(list)).map(PathBuf::from).collect();
        let keys = private_keys::read_files(&files)?;
        let input = self.read_input(&Overrides::default())?;
        let mut refused = input.refused;
        let mut secrets = Vec::with_capacity(input.manifests.len());
        for found in &input.manifests {
            if is_sealed_secret(found) {
                secrets.extend(self.open(found, &keys, &mut refused));
            } else {
                refused.add(
                    found,
                    "it is not a SealedSecret",
                    "give SealedSecrets only; keep other objects in files of their own",
                );
            }
        }
        refused.into_result(NOT_OPENED)?;
        if secrets.is_empty() {
            return Err(CommandError::user(
                "no sealed secrets found. Ensure the input is valid and UTF-8 encoded",
                "name a file with -f FILE, or pipe SealedSecrets in",
            ));
        }
        let text = Zeroizing::new(write::text(&secrets, self.format(input.all_json)?, self.dialect)?);
        match self.output_file() {
            Some(file) => output::replace_private(file, &text),
            None => Ok(self.ui.write(text.as_str())?),
        }
    }

    /// The Secret as kubectl applies it. It has no owner: the SealedSecret that owned it may be gone with its uid. It
    /// keeps the annotation of its scope, so that sealing it again gives the same scope.
    fn open(&self, found: &Manifest, keys: &PrivateKeys, refused: &mut Refused) -> Option<Value> {
        // A cluster-wide one may name no namespace; what opens does not depend on it.
        let placed = found.id.namespace.as_deref().or(self.asked_namespace());
        let namespace = placed.unwrap_or("default");
        let object = &found.object;
        let opened = if v2::SealedSecret::is(object) {
            v2::SealedSecret::parse(object)
                .map(|sealed| (sealed.scope(), sealed.open(&keys.identities, namespace)))
        } else {
            SealedSecret::parse(object).map(|sealed| (sealed.scope(), sealed.open(&keys.ring, namespace)))
        };
        let (scope, mut opened) = match opened {
            Ok((scope, Ok(opened))) => (scope, opened),
            Ok((_, Err(errors))) => {
                refuse(found, &errors, refused);
                return None;
            }
            Err(problems) => {
                for problem in problems {
                    refused.add(
                        found,
                        problem,
                        "correct the SealedSecret, or take it from an older commit",
                    );
                }
                return None;
            }
        };
        let metadata = opened.metadata_mut();
        if placed.is_none() {
            metadata.remove("namespace");
        }
        if let Some(annotation) = scope.annotation() {
            metadata.entry("annotations").or_insert_with(|| json!({}))[annotation] = json!("true");
        }
        serde_json::from_slice(&opened.write_json()).ok()
    }
}

/// Says what did not open: in kubeseal's words, then why, as far as that can be known.
fn refuse(found: &Manifest, errors: &[ItemError], refused: &mut Refused) {
    let mut unopened = Vec::new();
    let mut why = None;
    for error in errors {
        let key = error.key.as_deref().unwrap_or_default();
        match &error.problem {
            ItemProblem::NoKeys => {
                unopened.push(key);
                why.get_or_insert_with(|| {
                    "--recovery-private-key names a private key or a backup of them".to_owned()
                });
            }
            ItemProblem::NotForHere {
                namespace,
                name,
                scope,
            } => {
                unopened.push(key);
                why.get_or_insert_with(|| {
                    format!(
                        "is it sealed for another name than {name}, namespace than {namespace}, or scope than {scope}, \
                         or for a key that is not in the backup?"
                    )
                });
            }
            ItemProblem::OtherKeySize { .. } | ItemProblem::OtherScope { .. } | ItemProblem::TriesSpent => {
                unopened.push(key);
                why.get_or_insert_with(|| error.problem.to_string());
            }
            _ => refused.add(
                found,
                error,
                "correct the SealedSecret, or take it from an older commit",
            ),
        }
    }
    if let Some(why) = why {
        let keys: Vec<String> = unopened
            .iter()
            .map(|key| sealing::Printable(key).to_string())
            .collect();
        refused.add(
            found,
            format!("no key could decrypt secret ({})", keys.join(", ")),
            why,
        );
    }
}
