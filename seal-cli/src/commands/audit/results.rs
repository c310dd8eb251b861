//! When which cluster applied a commit, and with what result: the notes that controllers write (`refs/notes/signet/CLUSTER`),
//! as far as the clone has them.

use crate::command_error::CommandError;
use crate::git;
use jiff::Timestamp;
use std::collections::HashMap;
use std::path::Path;

const NOTES: &str = "refs/notes/signet/";
/// The longest note that is read, in bytes: the controller writes none that is longer.
const LARGEST: usize = 256 << 10;

/// One line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) cluster: String,
    /// RFC 3339.
    pub(super) time: String,
    /// `namespace/name`.
    pub(super) sync: String,
    /// `Applied`, `Ready` or `Failed`.
    pub(super) result: String,
    pub(super) detail: String,
}

/// What is known of each commit, by its id.
pub(super) fn read(top: &Path, sync: Option<&str>) -> Result<HashMap<String, Vec<Outcome>>, CommandError> {
    let arguments = ["for-each-ref", "--format=%(refname)", NOTES].map(str::to_owned);
    let refs = git::output(top, &arguments, Vec::new())?;
    let mut all: HashMap<String, Vec<Outcome>> = HashMap::new();
    for reference in String::from_utf8_lossy(&refs).lines() {
        let Some(cluster) = reference.strip_prefix(NOTES) else {
            continue;
        };
        let arguments = ["notes".to_owned(), format!("--ref={reference}"), "list".into()];
        let listed = git::output(top, &arguments, Vec::new())?;
        let listed = String::from_utf8_lossy(&listed);
        let pairs: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.split_once(' ')).collect();
        let ids: Vec<String> = pairs.iter().map(|(note, _)| (*note).to_owned()).collect();
        let notes = git::contents(top, &ids, LARGEST)?;
        for (note, commit) in pairs {
            let text = notes.get(note).map(Vec::as_slice).unwrap_or_default();
            let text = String::from_utf8_lossy(text);
            let lines = text.lines().filter_map(|line| outcome(cluster, line));
            let lines = lines.filter(|found| sync.is_none_or(|sync| found.is_of(sync)));
            all.entry(commit.to_owned()).or_default().extend(lines);
        }
    }
    for outcomes in all.values_mut() {
        outcomes.sort_by(|a, b| a.time.cmp(&b.time));
    }
    Ok(all)
}

impl Outcome {
    /// Whether it is of this Sync: by its name, or with its namespace.
    fn is_of(&self, sync: &str) -> bool {
        self.sync == sync || self.sync.split_once('/').is_some_and(|(_, name)| name == sync)
    }

    /// For people.
    pub(super) fn sentence(&self) -> String {
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

/// `TIME NAMESPACE/NAME RESULT: DETAIL`. What people wrote there by hand is no result.
fn outcome(cluster: &str, line: &str) -> Option<Outcome> {
    let mut words = line.splitn(4, ' ');
    let (time, sync, result) = (words.next()?, words.next()?, words.next()?);
    time.parse::<Timestamp>().ok()?;
    let result = result.strip_suffix(':')?;
    let known = ["Applied", "Ready", "Failed"].contains(&result) && sync.contains('/');
    known.then(|| Outcome {
        cluster: cluster.to_owned(),
        time: time.to_owned(),
        sync: sync.to_owned(),
        result: result.to_owned(),
        detail: words.next().unwrap_or_default().to_owned(),
    })
}
