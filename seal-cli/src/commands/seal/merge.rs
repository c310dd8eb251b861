//! `--merge-into`: values and labels of a Secret, put into a SealedSecret that is there. Its file keeps its format, its
//! comments, and every line that is not changed.

use super::Job;
use super::format::SealFor;
use super::in_place::OpenFile;
use super::input::Overrides;
use super::refused::Refused;
use super::validate::is_sealed_secret;
use crate::command_error::CommandError;
use crate::output::show;
use crate::sealed_file::{Format, WHOLE, is_whole};
use manifest::Manifest;
use sealing::{CLUSTER_WIDE, NAMESPACE_WIDE, Scope, secret_values, v2};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

impl Job<'_> {
    pub(super) fn merge_into(&self, path: &Path) -> Result<(), CommandError> {
        if self.output_file().is_some() {
            return Err(CommandError::user(
                "--merge-into writes into its own file",
                "leave out the output file, or copy the file first",
            ));
        }
        let mut file = OpenFile::read(path)?;
        let targets: Vec<_> = file.objects()?.into_iter().filter(is_sealed_secret).collect();
        if let Some(whole) = targets.iter().find(|target| is_whole(&target.object)) {
            return Err(CommandError::user(
                format!("cannot merge into {}: {WHOLE}", whole.id),
                "seal the Secret anew, into a new file: -w FILE",
            ));
        }
        let overrides = match targets.as_slice() {
            [] => {
                return Err(CommandError::user(
                    format!("there is no SealedSecret in {}", show(path)),
                    "seal the Secret into a new file: -w FILE",
                ));
            }
            // As kubeseal has it: name and namespace are those of the file.
            [one] => Overrides {
                name: Some(one.id.name.clone()),
                namespace: one.id.namespace.clone(),
            },
            _ => Overrides::default(),
        };
        let mut input = self.read_input(&overrides)?;
        self.take_scopes(&mut input.manifests, &targets, &mut input.refused);
        let secrets = self.secrets(input.manifests, input.refused)?;
        let mut count = self.merge_native(&mut file, &secrets, &targets)?;
        let of_v1 = |secret: &Manifest| target(&targets, secret).is_some_and(|target| !is_native(target));
        let secrets: Vec<Manifest> = secrets.into_iter().filter(of_v1).collect();
        let sealed = if secrets.is_empty() {
            Vec::new()
        } else {
            self.seal_all(&self.seal_for(Format::V1)?, &secrets, None)?
        };
        for (secret, sealed) in secrets.iter().zip(&sealed) {
            let Some(target) = target(&targets, secret) else {
                continue;
            };
            for (key, value) in entries(sealed, "/spec/encryptedData") {
                file.set(
                    target,
                    &["spec", "encryptedData", &key],
                    value.as_str().unwrap_or_default(),
                )?;
                count += 1;
            }
            for field in ["annotations", "labels"] {
                for (key, value) in entries(sealed, &format!("/spec/template/metadata/{field}")) {
                    let way = ["spec", "template", "metadata", field, &key];
                    file.set(target, &way, value.as_str().unwrap_or_default())?;
                }
            }
        }
        file.write()?;
        let what = if count == 1 {
            "1 value".to_owned()
        } else {
            format!("{count} values")
        };
        self.ui.status(format!("Merged {what} into {}.", show(path)));
        Ok(())
    }

    /// Adds values to objects of the native format, under a data key of their own: no private key is needed. All else is
    /// bound to the values that are there.
    fn merge_native(
        &self,
        file: &mut OpenFile,
        secrets: &[Manifest],
        targets: &[Manifest],
    ) -> Result<usize, CommandError> {
        let mut refused = Refused::default();
        let mut count = 0;
        let mut recipients = None;
        let mut current: BTreeMap<String, v2::SealedSecret> = BTreeMap::new();
        for secret in secrets {
            let Some(target) = target(targets, secret).filter(|target| is_native(target)) else {
                continue;
            };
            if recipients.is_none() {
                recipients = match self.seal_for(Format::V2)? {
                    SealFor::Recipients(recipients) => Some(recipients),
                    SealFor::Certificate(_) => None,
                };
            }
            let bad =
                |problem: String| CommandError::user(format!("{}: {problem}", target.id), NOTHING_MERGED);
            if let Some(field) = differs(&secret.object, &target.object) {
                refused.add(
                    secret,
                    format!("its {field} is another than the template says, to which every value is bound"),
                    "leave it out, or change the template first: signet retemplate FILE --key FILE",
                );
                continue;
            }
            let place = target.origin.to_string();
            let sealed = match current.remove(&place) {
                Some(sealed) => sealed,
                None => v2::SealedSecret::parse(&target.object).map_err(|problems| {
                    bad("it is damaged:".to_owned()).details(problems.iter().map(ToString::to_string))
                })?,
            };
            let values = secret_values(&secret.object).map_err(|err| bad(err.to_string()))?;
            let Some(recipients) = &recipients else {
                return Err(CommandError::internal("no recipients"));
            };
            count += values.len();
            let new = sealed
                .set(&values, recipients)
                .map_err(|err| bad(err.to_string()))?;
            file.put(target, &new.to_value())?;
            current.insert(place, new);
        }
        refused.into_result("nothing was merged")?;
        Ok(count)
    }

    /// Gives each Secret the scope of the SealedSecret that it goes into: a value of another scope would not open there.
    /// kubeseal seals with the Secret's own.
    fn take_scopes(&self, secrets: &mut [Manifest], targets: &[Manifest], refused: &mut Refused) {
        for secret in secrets {
            let Some(target) = target(targets, secret) else {
                refused.add(
                    secret,
                    "no SealedSecret of the file has this name and namespace",
                    "which one is meant?",
                );
                continue;
            };
            let scope_of = |object: &Value| match object.pointer("/spec/scope").and_then(Value::as_str) {
                Some(name) if v2::SealedSecret::is(object) => v2::scope_from_name(name).unwrap_or_default(),
                _ => Scope::from_annotations(object.pointer("/metadata/annotations")),
            };
            let (scope, own) = (scope_of(&target.object), scope_of(&secret.object));
            let asked = self.scope().or((own != Scope::Strict).then_some(own));
            if let Some(asked) = asked.filter(|asked| *asked != scope) {
                refused.add(
                    secret,
                    format!(
                        "the SealedSecret is of scope {scope}; a value of scope {asked} would not open in it"
                    ),
                    "leave out --scope and the annotation of the scope, or seal into a new file",
                );
                continue;
            }
            set_scope(&mut secret.object, scope);
        }
    }
}

