//! A sealing key that a KeyRotation asks for: marked as its, and endorsed by the keys that it will outlive.

use std::collections::BTreeSet;

use crds::{annotation, label};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ListParams, PostParams};
use sealing::keyset::{EndorsementKey, EndorsementName, Member, Signature};
use sealing::v2::{Identity, Suite};
use sealing::{KeyRing, SealingKey};
use tracing::warn;

use super::create::{CreateError, Recipe, make, store};
use super::endorsed;
use super::inventory::{KeyFormat, KeySecret};
use super::labelled::{KeyState, Stored, compromised_before, key_state, selector};
use super::native::{self, NativeKey};
use super::stored::RsaKey;
use crate::config::Config;
use crate::request::{RequestError, bounded};

/// Endorsements that are kept beside a key: by those of its format that were made last.
const ENDORSERS: usize = 8;
/// Of a key of format v1.
const BITS: usize = 4096;
/// Keys that leaked which one that comes after them remembers: they go into an annotation of its Secret.
const REMEMBERED: usize = 400;

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    Rsa,
    Age(Suite),
}

/// Makes a key for the rotation with this mark, and stores it under the first name that is free. Who asks has looked whether
/// there is one with the mark already: with one controller at work there is no second then. Keys that `leaked` do not endorse it:
/// it says of them that they are compromised, also when they are gone, and of all that the keys before it say that of.
pub(crate) async fn make_planned(
    api: &Api<Secret>,
    config: &Config,
    planned: Planned,
    mark: &str,
    ring: &KeyRing,
    leaked: &BTreeSet<String>,
) -> Result<(), CreateError> {
    let recipe = Recipe {
        bits: BITS,
        ..Recipe::of(config)
    };
    let endorsers = endorsers(planned, ring, leaked);
    let gone = together(names(ring, leaked), remembered(&stored(api).await?));
    let prefix = match planned {
        Planned::Rsa => recipe.prefix.clone(),
        Planned::Age(_) => native::PREFIX.to_owned(),
    };
    // A key of 4096 bits takes a second or more.
    let made = tokio::task::spawn_blocking(move || fresh(planned, &recipe, &endorsers));
    let mut secret = made
        .await
        .map_err(|_| CreateError::Make("the maker stopped".into()))??;
    let labels = secret.metadata.labels.get_or_insert_default();
    labels.insert(label::ROTATION.to_owned(), mark.to_owned());
    remember(&mut secret, &gone);
    store(api, &prefix, secret, |_| false, |_| false).await
}

/// The Secrets of all keys, of both formats.
async fn stored(api: &Api<Secret>) -> Result<Vec<Secret>, RequestError> {
    let mut all = Vec::new();
    for label in [RsaKey::LABEL, NativeKey::LABEL] {
        let selected = ListParams::default().labels(&selector(label));
        all.extend(bounded(api.list(&selected)).await?.items);
    }
    Ok(all)
}

/// The keys that leaked, as these Secrets say: those that are labelled so, and those that were before them. The Secret that says
/// it may be the next one to go.
fn remembered(secrets: &[Secret]) -> Vec<EndorsementName> {
    let labelled = |secret: &Secret| {
        let rsa = (key_state::<RsaKey>(secret) != KeyState::Active)
            .then(|| RsaKey::read(secret).ok()?.endorsement());
        let age = (key_state::<NativeKey>(secret) != KeyState::Active)
            .then(|| NativeKey::read(secret).ok()?.endorsement());
        rsa.flatten().or(age.flatten())
    };
    let own = secrets.iter().filter_map(labelled);
    own.chain(secrets.iter().flat_map(compromised_before)).collect()
}

/// Each once, the first ones first.
fn together(first: Vec<EndorsementName>, more: Vec<EndorsementName>) -> Vec<EndorsementName> {
    let mut all: Vec<EndorsementName> = Vec::new();
    for name in first.into_iter().chain(more) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    if all.len() > REMEMBERED {
        warn!(
            keys = all.len(),
            "more keys have leaked than a key remembers: the earliest are not named any more"
        );
        all.truncate(REMEMBERED);
    }
    all
}

