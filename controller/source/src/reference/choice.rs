//! Which of a remote's refs is the one to follow.

use git2::RemoteHead;
use semver::Version;

use super::RefSpec;
use crate::{CommitId, SourceError};

/// Suffix of the line that says what an annotated tag points to.
const PEELED: &str = "^{}";

/// What a remote's list of refs says about the one to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The commit.
    pub id: CommitId,
    /// What it was found at, for people: a branch or tag without `refs/heads/` or `refs/tags/`, another ref by its full
    /// name. Empty for a commit.
    pub label: String,
    /// The tag object that stands between, where the ref is an annotated tag.
    pub(crate) tag: Option<CommitId>,
    /// What is asked for when it is fetched: the ref's full name, or the commit's.
    pub(crate) wanted: String,
}

impl Choice {
    /// A commit, asked for by its own name.
    pub(crate) fn commit(id: CommitId) -> Self {
        Self {
            id,
            label: String::new(),
            tag: None,
            wanted: id.to_string(),
        }
    }

    /// Whether it is asked for by the commit's name, which servers need not allow.
    pub(crate) fn is_by_name(&self) -> bool {
        !self.wanted.starts_with("refs/")
    }
}

/// Reads the list: one pass, whatever its length.
pub(crate) fn choose(refs: &[RemoteHead<'_>], reference: &RefSpec) -> Result<Choice, SourceError> {
    if refs.is_empty() {
        return Err(SourceError::EmptyRemote);
    }
    let listed = refs.iter().map(|head| (head.name(), CommitId::of(head.oid())));
    from_list(listed, reference).ok_or_else(|| reference.missing())
}

fn from_list<'a>(
    refs: impl Iterator<Item = (&'a str, CommitId)> + Clone,
    reference: &RefSpec,
) -> Option<Choice> {
    let (name, prefix) = match reference {
        RefSpec::Commit(id) => return Some(commit(refs, *id)),
        RefSpec::Versions(range) => {
            let versions = refs.clone().filter_map(|(name, _)| {
                let tag = name.strip_prefix("refs/tags/")?;
                Some((range.version(tag)?, name))
            });
            // `v1.0.0` and `1.0.0` are one version: the longer name, whatever the order of the list.
            let (_, name): (Version, &str) = versions.max()?;
            (name.to_owned(), "refs/tags/")
        }
        RefSpec::Branch(_) => (reference.identity(), "refs/heads/"),
        RefSpec::Tag(_) => (reference.identity(), "refs/tags/"),
        RefSpec::Full(_) => (reference.identity(), ""),
    };
    let peeled = format!("{name}{PEELED}");
    let (mut found, mut tag) = (None, None);
    for (listed, id) in refs {
        if listed == peeled {
            // The tag itself stands before what it is peeled to.
            tag = found.replace(id);
            break;
        }
        if listed == name {
            found = Some(id);
        }
    }
    Some(Choice {
        id: found?,
        tag,
        label: name.strip_prefix(prefix).unwrap_or(&name).to_owned(),
        wanted: name,
    })
}

/// A commit that a ref points to is asked for by that ref, which every server allows.
fn commit<'a>(mut refs: impl Iterator<Item = (&'a str, CommitId)>, id: CommitId) -> Choice {
    let at = refs.find(|(name, listed)| *listed == id && name.starts_with("refs/"));
    let by_name = |(name, _): (&str, _)| name.strip_suffix(PEELED).unwrap_or(name).to_owned();
    Choice {
        wanted: at.map_or_else(|| id.to_string(), by_name),
        ..Choice::commit(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TagRange;

    fn id(number: u8) -> CommitId {
        format!("{number:040x}").parse().unwrap()
    }

    fn pick(refs: &[(&str, u8)], reference: &RefSpec) -> Option<(String, CommitId)> {
        let refs: Vec<_> = refs.iter().map(|(name, number)| (*name, id(*number))).collect();
        from_list(refs.into_iter(), reference).map(|choice| (choice.label, choice.id))
    }

    #[test]
    fn a_branch_and_a_tag_of_one_name_are_two_refs() {
        let refs = [
            ("HEAD", 1),
            ("refs/heads/v1", 1),
            ("refs/tags/v1", 2),
            ("refs/tags/v1^{}", 3),
            ("refs/pull/7/head", 4),
        ];
        assert_eq!(
            pick(&refs, &RefSpec::Branch("v1".into())),
            Some(("v1".into(), id(1)))
        );
        assert_eq!(
            pick(&refs, &RefSpec::Tag("v1".into())),
            Some(("v1".into(), id(3)))
        );
        let full = "refs/pull/7/head";
        assert_eq!(
            pick(&refs, &RefSpec::Full(full.into())),
            Some((full.into(), id(4)))
        );
        assert_eq!(pick(&refs, &RefSpec::Tag("v2".into())), None);
    }

    #[test]
    fn the_highest_version_wins_in_any_order() {
        let range = RefSpec::Versions(TagRange::parse(">=1.0.0 <2.0.0").unwrap());
        let mut refs = vec![
            ("refs/tags/v1.10.0", 1),
            ("refs/tags/v1.9.0", 2),
            ("refs/tags/v1.9.0^{}", 3),
            ("refs/tags/v2.0.0", 4),
            ("refs/tags/v1.11.0-rc.1", 5),
            ("refs/tags/nightly", 6),
            ("refs/heads/v1.99.0", 7),
        ];
        for _ in 0..refs.len() {
            refs.rotate_left(1);
            assert_eq!(pick(&refs, &range), Some(("v1.10.0".into(), id(1))));
        }
        let same = [("refs/tags/1.0.0", 1), ("refs/tags/v1.0.0", 2)];
        assert_eq!(pick(&same, &range), Some(("v1.0.0".into(), id(2))));
        assert_eq!(pick(&[("refs/tags/v3.0.0", 1)], &range), None);
    }

    #[test]
    fn a_commit_is_asked_for_by_a_ref_where_one_points_to_it() {
        let ask = |refs: &[(&str, u8)]| {
            let refs: Vec<_> = refs.iter().map(|(name, number)| (*name, id(*number))).collect();
            from_list(refs.into_iter(), &RefSpec::Commit(id(3)))
                .unwrap()
                .wanted
        };
        assert_eq!(ask(&[("HEAD", 3), ("refs/heads/main", 3)]), "refs/heads/main");
        assert_eq!(
            ask(&[("refs/tags/v1", 2), ("refs/tags/v1^{}", 3)]),
            "refs/tags/v1"
        );
        assert_eq!(ask(&[("HEAD", 3), ("refs/heads/main", 1)]), id(3).to_string());
    }
}
