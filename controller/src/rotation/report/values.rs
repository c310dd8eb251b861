//! The sealed values of a text, each with a keyed digest of what it is and the leaked key that opens it. Blocks, and costs a
//! private operation for each value of format v1 that was not met before.
//!
//! Open values live inside [`Opener`] and nowhere else: what comes out holds names and keyed digests.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use manifest::{Limits, each_object, read_stream};
use reseal::{Format, Where};
use sealing::v2;
use sealing::{KeyRing, Scope};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::keys::DigestKey;
use crate::rotation::scan::may_hold;

/// What tells one value from another without saying what it is.
pub(super) type Digest = [u8; 16];
/// What tells one sealed value from another.
pub(super) type Sealed = [u8; 16];

/// What digests of a report are of, and nothing else.
const DOMAIN: &[u8] = b"signet/rotation-report/v1\0";
/// The same, of the key's own name.
const NAME_DOMAIN: &[u8] = b"signet/rotation-report/key/v1\0";
/// How many sealed values are remembered: each is opened once.
const REMEMBERED: usize = 200_000;
/// What the values of one text may take, in bytes: more are not looked at.
const TEXT_BYTES: usize = 8 << 20;
/// The same for all SealedSecrets of the cluster.
pub(super) const CLUSTER_BYTES: usize = 64 << 20;
/// Longest names that Kubernetes takes: of a namespace, and of an object or a key.
const NAMESPACE: usize = 63;
const NAME: usize = 253;

/// Where a value belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) key: String,
}

impl Place {
    /// About what it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.namespace.len() + self.name.len() + self.key.len()
    }

    /// Whether there can be such a Secret. What cannot be is nowhere in use, and is not kept, however long it is.
    fn can_be(&self) -> bool {
        let is = |text: &str, longest| {
            let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
            text.len() <= longest && text.bytes().all(plain)
        };
        is(&self.namespace, NAMESPACE) && is(&self.name, NAME) && is(&self.key, NAME)
    }
}

/// A sealed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) place: Place,
    /// None where no key opens it where it stands.
    pub(super) digest: Option<Digest>,
    /// The leaked key that opens it.
    pub(super) leaked: Option<String>,
}

impl Value {
    /// About what it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.place.weight() + self.leaked.as_ref().map_or(0, String::len)
    }
}

/// What a text holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) values: Vec<Value>,
    /// What they take, in bytes, and may.
    pub(super) bytes: usize,
    room: usize,
    /// Values that are not listed: what they are called is no name, or there was no room.
    pub(super) nameless: usize,
    pub(super) cut: usize,
    /// Values of format v1 without a namespace that open in none that is known: a leaked key may open them elsewhere. Short
    /// digests of them, as they are sealed.
    pub(super) adrift: Vec<Sealed>,
    /// Whether something that is or may be a SealedSecret cannot be read.
    pub(super) unread: bool,
}

impl Found {
    /// One that keeps so many bytes.
    pub(super) fn with_room(room: usize) -> Self {
        Self {
            room,
            ..Self::default()
        }
    }

    fn push(&mut self, value: Value) {
        if !value.place.can_be() {
            self.nameless += 1;
            return;
        }
        let weight = value.weight();
        if self.bytes + weight > self.room {
            self.cut += 1;
            return;
        }
        self.bytes += weight;
        self.values.push(value);
    }

    fn drifts(&mut self, sealed: &str) {
        if self.bytes + size_of::<Sealed>() > self.room {
            self.cut += 1;
            return;
        }
        self.bytes += size_of::<Sealed>();
        let mut short = Sealed::default();
        short.copy_from_slice(&Sha256::digest(sealed)[..16]);
        self.adrift.push(short);
    }

    fn is_full(&self) -> bool {
        self.cut > 0
    }
}

/// Opens values. What was opened once is not opened again.
pub(super) struct Opener {
    ring: Arc<KeyRing>,
    leaked: BTreeSet<String>,
    key: DigestKey,
    opened: HashMap<[u8; 32], Option<(Digest, Option<String>)>>,
}

