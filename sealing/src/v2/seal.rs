//! From a Secret to a SealedSecret of format v2.

use super::data_key::{DataKey, DataKeyId, header};
use super::fault::EditError;
use super::limits;
use super::place::Place;
use super::recipient::Recipients;
use super::sealed_secret::{SealedDataKey, SealedSecret, SealedValue};
use super::template::Template;
use super::value::{self, Binding};
use crate::seal_secret::{Parts, error};
use crate::sealed_secret::fields::{Fields, Problems};
use crate::{CLUSTER_WIDE, NAMESPACE_WIDE, Plaintext, SealError, SealFailed, SealOptions, SealProblem};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Seals a Secret in format v2: name, namespace and scope on the object, the rest of its metadata, its type and its
/// immutability in the template, all values under one data key.
pub fn seal_secret(
    secret: &Value,
    recipients: &Recipients,
    options: SealOptions,
) -> Result<SealedSecret, SealError> {
    let mut parts = Parts::read(secret, options)?;
    if parts.metadata.contains_key("generateName") {
        return Err(error("metadata.generateName", SealProblem::UnknownField));
    }
    let mut metadata = Map::new();
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = parts.metadata.remove(field) {
            metadata.insert(field.into(), value);
        }
    }
    // The scope is a field of this format.
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, _| name != CLUSTER_WIDE && name != NAMESPACE_WIDE);
    }
    let mut template = Map::from_iter([("metadata".to_owned(), Value::Object(metadata))]);
    for (field, value) in std::mem::take(&mut parts.more) {
        if value != "" {
            template.insert(field.into(), value);
        }
    }
    let draft = Draft {
        metadata: parts.outer(),
        place: Place::new(parts.scope, &parts.namespace, &parts.name),
        template: &Value::Object(template),
        values: &parts.values,
    };
    draft.seal(recipients).map_err(|err| match err {
        EditError::TooLarge(key) => error(
            &key.map_or_else(
                || "data".to_owned(),
                |key| format!("data.{}", crate::Printable(&key)),
            ),
            SealProblem::TooLarge,
        ),
        EditError::Invalid(_) => error("metadata", SealProblem::TemplateTooLarge),
        _ => error("data", SealProblem::Unavailable),
    })
}

/// Everything of an object, its values still plain.
pub(super) struct Draft<'a> {
    /// Of the SealedSecret itself.
    pub(super) metadata: Value,
    pub(super) place: Place,
    /// As it will stand in `spec.template`.
    pub(super) template: &'a Value,
    pub(super) values: &'a BTreeMap<String, Plaintext>,
}

impl Draft<'_> {
    /// Seals it under one fresh data key.
    pub(super) fn seal(self, recipients: &Recipients) -> Result<SealedSecret, EditError> {
        check_sizes(self.values)?;
        let template = read_template(self.template, |key| self.values.contains_key(key))?;
        let metadata = self.metadata.as_object().cloned().unwrap_or_default();
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).map(ToOwned::to_owned);
        let mut sealed = SealedSecret {
            name: text("name").unwrap_or_default(),
            namespace: text("namespace").filter(|text| !text.is_empty()),
            metadata,
            sealed_for: self.place,
            data_keys: BTreeMap::new(),
            values: BTreeMap::new(),
            template,
        };
        sealed.seal_values(self.values, recipients)?;
        Ok(sealed)
    }
}

impl SealedSecret {
    /// Seals values under a fresh data key, over those of the same name.
    pub(super) fn seal_values<'a>(
        &mut self,
        values: impl IntoIterator<Item = (&'a String, &'a Plaintext)>,
        recipients: &Recipients,
    ) -> Result<(), SealFailed> {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let (id, key) = (DataKeyId::random()?, DataKey::random()?);
        let ids = recipients.key_ids();
        let file = key.wrap(&header(&self.sealed_for, &id, &ids), recipients)?;
        for (name, value) in values {
            self.seal_value(name, value, &id, &key)?;
        }
        let sealed = SealedDataKey {
            recipients: ids,
            file,
        };
        self.data_keys.insert(id, sealed);
        Ok(())
    }

    /// Seals one value under a data key that is there.
    pub(super) fn seal_value(
        &mut self,
        name: &str,
        value: &Plaintext,
        id: &DataKeyId,
        key: &DataKey,
    ) -> Result<(), SealFailed> {
        let bytes =
            Binding::new(&self.sealed_for, name, &self.template.digest()).seal(key, value.expose())?;
        let sealed = SealedValue {
            data_key: id.clone(),
            bytes,
        };
        self.values.insert(name.to_owned(), sealed);
        Ok(())
    }

    /// Reads what was made, as everybody else will: what does not read is not given out.
    pub(super) fn checked(self) -> Result<Self, EditError> {
        Self::parse(&self.to_value()).map_err(EditError::Invalid)
    }
}

/// Reads a template that stands alone, with paths as if it stood in an object.
pub(super) fn read_template(
    template: &Value,
    values: impl Fn(&str) -> bool + Copy,
) -> Result<Template, EditError> {
    let mut problems = Problems::default();
    let fields = Fields::of("spec.template".to_owned(), Some(template), &mut problems);
    let read = Template::parse(&fields, values, &mut problems);
    if problems.0.is_empty() {
        Ok(read)
    } else {
        Err(EditError::Invalid(problems.0))
    }
}

/// No value, and not all together, may be larger than a Secret; together by what a reader sees of their sizes.
pub(super) fn check_sizes(values: &BTreeMap<String, Plaintext>) -> Result<(), EditError> {
    if let Some((key, _)) = values.iter().find(|(_, value)| value.len() > limits::SECRET) {
        return Err(EditError::TooLarge(Some(key.clone())));
    }
    let sizes = values.values().map(|value| value::most_of(value.len()));
    if values.len() > limits::VALUES || sizes.sum::<usize>() > limits::SECRET {
        return Err(EditError::TooLarge(None));
    }
    Ok(())
}
