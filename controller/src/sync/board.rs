//! The board on which every Sync posts how it stands, for those that come after it.
//!
//! In memory, and never waited at: a Sync whose dependencies are not met ends its pass, and is woken when one of them
//! posts something else.

use crate::observe::Mailbox;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What every Sync has posted. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<HashMap<String, Namespace>>>);

type Namespace = HashMap<String, Standing>;

/// How one Sync stands.
#[derive(Clone)]
pub(crate) struct Standing {
    /// Its worker has seen its present generation.
    pub(crate) generation_observed: bool,
    /// It is ready.
    pub(crate) ready: bool,
    /// The Repository that it follows.
    pub(crate) repository: String,
    /// The commit that `ready` speaks of.
    pub(crate) commit: String,
    /// The Syncs of its namespace that have to be ready before it.
    pub(crate) depends_on: Vec<String>,
    /// What wakes it.
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Standing {
    /// Whether those that depend on it could see a difference.
    fn differs(&self, other: &Self) -> bool {
        let seen = |of: &Self| (of.generation_observed, of.ready);
        seen(self) != seen(other)
            || self.repository != other.repository
            || self.commit != other.commit
            || self.depends_on != other.depends_on
    }
}

/// A dependency that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unmet {
    /// The Sync that is waited for.
    pub(crate) name: String,
    /// Why, as a sentence.
    pub(crate) why: String,
}

impl Board {
    /// Posts how a Sync stands. Those that depend on it are woken if anything that matters to them is new.
    pub(crate) fn post(&self, namespace: &str, name: &str, standing: Standing) {
        let mut board = self.lock();
        let place = board.entry(namespace.to_owned()).or_default();
        let news = place.get(name).is_none_or(|before| before.differs(&standing));
        place.insert(name.to_owned(), standing);
        if news {
            wake(place, name);
        }
    }

    /// A Sync is gone.
    pub(crate) fn remove(&self, namespace: &str, name: &str) {
        let mut board = self.lock();
        let Some(place) = board.get_mut(namespace) else {
            return;
        };
        if place.remove(name).is_some() {
            wake(place, name);
        }
        if place.is_empty() {
            board.remove(namespace);
        }
    }

    /// What the Sync `name`, about to apply `commit` of `repository`, still waits for. A dependency is met when it is ready
    /// for its present generation, and, if it follows the same Repository, for the same commit: a commit that changes
    /// both goes through in order.
    pub(crate) fn unmet(
        &self,
        namespace: &str,
        name: &str,
        depends_on: &[String],
        repository: &str,
        commit: &str,
    ) -> Vec<Unmet> {
        let board = self.lock();
        let place = board.get(namespace);
        let why = |wanted: &String| {
            if wanted == name {
                return Some("It depends on itself.".to_owned());
            }
            let Some(found) = place.and_then(|place| place.get(wanted)) else {
                return Some(format!("There is no Sync {wanted} in namespace {namespace}."));
            };
            let same = found.repository == repository;
            if !found.generation_observed {
                Some(format!(
                    "Sync {wanted} was changed and has not been looked at since."
                ))
            } else if same && found.commit != commit {
                Some(format!(
                    "Sync {wanted} has not applied commit {} yet.",
                    short(commit)
                ))
            } else if !found.ready {
                Some(format!("Sync {wanted} is not ready."))
            } else {
                None
            }
        };
        let unmet = |wanted: &String| {
            why(wanted).map(|why| Unmet {
                name: wanted.clone(),
                why,
            })
        };
        depends_on.iter().filter_map(unmet).collect()
    }

