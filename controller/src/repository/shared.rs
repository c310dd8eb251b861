//! Several Repositories of one remote: one asks and fetches, the others take over what it was told.
//!
//! Only who would ask the very same has a part in it: same address, ref, login, trust, proxy and limits. So nobody learns what
//! the remote would not have told them. Each keeps what it takes in a store of its own, and can go on alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use source::{Auth, Proxy, RefSpec, Snapshot, SourceError};
use tokio::time::Instant;

use super::credentials::Credentials;
use super::spec::Target;
use crate::mark::Mark;
use crate::places::{Place, Places};

/// What a remote was asked, and what it said.
#[derive(Clone)]
pub(super) struct Answer {
    /// When the question was asked: it says nothing of what came later.
    pub(super) asked: Instant,
    pub(super) said: Result<Said, SourceError>,
}

/// A commit, which can be read.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) snapshot: Snapshot,
    /// What it was found at.
    pub(super) label: String,
}

/// Where those sit who would ask the same. One of them asks at a time; who comes next finds the answer.
pub(super) type Table = tokio::sync::Mutex<Option<Answer>>;

/// The one who asks.
pub(super) type Seat = tokio::sync::OwnedMutexGuard<Option<Answer>>;

/// Waits until it is one's turn: to ask, with the seat of who does, or to take over what has been said since then. `places` are
/// those of who talks to remotes.
pub(super) async fn sit(
    table: Option<Arc<Table>>,
    since: Instant,
    places: &Places,
    namespace: &Arc<str>,
) -> (Place, Option<Seat>, Option<Answer>) {
    let Some(table) = table else {
        return (places.take(namespace).await, None, None);
    };
    let seat = Arc::clone(&table).lock_owned().await;
    if let Some(last) = since_then(&seat, since) {
        drop(seat);
        return (places.take(namespace).await, None, Some(last));
    }
    if let Some(place) = places.try_take(namespace) {
        let last = seat.clone();
        return (place, Some(seat), last);
    }
    // Whoever sits has a place, so that who waits for the seat with a place waits for nobody who waits for one.
    drop(seat);
    let place = places.take(namespace).await;
    let seat = table.lock_owned().await;
    let last = seat.clone();
    let seat = since_then(&seat, since).is_none().then_some(seat);
    (place, seat, last)
}

fn since_then(seat: &Seat, since: Instant) -> Option<Answer> {
    seat.as_ref().filter(|answer| answer.asked >= since).cloned()
}

/// All tables at which somebody sits.
#[derive(Default)]
pub(super) struct Tables(Mutex<HashMap<Mark, Weak<Table>>>);

impl Tables {
    /// The table for such a question; none where everybody asks for themselves: where commits are verified, which takes more than
    /// the head; where there are fall-backs or submodules, which have addresses of their own; where a part is read; for one commit, which does
    /// not move; for a deploy key, which nobody else has; and on our own disk, where nothing is saved.
    pub(super) fn table(
        &self,
        target: &Target,
        login: Option<&Credentials>,
        proxy: Option<&Proxy>,
    ) -> Option<Arc<Table>> {
        let alone = target.policy.is_some()
            || !target.fallbacks.is_empty()
            || target.submodules.is_some()
            || !target.remote.sparse.is_empty()
            || target.deploy_key.is_some()
            || matches!(target.reference, RefSpec::Commit(_))
            || target.remote.url.starts_with("file:");
        (!alone).then(|| self.at(question(target, login, proxy)))
    }

    fn at(&self, question: Mark) -> Arc<Table> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&question).and_then(Weak::upgrade) {
            return table;
        }
        tables.retain(|_, table| table.strong_count() > 0);
        let table = Arc::new(Table::default());
        tables.insert(question, Arc::downgrade(&table));
        table
    }
}

/// All that the remote sees and that it is judged by. Of an app that is its key: each Repository has a token of its own.
fn question(target: &Target, login: Option<&Credentials>, proxy: Option<&Proxy>) -> Mark {
    let mut parts: Vec<&[u8]> = vec![target.remote.url.as_bytes()];
    let reference = target.reference.identity();
    let limits = format!("{:?}", target.remote.limits);
    parts.extend([reference.as_bytes(), limits.as_bytes()]);
    let nothing = Credentials::default();
    let login = login.unwrap_or(&nothing);
    match &login.auth {
        Auth::None => parts.push(b"none"),
        Auth::Basic { username, password } => {
            parts.extend([b"basic".as_slice(), username.as_bytes(), password.as_bytes()]);
        }
        Auth::Bearer(token) => parts.extend([b"bearer".as_slice(), token.as_bytes()]),
        Auth::Key {
            identity,
            passphrase,
            known_hosts,
        } => {
            parts.extend([b"key".as_slice(), identity.as_bytes(), known_hosts.as_bytes()]);
            parts.extend(optional(passphrase.as_deref().map(String::as_str)));
        }
    }
    parts.extend(optional(login.ca_pem.as_deref()));
    let client = login.client.as_ref();
    parts.extend(optional(client.map(|client| &*client.chain_pem)));
    parts.extend(optional(client.map(|client| client.key_pem.as_str())));
    let app = login.app.as_ref();
    parts.extend(optional(app.map(|app| &*app.id)));
    parts.extend(optional(app.map(|app| &*app.installation)));
    parts.extend(optional(app.map(|app| app.key_pem.as_str())));
    parts.extend(optional(app.and_then(|app| app.api.as_deref())));
    parts.extend(optional(proxy.map(|proxy| &*proxy.address)));
    parts.extend(optional(
        proxy.and_then(|proxy| proxy.username.as_deref().map(String::as_str)),
    ));
    parts.extend(optional(
        proxy.and_then(|proxy| proxy.password.as_deref().map(String::as_str)),
    ));
    Mark::of(&parts)
}

