//! `signet rename`.

use super::set::{ObjectArgs, names, public_key, seal_all};
use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::native;
use crate::new_value::NewValue;
use crate::opening::{self, Outcome};
use crate::output::show;
use crate::private_keys::PrivateKeyArgs;
use crate::sealed_file::{Format, SealedFile, SealedObject};
use crate::sound;
use crate::trust::SealForArgs;
use crate::ui::Ui;
use clap::Args;
use manifest::{EditError, Editor, Path as Way};
use sealing::{Plaintext, Printable, Scope, is_data_key, v2};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// Give a SealedSecret or its keys other names
///
/// A value is sealed for a place: its name and namespace (scope strict), its
/// namespace, or none. Where the new place is another one for the values, they
/// are opened with a private key (--key) and sealed again. Without one this is
/// refused; nothing but a private key can do it. Keys of format v1 can be renamed
/// without any, since its values are not bound to them.
///
/// The file is changed in place; comments and order stay.
///
/// Example: another name for one value
///
///     signet rename shop/db.yaml pass=password
///
/// Example: the whole object into another namespace, with the team's recovery key
///
///     signet rename shop/db.yaml --to-namespace billing --key recovery.pem
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RenameArgs {
    /// The file to change
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Keys to rename
    #[arg(value_name = "OLD=NEW")]
    keys: Vec<String>,
    /// The object's new name
    #[arg(long, value_name = "NAME")]
    to_name: Option<String>,
    /// The object's new namespace
    #[arg(long, value_name = "NAME")]
    to_namespace: Option<String>,
    /// The object's new scope: strict, namespace-wide or cluster-wide
    #[arg(long, value_name = "SCOPE", value_parser = ["strict", "namespace-wide", "cluster-wide"], hide_possible_values = true)]
    to_scope: Option<String>,
    #[command(flatten)]
    object: ObjectArgs,
    #[command(flatten)]
    private: PrivateKeyArgs,
    #[command(flatten)]
    seal_for: SealForArgs,
}

/// The place of an object before or after.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    name: String,
    namespace: String,
    scope: Scope,
}

