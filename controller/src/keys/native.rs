//! Sealing keys of format v2: Secrets of a type of their own, made at first start, followed by a watch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crds::{annotation, label};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::runtime::watcher::{Config as WatchConfig, Event};
use sealing::keyset::{EndorsementKey, EndorsementName, Signature};
use sealing::v2::{Identity, Suite};
use tokio::sync::watch as channel;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::create::{CreateError, store};
use super::endorsed;
use super::labelled::{
    Home, Labelled, Stored, Unusable, compromised_before, field, is_in_use, made, selector,
};
use super::renew::{Renewal, Schedule, until};
use crate::leader::Fence;
use crate::watch::watch;

/// The type of the Secrets.
const TYPE: &str = "signet.dev/sealing-key";
/// First part of the names of keys that are made here.
pub(super) const PREFIX: &str = "signet-sealing-key";
/// What the annotation says of a key that is everybody's.
const CLUSTER: &str = "Cluster";
const RETRY: Duration = Duration::from_secs(2);

/// A key as its Secret holds it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct NativeKey {
    text: Zeroizing<String>,
    /// `key-…`.
    id: String,
    /// When its Secret was first made: the newest is sealed for.
    pub(super) created: jiff::Timestamp,
    /// What keys before it said of it.
    pub(super) endorsed: Vec<Signature>,
    before: Vec<EndorsementName>,
}

/// What is known of the key Secrets.
pub(crate) type NativeKeys = Arc<Labelled<NativeKey>>;

impl Stored for NativeKey {
    const LABEL: &'static str = label::NATIVE_SEALING_KEY;

    fn read(secret: &Secret) -> Result<Self, Unusable> {
        if secret.type_.as_deref() != Some(TYPE) {
            return Err(Unusable::Type(TYPE));
        }
        let annotations = secret.metadata.annotations.as_ref();
        let audience = annotations.and_then(|all| all.get(annotation::AUDIENCE));
        if audience.is_some_and(|audience| audience != CLUSTER) {
            return Err(Unusable::Audience(annotation::AUDIENCE));
        }
        // A file of age-keygen, comments and all: its first key.
        let mut keys = Identity::parse_file(field(secret, "identity")?).map_err(Unusable::Identity)?;
        let identity = keys.swap_remove(0);
        // For people to read, so it has to be right.
        let recipient = field(secret, "recipient").ok();
        if recipient.is_some_and(|text| text.trim() != identity.recipient().to_string()) {
            return Err(Unusable::Mismatch("identity", "recipient"));
        }
        Ok(Self {
            text: identity.to_text(),
            id: identity.key_id().to_string(),
            created: made(secret),
            endorsed: endorsed::kept(secret),
            before: compromised_before(secret),
        })
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn before(&self) -> &[EndorsementName] {
        &self.before
    }
}

impl NativeKey {
    /// The key itself.
    pub(super) fn identity(&self) -> Option<Identity> {
        Identity::parse(&self.text).ok()
    }

