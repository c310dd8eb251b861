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
use crate::sealed_file::v1_values;
use manifest::Manifest;
use sealing::Scope;
use serde_json::Value;
use std::collections::BTreeMap;
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
        for ((number, found), values) in sealed.iter().zip(&rotated) {
            for (way, text) in values {
                let way: Vec<&str> = way.iter().map(String::as_str).collect();
                files[*number].set(found, &way, text)?;
            }
        }
        files.into_iter().try_for_each(OpenFile::write)?;
        self.say_empty(sealed.iter().map(|(_, found)| found).zip(&rotated));
        let count = rotated.iter().filter(|values| !values.is_empty()).count();
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
        self.say_empty(found.iter().zip(&rotated));
        let text = write::text(&objects, self.format(false)?, self.dialect)?;
        match self.output_file() {
            Some(file) => output::replace(file, &text),
            None => Ok(self.ui.write(text)?),
        }
    }

    /// Names what has no value: nothing of it was sealed again.
    fn say_empty<'m>(&self, all: impl Iterator<Item = (&'m Manifest, &'m Values)>) {
        for (found, _) in all.filter(|(_, values)| values.is_empty()) {
            self.ui.note(format!(
                "{} has no sealed value, so nothing of it was re-encrypted.",
                found.id
            ));
        }
    }

    fn rotate_all<'m>(
        &self,
        found: impl ExactSizeIterator<Item = &'m Manifest>,
    ) -> Result<Vec<Values>, CommandError> {
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

/// Sealed values, by the way to each.
type Values = BTreeMap<Vec<String>, String>;

/// The object with other values. The rest stays as it is: Bitnami's controller would put the object's own metadata in
/// the place of the template's and drop `template.data`.
fn with_values(found: &Manifest, values: &Values) -> Value {
    let mut object = found.object.clone();
    for (way, text) in values {
        let at = way.iter().fold(&mut object, |at, key| &mut at[key]);
        *at = text.as_str().into();
    }
    object
}

/// The values of an object. None where one of them is no text.
fn values(object: &Value) -> Option<Values> {
    let owned = |way: Vec<&str>| way.into_iter().map(str::to_owned).collect();
    let all = v1_values(object).into_iter();
    all.map(|(way, value)| Some((owned(way), value.as_str()?.to_owned())))
        .collect()
}

/// The new values of one object.
async fn rotate(controller: &Controller, found: &Manifest) -> Result<Values, CommandError> {
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
    let before = values(&found.object).ok_or_else(|| {
        CommandError::user(
            format!("cannot {DOING}: {place}: a sealed value in it is no text"),
            "restore it from Git's history",
        )
    })?;
    let mut after = values(&answer).ok_or_else(|| strange("lacks values"))?;
    // An older controller seals what it rendered from `template.data` as well.
    after.retain(|way, _| before.contains_key(way));
    // Bitnami's turns the deprecated form into another object, which lacks the value that stands here.
    if after.len() != before.len() {
        return Err(strange("lacks values"));
    }
    Ok(after)
}
