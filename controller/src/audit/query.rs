//! What is asked: which Repository, and which of its commits.

use audit::Change;
use source::CommitId;

/// Commits of one answer, and commits that are looked at for it.
pub(super) const MOST_COMMITS: usize = 10_000;
/// Bytes of one value. No name is longer.
const LONGEST: usize = 1 << 10;

/// A question, within bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// From the repository's root.
    pub(super) path: String,
    pub(super) sync: Option<String>,
    secret: Option<String>,
    key: Option<String>,
    pub(super) since: Option<Since>,
    pub(super) author: Option<String>,
    pub(super) limit: usize,
}

/// Where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// What comes before this commit is left out, and itself.
    Commit(CommitId),
    /// Seconds since 1970, by the committer's clock.
    Time(i64),
}

impl Query {
    /// Reads the part of an address behind the question mark. What is wrong is said in our words.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut query = Self {
            limit: MOST_COMMITS,
            ..Self::default()
        };
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            if value.is_empty() || value.len() > LONGEST {
                return Err("A parameter is empty or very long.");
            }
            let value = value.into_owned();
            match &*key {
                "repository" => {
                    let both = value.split_once('/');
                    let good = |name: &str| manifest::check_name(name).is_ok();
                    let both = both.filter(|(namespace, name)| good(namespace) && good(name));
                    let (namespace, name) = both.ok_or("The repository is to be NAMESPACE/NAME.")?;
                    (query.namespace, query.name) = (namespace.to_owned(), name.to_owned());
                }
                "path" => query.path = value,
                "sync" => query.sync = Some(value),
                "secret" => query.secret = Some(value),
                "key" => query.key = Some(value),
                "author" => query.author = Some(value),
                "since" => {
                    query.since = Some(
                        since(&value)
                            .ok_or("since is to be a full commit id, a date or a time of RFC 3339.")?,
                    );
                }
                "limit" => {
                    let limit: usize = value.parse().map_err(|_| "The limit is no number.")?;
                    query.limit = limit.min(MOST_COMMITS);
                }
                _ => return Err("A parameter is not known."),
            }
        }
        if query.name.is_empty() {
            return Err("Name the repository as NAMESPACE/NAME.");
        }
        let sync = query.sync.as_deref();
        let place = sync.and_then(|sync| sync.split_once('/'));
        if place.is_some_and(|(namespace, _)| namespace != query.namespace) {
            return Err("A Sync is in the namespace of its Repository.");
        }
        if query
            .sync_name()
            .is_some_and(|name| manifest::check_name(name).is_err())
        {
            return Err("The Sync's name is none.");
        }
        if query.sync.is_some() && !query.path.is_empty() {
            return Err("Name a path or a Sync.");
        }
        Ok(query)
    }

    /// The Sync's own name.
    pub(super) fn sync_name(&self) -> Option<&str> {
        let sync = self.sync.as_deref()?;
        Some(sync.split_once('/').map_or(sync, |(_, name)| name))
    }

    /// Whether commits without a change that is wanted are left out.
    pub(super) fn is_narrow(&self) -> bool {
        self.secret.is_some() || self.key.is_some()
    }

    pub(super) fn wants(&self, change: &Change) -> bool {
        let secret = self.secret.as_ref().is_none_or(|wanted| change.is_of(wanted));
        let key = self.key.as_ref().is_none_or(|wanted| change.is_for(wanted));
        secret && key
    }
}

fn since(text: &str) -> Option<Since> {
    if let Ok(commit) = text.parse() {
        return Some(Since::Commit(commit));
    }
    audit::since(text).map(Since::Time)
}

#[cfg(test)]
mod tests {
    use super::{MOST_COMMITS, Query, Since};

    #[test]
    fn a_question_is_read_within_bounds() {
        let query = Query::parse(
            "repository=shop%2Fapp&sync=shop%2Fweb&limit=99999999&since=2026-01-02&author=Ada+L",
        )
        .unwrap();
        assert_eq!((&*query.namespace, &*query.name), ("shop", "app"));
        assert_eq!((query.sync_name(), query.limit), (Some("web"), MOST_COMMITS));
        assert_eq!(query.since, Some(Since::Time(1_767_312_000)));
        assert_eq!(query.author.as_deref(), Some("Ada L"));
        let commit = format!("repository=a/b&since={}", "ab".repeat(20));
        assert!(matches!(
            Query::parse(&commit).unwrap().since,
            Some(Since::Commit(_))
        ));
        let long = format!("repository=a/b&author={}", "x".repeat(2_000));
        for bad in [
            "",
            "repository=shop",
            "repository=../x",
            "repository=a/b/c",
            "repository=a/b&since=soon",
            "repository=a/b&limit=-1",
            "repository=a/b&sync=c/d",
            "repository=a/b&sync=web&path=x",
            "repository=a/b&sync=%00",
            "repository=a/b&other=1",
            "repository=a/b&path=",
            &long,
        ] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
    }
}
