//! `spec.ref`: which ref is followed, and how it is spoken of.

use crds::{GitReference, Revision};
use source::{RefSpec, TagRange};

use super::status::one_line;
use crate::text;

/// What the field says; a sentence without its full stop where it cannot be read.
pub(super) fn parse(spec: &GitReference) -> Result<RefSpec, String> {
    let given = [&spec.branch, &spec.tag, &spec.semver, &spec.commit, &spec.name];
    if given.into_iter().flatten().count() > 1 {
        return Err("The field spec.ref names more than one of branch, tag, semver, commit and name".into());
    }
    let reference = if let Some(tag) = &spec.tag {
        RefSpec::Tag(tag.clone())
    } else if let Some(range) = &spec.semver {
        let range = TagRange::parse(range)
            .map_err(|error| format!("The field spec.ref.semver cannot be used: {error}"))?;
        RefSpec::Versions(range)
    } else if let Some(commit) = &spec.commit {
        let id = commit.parse();
        RefSpec::Commit(id.map_err(|_| "The field spec.ref.commit is not a commit's full id of 40 digits")?)
    } else if let Some(name) = &spec.name {
        RefSpec::Full(name.clone())
    } else {
        RefSpec::Branch(spec.branch_or_default().to_owned())
    };
    reference
        .check()
        .map_err(|_| "The field spec.ref holds a name that Git does not allow")?;
    Ok(reference)
}

/// What a commit of this ref is labelled with, as long as the remote has not said more.
pub(super) fn label(reference: &RefSpec) -> String {
    match reference {
        RefSpec::Branch(name) | RefSpec::Tag(name) | RefSpec::Full(name) => name.clone(),
        _ => String::new(),
    }
}

/// Where the head is, as a sentence.
pub(super) fn sentence(reference: &RefSpec, head: &Revision) -> String {
    let line = one_line(head);
    match reference {
        RefSpec::Commit(_) => format!("The commit of spec.ref is here: {line}."),
        _ => format!("{} is at {line}.", capital(&noun(reference, &head.branch))),
    }
}

/// `branch main`, `tag v1.2.3`, `ref refs/pull/7/head`.
pub(super) fn noun(reference: &RefSpec, label: &str) -> String {
    let kind = match reference {
        RefSpec::Branch(_) => "branch",
        RefSpec::Tag(_) | RefSpec::Versions(_) => "tag",
        RefSpec::Commit(_) => return "the commit of spec.ref".into(),
        _ => "ref",
    };
    if label.is_empty() {
        return format!("the {kind} of spec.ref");
    }
    format!("{kind} {}", text::bounded(label, 255))
}

/// The sentence with a capital letter.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::{label, noun, parse, sentence};
    use crds::{GitReference, Revision};
    use source::RefSpec;

    fn spec(json: &str) -> GitReference {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn one_field_and_no_more() {
        assert_eq!(parse(&spec("{}")), Ok(RefSpec::Branch("main".into())));
        assert_eq!(
            parse(&spec(r#"{"name":"refs/pull/7/head"}"#)),
            Ok(RefSpec::Full("refs/pull/7/head".into()))
        );
        assert!(matches!(
            parse(&spec(r#"{"semver":"1.x"}"#)),
            Ok(RefSpec::Versions(_))
        ));
        for (json, part) in [
            (r#"{"branch":"main","tag":"v1"}"#, "more than one"),
            (r#"{"semver":"1.2.3"}"#, "=1.2.3"),
            (r#"{"semver":"latest"}"#, "range of versions"),
            (r#"{"commit":"0123"}"#, "40 digits"),
            (r#"{"tag":"a..b"}"#, "does not allow"),
            (r#"{"name":"HEAD"}"#, "does not allow"),
        ] {
            let why = parse(&spec(json)).unwrap_err();
            assert!(why.contains(part), "{json}: {why}");
        }
    }

    #[test]
    fn heads_are_spoken_of_by_what_they_were_found_at() {
        let head = Revision {
            commit: "0123456789abcdef0123456789abcdef01234567".into(),
            branch: "v1.2.3".into(),
            ..Revision::default()
        };
        let range = parse(&spec(r#"{"semver":"1.x"}"#)).unwrap();
        assert_eq!(sentence(&range, &head), "Tag v1.2.3 is at 0123456789ab.");
        assert_eq!(label(&range), "");
        assert_eq!(noun(&range, ""), "the tag of spec.ref");
        let commit = parse(&spec(r#"{"commit":"0123456789abcdef0123456789abcdef01234567"}"#));
        assert_eq!(
            sentence(&commit.unwrap(), &head),
            "The commit of spec.ref is here: 0123456789ab."
        );
    }
}