/// A part that may not be there, which is not the same as an empty one.
fn optional(part: Option<&str>) -> [&[u8]; 2] {
    match part {
        Some(text) => [b"+", text.as_bytes()],
        None => [b"-", b""],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::spec;
    use futures::FutureExt;
    use source::{ClientCertificate, FileRemotes};
    use std::time::Duration;

    fn target(extra: &str) -> Target {
        let spec = format!("{{\"url\":\"https://git.example/r\"{extra}}}");
        spec::parse(&serde_json::from_str(&spec).unwrap(), &FileRemotes::Refused).unwrap()
    }

    #[test]
    fn only_who_asks_the_very_same_sits_at_a_table() {
        let basic = |username: &str, password: &str| Credentials {
            auth: Auth::Basic {
                username: username.to_owned().into(),
                password: password.to_owned().into(),
            },
            ..Credentials::default()
        };
        let proxy = Proxy {
            address: "http://proxy.example:3128".into(),
            username: None,
            password: None,
        };
        let other = Proxy {
            username: Some(String::new().into()),
            ..proxy.clone()
        };
        let questions = [
            question(&target(""), None, None),
            question(&target(",\"ref\":{\"branch\":\"other\"}"), None, None),
            question(&target(",\"ref\":{\"tag\":\"main\"}"), None, None),
            question(&target(",\"timeout\":\"10s\""), None, None),
            question(&target(""), Some(&basic("ab", "c")), None),
            question(&target(""), Some(&basic("a", "bc")), None),
            question(
                &target(""),
                Some(&Credentials {
                    ca_pem: Some("x".into()),
                    ..basic("a", "bc")
                }),
                None,
            ),
            question(
                &target(""),
                Some(&Credentials {
                    client: Some(ClientCertificate {
                        chain_pem: "x".into(),
                        key_pem: String::new().into(),
                    }),
                    ..basic("a", "bc")
                }),
                None,
            ),
            question(&target(""), None, Some(&proxy)),
            question(&target(""), None, Some(&other)),
        ];
        for (n, one) in questions.iter().enumerate() {
            assert!(!questions[..n].contains(one), "{n}");
        }
        // How often one asks does not change what is asked.
        let often = question(&target(",\"interval\":\"1s\""), None, None);
        assert_eq!(questions[0], often);
    }

    #[test]
    fn who_needs_more_than_the_head_sits_alone_and_empty_tables_go() {
        let tables = Tables::default();
        let table = |extra: &str| tables.table(&target(extra), None, None);
        for extra in [
            ",\"fallbacks\":[{\"url\":\"https://mirror.example/r\"}]",
            ",\"submodules\":{}",
            ",\"sparsePaths\":[\"deploy\"]",
            ",\"deployKey\":{\"generate\":true,\"knownHosts\":\"x\"}",
            ",\"ref\":{\"commit\":\"0123456789abcdef0123456789abcdef01234567\"}",
            ",\"verify\":{\"signersRef\":{\"name\":\"x\"}}",
        ] {
            assert!(table(extra).is_none(), "{extra}");
        }
        let one = table("").unwrap();
        assert!(Arc::ptr_eq(&one, &table("").unwrap()));
        drop(one);
        let other = table(",\"timeout\":\"9s\"").unwrap();
        assert_eq!(tables.0.lock().unwrap().len(), 1);
        drop(other);
    }

    #[tokio::test]
    async fn one_asks_and_who_waited_takes_over_what_is_new_enough() {
        let table: Arc<Table> = Arc::default();
        let (began, places) = (Instant::now(), Places::new(9));
        let sit = async |since| {
            let (_, seat, last) = sit(Some(Arc::clone(&table)), since, &places, &"shop".into()).await;
            (seat, last)
        };
        let (seat, last) = sit(began).await;
        let mut seat = seat.unwrap();
        assert!(last.is_none());
        let mut next = Box::pin(sit(began));
        assert!((&mut next).now_or_never().is_none(), "one asks at a time");
        let asked = Instant::now();
        *seat = Some(Answer {
            asked,
            said: Err(SourceError::NotFound),
        });
        drop(seat);
        let (seat, last) = next.await;
        assert!(seat.is_none() && last.is_some());
        // What came later has to be asked for.
        let (seat, last) = sit(asked + Duration::from_secs(1)).await;
        assert!(seat.is_some() && last.is_some());
    }

    #[tokio::test]
    async fn all_come_to_ask_whose_answers_are_too_old() {
        let table: Arc<Table> = Arc::default();
        for count in [1, 2, 9] {
            let places = Places::new(count);
            let (crowd, shop): (Arc<str>, Arc<str>) = ("crowd".into(), "shop".into());
            let sit =
                async |namespace| sit(Some(Arc::clone(&table)), Instant::now(), &places, namespace).await;
            let (first, seat, _) = sit(&crowd).await;
            let mut others: Vec<_> = [&crowd, &shop, &crowd, &shop]
                .map(|namespace| Box::pin(sit(namespace)))
                .into();
            for other in &mut others {
                assert!(other.now_or_never().is_none(), "one asks at a time");
            }
            drop((first, seat));
            let asking = others.into_iter().map(async |other| {
                let (_place, seat, _) = other.await;
                assert!(seat.is_some());
                tokio::task::yield_now().await;
            });
            let asked = tokio::time::timeout(Duration::from_secs(30), futures::future::join_all(asking));
            asked.await.expect("everybody's turn comes");
        }
    }
}
