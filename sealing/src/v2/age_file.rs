//! What can be seen of an age file without a key: how many recipients of which kind, and how long it must be.
//!
//! `age` reads files of any size and any stanza, a passphrase's among them. Nothing reaches it that does not have exactly
//! the stanzas that the object speaks of.

use super::key_id::Suite;

/// What is wrong with an age file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgeFileProblem {
    /// Not an age file of version 1, or one that is cut off in its header.
    #[error("not a whole age file")]
    NotAge,
    /// Another number of recipients than the object lists.
    #[error("it is sealed for {found} recipients, but {listed} are listed")]
    OtherCount {
        /// How many the file has.
        found: usize,
        /// How many are listed.
        listed: usize,
    },
    /// Recipients of both suites.
    #[error("it mixes hybrid and X25519 recipients")]
    Mixed,
    /// A recipient of another kind, such as a passphrase.
    #[error("it has a recipient that is neither mlkem768x25519 nor X25519")]
    OtherKind,
    /// The file is shorter or longer than its payload.
    #[error("it has another length than a data key has; was it cut off?")]
    OtherLength,
}

/// Stanzas that mean nothing: the Rust library adds one at random, so that readers learn to ignore them.
const GREASE: &str = "-grease";
const MAX_GREASE: usize = 4;
/// Lines of 64 characters in the body of one stanza: both suites wrap a key of 32 bytes, one line; grease has up to three.
const MAX_BODY: usize = 3;

/// Checks the outer shape: `listed` recipients of one suite, and a payload of exactly this length.
pub(super) fn check(file: &[u8], listed: usize, payload: usize) -> Result<Suite, AgeFileProblem> {
    let (suite, length) = header(file, listed)?;
    if length != payload {
        return Err(AgeFileProblem::OtherLength);
    }
    Ok(suite)
}

/// Checks the header: `listed` recipients of one suite. Gives the suite, and the length of what follows.
pub(super) fn header(file: &[u8], listed: usize) -> Result<(Suite, usize), AgeFileProblem> {
    let mut rest = file
        .strip_prefix(b"age-encryption.org/v1\n")
        .ok_or(AgeFileProblem::NotAge)?;
    let mut suites = Vec::new();
    let mut grease = 0;
    let mut body = MAX_BODY;
    loop {
        let end = rest
            .iter()
            .position(|b| *b == b'\n')
            .ok_or(AgeFileProblem::NotAge)?;
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if line.starts_with(b"--- ") {
            break;
        }
        let Some(stanza) = line.strip_prefix(b"-> ") else {
            // A body: `age` looks at it, once for each of its lines, and so it may not have many.
            body = body.checked_sub(1).ok_or(AgeFileProblem::NotAge)?;
            continue;
        };
        body = MAX_BODY;
        let kind = stanza.split(|b| *b == b' ').next().unwrap_or_default();
        match std::str::from_utf8(kind).ok() {
            Some(name) if name.ends_with(GREASE) => grease += 1,
            name => suites.push(name.and_then(Suite::from_name).ok_or(AgeFileProblem::OtherKind)?),
        }
        if suites.len() > listed || grease > MAX_GREASE {
            break;
        }
    }
    let (Some(first), true) = (suites.first(), suites.len() == listed) else {
        return Err(AgeFileProblem::OtherCount {
            found: suites.len(),
            listed,
        });
    };
    if suites.iter().any(|suite| suite != first) {
        return Err(AgeFileProblem::Mixed);
    }
    if grease > MAX_GREASE {
        return Err(AgeFileProblem::NotAge);
    }
    Ok((*first, rest.len()))
}
