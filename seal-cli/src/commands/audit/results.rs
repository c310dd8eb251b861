//! When which cluster applied a commit, and with what result: the notes that controllers write (`refs/notes/signet/CLUSTER`),
//! as far as the clone has them.

use crate::command_error::CommandError;
use crate::git;
use audit::{LARGEST_NOTE, NOTES, Outcome};
use std::collections::HashMap;
use std::path::Path;

/// What is known of each commit, by its id.
pub(super) fn read(top: &Path, sync: Option<&str>) -> Result<HashMap<String, Vec<Outcome>>, CommandError> {
    let arguments = ["for-each-ref", "--format=%(refname)", NOTES].map(str::to_owned);
    let refs = git::output(top, &arguments, Vec::new())?;
    let mut all: HashMap<String, Vec<Outcome>> = HashMap::new();
    for reference in String::from_utf8_lossy(&refs).lines() {
        let arguments = ["notes".to_owned(), format!("--ref={reference}"), "list".into()];
        let listed = git::output(top, &arguments, Vec::new())?;
        let listed = String::from_utf8_lossy(&listed);
        let pairs: Vec<(&str, &str)> = listed.lines().filter_map(|line| line.split_once(' ')).collect();
        let ids: Vec<String> = pairs.iter().map(|(note, _)| (*note).to_owned()).collect();
        let notes = git::contents(top, &ids, LARGEST_NOTE)?;
        for (note, commit) in pairs {
            let text = notes.get(note).map(Vec::as_slice).unwrap_or_default();
            let lines = Outcome::read(reference, text).into_iter();
            let lines = lines.filter(|found| sync.is_none_or(|sync| found.is_of(sync)));
            all.entry(commit.to_owned()).or_default().extend(lines);
        }
    }
    for outcomes in all.values_mut() {
        outcomes.sort_by(|a, b| a.time.cmp(&b.time));
    }
    Ok(all)
}
