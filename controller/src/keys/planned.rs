//! A sealing key that a KeyRotation asks for: marked as its, and endorsed by the keys that it will outlive.

use crds::label;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use sealing::KeyRing;
use sealing::keyset::{EndorsementKey, Member};
use sealing::v2::Suite;

use super::create::{CreateError, Recipe, make, store};
use super::endorsed;
use super::labelled::Stored;
use super::native::{self, NativeKey};
use super::stored::RsaKey;
use crate::config::Config;

/// Endorsements that are kept beside a key: by those of its format that were made last.
const ENDORSERS: usize = 8;
/// Of a key of format v1.
const BITS: usize = 4096;

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    Rsa,
    Age(Suite),
}

/// Makes a key for the rotation with this mark, and stores it under the first name that is free. Who asks has looked whether
/// there is one with the mark already: with one controller at work there is no second then.
pub(crate) async fn make_planned(
    api: &Api<Secret>,
    config: &Config,
    planned: Planned,
    mark: &str,
    ring: &KeyRing,
) -> Result<(), CreateError> {
    let recipe = Recipe {
        bits: BITS,
        ..Recipe::of(config)
    };
    let endorsers = endorsers(planned, ring);
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
    store(api, &prefix, secret, |_| false, |_| false).await
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

fn endorsers(planned: Planned, ring: &KeyRing) -> Vec<EndorsementKey> {
    match planned {
        Planned::Rsa => ring
            .keys()
            .iter()
            .take(ENDORSERS)
            .filter_map(|key| EndorsementKey::of_rsa(key.private_key()))
            .collect(),
        Planned::Age(_) => ring
            .native()
            .iter()
            .take(ENDORSERS)
            .filter_map(EndorsementKey::of_identity)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealing::keyset::{Audience, EndorsementName, KeySet, KeySetBuilder, Pins};
    use sealing::v2::Identity;

    #[test]
    fn who_pinned_a_key_that_is_gone_follows_to_the_one_after_it() {
        let old = Identity::generate(Suite::X25519).unwrap();
        let pinned: EndorsementName = EndorsementKey::of_identity(&old).unwrap().name();
        let ring = KeyRing::new([]).with_native([old]);
        let planned = Planned::Age(Suite::MlKem768X25519);
        let recipe = Recipe::of(&clap::Parser::parse_from(["signet-controller"]));
        let secret = fresh(planned, &recipe, &endorsers(planned, &ring)).unwrap();
        let key = NativeKey::read(&secret).ok().unwrap();
        let now = "2026-01-01T00:00:00Z";
        let member = Member::native(&key.identity().unwrap(), now.into()).unwrap();
        let document = KeySetBuilder::new(Audience::Cluster, now.into())
            .member(member.endorsed(key.endorsed.clone()))
            .sign();
        let set = KeySet::read(&document).unwrap();
        assert!(set.trusted(&Pins::of([pinned]), &Audience::Cluster, now).is_ok());
    }
}
