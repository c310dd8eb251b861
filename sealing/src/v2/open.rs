//! From a [`SealedSecret`] to an [`Opened`] one.

use super::data_key::{DataKey, DataKeyId};
use super::fault::Refusal;
use super::identity::Identities;
use super::limits;
use super::reference::Text;
use super::sealed_secret::{SealedDataKey, SealedSecret};
use super::value::Binding;
use crate::path::is_namespace;
use crate::{Fingerprint, ItemError, ItemProblem, Opened, Plaintext};
use std::collections::{BTreeMap, BTreeSet};

/// A data key that was opened, and the key that opened it.
pub(super) struct Unwrapped {
    pub(super) key: DataKey,
    pub(super) by: Fingerprint,
}

/// Values, by key.
pub(super) type Values = BTreeMap<String, Plaintext>;
/// The data keys that they are under.
pub(super) type DataKeys = BTreeMap<DataKeyId, Unwrapped>;

impl SealedSecret {
    /// Opens every value under this namespace, or reports every value that does not open. It costs one private operation a
    /// data key: which key opens one is looked up, never tried.
    pub fn open(&self, identities: &Identities, namespace: &str) -> Result<Opened, Vec<ItemError>> {
        let whole = |problem: ItemProblem| vec![ItemError { key: None, problem }];
        if !is_namespace(namespace) {
            return Err(whole(ItemProblem::BadNamespace));
        }
        if let Some(refusal) = self.misplaced(Some(namespace)) {
            return Err(whole(refusal.into()));
        }
        let (mut data, data_keys) = self.open_values(identities)?;
        let keys = self
            .values
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), data_keys.get(&value.data_key)?.by.clone())))
            .collect();
        self.render(&mut data).map_err(|err| vec![err])?;
        let mut metadata = self.template.metadata();
        metadata.insert("name".into(), self.name.as_str().into());
        metadata.insert("namespace".into(), namespace.into());
        Ok(Opened {
            metadata,
            type_: self.template.type_.clone(),
            immutable: self.template.immutable,
            data,
            keys,
        })
    }

    /// Opens every value for the place that the object says it is sealed for, whatever it is called now.
    pub(super) fn open_values(&self, identities: &Identities) -> Result<(Values, DataKeys), Vec<ItemError>> {
        if identities.is_empty() && !self.values.is_empty() {
            return Err(vec![ItemError {
                key: None,
                problem: ItemProblem::NoKeys,
            }]);
        }
        let used: BTreeSet<_> = self.values.values().map(|value| &value.data_key).collect();
        let unwrapped: BTreeMap<_, _> = self
            .data_keys
            .iter()
            .filter(|(id, _)| used.contains(id))
            .map(|(id, sealed)| (id.clone(), self.unwrap(identities, id, sealed)))
            .collect();
        let template = self.template.digest();
        let mut data = BTreeMap::new();
        let mut errors = Vec::new();
        for (key, value) in &self.values {
            let opened = match unwrapped.get(&value.data_key) {
                Some(Ok(found)) => Binding::new(&self.sealed_for, key, &template)
                    .open(&found.key, &value.bytes)
                    .ok_or_else(|| self.refused()),
                Some(Err(refusal)) => Err(refusal.clone()),
                None => Err(self.refused()),
            };
            match opened {
                Ok(plaintext) => {
                    data.insert(key.clone(), plaintext);
                }
                Err(refusal) => errors.push(ItemError {
                    key: Some(key.clone()),
                    problem: refusal.into(),
                }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let keys = unwrapped
            .into_iter()
            .filter_map(|(id, key)| Some((id, key.ok()?)))
            .collect();
        Ok((data, keys))
    }

    fn unwrap(
        &self,
        identities: &Identities,
        id: &DataKeyId,
        sealed: &SealedDataKey,
    ) -> Result<Unwrapped, Refusal> {
        let identity = sealed
            .recipients
            .iter()
            .find_map(|recipient| identities.get(recipient))
            .ok_or_else(|| Refusal::NoRecipient {
                recipients: sealed.recipients.clone(),
            })?;
        identities.count_operation();
        let key = DataKey::unwrap(&sealed.file, &self.header(id, sealed), identity)
            .ok_or_else(|| self.refused())?;
        Ok(Unwrapped {
            key,
            by: Fingerprint::of_key_id(identity.key_id()),
        })
    }

    /// One answer for a wrong key, a wrong binding and a damaged tag.
    fn refused(&self) -> Refusal {
        Refusal::Refused {
            place: self.sealed_for.clone(),
        }
    }

    /// Renders the template's texts and leaves out what it says to leave out.
    fn render(&self, data: &mut BTreeMap<String, Plaintext>) -> Result<(), ItemError> {
        let too_large = |key: Option<&String>| ItemError {
            key: key.cloned(),
            problem: ItemProblem::TooLarge,
        };
        let mut rendered = BTreeMap::new();
        let mut size = 0_usize;
        for (key, text) in &self.template.data {
            // It was read when the object was; a text that does not read again puts nothing in.
            let Ok(text) = Text::parse(text, |key| self.values.contains_key(key)) else {
                continue;
            };
            let value = |key: &str| data.get(key).map(Plaintext::expose).unwrap_or_default();
            // Looked at before it is made: a few kilobytes of template can ask for gigabytes.
            size = size.saturating_add(text.rendered_len(value));
            if size > limits::SECRET {
                return Err(too_large(Some(key)));
            }
            rendered.insert(key.clone(), Plaintext::from(text.render(value)));
        }
        data.retain(|key, _| !self.template.omit.contains(key));
        data.append(&mut rendered);
        if data.values().map(Plaintext::len).sum::<usize>() > limits::SECRET {
            return Err(too_large(None));
        }
        Ok(())
    }
}