impl Opener {
    /// With all keys at hand, of which these leaked.
    pub(super) fn new(ring: Arc<KeyRing>, leaked: BTreeSet<String>, key: DigestKey) -> Self {
        Self {
            ring,
            leaked,
            key,
            opened: HashMap::new(),
        }
    }

    /// Whether any of the leaked keys is at hand.
    pub(super) fn has_leaked(&self) -> bool {
        self.leaked_at_hand() > 0
    }

    /// Whether all of them are.
    pub(super) fn has_all_leaked(&self) -> bool {
        self.leaked_at_hand() == self.leaked.len()
    }

    fn leaked_at_hand(&self) -> usize {
        let v1 = self.ring.keys().iter().map(|key| key.fingerprint().as_str());
        let v2 = self.ring.native().iter().map(|key| key.key_id().as_str());
        // The same key may be there twice.
        let there: BTreeSet<&str> = v1.chain(v2).filter(|id| self.leaked.contains(*id)).collect();
        there.len()
    }

    /// Whether a value of format v1 may be sealed for one of them.
    fn leaks_v1(&self) -> bool {
        self.leaked.iter().any(|id| id.starts_with("SHA256:"))
    }

    /// The values of a text. An object that names no namespace is tried in each of these.
    pub(super) fn text(&mut self, bytes: &[u8], namespaces: &[String]) -> Found {
        let mut found = Found::with_room(TEXT_BYTES);
        if !may_hold(bytes) {
            return found;
        }
        let limits = Limits::default();
        let Ok(documents) = read_stream(bytes, &limits) else {
            found.unread = true;
            return found;
        };
        for document in documents {
            let Ok(value) = document.value else {
                found.unread = true;
                continue;
            };
            each_object(&value, limits.list_depth, &mut |object, _| {
                self.object(object, namespaces, &mut found);
            });
        }
        found
    }

    /// The values of one object.
    pub(super) fn object(&mut self, object: &Json, namespaces: &[String], found: &mut Found) {
        let Some(place) = Where::of(object, 1, 1) else {
            return;
        };
        match place.format {
            Format::V1 => self.v1(object, &place, namespaces, found),
            Format::V2 => self.v2(object, &place, namespaces, found),
        }
    }

    fn v1(&mut self, object: &Json, place: &Where, namespaces: &[String], found: &mut Found) {
        let spec = object.get("spec").unwrap_or(&Json::Null);
        let data = spec.get("encryptedData").and_then(Json::as_object);
        let mut sealed: Vec<(&str, &str)> = data
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
            .collect();
        // Before version 0.7 of Sealed Secrets the whole Secret was one value.
        sealed.extend(
            spec.get("data")
                .and_then(Json::as_str)
                .map(|value| ("data", value)),
        );
        let scope = Scope::from_annotations(object.pointer("/metadata/annotations"));
        let candidates: Vec<&str> = match (&place.namespace, scope) {
            (Some(own), _) => vec![own],
            // Sealed for every namespace: the first will do as well as any.
            (None, Scope::Cluster) => vec![namespaces.first().map_or("", String::as_str)],
            (None, _) => namespaces.iter().map(String::as_str).collect(),
        };
        let is_anywhere = place.namespace.is_none() && !matches!(scope, Scope::Cluster) && self.leaks_v1();
        for (key, value) in sealed {
            if found.is_full() {
                found.cut += 1;
                continue;
            }
            let at = |namespace: &str| Place {
                namespace: namespace.to_owned(),
                name: place.name.clone(),
                key: key.to_owned(),
            };
            let opened = candidates.iter().find_map(|namespace| {
                let (digest, leaked) = self.open(value, &scope.label(namespace, &place.name))?;
                Some(Value {
                    place: at(namespace),
                    digest: Some(digest),
                    leaked,
                })
            });
            if let Some(value) = opened {
                found.push(value);
                continue;
            }
            if is_anywhere {
                found.drifts(value);
            }
            for namespace in &candidates {
                found.push(Value {
                    place: at(namespace),
                    digest: None,
                    leaked: None,
                });
            }
        }
    }

