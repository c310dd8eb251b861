//! Changes by who holds a private key: a team's, or the recovery key.

use super::fault::EditError;
use super::identity::Identities;
use super::open::Values;
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
}

impl SealedSecret {
    /// Opens the values for editing. An object that stands elsewhere than it is sealed for is refused: sealing it again for
    /// where it stands would hand the values of one namespace to whoever copied the file into another.
    pub fn unlock(&self, identities: &Identities) -> Result<Unlocked, Vec<ItemError>> {
        if let Some(refusal) = self.misplaced(None) {
            return Err(vec![ItemError {
                key: None,
                problem: refusal.into(),
            }]);
        }
        self.unlock_as_sealed(identities)
    }

    /// Opens the values for editing, for the place that the object says it is sealed for, wherever it stands now: so that one
    /// that was renamed by hand can be mended. Only for when a person has named the place that it is to be sealed for, and
    /// has been told where it comes from ([`SealedSecret::sealed_for`]); never for what runs by itself, such as a rotation.
    pub fn unlock_as_sealed(&self, identities: &Identities) -> Result<Unlocked, Vec<ItemError>> {
        Ok(Unlocked {
            sealed: self.clone(),
            values: self.open_values(identities)?.0,
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

    /// Sets values, and removes those that are `None`. A value that is the same keeps its line to the byte. What is new or
    /// changed goes under a fresh data key, never under one that is there: who made those is not known. Whoever can write to
    /// the repository can wrap a data key of their own for public recipients, or wrap an old one anew.
    pub fn set(
        &self,
        changes: &BTreeMap<String, Option<Plaintext>>,
        recipients: &Recipients,
    ) -> Result<SealedSecret, EditError> {
        let mut sealed = self.sealed.clone();
        let mut fresh = Vec::new();
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
            if before.is_none_or(|before| before.expose() != value.expose()) {
                fresh.push((key, value));
            }
        }
        sealed.seal_values(fresh, recipients)?;
        sealed.drop_unused();
        sealed.checked()
    }

    /// Changes the template. Every value is bound to it, so every line changes: all go under one fresh data key. With the
    /// template that is there, nothing changes.
    pub fn retemplate(&self, template: &Value, recipients: &Recipients) -> Result<SealedSecret, EditError> {
        let template = read_template(template, |key| self.values.contains_key(key))?;
        let mut sealed = self.sealed.clone();
        if template != sealed.template {
            sealed.template = template;
            sealed.seal_values(&self.values, recipients)?;
            sealed.drop_unused();
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

#[cfg(test)]
mod tests {
    use super::super::data_key::{DataKey, DataKeyId, header};
    use super::super::sealed_secret::SealedDataKey;
    use super::super::value::Binding;
    use super::*;
    use crate::SealOptions;
    use crate::v2::{Identity, Suite, seal_secret};

    /// Who can write to the repository wraps a data key of their own, honestly, for the recipients that are listed, and
    /// seals a value of their own under it. Nothing that a key holder seals afterwards may be under that key.
    #[test]
    fn nothing_is_sealed_under_a_data_key_that_was_there() {
        let identity = Identity::generate(Suite::X25519).unwrap();
        let to = Recipients::new([identity.recipient().clone()]).unwrap();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "team"},
            "stringData": {"password": "hunter2"}});
        let mut object = seal_secret(&secret, &to, SealOptions::default()).unwrap();

        let known = DataKey::random().unwrap();
        let id = DataKeyId::parse("0000000000000000").unwrap();
        let ids = to.key_ids();
        let file = known.wrap(&header(&object.sealed_for, &id, &ids), &to).unwrap();
        let sealed = SealedDataKey {
            recipients: ids,
            file,
        };
        object.data_keys.insert(id.clone(), sealed);
        object
            .seal_value("x", &Plaintext::new(b"x".to_vec()), &id, &known)
            .unwrap();

        let unlocked = object
            .unlock(&Identities::new([identity]))
            .expect("it is sealed as it should be");
        let change = [("password".to_owned(), Some(Plaintext::new(b"changed".to_vec())))].into();
        for after in [
            unlocked.set(&change, &to).unwrap(),
            unlocked.retemplate(&json!({"type": "other"}), &to).unwrap(),
            unlocked.reseal(Scope::Strict, Some("team"), "db", &to).unwrap(),
        ] {
            let digest = after.template.digest();
            let opened = Binding::new(&after.sealed_for, "password", &digest)
                .open(&known, &after.values["password"].bytes);
            assert!(opened.is_none(), "who chose the data key can read the new value");
            for old in object.data_keys.keys() {
                assert_ne!(&after.values["password"].data_key, old);
            }
        }
    }
}
