//! What is told of a commit in an audit: who, what its signature is worth, what it changes in objects and in sealed keys, and what
//! clusters made of it.
//!
//! `signet audit` reads a clone, the controller its own store; both make their records here, so that they tell the same. A record
//! holds names, never a value, sealed or not. Pure: commits and files come from the caller.

mod changes;
mod objects;
mod outcome;
mod since;

use serde::{Deserialize, Serialize};

pub use changes::{Change, Comparison, Detail, File, changes, is_manifest};
pub use objects::path_of_sync;
pub use outcome::{NOTES, Outcome};
use proof::{Signed, Trust};
pub use since::since;

/// The largest file that is looked into, in bytes.
pub const LARGEST_FILE: usize = 4 << 20;
/// The longest note that is read, in bytes: the controller writes none that is longer.
pub const LARGEST_NOTE: usize = 256 << 10;

/// One commit, and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its id.
    pub commit: String,
    /// `Name <address>`, as the commit claims it.
    pub author: String,
    /// RFC 3339.
    pub authored: String,
    /// `Name <address>`, as the commit claims it.
    pub committer: String,
    /// RFC 3339.
    pub committed: String,
    /// The first paragraph of its message, in one line.
    pub subject: String,
    /// Whether it has several parents.
    pub merge: bool,
    /// What its signature is worth.
    pub signature: Verdict,
    /// What it changes. Of a merge: beyond the sides that it brings together.
    pub changes: Vec<Change>,
    /// What clusters made of it.
    pub results: Vec<Outcome>,
}

/// What a signature is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// A word for columns: `good`, `unsigned`, `unchecked`, `bad` and others.
    pub verdict: String,
    /// A clause for people.
    pub message: String,
}

/// A line of what the controller answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// A commit.
    Record(Box<Record>),
    /// Why something is not told, as a sentence.
    Gap(String),
}

impl Verdict {
    /// Judges a commit's bytes as Git hashes them; without anybody to trust, whether it is signed at all.
    #[must_use]
    pub fn of(object: &[u8], trust: Option<&Trust>) -> Self {
        if let Some(trust) = trust {
            let verdict = trust.commit(object);
            return Self {
                verdict: verdict.word().to_owned(),
                message: verdict.to_string(),
            };
        }
        let (verdict, message) = match Signed::commit(object) {
            Ok(None) => ("unsigned", "it is not signed"),
            Ok(Some(_)) => ("unchecked", "it is signed; --signers checks by whom"),
            Err(_) => ("bad", "its signature cannot be read"),
        };
        Self {
            verdict: verdict.to_owned(),
            message: message.to_owned(),
        }
    }
}
