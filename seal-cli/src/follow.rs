//! List, then watch: what is there, and every change of it, as it happens.

use crate::cluster;
use crate::command_error::CommandError;
use crate::syncs::PAGE;
use futures::TryStreamExt as _;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;
use tokio::time::sleep;

/// How long the API server keeps a watch open, in seconds. kube allows less than 295.
const WATCH: u32 = 290;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// HTTP: what a watch goes on from is forgotten.
const GONE: u16 = 410;
/// Objects that are read of one list. Whoever has more names a smaller set.
const MOST: usize = 50_000;

/// What is seen.
pub(crate) enum Seen<K> {
    /// All that is there; what was seen before is outdated.
    All(Vec<K>),
    /// One is new, or has changed.
    One(K),
    /// One is gone.
    Gone(K),
}

/// Hands everything that is seen to `look`, until it breaks. A connection that is lost is made again; only the first list
/// has to succeed at once.
pub(crate) async fn follow<K, T>(
    api: &Api<K>,
    fields: Option<&str>,
    doing: &str,
    mut look: impl FnMut(Seen<K>) -> ControlFlow<T>,
) -> Result<T, CommandError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut pause = FIRST_PAUSE;
    let mut listed_before = false;
    loop {
        let (objects, version) = match list(api, fields).await {
            Ok(listed) => listed,
            Err(err) if listed_before && is_passing(&err) => {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            Err(err) => return Err(cluster::explain(&err, doing)),
        };
        listed_before = true;
        if let ControlFlow::Break(result) = look(Seen::All(objects)) {
            return Ok(result);
        }
        if let ControlFlow::Break(result) = watch(api, fields, version, &mut pause, &mut look).await {
            return result.map_err(|err| cluster::explain(&err, doing));
        }
    }
}

/// Reads all, page by page, with the version to watch from.
pub(crate) async fn list<K>(api: &Api<K>, fields: Option<&str>) -> Result<(Vec<K>, String), kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut params = ListParams {
        field_selector: fields.map(str::to_owned),
        limit: Some(PAGE),
        ..ListParams::default()
    };
    let mut objects = Vec::new();
    loop {
        let page = api.list(&params).await?;
        objects.extend(page.items);
        let version = page.metadata.resource_version.unwrap_or_default();
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() && objects.len() < MOST => params.continue_token = Some(token),
            _ => return Ok((objects, version)),
        }
    }
}

/// Watches until `look` breaks, or until the list has to be read again.
async fn watch<K, T>(
    api: &Api<K>,
    fields: Option<&str>,
    mut version: String,
    pause: &mut Duration,
    look: &mut impl FnMut(Seen<K>) -> ControlFlow<T>,
) -> ControlFlow<Result<T, kube::Error>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut params = WatchParams::default().timeout(WATCH);
    if let Some(fields) = fields {
        params = params.fields(fields);
    }
    loop {
        let stream = match api.watch(&params, &version).await {
            Ok(stream) => stream,
            Err(kube::Error::Api(status)) if status.code == GONE => return ControlFlow::Continue(()),
            Err(err) if is_passing(&err) => {
                sleep(*pause).await;
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            Err(err) => return ControlFlow::Break(Err(err)),
        };
        let mut stream = pin!(stream);
        // A broken stream goes on from where it was.
        while let Ok(Some(event)) = stream.try_next().await {
            *pause = FIRST_PAUSE;
            let seen = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => Seen::One(object),
                WatchEvent::Deleted(object) => Seen::Gone(object),
                WatchEvent::Bookmark(bookmark) => {
                    version = bookmark.metadata.resource_version;
                    continue;
                }
                // 410 mostly; whatever it is, a fresh list mends it.
                WatchEvent::Error(_) => {
                    sleep(*pause).await;
                    return ControlFlow::Continue(());
                }
            };
            if let Seen::One(object) | Seen::Gone(object) = &seen {
                version = object.resource_version().unwrap_or(version);
            }
            if let ControlFlow::Break(result) = look(seen) {
                return ControlFlow::Break(Ok(result));
            }
        }
        sleep(*pause).await;
        *pause = (*pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether trying again may help.
fn is_passing(err: &kube::Error) -> bool {
    match err {
        kube::Error::Api(status) => status.code == 429 || status.code >= 500,
        kube::Error::Auth(_) => false,
        _ => true,
    }
}
