//! Opening sealed values of format v1 with private keys at hand, and saying what they were sealed for when they do not open.

use crate::sealed_file::SealedObject;
use sealing::{Fingerprint, KeyRing, OpenError, Plaintext, Printable, Scope};
use std::collections::BTreeSet;
use std::fmt;

/// Places that are tried for a value that does not open where it stands. Each costs a private operation a key.
pub(crate) const MOST_PLACES: usize = 64;

/// Where a value was sealed for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) scope: Scope,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, name) = (Printable(&self.namespace), Printable(&self.name));
        match self.scope {
            Scope::Strict => write!(f, "{namespace}/{name}, scope strict"),
            Scope::Namespace => write!(f, "namespace {namespace}, scope namespace-wide"),
            Scope::Cluster => write!(f, "any place, scope cluster-wide"),
        }
    }
}

/// What came of one value.
pub(crate) enum Outcome {
    /// It opens where it stands.
    Opened { value: Plaintext, by: Fingerprint },
    /// It opens for another place.
    Elsewhere(Place),
    /// It does not open.
    Closed(OpenError),
}

/// Tries one value where it stands, and then where it may have stood.
pub(crate) fn open(
    ring: &KeyRing,
    object: &SealedObject,
    sealed: &str,
    known: &[(String, String)],
) -> Outcome {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let here = object.scope().label(namespace, &object.name);
    match ring.open_and_tell(sealed, &here) {
        Ok((value, key)) => Outcome::Opened {
            value,
            by: key.fingerprint().clone(),
        },
        Err(OpenError::NoKey) => candidates(object, known)
            .into_iter()
            .filter(|place| place.scope.label(&place.namespace, &place.name) != here)
            .take(MOST_PLACES)
            .find(|place| {
                ring.open(sealed, &place.scope.label(&place.namespace, &place.name))
                    .is_ok()
            })
            .map_or(Outcome::Closed(OpenError::NoKey), Outcome::Elsewhere),
        Err(err) => Outcome::Closed(err),
    }
}

/// The likely ones first: the other scopes, what the template says, then names and namespaces of other objects.
pub(crate) fn candidates(object: &SealedObject, known: &[(String, String)]) -> Vec<Place> {
    let own = (object.namespace.clone().unwrap_or_default(), object.name.clone());
    let template = |field: &str| {
        let text = object
            .value
            .pointer("/spec/template/metadata")?
            .get(field)?
            .as_str()?;
        Some(text.to_owned())
    };
    let said = (
        template("namespace").unwrap_or_else(|| own.0.clone()),
        template("name").unwrap_or_else(|| own.1.clone()),
    );
    let mut pairs = vec![own.clone(), said];
    pairs.extend(
        known
            .iter()
            .map(|(namespace, _)| (namespace.clone(), own.1.clone())),
    );
    pairs.extend(known.iter().map(|(_, name)| (own.0.clone(), name.clone())));
    pairs.extend(known.iter().cloned());
    let mut seen = BTreeSet::new();
    let mut places = Vec::new();
    for (namespace, name) in pairs {
        for scope in [Scope::Strict, Scope::Namespace, Scope::Cluster] {
            let label = scope.label(&namespace, &name);
            if seen.insert(label) {
                places.push(Place {
                    scope,
                    namespace: namespace.clone(),
                    name: name.clone(),
                });
            }
        }
    }
    places
}