    /// The name of the key that endorses others for it.
    pub(super) fn endorsement(&self) -> Option<EndorsementName> {
        Some(EndorsementKey::of_identity(&self.identity()?)?.name())
    }
}

impl Labelled<NativeKey> {
    /// Those that are published, oldest first.
    pub(super) fn oldest_first(&self) -> Vec<&NativeKey> {
        let mut keys: Vec<_> = self.active().collect();
        keys.sort_by_key(|(name, key)| (key.created, *name));
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// When the one that is sealed for was made.
    fn newest(&self) -> Option<SystemTime> {
        let created = self.active().map(|(_, key)| key.created).max();
        created.map(SystemTime::from)
    }
}

/// Follows the key Secrets, for ever. What the first whole list holds is published at once, even if that is nothing: keys of
/// the other format never wait for one that is made. One is made only where that list holds none.
pub(super) async fn follow(
    api: Api<Secret>,
    home: Home,
    renewal: Renewal,
    publish: channel::Sender<Option<NativeKeys>>,
    fence: Fence,
) {
    let selected = WatchConfig::default().labels(&selector(NativeKey::LABEL));
    let mut stream = Box::pin(watch(api.clone(), selected));
    let mut known = Labelled::<NativeKey>::default();
    let mut listing = Labelled::default();
    let mut first = true;
    let mut making = None;
    let mut schedule = Schedule::new(renewal);
    loop {
        let newest = known.newest();
        let event = tokio::select! {
            event = stream.next() => event,
            () = until(schedule.next(newest)) => {
                if schedule.begins(newest) && fence.is_ours() {
                    renew(&api, &known).await;
                }
                continue;
            }
            // The watch brings it.
            () = until_done(&mut making) => {
                making = None;
                continue;
            }
        };
        match event {
            None => return,
            Some(Err(_)) => continue, // the watch has logged it and tries again
            Some(Ok(Event::Init)) => {
                listing = Labelled::default();
                continue;
            }
            Some(Ok(Event::InitApply(secret))) => {
                listing.take(&secret, &home);
                continue;
            }
            Some(Ok(Event::InitDone)) => {
                known = std::mem::take(&mut listing);
                if first && known.active().next().is_none() {
                    making = Some(make(api.clone(), fence.clone()).boxed());
                }
                first = false;
            }
            Some(Ok(Event::Apply(secret))) => {
                known.take(&secret, &home);
            }
            Some(Ok(Event::Delete(secret))) => {
                known.remove(&secret.metadata.name.unwrap_or_default());
            }
        }
        if known.active().next().is_some() {
            // Somebody brought one.
            making = None;
        }
        publish.send_if_modified(|published| {
            let changed = published.as_deref() != Some(&known);
            if changed {
                *published = Some(Arc::new(known.clone()));
            }
            changed
        });
    }
}

pub(super) async fn until_done(work: &mut Option<BoxFuture<'static, ()>>) {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// Makes a key beside those that are there. The watch brings it; where that fails, it is due again.
async fn renew(api: &Api<Secret>, known: &Labelled<NativeKey>) {
    info!("the newest sealing key of format v2 is due to be renewed");
    let made = match fresh(Suite::default()) {
        Ok(secret) => {
            store(
                api,
                PREFIX,
                secret,
                |name| known.has(name),
                is_in_use::<NativeKey>,
            )
            .await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = made {
        warn!(%error, "the sealing key of format v2 could not be renewed; it is tried again");
    }
}

/// Makes a key; where that fails, again and again.
async fn make(api: Api<Secret>, fence: Fence) {
    fence.opened().await;
    loop {
        let made = match fresh(Suite::default()) {
            Ok(secret) => store(&api, PREFIX, secret, |_| false, is_in_use::<NativeKey>).await,
            Err(error) => Err(error),
        };
        match made {
            Ok(()) => return,
            Err(error) => warn!(%error, "there is no sealing key of format v2 yet; it is tried again"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

pub(super) fn fresh(suite: Suite) -> Result<Secret, CreateError> {
    let identity = Identity::generate(suite).map_err(|e| CreateError::Make(e.to_string()))?;
    let data = [
        ("identity", identity.to_text().as_bytes().to_vec()),
        ("recipient", identity.recipient().to_string().into_bytes()),
    ];
    Ok(Secret {
        metadata: ObjectMeta {
            labels: Some(BTreeMap::from([(
                label::NATIVE_SEALING_KEY.to_owned(),
                "active".to_owned(),
            )])),
            annotations: Some(BTreeMap::from([(
                annotation::AUDIENCE.to_owned(),
                CLUSTER.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        type_: Some(TYPE.into()),
        data: Some(
            data.map(|(name, bytes)| (name.to_owned(), ByteString(bytes)))
                .into(),
        ),
        ..Secret::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_can_be_read_and_what_is_wrong_is_said_without_quoting() {
        let secret = fresh(Suite::default()).unwrap();
        let key = NativeKey::read(&secret).ok().unwrap();
        assert_eq!(key.identity().unwrap().suite(), Suite::MlKem768X25519);

        // Under another name it is the same key: compromised once, compromised everywhere.
        let mut known = Labelled::<NativeKey>::default();
        let mut leaked = secret.clone();
        known.insert("copy".into(), &secret);
        let labels = leaked.metadata.labels.as_mut().unwrap();
        labels.insert(NativeKey::LABEL.into(), "compromised".into());
        known.insert("key".into(), &leaked);
        assert!(known.active().next().is_none());

        let why = |change: fn(&mut Secret)| {
            let mut secret = fresh(Suite::default()).unwrap();
            change(&mut secret);
            NativeKey::read(&secret).err().unwrap().to_string()
        };
        assert!(why(|s| s.type_ = Some("Opaque".into())).contains("type"));
        assert!(why(|s| drop(s.data.as_mut().unwrap().remove("identity"))).contains("no identity"));
        let broken = why(|s| {
            s.data
                .as_mut()
                .unwrap()
                .insert("identity".into(), ByteString(b"hunter2".to_vec()));
        });
        assert!(
            broken.contains("cannot be used") && !broken.contains("hunter2"),
            "{broken}"
        );
        assert!(
            why(|s| {
                let other = fresh(Suite::default()).unwrap().data.unwrap()["recipient"].clone();
                s.data.as_mut().unwrap().insert("recipient".into(), other);
            })
            .contains("two different pairs")
        );
        assert!(
            why(|s| {
                s.metadata
                    .annotations
                    .as_mut()
                    .unwrap()
                    .insert(annotation::AUDIENCE.into(), "Project/web".into());
            })
            .contains("Projects are not supported yet")
        );
    }
}
