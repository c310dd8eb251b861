//! The Secrets that are labelled as sealing keys of one format: keys that open, keys that are compromised, and what cannot be
//! used as a key.

use std::collections::BTreeMap;

use crds::annotation;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use sealing::keyset::EndorsementName;
use sealing::v2::IdentityError;
use tracing::warn;

use crate::events::{Events, Severity};

/// Certificates and keys are a few kilobytes; a Secret can hold a megabyte.
const LARGEST: usize = 64 << 10;
/// The label's value on a key that opens.
const ACTIVE: &str = "active";
/// The label's value on a key that leaked: it is not sealed for, vouches for nothing, and is named so in the key set. It opens
/// nothing either, unless a KeyRotation is on the way away from it.
pub(super) const COMPROMISED: &str = "compromised";

/// What a sealing key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// It opens, and is published.
    Active,
    /// It is compromised, and opens until the KeyRotation that leaves it is complete.
    Leaving,
    /// It is compromised, and opens nothing.
    Compromised,
}

/// Selects the Secrets with a label that says whether a key opens or is compromised. Any other value is nobody's business.
pub(super) fn selector(label: &str) -> String {
    format!("{label} in ({ACTIVE},{COMPROMISED})")
}

/// Whether a Secret is a key that every controller loads.
pub(super) fn is_in_use<K: Stored>(secret: &Secret) -> bool {
    state(secret, K::LABEL) == Some(ACTIVE)
        && secret.metadata.deletion_timestamp.is_none()
        && K::read(secret).is_ok()
}

/// What a Secret says of its key.
pub(super) fn key_state<K: Stored>(secret: &Secret) -> KeyState {
    let annotations = secret.metadata.annotations.as_ref();
    match state(secret, K::LABEL) {
        Some(COMPROMISED) if annotations.is_some_and(|all| all.contains_key(annotation::LEAVING)) => {
            KeyState::Leaving
        }
        Some(COMPROMISED) => KeyState::Compromised,
        _ => KeyState::Active,
    }
}

/// Keys before this one that leaked, as its Secret says. What cannot be read says nothing.
pub(super) fn compromised_before(secret: &Secret) -> Vec<EndorsementName> {
    let annotations = secret.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(annotation::COMPROMISED))
        .filter(|text| text.len() <= LARGEST)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn state<'a>(secret: &'a Secret, label: &str) -> Option<&'a str> {
    secret.metadata.labels.as_ref()?.get(label).map(String::as_str)
}

/// A key as a Secret holds it.
pub(crate) trait Stored: Sized + PartialEq {
    /// The label that makes a Secret a key.
    const LABEL: &'static str;

    /// Takes it out of a Secret, and checks it.
    fn read(secret: &Secret) -> Result<Self, Unusable>;

    /// What tells it from every other key, whatever its Secret is called.
    fn id(&self) -> &str;

    /// Keys before it that leaked, by what they endorsed with.
    fn before(&self) -> &[EndorsementName];
}

/// Why a Secret is not a sealing key. Says nothing about what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("its type is not {0}")]
    Type(&'static str),
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("its {0} is not a text of the size of a key")]
    NotText(&'static str),
    #[error("its tls.key cannot be used: {0}")]
    Key(String),
    #[error("its tls.crt cannot be used: {0}")]
    Certificate(String),
    #[error("its identity cannot be used: {0}")]
    Identity(IdentityError),
    #[error("its {0} and {1} are of two different pairs")]
    Mismatch(&'static str, &'static str),
    #[error(
        "its audience is not the cluster, and keys of Projects are not supported yet; remove the annotation {0} or set it to \
         Cluster"
    )]
    Audience(&'static str),
}

/// A text of a Secret's data.
pub(super) fn field<'a>(secret: &'a Secret, name: &'static str) -> Result<&'a str, Unusable> {
    let bytes = secret
        .data
        .as_ref()
        .and_then(|data| data.get(name))
        .ok_or(Unusable::Missing(name))?;
    if bytes.0.len() > LARGEST {
        return Err(Unusable::NotText(name));
    }
    std::str::from_utf8(&bytes.0).map_err(|_| Unusable::NotText(name))
}

/// When a key's Secret was first made. One that comes back from a backup is no newer for it.
pub(super) fn made(secret: &Secret) -> Timestamp {
    let metadata = &secret.metadata;
    let created = metadata
        .creation_timestamp
        .as_ref()
        .map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let annotations = metadata.annotations.as_ref();
    let first = annotations.and_then(|all| all.get(annotation::MADE)?.parse::<Timestamp>().ok());
    first.map_or(created, |first| first.min(created))
}

/// What is known of the key Secrets, by name.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Labelled<K>(BTreeMap<String, Result<Entry<K>, Unusable>>);

#[derive(Clone, PartialEq, Eq)]
struct Entry<K> {
    key: K,
    state: KeyState,
}

impl<K> Default for Labelled<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Stored> Labelled<K> {
    /// Takes a Secret in; whether that changed anything, and if it is unusable, why.
    pub(super) fn insert(&mut self, name: String, secret: &Secret) -> (bool, Option<&Unusable>) {
        let new = K::read(secret).map(|key| Entry {
            key,
            state: key_state::<K>(secret),
        });
        let changed = self.0.get(&name).is_none_or(|old| *old != new);
        let entry = self.0.entry(name).insert_entry(new).into_mut();
        (changed, entry.as_ref().err())
    }