    fn open(&mut self, sealed: &str, label: &[u8]) -> Option<(Digest, Option<String>)> {
        let mut hash = Sha256::new();
        hash.update(label.len().to_be_bytes());
        hash.update(label);
        hash.update(sealed);
        let id: [u8; 32] = hash.finalize().into();
        if let Some(known) = self.opened.get(&id) {
            return known.clone();
        }
        let opened = self.ring.open_and_tell(sealed, label).ok().map(|(open, by)| {
            let by = by.fingerprint().as_str();
            let leaked = self.leaked.contains(by).then(|| by.to_owned());
            (digest(&self.key, open.expose()), leaked)
        });
        if self.opened.len() >= REMEMBERED {
            self.opened.clear();
        }
        self.opened.insert(id, opened.clone());
        opened
    }

    fn v2(&mut self, object: &Json, place: &Where, namespaces: &[String], found: &mut Found) {
        let Ok(sealed) = v2::SealedSecret::parse(object) else {
            found.unread = true;
            return;
        };
        let own = place.namespace.as_deref().or(sealed.namespace());
        let namespace = own.or(namespaces.first().map(String::as_str)).unwrap_or_default();
        let open = sealed.unlock(self.ring.native()).ok();
        for (key, outline) in sealed.outline() {
            let mut recipients = outline.recipients.iter().map(v2::KeyId::as_str);
            let value = open.as_ref().and_then(|open| open.values().get(key));
            found.push(Value {
                place: Place {
                    namespace: namespace.to_owned(),
                    name: place.name.clone(),
                    key: key.to_owned(),
                },
                digest: value.map(|value| digest(&self.key, value.expose())),
                leaked: recipients.find(|id| self.leaked.contains(*id)).map(str::to_owned),
            });
        }
    }
}

/// Of the value alone, so that it is known again wherever it stands.
fn digest(key: &DigestKey, value: &[u8]) -> Digest {
    keyed(key, DOMAIN, value)
}

/// Tells one key of digests from another: what was made under another one cannot be compared.
pub(super) fn name_of(key: &DigestKey) -> String {
    crate::text::hex(&keyed(key, NAME_DOMAIN, b""))
}

