//! What a commit object says.

use git2::{ObjectType, Odb, Oid};

use crate::{CommitId, SourceError, TreeId, text};

/// Largest commit object read, in bytes; real ones with signatures take a few kilobytes.
const MAX_COMMIT_BYTES: usize = 1 << 20;

/// Bytes kept of names, addresses and subjects.
const MAX_TEXT_BYTES: usize = 256;

/// A commit, reduced to what is shown and compared.
///
/// All text is the author's: show it through [`display_safe`](crate::display_safe). Bytes that are not
/// UTF-8 are replaced, long text is cut at 256 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub id: CommitId,
    /// Its root directory.
    pub tree: TreeId,
    /// Who wrote the change; not verified.
    pub author: Person,
    /// Who made the commit; not verified.
    pub committer: Person,
    /// The first line of the message.
    pub subject: String,
    /// Its parents, by the object itself: also those that a shallow store does not hold.
    pub parents: Vec<CommitId>,
}

/// A name, an address and a time, as a commit claims them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Seconds since 1970-01-01T00:00Z.
    pub time: i64,
    /// Minutes east of UTC.
    pub offset: i32,
}

impl Commit {
    /// Reads a commit; `None` if the store does not hold it.
    ///
    /// Parsed here and not by libgit2, which replaces the parents at a shallow boundary by none.
    pub(crate) fn read(odb: &Odb<'_>, id: CommitId) -> Result<Option<Self>, SourceError> {
        let Some(object) = bytes(odb, id)? else {
            return Ok(None);
        };
        let broken = || SourceError::NotGit("a commit object is malformed".into());
        parse(id, object.data()).map(Some).ok_or_else(broken)
    }
}

/// A commit's bytes, or `None` if the store does not hold it.
pub(crate) fn bytes<'odb>(
    odb: &'odb Odb<'_>,
    id: CommitId,
) -> Result<Option<git2::OdbObject<'odb>>, SourceError> {
    read_object(odb, id.oid(), ObjectType::Commit, MAX_COMMIT_BYTES)
}

/// A tag's bytes, or `None` if the store does not hold it.
pub(crate) fn tag_bytes<'odb>(
    odb: &'odb Odb<'_>,
    id: CommitId,
) -> Result<Option<git2::OdbObject<'odb>>, SourceError> {
    read_object(odb, id.oid(), ObjectType::Tag, MAX_COMMIT_BYTES)
}

/// An object of a known kind within a size, or `None` if the store does not hold it.
fn read_object<'odb>(
    odb: &'odb Odb<'_>,
    oid: Oid,
    kind: ObjectType,
    max: usize,
) -> Result<Option<git2::OdbObject<'odb>>, SourceError> {
    let store = |error: &git2::Error| SourceError::Store(text::bounded(error.message(), 200).into());
    let (size, found) = match odb.read_header(oid) {
        Ok(header) => header,
        Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(store(&error)),
    };
    if found != kind {
        return Err(SourceError::NotGit(
            "an object is of another kind than its reference says".into(),
        ));
    }
    if size > max {
        return Err(SourceError::TooLarge(format!(
            "a {} object over {max} bytes",
            kind.str()
        )));
    }
    odb.read(oid).map(Some).map_err(|error| store(&error))
}

fn parse(id: CommitId, data: &[u8]) -> Option<Commit> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let tree = lines.next()?.strip_prefix(b"tree ")?;
    let mut commit = Commit {
        id,
        tree: hex(tree)?.parse().ok()?,
        author: Person::default(),
        committer: Person::default(),
        subject: String::new(),
        parents: Vec::new(),
    };
    for line in lines.by_ref() {
        if let Some(parent) = line.strip_prefix(b"parent ") {
            commit.parents.push(hex(parent)?.parse().ok()?);
        } else if let Some(author) = line.strip_prefix(b"author ") {
            commit.author = person(author);
        } else if let Some(committer) = line.strip_prefix(b"committer ") {
            commit.committer = person(committer);
        } else if line.is_empty() {
            break;
        }
    }
    let subject = lines.find(|line| !line.is_empty()).unwrap_or_default();
    commit.subject = lossy(subject);
    Some(commit)
}

fn hex(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// `Name <address> seconds +hhmm`; what is missing or odd stays empty.
fn person(line: &[u8]) -> Person {
    let text = String::from_utf8_lossy(line);
    let Some((name, rest)) = text.split_once('<') else {
        return Person::default();
    };
    let (email, rest) = rest.rsplit_once('>').unwrap_or((rest, ""));
    let mut numbers = rest.split_ascii_whitespace();
    let time = numbers
        .next()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(0);
    let offset = numbers.next().and_then(offset_minutes).unwrap_or(0);
    Person {
        name: cut(name.trim()),
        email: cut(email),
        time,
        offset,
    }
}

fn offset_minutes(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let number: i32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (digits.len() == 4 && number % 100 < 60).then_some(sign * (number / 100 * 60 + number % 100))
}

fn lossy(bytes: &[u8]) -> String {
    cut(&String::from_utf8_lossy(
        &bytes[..bytes.len().min(2 * MAX_TEXT_BYTES)],
    ))
}

fn cut(text: &str) -> String {
    text::bounded(text, MAX_TEXT_BYTES).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_signed_merge_is_read() {
        let data = format!(
            "tree {ID}\nparent {ID}\nparent {ID}\nauthor A <a@x> 1700000000 +0130\n\
             committer Ç D <c@x> 1700000001 -0800\ngpgsig -----BEGIN\n parent {ID}\n\n \n\nSubject \u{1b}[1m\n\nBody\n"
        );
        let commit = parse(ID.parse().unwrap(), data.as_bytes()).unwrap();
        assert_eq!(commit.parents.len(), 2);
        assert_eq!((commit.author.time, commit.author.offset), (1_700_000_000, 90));
        assert_eq!(
            (commit.committer.name.as_str(), commit.committer.offset),
            ("Ç D", -480)
        );
    }

    #[test]
    fn malformed_commits_do_not_panic() {
        for data in [
            "",
            "tree",
            "tree x",
            &format!("tree {ID}"),
            &format!("tree {ID}\nparent x\n\n"),
        ] {
            let _ = parse(ID.parse().unwrap(), data.as_bytes());
        }
        let odd = format!(
            "tree {ID}\nauthor no brackets\ncommitter <>\n\n{}",
            "é".repeat(500)
        );
        let commit = parse(ID.parse().unwrap(), odd.as_bytes()).unwrap();
        assert_eq!(commit.author, Person::default());
        assert!(commit.subject.len() <= MAX_TEXT_BYTES && commit.subject.starts_with('é'));
        assert_eq!(offset_minutes("+0199"), None);
        assert_eq!(offset_minutes("+2"), None);
    }
}
