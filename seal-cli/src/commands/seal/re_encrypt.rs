//! `--re-encrypt`: the controller opens the values and seals them again for its newest key.

use super::Job;
use super::in_place::OpenFile;
use super::validate::is_sealed_secret;
use super::write;
use crate::cluster;
use crate::command_error::CommandError;
use crate::controller::Controller;
use crate::output;
use crate::progress::Progress;
use manifest::Manifest;
use sealing::Scope;
use serde_json::{Map, Value};
use std::path::PathBuf;

const DOING: &str = "re-encrypt secret";

impl Job<'_> {
    /// Re-encrypts all that was given, or nothing. Files are changed in place, unless another one is to be written.
    pub(super) fn re_encrypt(&self) -> Result<(), CommandError> {
        if self.args.jobs.rotate {
            self.ui
                .note("Flag --rotate has been deprecated, please use --re-encrypt instead");
        }
        let files = self.files();
        let output = self.output_file();
        let in_place = !files.is_empty()
            && files.iter().all(|file| file.as_os_str() != "-")
            && output.is_none_or(|output| files.as_slice() == [output]);
        if in_place {
            self.re_encrypt_files(&files)
        } else {
            self.re_encrypt_stream()
        }
    }

    /// What is no SealedSecret stays in its file as it is.
    fn re_encrypt_files(&self, paths: &[PathBuf]) -> Result<(), CommandError> {
        let mut files = Vec::with_capacity(paths.len());
        let mut sealed = Vec::new();
        for (number, path) in paths.iter().enumerate() {
            let file = OpenFile::read(path)?;
            let found = file.objects()?.into_iter().filter(is_sealed_secret);
            sealed.extend(found.map(|found| (number, found)));
            files.push(file);
        }
        if sealed.is_empty() {
            return Err(CommandError::user(
                "no sealed secrets found. Ensure the input is valid and UTF-8 encoded",
                "is it the right file?",
            ));
        }
        let rotated = self.rotate_all(sealed.iter().map(|(_, found)| found))?;
        for ((number, found), values) in sealed.iter().zip(rotated) {
            for (key, value) in values {
                let text = value.as_str().unwrap_or_default();
                files[*number].set(found, &["spec", "encryptedData", &key], text)?;
            }
        }
        files.into_iter().try_for_each(OpenFile::write)?;
        let count = sealed.len();
        let what = if count == 1 {
            "1 SealedSecret".to_owned()
        } else {
            format!("{count} SealedSecrets")
        };
        self.ui.status(format!("Re-encrypted {what}."));
        Ok(())
    }

    fn re_encrypt_stream(&self) -> Result<(), CommandError> {
        let found = self.sealed_secrets()?;
        let rotated = self.rotate_all(found.iter())?;
        let objects: Vec<Value> = found
            .iter()
            .zip(&rotated)
            .map(|(one, values)| with_values(one, values))
            .collect();
        let text = write::text(&objects, self.format(false)?, self.dialect)?;
        match self.output_file() {
            Some(file) => output::replace(file, &text),
            None => Ok(self.ui.write(text)?),
        }
    }

    fn rotate_all<'m>(
        &self,
        found: impl ExactSizeIterator<Item = &'m Manifest>,
    ) -> Result<Vec<Map<String, Value>>, CommandError> {
        let count = found.len();
        cluster::block_on(async {
            let controller = self.controller().await?;
            let mut rotated = Vec::with_capacity(count);
            for (number, one) in found.enumerate() {
                let _progress = Progress::start(
                    self.ui,
                    format!("asking the controller, {} of {count}", number + 1),
                );
                rotated.push(rotate(&controller, one).await?);
            }
            Ok(rotated)
        })?
    }
}

/// The object with other values. The rest stays as it is: Bitnami's controller would put the object's own metadata in
/// the place of the template's and drop `template.data`.
fn with_values(found: &Manifest, values: &Map<String, Value>) -> Value {
    let mut object = found.object.clone();
    object["spec"]["encryptedData"] = Value::Object(values.clone());
    object
}

/// The new values of one object, by key.
async fn rotate(controller: &Controller, found: &Manifest) -> Result<Map<String, Value>, CommandError> {
    let place = format!("{} (line {}): {}", found.origin, found.origin.line, found.id);
    if found.id.gvk.group != "bitnami.com" {
        return Err(CommandError::user(
            format!("cannot {DOING}: {place}: it is of the native format"),
            "a KeyRotation seals those again",
        ));
    }
    let body = found.object.to_string().into_bytes();
    let answer = controller.post("/v1/rotate", body, DOING).await?;
    match answer.status {
        200 => {}
        // Bitnami's controller answers 500 whatever the reason.
        409 | 422 | 500 => {
            return Err(CommandError::user(
                format!("cannot {DOING}: {place}: the controller cannot open it"),
                "`--validate` asks about it alone; was it sealed for this name, namespace and scope?",
            ));
        }
        _ => return Err(controller.refusal(&answer, DOING)),
    }
    let strange = |what: &str| {
        CommandError::user(
            format!("cannot {DOING}: {place}: the controller's answer {what}"),
            "nothing was changed; which version of the controller is it?",
        )
    };
    let answer: Value = serde_json::from_slice(&answer.body).map_err(|_| strange("is no JSON"))?;
    let metadata = |object: &Value, field: &str| {
        object
            .pointer(&format!("/metadata/{field}"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let scope = |object: &Value| Scope::from_annotations(object.pointer("/metadata/annotations"));
    let same = ["name", "namespace"]
        .iter()
        .all(|field| metadata(&answer, field) == metadata(&found.object, field));
    if !same || scope(&answer) != scope(&found.object) {
        return Err(strange("is for another object or scope"));
    }
    let values = |object: &Value| {
        object
            .pointer("/spec/encryptedData")
            .and_then(Value::as_object)
            .cloned()
    };
    let before = values(&found.object).unwrap_or_default();
    let mut after = values(&answer).unwrap_or_default();
    // An older controller seals what it rendered from `template.data` as well.
    after.retain(|key, _| before.contains_key(key));
    if after.len() != before.len() || !after.values().all(Value::is_string) {
        return Err(strange("lacks values"));
    }
    Ok(after)
}