fn keyed(key: &DigestKey, domain: &[u8], value: &[u8]) -> Digest {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose()) else {
        return Digest::default();
    };
    mac.update(domain);
    mac.update(value);
    let whole = mac.finalize().into_bytes();
    let mut digest = Digest::default();
    digest.copy_from_slice(&whole[..16]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealing::v1;
    use sealing::{PrivateKey, SealingKey, SelfSigned};
    use serde_json::json;
    use std::time::{Duration, SystemTime};

    fn key() -> SealingKey {
        let private = PrivateKey::generate(2048).unwrap();
        let certificate = SelfSigned::new(SystemTime::now(), Duration::from_hours(1))
            .sign(&private)
            .unwrap();
        SealingKey::new(private, certificate).unwrap()
    }

    #[test]
    fn each_value_is_opened_once_and_told_from_others() {
        let (old, new) = (key(), key());
        let seal = |key: &SealingKey, namespace: &str, value: &[u8]| {
            let public = key.certificate().public_key_at(SystemTime::now()).unwrap();
            v1::seal(public, &Scope::Strict.label(namespace, "db"), value).unwrap()
        };
        let object =
            json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "db"},
            "spec": {"encryptedData": {
                "old": seal(&old, "shop", b"hunter2"), "same": seal(&new, "shop", b"hunter2"),
                "new": seal(&new, "shop", b"another"), "closed": seal(&key(), "shop", b"x")}}})
            .to_string();
        let leaked = old.fingerprint().as_str().to_owned();
        let ring = Arc::new(KeyRing::new([old, new]));
        let mut opener = Opener::new(
            Arc::clone(&ring),
            BTreeSet::from([leaked.clone()]),
            DigestKey::for_tests(),
        );
        assert!(opener.has_leaked());
        let namespaces = ["bank".to_owned(), "shop".to_owned()];
        let found = opener.text(object.as_bytes(), &namespaces);
        let by = |key: &str| found.values.iter().find(|value| value.place.key == key).unwrap();
        assert_eq!(by("old").leaked, Some(leaked));
        assert_eq!((&by("same").leaked, by("same").digest), (&None, by("old").digest));
        assert_ne!(by("new").digest, by("old").digest);
        assert_eq!(by("old").place.namespace, "shop");
        // What does not open is named in each namespace that it may be for.
        let closed = found.values.iter().filter(|value| value.place.key == "closed");
        assert_eq!(closed.filter(|value| value.digest.is_none()).count(), 2);
        assert_eq!(found.adrift.len(), 1, "a leaked key may open it elsewhere");
        let operations = ring.private_operations();
        assert_eq!(opener.text(object.as_bytes(), &namespaces), found);
        assert_eq!(ring.private_operations(), operations, "nothing is opened again");
        assert_eq!(opener.text(object.as_bytes(), &[]).adrift.len(), 4);
        assert_eq!(
            opener.text(object.as_bytes(), &["bank".to_owned()]).adrift.len(),
            4
        );
        let named = object.replace("\"name\":\"db\"", "\"name\":\"db\",\"namespace\":\"bank\"");
        assert_ne!(named, object);
        assert!(opener.text(named.as_bytes(), &namespaces).adrift.is_empty());
        assert!(opener.text(b"kind: SealedSecret\n\tx", &[]).unread);
        // However the word is written.
        let hidden = object.replace("\"SealedSecret\"", "\"Sealed\\u0053ecret\"");
        assert_ne!(hidden, object);
        assert_eq!(opener.text(hidden.as_bytes(), &namespaces), found);
    }

    #[test]
    fn what_cannot_be_called_so_is_counted_and_not_kept() {
        let mut opener = Opener::new(
            Arc::new(KeyRing::new([])),
            BTreeSet::new(),
            DigestKey::for_tests(),
        );
        let object = |name: &str, data: &Json| {
            json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": name},
                "spec": {"encryptedData": data}})
            .to_string()
        };
        let namespaces = ["shop".to_owned()];
        let mut look = |name: &str, data: &Json| {
            let found = opener.text(object(name, data).as_bytes(), &namespaces);
            assert!(found.bytes <= TEXT_BYTES);
            (found.values.len(), found.nameless, found.cut)
        };
        assert_eq!(look("db", &json!({"a": "x"})), (1, 0, 0));
        assert_eq!(look(&"d".repeat(254), &json!({"a": "x"})), (0, 1, 0));
        assert_eq!(
            look("db", &json!({"a\u{1}": "x", "k\"": "x", "b": "x"})),
            (1, 2, 0)
        );
        let document = |first: usize| {
            let keys = (first..first + 1_000).map(|number| (format!("{number:0>200}"), json!("x")));
            let keys: serde_json::Map<_, _> = keys.collect();
            object("db", &keys.into())
        };
        let many: Vec<_> = (0..60).map(|number| document(1_000 * number)).collect();
        let found = opener.text(many.join("\n---\n").as_bytes(), &namespaces);
        let (kept, cut) = (found.values.len(), found.cut);
        assert!(
            kept > 10_000 && cut > 10_000 && kept + cut == 60_000,
            "{kept} {cut}"
        );
        assert!(found.bytes <= TEXT_BYTES && !found.unread);
    }

    #[test]
    fn a_digest_says_nothing_without_its_key() {
        let plain: [u8; 32] = Sha256::digest(b"hunter2").into();
        let keyed = digest(&DigestKey::for_tests(), b"hunter2");
        assert_ne!(keyed, plain[..16]);
        assert_ne!(keyed, digest(&DigestKey::for_tests(), b"hunter3"));
    }
}
