//! Ranges of versions, and the tags that are versions.
//!
//! A version is that of semver.org 2.0, with or without a `v` before it. A range is written as Cargo and npm write it; a
//! comma or a space between two conditions means that both hold, `||` that one of them does. A plain `1.2.3` means "exactly"
//! to some tools and "from there on" to others, and is refused.

use std::fmt;

use semver::{Comparator, Op, Version, VersionReq};

/// Longest range and longest tag looked at, in bytes.
const MAX_RANGE_BYTES: usize = 256;
const MAX_TAG_BYTES: usize = 255;

/// Which versions are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagRange {
    /// One of these holds.
    any: Vec<VersionReq>,
}

/// What is wrong with a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// It cannot be read.
    #[error("it is no range of versions: write one such as `>=1.2.0 <2.0.0`, `~1.2` or `1.x`")]
    Malformed,
    /// A version without an operator.
    #[error(
        "a version without an operator can mean two things: write `=1.2.3` for this one, or `^1.2.3` for it and what is compatible"
    )]
    Bare,
}

impl TagRange {
    /// Reads a range.
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        if text.len() > MAX_RANGE_BYTES {
            return Err(RangeError::Malformed);
        }
        let any: Result<_, _> = text.split("||").map(conditions).collect();
        Ok(Self { any: any? })
    }

    /// The version that a tag names, if it is one and in the range.
    pub(super) fn version(&self, tag: &str) -> Option<Version> {
        let version = version(tag)?;
        self.any
            .iter()
            .any(|range| range.matches(&version))
            .then_some(version)
    }
}

impl fmt::Display for TagRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, range) in self.any.iter().enumerate() {
            let between = if number == 0 { "" } else { " || " };
            write!(f, "{between}{range}")?;
        }
        Ok(())
    }
}

/// The version that a tag names.
fn version(tag: &str) -> Option<Version> {
    if tag.len() > MAX_TAG_BYTES {
        return None;
    }
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

/// Conditions of which all hold.
fn conditions(text: &str) -> Result<VersionReq, RangeError> {
    // A hyphen between two versions is a range elsewhere, and none here.
    if text.split_whitespace().any(|word| word == "-") {
        return Err(RangeError::Malformed);
    }
    let mut comparators = Vec::new();
    // An operator may stand apart from its version.
    let mut pending = String::new();
    for word in text.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
        pending.push_str(word);
        if word.chars().all(|c| "<>=~^".contains(c)) {
            continue;
        }
        comparators.extend(comparator(&std::mem::take(&mut pending))?);
    }
    if !pending.is_empty() || text.trim().is_empty() {
        return Err(RangeError::Malformed);
    }
    Ok(VersionReq { comparators })
}

/// One condition; none for `*`, which every version meets.
fn comparator(text: &str) -> Result<Option<Comparator>, RangeError> {
    if matches!(text, "*" | "x" | "X") {
        return Ok(None);
    }
    let at = text.find(|c| !"<>=~^".contains(c)).unwrap_or(text.len());
    let (operator, version) = text.split_at(at);
    let version = version.strip_prefix('v').unwrap_or(version);
    let wild = version.split('.').any(|part| matches!(part, "x" | "X" | "*"));
    if operator.is_empty() && !wild {
        Version::parse(version)
            .map(drop)
            .or_else(|_| Comparator::parse(version).map(drop))
            .map_err(|_| RangeError::Malformed)?;
        return Err(RangeError::Bare);
    }
    let read: Comparator = format!("{operator}{version}")
        .parse()
        .map_err(|_| RangeError::Malformed)?;
    // `1.x` and `=1.x` both mean "any that begins so".
    Ok(Some(read).map(|read| Comparator {
        op: if wild && operator == "=" {
            Op::Wildcard
        } else {
            read.op
        },
        ..read
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(range: &str, tag: &str) -> bool {
        TagRange::parse(range).expect(range).version(tag).is_some()
    }

    #[test]
    fn ranges_as_people_write_them() {
        for (range, inside, outside) in [
            (">=1.2.0 <2.0.0", "v1.9.0", "v2.0.0"),
            (">= 1.2.0, < 2.0.0", "1.2.0", "1.1.9"),
            ("~1.2", "v1.2.7", "v1.3.0"),
            ("^1.2.3", "v1.9.9", "v2.0.0"),
            ("1.x", "v1.0.0", "v2.0.0"),
            ("1.2.*", "v1.2.9", "v1.3.0"),
            ("=1.2.3", "v1.2.3", "v1.2.4"),
            ("=v1.2.3", "v1.2.3", "v1.2.4"),
            ("*", "0.0.1", "release-1"),
            ("<1.0.0 || >=3.0.0", "v3.1.0", "v2.0.0"),
        ] {
            assert!(holds(range, inside), "{range} holds {inside}");
            assert!(!holds(range, outside), "{range} does not hold {outside}");
        }
    }

    #[test]
    fn pre_releases_come_only_where_the_range_names_one() {
        for range in ["*", ">=1.0.0", "1.x", "^1.0.0"] {
            assert!(!holds(range, "v1.5.0-rc.1"), "{range}");
        }
        assert!(holds(">=1.5.0-rc.1", "v1.5.0-rc.2"));
        assert!(!holds(">=1.5.0-rc.1", "v1.6.0-rc.1"), "of another version");
    }

    #[test]
    fn what_is_no_version_is_no_tag_of_it() {
        for tag in [
            "",
            "v",
            "1",
            "1.2",
            "vv1.2.3",
            "V1.2.3",
            "release-1.2.3",
            "1.2.3.4",
            "01.2.3",
        ] {
            assert_eq!(version(tag), None, "{tag}");
        }
        assert_eq!(version(&format!("1.2.3-{}", "a".repeat(300))), None);
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for bare in ["1.2.3", "v1.2.3", "1.2", "1", ">=1.0.0 1.2.3"] {
            assert_eq!(TagRange::parse(bare), Err(RangeError::Bare), "{bare}");
        }
        for bad in [
            "",
            " ",
            "||",
            "1.x ||",
            "main",
            ">=",
            "<>1.0.0",
            "1.2.3 - 2.0.0",
            "=>1",
            ">1.0.0.0",
        ] {
            assert_eq!(TagRange::parse(bad), Err(RangeError::Malformed), "{bad}");
        }
        assert_eq!(TagRange::parse(&"*,".repeat(500)), Err(RangeError::Malformed));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(range in "\\PC{0,40}", tag in "\\PC{0,40}") {
            if let Ok(range) = TagRange::parse(&range) {
                let _ = range.version(&tag);
                prop_assert_eq!(TagRange::parse(&range.to_string()).map(|again| again.to_string()).ok(), Some(range.to_string()));
            }
            let _ = version(&tag);
        }
    }
}