impl RenameArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let (mut file, index) = self.object.in_file(&self.file)?;
        let object = &file.objects[index];
        let pairs = self.pairs(object)?;
        let old = Place {
            name: object.name.clone(),
            namespace: self.object.place(object)?,
            scope: object.scope(),
        };
        let new = self.target(&old)?;
        let named = self.to_name.is_some() || self.to_namespace.is_some() || self.to_scope.is_some();
        let moved = object.format == Format::V2
            && native::parse(object).is_ok_and(|sealed| sealed.misplaced(None).is_some());
        if moved && !named {
            return Err(CommandError::user(
                format!("{} stands elsewhere than it is sealed for", object.shown()),
                "say where it is to be, which may be where it stands now: --to-name, --to-namespace",
            ));
        }
        if pairs.is_empty() && new == old && !moved {
            return Err(CommandError::user(
                "there is nothing to rename",
                "give OLD=NEW, --to-name, --to-namespace or --to-scope",
            ));
        }
        if object.format == Format::V2 {
            let changed = self.native(ui, global, object, &pairs, (&old, &new), moved)?;
            let told = object.shown();
            native::put(&mut file, index, &changed)?;
            return self.finish(ui, file, index, &told, &pairs, (&old, &new), true);
        }
        let labels = [&old, &new].map(|place| place.scope.label(&place.namespace, &place.name));
        let moved = labels[0] != labels[1];
        let values = if moved { self.open(object)? } else { Vec::new() };
        let mut sealed = Vec::new();
        if moved {
            let certificate = self.seal_for.certificate(ui, global, &self.file)?;
            sealed = seal_all(public_key(&certificate)?, &labels[1], &values)?;
        }
        let told = object.shown();
        let before = object.value.clone();
        file.change(index, |editor, document, at| {
            for (key, text) in &sealed {
                editor.set(
                    document,
                    &at.within(["spec", "encryptedData", key]),
                    &text.as_str().into(),
                )?;
            }
            for (from, to) in &pairs {
                editor.rename(document, &at.within(["spec", "encryptedData", from]), to)?;
            }
            put(editor, document, at, &before, &old, &new)
        })?;
        self.finish(ui, file, index, &told, &pairs, (&old, &new), moved)
    }

    #[allow(clippy::too_many_arguments)] // what was done, to be said in one sentence
    fn finish(
        &self,
        ui: &Ui,
        file: SealedFile,
        index: usize,
        told: &str,
        pairs: &[(String, String)],
        (old, new): (&Place, &Place),
        sealed_again: bool,
    ) -> Result<ExitCode, CommandError> {
        sound::check(&file, index)?;
        file.write()?;
        let mut done = Vec::new();
        if !pairs.is_empty() {
            let pairs: Vec<String> = pairs.iter().map(|(from, to)| format!("{from} to {to}")).collect();
            done.push(format!("Renamed {} of {told}", pairs.join(", ")));
        }
        if new != old {
            done.push(format!(
                "Moved {told} to {}/{}, scope {}",
                new.namespace, new.name, new.scope
            ));
        }
        let again = if sealed_again {
            ", and sealed its values again"
        } else {
            ""
        };
        ui.status(format!("{}, in {}{again}.", done.join("; "), show(&self.file)));
        Ok(ExitCode::SUCCESS)
    }

    /// The native format binds a value to its key and to its place, so both take a private key.
    fn native(
        &self,
        ui: &Ui,
        global: &GlobalArgs,
        object: &SealedObject,
        pairs: &[(String, String)],
        (old, new): (&Place, &Place),
        moved: bool,
    ) -> Result<v2::SealedSecret, CommandError> {
        let keys = self.private.read()?;
        let why = "their keys, their name and their namespace";
        let mut unlocked = if moved {
            ui.note(format!(
                "{} is sealed for {}: who moved it here by hand?",
                object.shown(),
                native::parse(object)?.sealed_for()
            ));
            native::unlock_as_sealed(object, keys.as_ref(), why)?
        } else {
            native::unlock(object, keys.as_ref(), why)?
        };
        let recipients = self.seal_for.recipients(ui, global, &self.file)?;
        let fail = |err: v2::EditError| native::refused(object, &err);
        let mut changed = None;
        if !pairs.is_empty() {
            let mut changes = BTreeMap::new();
            for (from, to) in pairs {
                let value = unlocked
                    .values()
                    .get(from)
                    .map(|value| Plaintext::new(value.expose().to_vec()));
                changes.insert(to.clone(), value);
                changes.insert(from.clone(), None);
            }
            changed = Some(unlocked.set(&changes, &recipients).map_err(fail)?);
        }
        if old == new && !moved {
            return changed.ok_or_else(|| CommandError::internal("nothing was renamed"));
        }
        if let (Some(changed), Some(keys)) = (changed, &keys) {
            unlocked = changed.unlock_as_sealed(&keys.identities).map_err(|_| {
                CommandError::user(
                    "the new recipients do not include a key that was given",
                    "rename keys and move the object in two steps",
                )
            })?;
        }
        let namespace = Some(new.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        unlocked
            .reseal(new.scope, namespace, &new.name, &recipients)
            .map_err(fail)
    }

    fn pairs(&self, object: &SealedObject) -> Result<Vec<(String, String)>, CommandError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for argument in &self.keys {
            let (from, to) = argument.split_once('=').ok_or_else(|| {
                CommandError::user(
                    format!("`{}` is not OLD=NEW", Printable(argument)),
                    "signet rename FILE pass=password",
                )
            })?;
            if !is_data_key(to) {
                return Err(CommandError::user(
                    format!("`{}` is not a key that a Secret can have", Printable(to)),
                    "a key holds only letters, digits, `-`, `_` and `.`, at most 253 of them",
                ));
            }
            if !object.has(from) {
                return Err(CommandError::user(
                    format!("{} has no value of {}", object.shown(), Printable(from)),
                    format!(
                        "it has {}",
                        names(object.sealed().into_iter().map(|(key, _)| key))
                    ),
                ));
            }
            if object.has(to) {
                return Err(CommandError::user(
                    format!("{} has a value of {to} already", object.shown()),
                    "remove one of the two first: signet unset FILE KEY",
                ));
            }
            if pairs.iter().any(|(other, new)| other == from || new == to) {
                return Err(CommandError::user(
                    format!(
                        "`{}` names a key that another argument names too",
                        Printable(argument)
                    ),
                    "rename each key once, and each to a name of its own",
                ));
            }
            pairs.push((from.to_owned(), to.to_owned()));
        }
        Ok(pairs)
    }

    fn target(&self, old: &Place) -> Result<Place, CommandError> {
        let new = Place {
            name: self.to_name.clone().unwrap_or_else(|| old.name.clone()),
            namespace: self.to_namespace.clone().unwrap_or_else(|| old.namespace.clone()),
            scope: self
                .to_scope
                .as_ref()
                .and_then(|scope| scope.parse().ok())
                .unwrap_or(old.scope),
        };
        let named = sealing::is_object_name(&new.name);
        if !named || !(sealing::is_namespace(&new.namespace) || new.namespace.is_empty()) {
            let bad = if named { &new.namespace } else { &new.name };
            return Err(CommandError::user(
                format!("`{}` is not a name that Kubernetes accepts", Printable(bad)),
                "names are lower-case letters, digits and `-`",
            ));
        }
        Ok(new)
    }

    /// Opens every value, for it to be sealed for another place.
    fn open(&self, object: &SealedObject) -> Result<Vec<NewValue>, CommandError> {
        let keys = self.private.read()?.ok_or_else(|| {
            CommandError::user(
                format!(
                    "the values of {} are sealed for where it is, and have to be opened to move it",
                    object.shown()
                ),
                "give a private key with --key FILE, or seal the Secret again from its source; \
                 `kubectl get secret … -o yaml | signet seal` takes it from the cluster",
            )
        })?;
        open_all(&keys.ring, object)
    }
}

