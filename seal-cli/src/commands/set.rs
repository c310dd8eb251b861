//! `signet set`.

use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::native;
use crate::new_value::{self, NewValue};
use crate::output::show;
use crate::sealed_file::{Format, SealedFile, SealedObject};
use crate::sound;
use crate::trust::SealForArgs;
use crate::ui::Ui;
use clap::Args;
use sealing::{Certificate, Printable, PublicKey, Scope, v1};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

/// Seal one value into a SealedSecret that is there
///
/// The file is changed in place: comments, order and all other values stay as
/// they are, byte for byte. No private key is needed. A key that is not there
/// yet is added.
///
/// A value comes from the command line (KEY=VALUE, which others on the machine
/// can see while it runs, and which the shell may keep), from a file (KEY@FILE),
/// from standard input (KEY=-), or, with KEY alone on a terminal, from a question
/// whose answer is not shown.
///
/// Example: a new password that nobody has seen
///
///     openssl rand -hex 16 | tr -d '\n' | signet set shop/db.yaml password=-
///
/// Example: a certificate and its key
///
///     signet set web/tls.yaml tls.crt@cert.pem tls.key@key.pem
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct SetArgs {
    /// The file to change
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to set: KEY=VALUE, KEY@FILE, KEY=- or KEY
    #[arg(value_name = "KEY[=VALUE]", required = true)]
    values: Vec<String>,
    #[command(flatten)]
    object: ObjectArgs,
    #[command(flatten)]
    seal_for: SealForArgs,
}

/// Which object of a file is meant.
#[derive(Args)]
pub(crate) struct ObjectArgs {
    /// Which SealedSecret, where the file has several: NAME or NAMESPACE/NAME
    #[arg(long, value_name = "NAME")]
    pub(crate) object: Option<String>,
    /// The namespace that it is for, where the file does not say
    #[arg(long, short, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

impl SetArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let (mut file, index) = self.object.in_file(&self.file)?;
        let object = &file.objects[index];
        let namespace = self.object.place(object)?;
        let values = new_value::read_all(ui, &self.values)?;
        let keys = names(values.iter().map(|value| value.key.as_str()));
        let sealed_for = match object.format {
            Format::V1 => {
                let certificate = self.seal_for.certificate(ui, global, &self.file)?;
                let label = object.scope().label(&namespace, &object.name);
                let sealed = seal_all(public_key(&certificate)?, &label, &values)?;
                file.change(index, |editor, document, at| {
                    sealed.iter().try_for_each(|(name, text)| {
                        let way = at.within(["spec", "encryptedData", name]);
                        editor.set(document, &way, &text.as_str().into())
                    })
                })?;
                certificate.fingerprint().to_string()
            }
            Format::V2 => {
                let recipients = self.seal_for.recipients(ui, global, &self.file)?;
                let plain = values.into_iter().map(|new| (new.key, new.value)).collect();
                let new = native::parse(object)?
                    .set(&plain, &recipients)
                    .map_err(|err| native::refused(object, &err))?;
                native::put(&mut file, index, &new)?;
                let ids: Vec<String> = recipients.key_ids().iter().map(ToString::to_string).collect();
                ids.join(", ")
            }
        };
        sound::check(&file, index)?;
        let done = format!(
            "Set {} of {} in {}, sealed for key {}.",
            keys,
            file.objects[index].shown(),
            show(&self.file),
            sealed_for
        );
        file.write()?;
        ui.status(done);
        Ok(ExitCode::SUCCESS)
    }
}

impl ObjectArgs {
    /// A file, and the number of the object in it that is meant, of which single values can be changed.
    pub(crate) fn in_file(&self, path: &Path) -> Result<(SealedFile, usize), CommandError> {
        let mut file = SealedFile::read(path)?;
        let object = file.select(self.object.as_deref())?;
        object.has_single_values()?;
        let index = file.index_of(object);
        // What names no namespace is opened in the one that is named for it. The native format says itself where it belongs.
        let object = &mut file.objects[index];
        if object.format == Format::V1 && object.namespace.is_none() {
            object.namespace.clone_from(&self.namespace);
        }
        Ok((file, index))
    }

    /// The namespace that values of an object are sealed for.
    pub(crate) fn place(&self, object: &SealedObject) -> Result<String, CommandError> {
        let shown = object.shown();
        if !sealing::is_object_name(&object.name) {
            return Err(CommandError::user(
                format!("{shown}: metadata.name is not a name that Kubernetes accepts"),
                "values are sealed for it; correct the name first",
            ));
        }
        match (object.namespace.as_deref(), self.namespace.as_deref()) {
            (Some(own), Some(asked)) if own != asked => Err(CommandError::user(
                format!(
                    "{shown} is in namespace {}, but --namespace says {}",
                    Printable(own),
                    Printable(asked)
                ),
                "leave out --namespace",
            )),
            (Some(namespace), _) | (None, Some(namespace)) if sealing::is_namespace(namespace) => {
                Ok(namespace.to_owned())
            }
            (Some(namespace), _) | (None, Some(namespace)) => Err(CommandError::user(
                format!(
                    "`{}` is not a namespace that Kubernetes accepts",
                    Printable(namespace)
                ),
                "a namespace has lower-case letters, digits and `-`",
            )),
            (None, None) if object.scope() == Scope::Cluster => Ok(String::new()),
            (None, None) => Err(CommandError::user(
                format!(
                    "{shown} names no namespace, and scope {} needs one",
                    object.scope()
                ),
                "give --namespace NAME, the one that the object will be in",
            )),
        }
    }
}

/// The key of a certificate, if it may still be sealed for.
pub(crate) fn public_key(certificate: &Certificate) -> Result<&PublicKey, CommandError> {
    certificate.public_key_at(SystemTime::now()).map_err(|err| {
        CommandError::user(
            format!("cannot seal: {err}"),
            "fetch the current one with `signet cert`; an expired key cannot be sealed for",
        )
    })
}

/// Seals values for a label of format v1.
pub(crate) fn seal_all(
    key: &PublicKey,
    label: &[u8],
    values: &[NewValue],
) -> Result<Vec<(String, String)>, CommandError> {
    values
        .iter()
        .map(|new| {
            v1::seal(key, label, new.value.expose())
                .map(|text| (new.key.clone(), text))
                .map_err(|err| CommandError::internal(err.to_string()))
        })
        .collect()
}

/// Keys, for a sentence.
pub(crate) fn names<'n>(keys: impl Iterator<Item = &'n str>) -> String {
    let keys: Vec<String> = keys.map(|key| Printable(key).to_string()).collect();
    keys.join(", ")
}
