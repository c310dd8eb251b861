//! Where the history of a store ends.
//!
//! libgit2 goes by the file `shallow`. A fetch writes down where its own pack ends, and what earlier ones had brought below that is cut off, for whoever goes by the
//! file: merge bases are looked for so.

use std::fs;

use git2::Odb;

use super::{Generation, disk, lines};
use crate::{Commit, CommitId, SourceError};

const FILE: &str = "shallow";
/// Heads, a line each, of which all is here that may be fetched. A store is replaced after some fetches, and this goes with it.
const EXHAUSTED: &str = "exhausted";

/// The commits at which it ends (gitformat-shallow(5): one id a line).
pub(super) fn ends(generation: &Generation) -> Result<Vec<String>, SourceError> {
    let text = lines::read(&generation.dir().join(FILE))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Says that what comes before these commits is not here.
pub(crate) fn add(generation: &Generation, commits: &[String]) -> Result<(), SourceError> {
    if commits.is_empty() {
        return Ok(());
    }
    lines::add(&generation.dir().join(FILE), commits)
}

/// What has all of its parents here is no end.
pub(super) fn settle(generation: &Generation, odb: &Odb<'_>) -> Result<(), SourceError> {
    let path = generation.dir().join(FILE);
    let text = lines::read(&path)?;
    let mut ends = String::new();
    for line in text.lines() {
        if line.parse().map_or(Ok(true), |id| is_end(odb, id))? {
            ends.push_str(line);
            ends.push('\n');
        }
    }
    if ends == text {
        return Ok(());
    }
    let written = if ends.is_empty() {
        fs::remove_file(&path)
    } else {
        let next = generation.dir().join("shallow.next");
        fs::write(&next, ends).and_then(|()| fs::rename(&next, &path))
    };
    written.map_err(|error| disk(&error))
}

/// Whether the history of a head was fetched as deep as it may be.
pub(super) fn is_exhausted(generation: &Generation, head: CommitId) -> Result<bool, SourceError> {
    let text = lines::read(&generation.dir().join(EXHAUSTED))?;
    Ok(text.lines().any(|line| line.parse() == Ok(head)))
}

pub(super) fn exhaust(generation: &Generation, head: CommitId) -> Result<(), SourceError> {
    if is_exhausted(generation, head)? {
        return Ok(());
    }
    lines::add(&generation.dir().join(EXHAUSTED), [head])
}

fn is_end(odb: &Odb<'_>, id: CommitId) -> Result<bool, SourceError> {
    let Some(commit) = Commit::read(odb, id)? else {
        return Ok(true);
    };
    for parent in commit.parents {
        if Commit::read(odb, parent)?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}