/// Opens every value of an object where it stands, or says what does not open.
pub(crate) fn open_all(
    ring: &sealing::KeyRing,
    object: &SealedObject,
) -> Result<Vec<NewValue>, CommandError> {
    let mut values = Vec::new();
    let mut details = Vec::new();
    for (key, sealed) in object.sealed() {
        match opening::open(ring, object, sealed, &[]) {
            Outcome::Opened { value, .. } => values.push(NewValue {
                key: key.to_owned(),
                value,
            }),
            Outcome::Elsewhere(place) => {
                details.push(format!("{}: it is sealed for {place}", Printable(key)));
            }
            Outcome::Closed(err) => details.push(format!("{}: {err}", Printable(key))),
        }
    }
    if details.is_empty() {
        return Ok(values);
    }
    Err(CommandError::user(
        format!("{} does not open with the keys given:", object.shown()),
        "`signet verify --key FILE` says more about each value",
    )
    .details(details))
}

/// Writes the new place: on the object, and on the template where it names the old one.
fn put(
    editor: &mut Editor,
    document: usize,
    at: &Way,
    object: &Value,
    old: &Place,
    new: &Place,
) -> Result<(), EditError> {
    for metadata in [&["metadata"][..], &["spec", "template", "metadata"][..]] {
        let own = metadata.len() == 1;
        let there = metadata.iter().try_fold(object, |value, key| value.get(key));
        let field = |name: &str| there.and_then(|there| there.get(name)).and_then(Value::as_str);
        let way = |field: &str| at.within(metadata.iter().copied().chain([field]));
        if old.name != new.name && (own || field("name") == Some(&old.name)) {
            editor.set(document, &way("name"), &new.name.as_str().into())?;
        }
        if old.namespace != new.namespace && (own || field("namespace") == Some(&old.namespace)) {
            editor.set(document, &way("namespace"), &new.namespace.as_str().into())?;
        }
        if old.scope != new.scope && (own || there.is_some_and(|there| there.get("annotations").is_some())) {
            let annotations = way("annotations");
            let has = |name: &str| {
                there
                    .and_then(|there| there.get("annotations")?.get(name))
                    .is_some()
            };
            if let Some(name) = new.scope.annotation() {
                editor.set(document, &annotations.within([name]), &"true".into())?;
            }
            for scope in Scope::ALL {
                if let Some(name) = scope.annotation().filter(|name| scope != new.scope && has(name)) {
                    editor.remove(document, &annotations.within([name]))?;
                }
            }
        }
    }
    Ok(())
}