/// The SealedSecret that a Secret goes into: the only one, or the one of its name and namespace.
fn target<'t>(targets: &'t [Manifest], secret: &Manifest) -> Option<&'t Manifest> {
    match targets {
        [one] => Some(one),
        _ => targets.iter().find(|target| {
            let namespaces = (&target.id.namespace, &secret.id.namespace);
            target.id.name == secret.id.name && (namespaces.0 == namespaces.1 || namespaces.1.is_none())
        }),
    }
}

const NOTHING_MERGED: &str = "nothing was written; restore it from Git's history, or correct the Secret";

fn is_native(target: &Manifest) -> bool {
    v2::SealedSecret::is(&target.object)
}

/// What a Secret says of itself that the template of a native object does not.
fn differs(secret: &Value, target: &Value) -> Option<&'static str> {
    let template = &target["spec"]["template"];
    let missing = |field: &str| {
        let entries = entries(secret, &format!("/metadata/{field}"));
        let mut own = entries
            .iter()
            .filter(|(name, _)| !SCOPES.contains(&name.as_str()));
        own.any(|(name, value)| template["metadata"][field].get(name) != Some(value))
    };
    let other = |field: &str| {
        let own = &secret[field];
        !own.is_null() && own != "" && template.get(field) != Some(own)
    };
    if missing("labels") {
        Some("labels")
    } else if missing("annotations") {
        Some("annotations")
    } else if other("type") && !(secret["type"] == "Opaque" && template.get("type").is_none()) {
        Some("type")
    } else if other("immutable") && !(secret["immutable"] == false && template.get("immutable").is_none()) {
        Some("immutable")
    } else {
        None
    }
}

const SCOPES: [&str; 2] = [CLUSTER_WIDE, NAMESPACE_WIDE];

/// The one annotation of the scope, and no other.
fn set_scope(secret: &mut Value, scope: Scope) {
    let annotations = secret
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.retain(|name, _| name != CLUSTER_WIDE && name != NAMESPACE_WIDE);
    }
    if let Some(annotation) = scope.annotation() {
        if secret["metadata"]["annotations"].is_null() {
            secret["metadata"]["annotations"] = json!({});
        }
        secret["metadata"]["annotations"][annotation] = "true".into();
    }
}

fn entries(object: &Value, pointer: &str) -> Map<String, Value> {
    object
        .pointer(pointer)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}
