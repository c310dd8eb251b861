//! The controller's key set: fetched or read, and believed by what `.signet.yaml` keeps of it.

use crate::command_error::CommandError;
use crate::output::{reason, show};
use crate::repo_config::KeySetPin;
use jiff::{SignedDuration, Timestamp};
use sealing::Printable;
use sealing::keyset::{Audience, EndorsementName, KeyEntry, KeySet, KeySetError, Pins, Verified};
use sealing::v2::Recipient;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// How far a controller's clock may be ahead of ours.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Where the controller serves its key set.
pub(crate) const PATH: &str = "/v1/keys";

/// A key set that is believed.
pub(crate) struct Believed {
    keys: Vec<KeyEntry>,
    pins: Pins,
}

/// Reads a document out of a file.
pub(crate) fn read(path: &Path) -> Result<String, CommandError> {
    fs::read_to_string(path).map_err(|err| {
        CommandError::user(
            format!("cannot read the key set {}: {}", show(path), reason(&err)),
            format!("--keys takes the document that the controller serves at {PATH}"),
        )
    })
}

/// Whom to believe.
#[derive(Clone, Copy)]
pub(crate) enum Whom<'a> {
    /// Who is pinned, and who they endorse.
    Pinned(&'a KeySetPin),
    /// Those that a person has named.
    Named(&'a BTreeSet<EndorsementName>),
    /// It is the first that is seen, or a person was shown who signed it: the keys that it lists and that signed it are
    /// believed from now on.
    Anybody,
}

/// Believes a document if what is pinned says so; without a pin it is the first that is seen.
pub(crate) fn believe(document: &str, pin: Option<&KeySetPin>) -> Result<Believed, KeySetError> {
    believe_of(document, pin.map_or(Whom::Anybody, Whom::Pinned))
}

/// Believes a document of these.
pub(crate) fn believe_of(document: &str, whom: Whom<'_>) -> Result<Believed, KeySetError> {
    let verified = KeySet::read(document)?;
    let pins = match whom {
        Whom::Pinned(pin) => pin.pins(),
        Whom::Named(names) => Pins::of(first(&verified).names.intersection(names).cloned()),
        Whom::Anybody => first(&verified),
    };
    let now = Timestamp::now().checked_add(SKEW).unwrap_or(Timestamp::MAX);
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    // Until the controller serves keys of Projects, all are the cluster's.
    let trusted = verified.trusted(&pins, &Audience::Cluster, &now)?;
    Ok(Believed {
        keys: trusted.keys().cloned().collect(),
        pins: trusted.pins.clone(),
    })
}

/// Who signed, of those that the set lists: anybody can add a signature of a key that it does not.
fn first(verified: &Verified) -> Pins {
    let keys = verified.untrusted().keys.iter();
    let listed: BTreeSet<_> = keys
        .filter_map(|key| EndorsementName::of_public_text(&key.endorsement_key))
        .collect();
    Pins::of(verified.signers().intersection(&listed).cloned())
}

/// Who signed a document, for a person to compare.
pub(crate) fn signers(document: &str) -> Vec<String> {
    let names = KeySet::read(document).map(|verified| first(&verified).names);
    names
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
}

impl Believed {
    /// The newest key of the native format.
    pub(crate) fn newest(&self) -> Option<Recipient> {
        let mut native = self.keys.iter().filter_map(|key| key.recipient.as_ref());
        native.next()?.parse().ok()
    }

    /// The newest certificate of format v1, in PEM.
    pub(crate) fn certificate(&self) -> Option<&str> {
        self.keys.iter().find_map(|key| key.certificate.as_deref())
    }

    /// Whether it lists the key of a certificate.
    pub(crate) fn lists(&self, fingerprint: &str) -> bool {
        self.keys
            .iter()
            .any(|key| !key.is_native() && key.id == fingerprint)
    }

    /// What to keep of it. The recipient is kept where values are sealed for it.
    pub(crate) fn pin(&self, before: Option<&KeySetPin>, with_recipient: bool) -> KeySetPin {
        let newest = self.newest();
        let known = before.and_then(|pin| pin.recipient.clone());
        // One that is not listed any more is not sealed for: it may be compromised.
        let recipient = newest
            .as_ref()
            .filter(|_| with_recipient || known.is_some())
            .map(ToString::to_string);
        let mut former = before.map(|pin| pin.former.clone()).unwrap_or_default();
        let followed = known.and_then(|text| text.parse::<Recipient>().ok());
        former.extend(followed.map(|key| key.key_id().to_string()));
        let native = self.keys.iter().filter(|key| key.is_native());
        former.extend(native.map(|key| key.id.clone()));
        match recipient.as_ref().and_then(|text| text.parse::<Recipient>().ok()) {
            Some(own) => drop(former.remove(own.key_id().as_str())),
            None => former.clear(),
        }
        KeySetPin {
            trusted: self.pins.names.clone(),
            compromised: self.pins.compromised.clone(),
            issued_at: self.pins.issued_at.clone(),
            recipient,
            former,
        }
    }
}

/// Why a set that a person named cannot be used.
pub(crate) fn refused(what: &str, err: &KeySetError) -> CommandError {
    CommandError::user(
        format!("cannot use {}: {err}", Printable(what)),
        "fetch it again; if the controller was set up anew, compare its keys with what it logs at its start",
    )
}
