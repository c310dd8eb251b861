//! From a [`SealedSecret`] to an [`Opened`] one.

use super::parse::LARGEST;
use super::{ItemError, ItemProblem, SealedSecret};
use crate::path::is_namespace;
use crate::ring::{KeyRing, OpenError, Tries};
use crate::template::Values;
use crate::v1::Envelope;
use crate::{Opened, Plaintext, Scope};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

impl SealedSecret {
    /// Opens every value under this namespace, or reports every value that does not open.
    ///
    /// An object whose values all open with one known key costs one private operation a value. Values that another key opens,
    /// or none, are tried with more, up to 1,000 times for the whole object; finding out whether it was sealed with another
    /// scope takes `2 × keys` for the first such value, and one more for each other one, out of what is left of that.
    pub fn open(&self, ring: &KeyRing, namespace: &str) -> Result<Opened, Vec<ItemError>> {
        if !is_namespace(namespace) {
            return Err(vec![ItemError {
                key: None,
                problem: ItemProblem::BadNamespace,
            }]);
        }
        if let Some(sealed) = &self.legacy {
            return self.open_legacy(sealed, ring, namespace).map_err(|err| vec![err]);
        }
        let label = self.scope.label(namespace, &self.name);
        let mut data = BTreeMap::new();
        let mut keys = BTreeMap::new();
        let mut errors = Vec::new();
        let mut unopened = Vec::new();
        let mut tries = Tries::of_an_object();
        for (key, sealed) in &self.items {
            let envelope = match Envelope::parse(sealed) {
                Ok(envelope) => envelope,
                Err(err) => {
                    errors.push(self.error(key, err, namespace));
                    continue;
                }
            };
            match ring.open_within(&envelope, &label, &mut tries) {
                Ok((plaintext, by)) => {
                    data.insert(key.clone(), plaintext);
                    keys.insert(key.clone(), by.fingerprint().clone());
                }
                Err(OpenError::NoKey) => unopened.push((key, envelope)),
                Err(err) => errors.push(self.error(key, err, namespace)),
            }
        }
        errors.extend(self.explain(ring, namespace, unopened, &mut tries));
        if errors.is_empty() {
            errors.extend(self.render(&mut data).err());
        }
        if !errors.is_empty() {
            errors.sort_by(|a, b| a.key.cmp(&b.key));
            return Err(errors);
        }

        Ok(Opened {
            metadata: self.placed(self.template.metadata.clone(), namespace),
            type_: self.template.type_.clone(),
            immutable: self.template.immutable,
            data,
            keys,
        })
    }

    /// Metadata with the Secret's name and namespace in it.
    pub(super) fn placed(&self, mut metadata: Map<String, Value>, namespace: &str) -> Map<String, Value> {
        metadata.insert("name".into(), self.name.as_str().into());
        metadata.insert("namespace".into(), namespace.into());
        metadata
    }

    /// Says of the values that no key opens whether another scope does. That is the most frequent slip: an annotation
    /// lost in an edit. The first value is tried with the two other scopes and every key; the others only with what
    /// was found then, so that a hostile object cannot multiply the work.
    fn explain(
        &self,
        ring: &KeyRing,
        namespace: &str,
        unopened: Vec<(&String, Envelope)>,
        tries: &mut Tries,
    ) -> Vec<ItemError> {
        let label = |scope: Scope| scope.label(namespace, &self.name);
        let mut unopened = unopened.into_iter();
        let Some((first, envelope)) = unopened.next() else {
            return Vec::new();
        };
        let mut others = Scope::ALL.into_iter().filter(|scope| *scope != self.scope);
        let found = others.find(|scope| ring.open_envelope(&envelope, &label(*scope)).is_ok());
        let error = |key: &str, sealed: Option<Scope>| match sealed {
            Some(sealed) => ItemError {
                key: Some(key.to_owned()),
                problem: ItemProblem::OtherScope {
                    sealed,
                    annotated: self.scope,
                },
            },
            None => self.error(key, OpenError::NoKey, namespace),
        };
        let mut errors = vec![error(first, found)];
        errors.extend(unopened.map(|(key, envelope)| {
            let opens = |scope: Scope| ring.open_with_last(&envelope, &label(scope)).is_some();
            error(key, found.filter(|scope| tries.take() && opens(*scope)))
        }));
        errors
    }

    /// Renders `template.data` and leaves out what it says to leave out.
    fn render(&self, data: &mut BTreeMap<String, Plaintext>) -> Result<(), ItemError> {
        let sealed = data.iter().map(|(key, value)| (key.as_str(), value.expose()));
        let plain = self
            .template
            .raw
            .iter()
            .map(|(key, text)| (key.as_str(), text.as_bytes()));
        let values = Values::new(sealed.chain(plain));
        let mut rendered: BTreeMap<_, _> = self
            .template
            .data
            .iter()
            .filter_map(|(key, template)| {
                let rendered = template.as_ref()?.render(&values);
                Some((key.clone(), Plaintext::from(rendered)))
            })
            .collect();
        drop(values);
        data.retain(|key, _| !matches!(self.template.data.get(key), Some(None)));
        data.append(&mut rendered);
        // With templates this was settled by sizes that are known beforehand.
        if data.values().map(Plaintext::len).sum::<usize>() > LARGEST {
            return Err(ItemError {
                key: None,
                problem: ItemProblem::TooLarge,
            });
        }
        Ok(())
    }

    fn error(&self, key: &str, err: OpenError, namespace: &str) -> ItemError {
        ItemError {
            key: Some(key.to_owned()),
            problem: self.problem(err, namespace),
        }
    }

    pub(super) fn problem(&self, err: OpenError, namespace: &str) -> ItemProblem {
        match err {
            OpenError::NotBase64 => ItemProblem::NotBase64,
            OpenError::Truncated => ItemProblem::Truncated,
            OpenError::OtherKeySize { bits } => ItemProblem::OtherKeySize { bits },
            OpenError::EmptyRing => ItemProblem::NoKeys,
            OpenError::TriesSpent => ItemProblem::TriesSpent,
            OpenError::NoKey => ItemProblem::NotForHere {
                namespace: namespace.to_owned(),
                name: self.name.clone(),
                scope: self.scope,
            },
        }
    }
}