    /// The same, and says what cannot be used, in the log and as an event. Whether anything changed.
    pub(super) fn take(&mut self, secret: &Secret, home: &Home) -> bool {
        let name = secret.metadata.name.clone().unwrap_or_default();
        let opened = self.opens(&name);
        let (changed, unusable) = self.insert(name.clone(), secret);
        if let (true, Some(why)) = (changed, unusable) {
            home.say_unusable(&name, secret, why);
        }
        if opened && !self.opens(&name) {
            warn_gone(&name);
        }
        changed
    }

    /// Takes a Secret out. Whether it was in.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        if self.opens(name) {
            warn_gone(name);
        }
        self.0.remove(name).is_some()
    }

    fn opens(&self, name: &str) -> bool {
        let entry = self.0.get(name).and_then(|entry| entry.as_ref().ok());
        entry.is_some_and(|entry| self.is_active(entry) || self.is_leaving(entry))
    }

    /// Whether it opens and is published: a copy of a key that is compromised does not, whatever its own label says.
    fn is_active(&self, entry: &Entry<K>) -> bool {
        entry.state == KeyState::Active && self.compromised().all(|key| key.id() != entry.key.id())
    }

    /// Whether it opens and is not published.
    fn is_leaving(&self, entry: &Entry<K>) -> bool {
        let is_shut =
            |other: &Entry<K>| other.state == KeyState::Compromised && other.key.id() == entry.key.id();
        entry.state == KeyState::Leaving && !self.0.values().flatten().any(is_shut)
    }

    /// How many Secrets are labelled as keys and are none.
    pub(super) fn unusable(&self) -> usize {
        self.0.values().filter(|entry| entry.is_err()).count()
    }

    /// Whether a Secret of this name is in, usable or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The keys that open and are published, by name.
    pub(super) fn active(&self) -> impl Iterator<Item = (&str, &K)> {
        let usable = self
            .0
            .iter()
            .filter_map(|(name, entry)| Some((name.as_str(), entry.as_ref().ok()?)));
        usable
            .filter(|(_, entry)| self.is_active(entry))
            .map(|(name, entry)| (name, &entry.key))
    }

    /// The keys that are compromised and open for now, by name.
    pub(super) fn leaving(&self) -> impl Iterator<Item = (&str, &K)> {
        let usable = self
            .0
            .iter()
            .filter_map(|(name, entry)| Some((name.as_str(), entry.as_ref().ok()?)));
        usable
            .filter(|(_, entry)| self.is_leaving(entry))
            .map(|(name, entry)| (name, &entry.key))
    }

    /// The keys that are compromised, whether they open for now or not.
    pub(super) fn compromised(&self) -> impl Iterator<Item = &K> {
        let usable = self.0.values().flatten();
        usable
            .filter(|entry| entry.state != KeyState::Active)
            .map(|entry| &entry.key)
    }

    /// All that can be used, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &K, KeyState)> {
        self.0.iter().filter_map(|(name, entry)| {
            let entry = entry.as_ref().ok()?;
            let opens = self.is_active(entry) || self.is_leaving(entry);
            let state = if opens { entry.state } else { KeyState::Compromised };
            Some((name.as_str(), &entry.key, state))
        })
    }

    /// Keys that leaked and may be gone, as those that came after them say. One of those may have leaked since: what it says
    /// stays true.
    pub(super) fn gone(&self) -> impl Iterator<Item = &EndorsementName> {
        self.0.values().flatten().flat_map(|entry| entry.key.before())
    }
}

fn warn_gone(name: &str) {
    warn!(
        secret = name,
        "a sealing key was removed or is not to be used any more; what is sealed for it alone cannot be opened"
    );
}

/// Where the key Secrets are, and who is told of them.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) namespace: String,
    pub(super) events: Events,
}

impl Home {
    fn say_unusable(&self, name: &str, secret: &Secret, why: &Unusable) {
        warn!(secret = name, %why, "a Secret is labelled as a sealing key and cannot be used; it is left out");
        let about = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Secret".into()),
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            uid: secret.metadata.uid.clone(),
            ..ObjectReference::default()
        };
        self.events.publish(
            &about,
            Severity::Warning,
            "UnusableSealingKey",
            format!("This Secret is labelled as a sealing key, but {why}. It is left out."),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    #[test]
    fn a_key_that_comes_back_is_no_newer() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let of = |created, first: Option<&str>| {
            let mut secret = Secret::default();
            secret.metadata.creation_timestamp = Some(Time(at(created)));
            secret.metadata.annotations =
                first.map(|first| [(annotation::MADE.to_owned(), first.to_owned())].into());
            made(&secret)
        };
        assert_eq!(of(500, None), at(500));
        assert_eq!(of(500, Some("1970-01-01T00:01:40Z")), at(100));
        // A time to come makes no key the newest, and what is no time says nothing.
        assert_eq!(of(500, Some("1970-01-01T01:00:00Z")), at(500));
        assert_eq!(of(500, Some("soon")), at(500));
    }
}
