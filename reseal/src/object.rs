//! One SealedSecret: what of it hangs on an old key, and that sealed again.

use crate::Task;
use crate::report::{Changed, Kept, Resealed, Where, Why};
use manifest::{EditError, Editor, Path};
use sealing::v2::{self, KeyId, Recipients};
use sealing::{Certificate, ItemError, PublicKey, Scope, Tries, v1};
use serde_json::Value;
use std::collections::BTreeSet;

/// The work on one object.
pub(crate) struct Work<'w> {
    pub(crate) task: &'w Task<'w>,
    pub(crate) editor: &'w mut Editor,
    pub(crate) place: &'w Where,
    pub(crate) at: &'w Path,
    pub(crate) object: &'w Value,
    pub(crate) resealed: &'w mut Resealed,
}

impl<'w> Work<'w> {
    /// Format v1: value by value, since each may hang on another key, and no value says on which.
    pub(crate) fn v1(&mut self) {
        let spec = self.object.get("spec").unwrap_or(&Value::Null);
        let mut values: Vec<(&str, Path, &Value)> = Vec::new();
        if let Some(sealed) = spec.get("encryptedData").and_then(Value::as_object) {
            let at = |key: &str| self.at.within(["spec", "encryptedData", key]);
            values.extend(sealed.iter().map(|(key, value)| (key.as_str(), at(key), value)));
        }
        // Before version 0.7 of Sealed Secrets the whole Secret was one value.
        if let Some(value) = spec.get("data").filter(|value| value.is_string()) {
            values.push(("data", self.at.within(["spec", "data"]), value));
        }
        if values.is_empty() {
            return;
        }
        let label = match self.label() {
            Ok(label) => label,
            Err(why) => return self.keep(None, why),
        };
        let mut tries = if self.task.every_key {
            Tries::unbounded()
        } else {
            Tries::of_an_object()
        };
        for (key, at, value) in values {
            match self.value(value, &label, &mut tries) {
                Ok(None) => self.resealed.current += 1,
                Ok(Some(again)) => match self.editor.set(self.place.document, &at, &again.text.into()) {
                    Ok(()) => self.resealed.changed.push(Changed {
                        place: self.place.clone(),
                        keys: vec![key.to_owned()],
                        from: vec![again.from],
                        to: vec![again.to],
                    }),
                    Err(error) => self.keep(Some(key), Why::Unchangeable(error)),
                },
                Err(why) => self.keep(Some(key), why),
            }
        }
    }

    /// The value sealed again; none where it may stay.
    fn value(&self, value: &Value, label: &[u8], tries: &mut Tries) -> Result<Option<Again>, Why> {
        let sealed = value
            .as_str()
            .ok_or_else(|| Why::Refused("a sealed value is a text".to_owned()))?;
        let ring = self.task.ring;
        let (open, by) = ring.open_one_of(sealed, label, tries).map_err(Why::Closed)?;
        let from = by.fingerprint();
        if !self.task.leaving.is_empty() && !self.task.leaving.contains(from.as_str()) {
            return Ok(None);
        }
        let (target, to) = self.target()?;
        if self.task.leaving.is_empty() && from == to.fingerprint() {
            return Ok(None);
        }
        let text = v1::seal(target, label, open.expose()).map_err(|error| Why::Refused(error.to_string()))?;
        Ok(Some(Again {
            from: from.as_str().to_owned(),
            to: to.fingerprint().as_str().to_owned(),
            text,
        }))
    }

    /// What values of format v1 are sealed for: by the object's own metadata, the template has no say in it.
    fn label(&self) -> Result<Vec<u8>, Why> {
        let scope = Scope::from_annotations(self.object.pointer("/metadata/annotations"));
        let namespace = self.place.namespace.as_deref().or(self.task.namespace);
        match (scope, namespace) {
            (Scope::Cluster, namespace) => Ok(scope.label(namespace.unwrap_or_default(), &self.place.name)),
            (_, Some(namespace)) => Ok(scope.label(namespace, &self.place.name)),
            (_, None) => Err(Why::NoNamespace),
        }
    }

    fn target(&self) -> Result<(&'w PublicKey, &'w Certificate), Why> {
        let certificate = self.task.certificate.ok_or(Why::NoTarget)?;
        match certificate.public_key_at(self.task.now) {
            Ok(key) => Ok((key, certificate)),
            Err(error) => Err(Why::BadTarget(error.to_string())),
        }
    }

