//! SealedSecret of `bitnami.com/v1alpha1`, read from Git and opened.

mod error;
pub(crate) mod fields;
mod legacy;
mod open;
pub(crate) mod parse;

pub use error::{ItemError, ItemProblem, ParseError, ParseProblem};

use crate::Scope;
use crate::template::Template;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A SealedSecret that is known to be well-formed: names that can be names, sealed values that are strings, a template
/// that can be rendered. [`SealedSecret::parse`] makes it, [`SealedSecret::open`] opens it.
pub struct SealedSecret {
    name: String,
    namespace: Option<String>,
    scope: Scope,
    items: BTreeMap<String, String>,
    /// The deprecated form: the whole Secret as one sealed value.
    legacy: Option<String>,
    template: SecretTemplate,
    ignored: Vec<String>,
}

/// `spec.template`: what the Secret looks like beside its sealed values.
struct SecretTemplate {
    metadata: Map<String, Value>,
    type_: Option<String>,
    immutable: Option<bool>,
    /// Rendered keys; `None` leaves a sealed key out of the Secret.
    data: BTreeMap<String, Option<Template>>,
    /// The texts of `data` as they stand: templates see them as values, unless a sealed value has the same key (upstream
    /// 0.37 and later).
    raw: BTreeMap<String, String>,
}

impl SealedSecret {
    /// Its name, which is the Secret's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace, where it names one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The scope that its annotations name.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The keys of its sealed values.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.items.keys().map(String::as_str)
    }

    /// Paths of fields that mean nothing and are left out, as Bitnami's CRD prunes them. Most are slips, such as
    /// `spec.template.stringData`, so they are worth a warning. What looks like no field at all is not named: a line of a
    /// value can become one.
    #[must_use]
    pub fn ignored_fields(&self) -> &[String] {
        &self.ignored
    }
}
