//! Which of a secret's Repositories a push concerns. Pure.
//!
//! Compared are only ends of paths, as text: a host behind another name, a mirror's prefix or an ssh address still fits,
//! and nothing from outside is ever a pattern.

use crds::{GitReference, Repository, WebhookProvider};

use super::push::Push;
use crate::repository::Key;

/// What a Repository follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    pub(super) provider: WebhookProvider,
    /// Owner and name, as [`path_of`] gives them.
    path: String,
    /// The full name of the only ref whose moves matter, if there is one.
    reference: Option<String>,
}

impl Followed {
    pub(super) fn new(object: &Repository, provider: WebhookProvider) -> Self {
        Self {
            provider,
            path: path_of(&object.spec.url),
            reference: only_ref(&object.spec.reference),
        }
    }
}

/// The one ref that is followed, if it is one: a range of versions moves with any tag.
fn only_ref(reference: &GitReference) -> Option<String> {
    if let Some(tag) = &reference.tag {
        Some(format!("refs/tags/{tag}"))
    } else if let Some(name) = &reference.name {
        // Hosts tell of the branch behind a pull request, under its own name.
        let told = ["refs/heads/", "refs/tags/"]
            .iter()
            .any(|start| name.starts_with(start));
        told.then(|| name.clone())
    } else if reference.semver.is_some() || reference.commit.is_some() {
        None
    } else {
        Some(format!("refs/heads/{}", reference.branch_or_default()))
    }
}

/// Of the Repositories of one secret, those that follow what was pushed. Where only one has the secret, it need not be
/// named. What the push leaves open is looked at.
pub(super) fn choose(push: &Push, followed: &[(&Key, &Followed)]) -> Vec<Key> {
    let named = |one: &Followed| {
        followed.len() == 1 || push.repositories.is_empty() || {
            let mut names = push.repositories.iter().map(|name| path_of(name));
            names.any(|name| same(&one.path, &name))
        }
    };
    let moved = |one: &Followed| match (&push.refs, &one.reference) {
        (Some(refs), Some(reference)) => refs.contains(reference),
        _ => true,
    };
    followed
        .iter()
        .filter(|(_, one)| named(one) && moved(one))
        .map(|(key, _)| (*key).clone())
        .collect()
}

/// One is the end of the other, at a slash.
fn same(a: &str, b: &str) -> bool {
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short)
            .is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    !a.is_empty() && !b.is_empty() && (ends(a, b) || ends(b, a))
}

/// `owner/name` out of an address or a name: without scheme, host and `.git`, in small letters.
fn path_of(address: &str) -> String {
    let path = if let Some((_, rest)) = address.split_once("://") {
        rest.split_once('/').map_or("", |(_, path)| path)
    } else if let Some((host, path)) = address.split_once(':')
        && !host.contains('/')
    {
        path // git@host:path
    } else {
        address
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    // Azure's addresses differ in these between https and ssh.
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && !matches!(*part, "_git" | "v3" | "scm"))
        .collect();
    parts.join("/").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{Followed, choose, path_of, same};
    use crate::webhook::push::Push;
    use crds::WebhookProvider;

    fn followed(url: &str, branch: &str) -> Followed {
        Followed {
            provider: WebhookProvider::GitHub,
            path: path_of(url),
            reference: Some(format!("refs/heads/{branch}")),
        }
    }

    #[test]
    fn addresses_of_one_repository_are_the_same() {
        for address in [
            "https://github.com/Team/App.git",
            "https://user@github.com/team/app/",
            "ssh://git@github.com:22/team/app.git",
            "git@github.com:team/app.git",
            "team/app",
            "https://git.example/scm/team/app.git",
        ] {
            assert_eq!(path_of(address), "team/app", "{address}");
        }
        let azure = path_of("https://dev.azure.com/org/project/_git/app");
        assert_eq!(azure, path_of("git@ssh.dev.azure.com:v3/org/project/app"));
        assert!(same("mirror/team/app", "team/app"));
        assert!(!same("steam/app", "eam/app") && !same("team/app", "") && !same("", ""));
    }

    #[test]
    fn a_push_wakes_those_who_follow_it() {
        let keys: Vec<_> = ["a", "b", "c"]
            .map(|name| ("ns".to_owned(), name.to_owned()))
            .into();
        let all = [
            followed("https://h/team/app.git", "main"),
            followed("https://h/team/app.git", "live"),
            followed("https://h/team/other.git", "main"),
        ];
        let pairs: Vec<_> = keys.iter().zip(&all).collect();
        let names = |repositories: &[&str], refs: Option<&[&str]>| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let push = Push {
                repositories: owned(repositories),
                refs: refs.map(owned),
            };
            choose(&push, &pairs)
                .into_iter()
                .map(|(_, name)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&["team/app"], Some(&["refs/heads/main"])), ["a"]);
        assert_eq!(names(&["team/app"], None), ["a", "b"]);
        assert_eq!(names(&[], Some(&["refs/heads/main"])), ["a", "c"]);
        assert_eq!(names(&["team/nobody", "https://h/team/nobody"], None), [""; 0]);
        assert_eq!(names(&["team/app"], Some(&["refs/tags/v1"])), [""; 0]);
        // Alone with its secret, a Repository need not be named as it names itself.
        let push = Push {
            repositories: vec!["elsewhere".into()],
            refs: None,
        };
        assert_eq!(choose(&push, &pairs[..1]).len(), 1);
    }
}
