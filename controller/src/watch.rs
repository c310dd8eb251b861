//! Watches, as every room uses them: streaming lists where the server has them, and a short back-off.
//!
//! kube's watcher loops hot on errors, its default back-off delays even a relist after 410 by up to 30 seconds, and it
//! has no fallback for servers without streaming lists. It is put right here, in one place.

use std::fmt::Debug;
use std::time::Duration;

use futures::stream::{self, BoxStream, Stream, StreamExt};
use kube::runtime::watcher::{self, Config, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tracing::{info, warn};

use crate::request::{RequestError, refused};

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// Where rights or the kind itself are missing, somebody has to act: no hurry.
const REFUSED_DELAY: Duration = Duration::from_secs(5);

/// Watches what `config` selects, for ever. Errors are yielded, and logged when a watch breaks and when it is back;
/// before the next attempt the stream waits, at most 2 seconds (5 where the server refuses).
pub fn watch<K>(
    api: Api<K>,
    config: Config,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = config.streaming_lists();
    let state = State {
        inner: watcher::watcher(api.clone(), config.clone()).boxed(),
        api,
        config,
        streaming: true,
        failures: 0,
        wait: None,
    };
    stream::unfold(state, |mut state| async move {
        let item = state.next().await?;
        Some((item, state))
    })
}

/// What a broken watch suffers from, without the server's text.
#[must_use]
pub fn words(error: &watcher::Error) -> RequestError {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => RequestError::from(error),
        watcher::Error::WatchError(status) => refused(status),
        watcher::Error::NoResourceVersion => RequestError::Unreadable,
    }
}

struct State<K> {
    inner: BoxStream<'static, Result<Event<K>, watcher::Error>>,
    api: Api<K>,
    config: Config,
    streaming: bool,
    failures: u32,
    wait: Option<Duration>,
}

impl<K> State<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    async fn next(&mut self) -> Option<Result<Event<K>, watcher::Error>> {
        loop {
            if let Some(wait) = self.wait.take() {
                tokio::time::sleep(wait).await;
            }
            match self.inner.next().await? {
                Ok(event) => {
                    // The start of a list proves nothing yet: it can break again and again right there.
                    if !matches!(event, Event::Init) {
                        if self.failures > 1 {
                            info!(url = self.api.resource_url(), "the watch is back");
                        }
                        self.failures = 0;
                    }
                    return Some(Ok(event));
                }
                Err(error) if self.streaming && lacks_streaming_lists(&error) => {
                    info!(
                        url = self.api.resource_url(),
                        "the API server has no streaming lists: listing in pages"
                    );
                    self.streaming = false;
                    self.config.initial_list_strategy = watcher::InitialListStrategy::ListWatch;
                    self.config.page_size = Some(100);
                    self.inner = watcher::watcher(self.api.clone(), self.config.clone()).boxed();
                }
                Err(error) => {
                    let cause = words(&error);
                    // One failure is the ordinary course of things: a list that got too old, a server that warms up.
                    if self.failures == 1 {
                        warn!(url = self.api.resource_url(), %cause, "the watch is interrupted; it is tried again");
                    }
                    self.wait = Some(delay(self.failures, &cause));
                    if is_too_old(&error) {
                        self.inner = watcher::watcher(self.api.clone(), self.config.clone()).boxed();
                    }
                    self.failures = self.failures.saturating_add(1);
                    return Some(Err(error));
                }
            }
        }
    }
}

/// kube starts over where a watch says that its resource version is too old, but not where the request to watch is
/// answered so: it would ask for that version for ever.
fn is_too_old(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410)
}

fn delay(failures: u32, cause: &RequestError) -> Duration {
    if (cause.is_forbidden() || cause.is_not_found()) && failures > 2 {
        return REFUSED_DELAY;
    }
    let doubled = FIRST_DELAY.saturating_mul(1_u32 << failures.min(10));
    doubled.min(LONGEST_DELAY)
}

fn lacks_streaming_lists(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))) = error
    else {
        return false;
    };
    matches!(status.code, 400 | 422) && status.message.contains("sendInitialEvents")
}

#[cfg(test)]
mod tests {
    use super::{delay, lacks_streaming_lists};
    use crate::request::RequestError;
    use kube::core::Status;
    use kube::runtime::watcher::Error;
    use std::time::Duration;

    #[test]
    fn delays_grow_and_stay_short() {
        let delays: Vec<_> = (0..7)
            .map(|n| delay(n, &RequestError::Unreachable).as_millis())
            .collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 2000, 2000]);
        let forbidden = RequestError::Refused {
            code: 403,
            reason: "Forbidden".into(),
        };
        assert_eq!(delay(9, &forbidden), Duration::from_secs(5));
    }

    #[test]
    fn old_servers_are_recognised() {
        let status = |text: &str| {
            Error::WatchStartFailed(kube::Error::Api(Box::new(
                Status::failure(text, "Invalid").with_code(422),
            )))
        };
        assert!(lacks_streaming_lists(&status(
            "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden \
             for watch unless the WatchList feature gate is enabled"
        )));
        assert!(!lacks_streaming_lists(&status("something else")));
    }
}
