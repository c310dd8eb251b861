//! `--merge-into`: values and labels of a Secret, put into a SealedSecret that is there. Its file keeps its format, its
//! comments, and every line that is not changed.

use super::Job;
use super::in_place::OpenFile;
use super::input::Overrides;
use super::refused::Refused;
use super::sealer;
use super::validate::is_sealed_secret;
use crate::command_error::CommandError;
use crate::output::show;
use manifest::Manifest;
use sealing::{CLUSTER_WIDE, NAMESPACE_WIDE, Scope};
use serde_json::{Map, Value, json};
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
        let source = self.certificate()?;
        let sealed = self.seal_all(sealer::key(&source.certificate)?, &secrets, None)?;

        let mut count = 0;
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
            if target.id.gvk.group != "bitnami.com" {
                refused.add(
                    target,
                    "it is of the native format",
                    "`signet set FILE KEY` changes a value of it",
                );
                continue;
            }
            let scope_of = |object: &Value| Scope::from_annotations(object.pointer("/metadata/annotations"));
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
