//! When which cluster applied a commit, and with what result: a line of the notes that controllers write.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Under these refs, one a cluster.
pub const NOTES: &str = "refs/notes/signet/";

/// One line of a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The cluster, as its notes are called.
    pub cluster: String,
    /// RFC 3339.
    pub time: String,
    /// `namespace/name`.
    pub sync: String,
    /// `Applied`, `Ready` or `Failed`.
    pub result: String,
    /// Counts of objects.
    pub detail: String,
}

impl Outcome {
    /// What a note under this ref tells. What people wrote there by hand is no result.
    pub fn read(reference: &str, note: &[u8]) -> Vec<Self> {
        let Some(cluster) = reference.strip_prefix(NOTES) else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(note);
        let lines = text.lines();
        lines.filter_map(|line| Self::line(cluster, line)).collect()
    }

    /// `TIME NAMESPACE/NAME RESULT: DETAIL`.
    fn line(cluster: &str, line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let (time, sync, result) = (words.next()?, words.next()?, words.next()?);
        time.parse::<Timestamp>().ok()?;
        let result = result.strip_suffix(':')?;
        let known = ["Applied", "Ready", "Failed"].contains(&result) && sync.contains('/');
        known.then(|| Self {
            cluster: cluster.to_owned(),
            time: time.to_owned(),
            sync: sync.to_owned(),
            result: result.to_owned(),
            detail: words.next().unwrap_or_default().to_owned(),
        })
    }

    /// Whether it is of this Sync: by its name, or with its namespace.
    #[must_use]
    pub fn is_of(&self, sync: &str) -> bool {
        self.sync == sync || self.sync.split_once('/').is_some_and(|(_, name)| name == sync)
    }

    /// For people.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self {
            cluster,
            time,
            sync,
            result,
            detail,
        } = self;
        format!("{result} in {cluster} at {time} by {sync}: {detail}")
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn only_what_a_controller_writes_is_a_result() {
        let note = "2026-11-20T08:13:01Z shop/web Ready: 12 objects, 1 changed\n\
                    Looks good to me\n2026-11-20T08:13:01Z shop Ready: x\nsoon shop/web Ready: x\n";
        let told = Outcome::read("refs/notes/signet/prod", note.as_bytes());
        let [told] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert!(told.is_of("web") && told.is_of("shop/web") && !told.is_of("other/web"));
        assert_eq!(
            told.sentence(),
            "Ready in prod at 2026-11-20T08:13:01Z by shop/web: 12 objects, 1 changed"
        );
        assert!(Outcome::read("refs/notes/commits", note.as_bytes()).is_empty());
    }
}