/// Keeps it beside a key.
fn remember(secret: &mut Secret, gone: &[EndorsementName]) {
    if let Ok(text) = serde_json::to_string(gone)
        && !gone.is_empty()
    {
        let annotations = secret.metadata.annotations.get_or_insert_default();
        annotations.insert(annotation::COMPROMISED.to_owned(), text);
    }
}

fn fresh(planned: Planned, recipe: &Recipe, endorsers: &[EndorsementKey]) -> Result<Secret, CreateError> {
    let unreadable = || CreateError::Make("it cannot be read back".into());
    let time = String::new;
    let (mut secret, member) = match planned {
        Planned::Rsa => {
            let secret = make(recipe)?;
            let key = RsaKey::read(&secret)
                .and_then(|key| key.parse())
                .map_err(|_| unreadable())?;
            (secret, Member::rsa(&key, time(), time()))
        }
        Planned::Age(suite) => {
            let secret = native::fresh(suite)?;
            let key = NativeKey::read(&secret).map_err(|_| unreadable())?;
            let identity = key.identity().ok_or_else(unreadable)?;
            (secret, Member::native(&identity, time()))
        }
    };
    let member = member.ok_or_else(unreadable)?;
    let endorsements: Vec<_> = endorsers.iter().map(|by| member.endorse(by)).collect();
    endorsed::keep(&mut secret, &endorsements);
    Ok(secret)
}

/// What keys endorse with that leaked.
fn names(ring: &KeyRing, leaked: &BTreeSet<String>) -> Vec<EndorsementName> {
    let rsa = ring
        .keys()
        .iter()
        .filter(|key| leaked.contains(key.fingerprint().as_str()))
        .filter_map(|key| EndorsementKey::of_rsa(key.private_key()));
    let native = ring
        .native()
        .iter()
        .filter(|key| leaked.contains(key.key_id().as_str()))
        .filter_map(EndorsementKey::of_identity);
    rsa.chain(native).map(|key| key.name()).collect()
}

/// Why a key was not taken. Says nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TakeError {
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("the controller has not loaded it yet")]
    NotLoaded,
    #[error("its Secret has changed")]
    Changed,
}

/// Makes a key that somebody else has stored the new one of the rotation with this mark: marked as its, and endorsed by the keys
/// that it will outlive.
pub(crate) async fn take(
    api: &Api<Secret>,
    key: &KeySecret,
    mark: &str,
    ring: &KeyRing,
) -> Result<(), TakeError> {
    let endorsements = said_of(key, ring).ok_or(TakeError::NotLoaded)?;
    let gone = remembered(&stored(api).await?);
    let mut secret = bounded(api.get(&key.secret)).await?;
    if secret.metadata.uid.as_deref() != Some(&key.uid)
        || secret.metadata.resource_version.as_deref() != Some(&key.version)
    {
        return Err(TakeError::Changed);
    }
    let mut all = endorsed::kept(&secret);
    all.splice(0..0, endorsements);
    endorsed::keep(&mut secret, &all);
    let gone = together(compromised_before(&secret), gone);
    remember(&mut secret, &gone);
    let labels = secret.metadata.labels.get_or_insert_default();
    labels.insert(label::ROTATION.to_owned(), mark.to_owned());
    // Whoever has written it meanwhile is not overwritten: the resourceVersion differs.
    bounded(api.replace(&key.secret, &PostParams::default(), &secret)).await?;
    Ok(())
}

/// What the keys of a ring say of one of them.
fn said_of(key: &KeySecret, ring: &KeyRing) -> Option<Vec<Signature>> {
    let time = String::new;
    let (member, endorsers): (_, Vec<_>) = match key.format {
        KeyFormat::V1 => {
            let is_it = |one: &&SealingKey| one.fingerprint().as_str() == key.id;
            let own = ring.keys().iter().find(is_it)?;
            let others = ring.keys().iter().filter(|one| !is_it(one));
            let others = others.filter(|one| !ring.is_barred(one.fingerprint().as_str()));
            let others = others.filter_map(|key| EndorsementKey::of_rsa(key.private_key()));
            (
                Member::rsa(own, time(), time())?,
                others.take(ENDORSERS).collect(),
            )
        }
        KeyFormat::V2 => {
            let is_it = |one: &&Identity| one.key_id().as_str() == key.id;
            let own = ring.native().iter().find(is_it)?;
            let others = ring.native().iter().filter(|one| !is_it(one));
            let others = others.filter(|one| !ring.is_barred(one.key_id().as_str()));
            let others = others.filter_map(EndorsementKey::of_identity);
            (Member::native(own, time())?, others.take(ENDORSERS).collect())
        }
    };
    Some(endorsers.iter().map(|by| member.endorse(by)).collect())
}

