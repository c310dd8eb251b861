//! Which service accounts exist: followed by one watch, so that a pass need not ask. Where the watch does not say that an
//! account is there, the API server is asked.

use crate::shutdown::Shutdown;
use crate::watch;
use apply::{ApiError, Server};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt};
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch as channel;

/// How long after a break the accounts are listed again. Until then each pass asks.
const RELIST: Duration = Duration::from_secs(2);
/// How many accounts that were made may wait for a slow listener. Who misses one asks again by itself.
const BACKLOG: usize = 1024;

/// The service accounts of the cluster. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Accounts(Arc<Inner>);

struct Inner {
    /// `namespace/name` of each account that is there.
    names: RwLock<HashSet<Box<str>>>,
    /// Whether the watch is listed and has not broken since.
    current: channel::Sender<bool>,
    made: broadcast::Sender<(String, String)>,
}

/// A listener's end.
pub(crate) struct Made(broadcast::Receiver<(String, String)>);

impl Made {
    /// The next account, by namespace and name, that was made; `None` when the controller stops.
    pub(crate) async fn next(&mut self) -> Option<(String, String)> {
        loop {
            match self.0.recv().await {
                Ok(account) => return Some(account),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

impl Default for Accounts {
    fn default() -> Self {
        let (made, _) = broadcast::channel(BACKLOG);
        Self(Arc::new(Inner {
            names: RwLock::default(),
            current: channel::Sender::new(false),
            made,
        }))
    }
}

impl Accounts {
    /// Follows the accounts of all namespaces until shutdown. Their names are all that is kept.
    pub(crate) fn start(client: kube::Client, shutdown: Shutdown) -> Self {
        let accounts = Self::default();
        let followed = accounts.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.requested() => {}
                () = followed.follow(client) => {}
            }
        });
        accounts
    }

    /// Whether the account is there.
    pub(crate) async fn exists(
        &self,
        server: &Server,
        namespace: &str,
        account: &str,
    ) -> Result<bool, ApiError> {
        // "No" may only mean that the watch is a moment behind.
        Ok(self.has(namespace, account) || server.service_account_exists(namespace, account).await?)
    }

    /// Whether the watch says that the account is there.
    pub(crate) fn has(&self, namespace: &str, account: &str) -> bool {
        let names = self.0.names.read().unwrap_or_else(PoisonError::into_inner);
        *self.0.current.borrow() && names.contains(full(namespace, account).as_str())
    }

    /// Waits until the accounts are listed, at most so long.
    pub(crate) async fn listed(&self, at_most: Duration) {
        let mut current = self.0.current.subscribe();
        let _ = tokio::time::timeout(at_most, current.wait_for(|current| *current)).await;
    }

    /// Every account that is made from now on.
    pub(crate) fn made(&self) -> Made {
        Made(self.0.made.subscribe())
    }

    async fn follow(&self, client: kube::Client) {
        loop {
            // A watch that broke goes on from where it was, and does not say when. A new one does.
            let api: Api<PartialObjectMeta<ServiceAccount>> = Api::all(client.clone());
            let mut events = std::pin::pin!(watch::watch(api, watcher::Config::default()));
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => self.take(event),
                    // Until it is listed, the watch itself says what is wrong, and waits.
                    Err(_) => {
                        if self.0.current.send_replace(false) {
                            break;
                        }
                    }
                }
            }
            tokio::time::sleep(RELIST).await;
        }
    }

    fn take(&self, event: Event<PartialObjectMeta<ServiceAccount>>) {
        let name = |account: &PartialObjectMeta<ServiceAccount>| {
            (account.namespace().unwrap_or_default(), account.name_any())
        };
        match event {
            Event::Init => {
                self.0.current.send_replace(false);
                self.names().clear();
            }
            Event::InitApply(account) => {
                let (namespace, name) = name(&account);
                self.names().insert(full(&namespace, &name).into());
            }
            Event::InitDone => {
                self.0.current.send_replace(true);
            }
            Event::Apply(account) => {
                let (namespace, name) = name(&account);
                if self.names().insert(full(&namespace, &name).into()) {
                    // An error means that nobody listens.
                    let _ = self.0.made.send((namespace, name));
                }
            }
            Event::Delete(account) => {
                let (namespace, name) = name(&account);
                self.names().remove(full(&namespace, &name).as_str());
            }
        }
    }

    fn names(&self) -> RwLockWriteGuard<'_, HashSet<Box<str>>> {
        self.0.names.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn full(namespace: &str, account: &str) -> String {
    format!("{namespace}/{account}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> PartialObjectMeta<ServiceAccount> {
        let object = serde_json::json!({"metadata": {"namespace": "n", "name": name}});
        serde_json::from_value(object).unwrap()
    }

    #[tokio::test]
    async fn what_a_listing_has_not_shown_to_its_end_is_not_known() {
        let accounts = Accounts::default();
        let mut made = accounts.made();
        accounts.take(Event::Init);
        accounts.take(Event::InitApply(account("a")));
        assert!(!accounts.has("n", "a"));
        accounts.take(Event::InitDone);
        assert!(accounts.has("n", "a") && !accounts.has("n", "b") && !accounts.has("m", "a"));
        accounts.take(Event::Apply(account("b")));
        accounts.take(Event::Apply(account("b")));
        accounts.take(Event::Apply(account("c")));
        for name in ["b", "c"] {
            assert_eq!(made.next().await, Some(("n".into(), name.into())), "told once");
        }
        accounts.take(Event::Delete(account("a")));
        assert!(!accounts.has("n", "a") && accounts.has("n", "b"));
        accounts.take(Event::Init);
        assert!(!accounts.has("n", "b"), "it may be gone");
    }
}
