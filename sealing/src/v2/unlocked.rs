//! Changes by who holds a private key: a team's, or the recovery key.

use super::fault::EditError;
use super::identity::Identities;
use super::open::{DataKeys, Values};
use super::place::Place;
use super::recipient::Recipients;
use super::seal::{Draft, check_sizes, read_template};
use super::sealed_secret::SealedSecret;
use crate::path::{is_data_key, is_namespace, is_object_name};
use crate::{ItemError, Plaintext, Scope};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A SealedSecret with its values open. It has neither `Debug` nor `Serialize`.
pub struct Unlocked {
    sealed: SealedSecret,
    values: Values,
    data_keys: DataKeys,
}

impl SealedSecret {
    /// Opens the values for editing, for the place that the object says it is sealed for: one that was renamed by hand
    /// opens too, so that it can be mended.
    pub fn unlock(&self, identities: &Identities) -> Result<Unlocked, Vec<ItemError>> {
        let (values, data_keys) = self.open_values(identities)?;
        Ok(Unlocked {
            sealed: self.clone(),
            values,
            data_keys,
        })
    }
}

impl Unlocked {
    /// The values, as they were sealed.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<String, Plaintext> {
        &self.values
    }

    /// `spec.template`, as it stands in the object.
    #[must_use]
    pub fn template(&self) -> Value {
        self.sealed.template.to_value().unwrap_or_else(|| json!({}))
    }

    /// Sets values, and removes those that are `None`. A value that is the same keeps its line to the byte. One that is new
    /// or changed goes under the data key that is sealed for exactly these recipients, or else under a fresh one.
    pub fn set(
        &self,
        changes: &BTreeMap<String, Option<Plaintext>>,
        recipients: &Recipients,
    ) -> Result<SealedSecret, EditError> {
        let mut sealed = self.sealed.clone();
        let mut fresh = Vec::new();
        let ids = recipients.key_ids();
        let present = self.data_keys.iter().find(|(id, _)| {
            self.sealed
                .data_keys
                .get(*id)
                .is_some_and(|key| key.recipients == ids)
        });
        for (key, value) in changes {
            if !is_data_key(key) {
                return Err(EditError::BadKey(key.clone()));
            }
            let Some(value) = value else {
                if sealed.values.remove(key).is_none() {
                    return Err(EditError::NoValue(key.clone()));
                }
                continue;
            };
            if value.len() > super::limits::SECRET {
                return Err(EditError::TooLarge(Some(key.clone())));
            }
            let before = self.values.get(key);
            if before.is_some_and(|before| before.expose() == value.expose()) {
                continue;
            }
            match present {
                Some((id, unwrapped)) => sealed.seal_value(key, value, id, &unwrapped.key)?,
                None => fresh.push((key, value)),
            }
        }
        sealed.seal_values(fresh, recipients)?;
        sealed.drop_unused();
        sealed.checked()
    }

    /// Changes the template. Every value is bound to it, so every line changes; the data keys stay.
    pub fn retemplate(&self, template: &Value) -> Result<SealedSecret, EditError> {
        let mut sealed = self.sealed.clone();
        sealed.template = read_template(template, |key| self.values.contains_key(key))?;
        for (key, value) in &self.values {
            let Some(before) = self.sealed.values.get(key) else {
                continue;
            };
            let Some(unwrapped) = self.data_keys.get(&before.data_key) else {
                continue;
            };
            sealed.seal_value(key, value, &before.data_key, &unwrapped.key)?;
        }
        sealed.checked()
    }

    /// Seals everything again under one fresh data key: for other recipients, after a key was rotated, or for another scope,
    /// namespace or name. Wrapping the old data key anew would leave the old sealing key able to open what comes later.
    pub fn reseal(
        &self,
        scope: Scope,
        namespace: Option<&str>,
        name: &str,
        recipients: &Recipients,
    ) -> Result<SealedSecret, EditError> {
        let needed = scope != Scope::Cluster;
        if !is_object_name(name) || namespace.map_or(needed, |text| !is_namespace(text)) {
            return Err(EditError::BadPlace);
        }
        check_sizes(&self.values)?;
        let mut metadata = self.sealed.metadata.clone();
        metadata.insert("name".into(), name.into());
        match namespace {
            Some(namespace) => metadata.insert("namespace".into(), namespace.into()),
            None => metadata.remove("namespace"),
        };
        let template = self.template();
        let draft = Draft {
            metadata: Value::Object(metadata),
            place: Place::new(scope, namespace.unwrap_or_default(), name),
            template: &template,
            values: &self.values,
        };
        draft.seal(recipients)?.checked()
    }
}