fn endorsers(planned: Planned, ring: &KeyRing, leaked: &BTreeSet<String>) -> Vec<EndorsementKey> {
    let may = |id: &str| !ring.is_barred(id) && !leaked.contains(id);
    match planned {
        Planned::Rsa => ring
            .keys()
            .iter()
            .filter(|key| may(key.fingerprint().as_str()))
            .take(ENDORSERS)
            .filter_map(|key| EndorsementKey::of_rsa(key.private_key()))
            .collect(),
        Planned::Age(_) => ring
            .native()
            .iter()
            .filter(|key| may(key.key_id().as_str()))
            .take(ENDORSERS)
            .filter_map(EndorsementKey::of_identity)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealing::keyset::{Audience, EndorsementName, KeySet, KeySetBuilder, Pins};

    #[test]
    fn who_pinned_a_key_that_is_gone_follows_to_the_one_after_it() {
        let old = Identity::generate(Suite::X25519).unwrap();
        let pinned: EndorsementName = EndorsementKey::of_identity(&old).unwrap().name();
        let ring = KeyRing::new([]).with_native([old]);
        let planned = Planned::Age(Suite::MlKem768X25519);
        let recipe = Recipe::of(&clap::Parser::parse_from(["signet-controller"]));
        let secret = fresh(planned, &recipe, &endorsers(planned, &ring, &BTreeSet::new())).unwrap();
        let key = NativeKey::read(&secret).ok().unwrap();
        let now = "2026-01-01T00:00:00Z";
        let member = Member::native(&key.identity().unwrap(), now.into()).unwrap();
        let document = KeySetBuilder::new(Audience::Cluster, now.into())
            .member(member.endorsed(key.endorsed.clone()))
            .sign();
        let set = KeySet::read(&document).unwrap();
        assert!(set.trusted(&Pins::of([pinned]), &Audience::Cluster, now).is_ok());
    }

    #[test]
    fn a_key_that_leaked_endorses_nothing_and_is_remembered() {
        let old = Identity::generate(Suite::X25519).unwrap();
        let name = EndorsementKey::of_identity(&old).unwrap().name();
        let leaked = BTreeSet::from([old.key_id().to_string()]);
        let ring = KeyRing::new([]).with_native([old]);
        assert!(endorsers(Planned::Age(Suite::X25519), &ring, &leaked).is_empty());
        assert_eq!(names(&ring, &leaked), [name]);
        let barred = KeyRing::new([]).with_native([Identity::generate(Suite::X25519).unwrap()]);
        let ids: Vec<_> = barred
            .native()
            .iter()
            .map(|key| key.key_id().to_string())
            .collect();
        let barred = barred.barring(ids);
        assert!(endorsers(Planned::Age(Suite::X25519), &barred, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn what_a_key_says_of_those_before_it_is_said_by_the_one_after_it() {
        let suite = Suite::X25519;
        let gone = EndorsementKey::of_identity(&Identity::generate(suite).unwrap())
            .unwrap()
            .name();
        let mut first = native::fresh(suite).unwrap();
        remember(&mut first, std::slice::from_ref(&gone));
        let mut shut = native::fresh(suite).unwrap();
        let labels = shut.metadata.labels.get_or_insert_default();
        labels.insert(NativeKey::LABEL.to_owned(), "compromised".to_owned());
        let name = NativeKey::read(&shut).ok().unwrap().endorsement().unwrap();
        let all = [first, shut, native::fresh(suite).unwrap()];
        assert_eq!(
            together(vec![gone.clone()], remembered(&all)),
            [gone.clone(), name.clone()]
        );
        // And by the one after that.
        let mut second = native::fresh(suite).unwrap();
        remember(&mut second, &remembered(&all));
        assert_eq!(remembered(&[second.clone()]), [name, gone]);
        let one = together(Vec::new(), remembered(&[second.clone(), second]));
        assert_eq!(one.len(), 2);
    }
}