    /// The native format: the whole object, since its values share data keys.
    ///
    /// # Errors
    /// Where the text cannot be changed: half of the change may have been made.
    pub(crate) fn v2(&mut self) -> Result<(), EditError> {
        match self.sealed_again() {
            Ok(None) => Ok(()),
            Ok(Some((new, changed))) => {
                for field in ["dataKeys", "values"] {
                    let at = self.at.within(["spec", field]);
                    let (old, new) = (&self.object["spec"][field], &new["spec"][field]);
                    self.editor.update(self.place.document, &at, old, new)?;
                }
                self.resealed.changed.push(changed);
                Ok(())
            }
            Err(why) => {
                self.keep(None, why);
                Ok(())
            }
        }
    }

    /// The object sealed again; none where it may stay.
    fn sealed_again(&mut self) -> Result<Option<(Value, Changed)>, Why> {
        let refused = |problems: &[ItemError]| Why::Refused(joined(problems));
        let sealed = v2::SealedSecret::parse(self.object).map_err(|all| Why::Refused(joined(&all)))?;
        // Of data keys that a value uses: anybody can write others beside them.
        let from: BTreeSet<&KeyId> = sealed
            .outline()
            .flat_map(|(_, outline)| outline.recipients)
            .collect();
        let leaving = &self.task.leaving;
        if !leaving.is_empty() && !from.iter().any(|id| leaving.contains(id.as_str())) {
            self.resealed.current += sealed.keys().count();
            return Ok(None);
        }
        if !from.iter().any(|id| self.task.identities.get(id).is_some()) {
            return Err(Why::OtherKey);
        }
        let recipients = &self.recipients(&sealed)?;
        let to: BTreeSet<KeyId> = recipients.key_ids().into_iter().collect();
        // Value by value: each hangs on the recipients of its own data key.
        let is_current = |outline: &v2::Outline<'_>| {
            outline.recipients.iter().collect::<BTreeSet<_>>() == to.iter().collect()
        };
        if leaving.is_empty() && sealed.outline().all(|(_, outline)| is_current(&outline)) {
            self.resealed.current += sealed.keys().count();
            return Ok(None);
        }
        // Only where it is sealed for: what was copied into another namespace is not handed to that one.
        let open = sealed.unlock(self.task.identities).map_err(|all| refused(&all))?;
        let new = open
            .reseal(sealed.scope(), sealed.namespace(), sealed.name(), recipients)
            .map_err(|error| Why::Refused(error.to_string()))?;
        let changed = Changed {
            place: self.place.clone(),
            keys: sealed.keys().map(str::to_owned).collect(),
            from: from.iter().map(|id| id.as_str().to_owned()).collect(),
            to: to.iter().map(|id| id.as_str().to_owned()).collect(),
        };
        Ok(Some((new.to_value(), changed)))
    }

    /// Whom an object is sealed for again.
    fn recipients(&self, sealed: &v2::SealedSecret) -> Result<Recipients, Why> {
        let new = self.task.recipients.ok_or(Why::NoTarget)?;
        let Some(known) = self.task.others else {
            return Ok(new.clone());
        };
        let others = |outline: v2::Outline<'_>| -> BTreeSet<KeyId> {
            let ids = outline.recipients.iter();
            ids.filter(|id| !self.task.leaving.contains(id.as_str()))
                .cloned()
                .collect()
        };
        let mut sets = sealed.outline().map(|(_, outline)| others(outline));
        let others = sets.next().unwrap_or_default();
        // Under one data key they would all be opened by all of them.
        if sets.any(|set| set != others) {
            return Err(Why::OtherRecipients);
        }
        let mut all: Vec<_> = new.iter().cloned().collect();
        for id in others {
            let own = new.iter().any(|key| *key.key_id() == id);
            match known.get(&id) {
                _ if own => {}
                Some(key) => all.push(key.clone()),
                None => return Err(Why::UnknownRecipient(id)),
            }
        }
        Recipients::new(all).map_err(|error| Why::BadTarget(error.to_string()))
    }

    fn keep(&mut self, key: Option<&str>, why: Why) {
        self.resealed.kept.push(Kept {
            place: self.place.clone(),
            key: key.map(str::to_owned),
            why,
        });
    }
}

/// A value of format v1, sealed again.
struct Again {
    from: String,
    to: String,
    text: String,
}

fn joined(problems: &[impl ToString]) -> String {
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    all.join("; ")
}