    /// The shortest way from a Sync back to itself over what the Syncs depend on, if there is one: `a`, `b`, `a`.
    pub(crate) fn cycle(&self, namespace: &str, name: &str) -> Option<Vec<String>> {
        let board = self.lock();
        let place = board.get(namespace)?;
        let needs = |name: &str| {
            place
                .get(name)
                .map(|found| found.depends_on.as_slice())
                .unwrap_or_default()
        };
        // Breadth first; each Sync is reached once, from the one that it is noted with.
        let (start, _) = place.get_key_value(name)?;
        let mut from: Vec<(&str, usize)> = vec![(start, 0)];
        let mut reached: HashSet<&str> = HashSet::new();
        let mut next = 0;
        while let Some((at, _)) = from.get(next).copied() {
            for needed in needs(at) {
                if needed == name {
                    let mut path = vec![name.to_owned()];
                    let mut step = next;
                    while let Some((at, before)) = from.get(step).copied() {
                        path.push(at.to_owned());
                        if step == 0 {
                            break;
                        }
                        step = before;
                    }
                    path.reverse();
                    return Some(path);
                }
                if reached.insert(needed) {
                    from.push((needed, next));
                }
            }
            next += 1;
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Namespace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes those that depend on `name`.
fn wake(place: &Namespace, name: &str) {
    for (_, standing) in place
        .iter()
        .filter(|(other, standing)| *other != name && standing.depends_on.iter().any(|needed| needed == name))
    {
        standing.mailbox.wake();
    }
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn standing(depends_on: &[&str]) -> Standing {
        Standing {
            generation_observed: true,
            ready: true,
            repository: "team".into(),
            commit: "c1".into(),
            depends_on: depends_on.iter().map(ToString::to_string).collect(),
            mailbox: Arc::default(),
        }
    }

    async fn woken(mailbox: &Mailbox) -> bool {
        mailbox.take(Some(Duration::ZERO)).await.is_some()
    }

    fn why(board: &Board, repository: &str, commit: &str) -> Vec<String> {
        let unmet = board.unmet("shop", "web", &["db".into()], repository, commit);
        unmet.into_iter().map(|unmet| unmet.why).collect()
    }

    #[test]
    fn a_dependency_is_met_when_it_is_ready_for_the_same_commit() {
        let board = Board::default();
        assert_eq!(
            why(&board, "team", "c1"),
            ["There is no Sync db in namespace shop."]
        );
        board.post("other", "db", standing(&[]));
        assert_eq!(
            why(&board, "team", "c1"),
            ["There is no Sync db in namespace shop."]
        );
        let ready = standing(&[]);
        board.post("shop", "db", ready.clone());
        assert!(why(&board, "team", "c1").is_empty());
        let long = "0123456789abcdef";
        assert_eq!(
            why(&board, "team", long),
            ["Sync db has not applied commit 0123456789ab yet."]
        );
        assert!(
            why(&board, "another", "c2").is_empty(),
            "commits of two Repositories do not compare"
        );
        board.post(
            "shop",
            "db",
            Standing {
                ready: false,
                ..ready.clone()
            },
        );
        assert_eq!(why(&board, "team", "c1"), ["Sync db is not ready."]);
        let changed = Standing {
            generation_observed: false,
            ..ready
        };
        board.post("shop", "db", changed);
        assert_eq!(
            why(&board, "team", "c1"),
            ["Sync db was changed and has not been looked at since."]
        );
        board.remove("shop", "db");
        assert_eq!(why(&board, "team", "c1").len(), 1);
    }

    #[tokio::test]
    async fn exactly_those_are_woken_that_depend_on_what_changed() {
        let board = Board::default();
        let (web, api, far) = (standing(&["db", "cache"]), standing(&["web"]), standing(&["db"]));
        board.post("shop", "api", api.clone());
        board.post("shop", "web", web.clone());
        board.post("other", "far", far.clone());
        assert!(woken(&api.mailbox).await, "web has come");
        let db = standing(&[]);
        let posts = [
            (db.clone(), true),
            (db.clone(), false),
            (
                Standing {
                    mailbox: Arc::default(),
                    ..db.clone()
                },
                false,
            ),
            (
                Standing {
                    ready: false,
                    ..db.clone()
                },
                true,
            ),
            (
                Standing {
                    commit: "c2".into(),
                    ..db.clone()
                },
                true,
            ),
            (
                Standing {
                    generation_observed: false,
                    commit: "c2".into(),
                    ..db.clone()
                },
                true,
            ),
            (
                Standing {
                    repository: "x".into(),
                    ..db.clone()
                },
                true,
            ),
            (standing(&["web"]), true),
        ];
        for (number, (post, wakes)) in posts.into_iter().enumerate() {
            board.post("shop", "db", post);
            assert_eq!(woken(&web.mailbox).await, wakes, "post {number}");
            assert!(!woken(&api.mailbox).await, "post {number}");
        }
        board.remove("shop", "db");
        assert!(woken(&web.mailbox).await);
        board.remove("shop", "db");
        assert!(!woken(&web.mailbox).await, "it was gone already");
        assert!(!woken(&far.mailbox).await, "another namespace");
        // Who depends on itself does not wake itself for ever.
        let own = standing(&["own"]);
        board.post("shop", "own", own.clone());
        assert!(!woken(&own.mailbox).await);
    }

    #[test]
    fn cycles_are_found() {
        let board = Board::default();
        let post = |name: &str, depends_on: &[&str]| board.post("shop", name, standing(depends_on));
        post("a", &["b", "lost"]);
        post("b", &["c"]);
        assert_eq!(board.cycle("shop", "a"), None);
        post("c", &["d", "a"]);
        post("d", &["d"]);
        assert_eq!(board.cycle("shop", "a").unwrap().join(" → "), "a → b → c → a");
        assert_eq!(board.cycle("shop", "c").unwrap().join(" → "), "c → a → b → c");
        assert_eq!(board.cycle("shop", "d").unwrap(), ["d", "d"]);
        assert_eq!(board.cycle("shop", "lost"), None);
        assert_eq!(board.cycle("other", "a"), None);
        let unmet = board.unmet("shop", "d", &["d".into()], "team", "c1");
        assert_eq!(unmet[0].why, "It depends on itself.");
        // Of two ways the shorter one, and a cycle that it only leads to is not its own.
        post("e", &["a", "f"]);
        post("f", &["e"]);
        assert_eq!(board.cycle("shop", "e").unwrap(), ["e", "f", "e"]);
        post("g", &["a"]);
        assert_eq!(board.cycle("shop", "g"), None);
    }

    #[test]
    fn a_thousand_syncs_in_a_row_are_no_trouble() {
        let board = Board::default();
        for i in 0..1000 {
            let before = format!("s{}", (i + 999) % 1000);
            board.post("shop", &format!("s{i}"), standing(&[&before]));
        }
        assert_eq!(board.cycle("shop", "s0").unwrap().len(), 1001);
    }
}
