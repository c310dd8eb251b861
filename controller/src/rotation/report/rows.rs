//! The report: its rows, and what is said of each. Pure.
//!
//! Rows and digests are only added, never moved or dropped: so the ConfigMaps that they are kept in can be written one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crds::{ReportRow, ReportState, RotationReport, ValueChanged};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::values::{Digest, Place, Value};
use super::walk::{Findings, Leak};
use crate::text;

/// More values are not listed.
const MOST_ROWS: usize = 20_000;
/// More digests are not kept.
const MOST_DIGESTS: usize = 200_000;
/// What all rows may take, in bytes.
const MOST_BYTES: usize = 32 << 20;
/// Files of one row, and the bytes of one.
const FILES: usize = 4;
const LONGEST_FILE: usize = 256;
/// Sentences about what could not be looked through, and the characters of one; of one Repository, and the bytes of one.
const GAPS: usize = 20;
const LONGEST_GAP: usize = 512;
const REPOSITORY_GAPS: usize = 6;
const REPOSITORY_GAP: usize = 600;

/// How the values of a Repository are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// The namespaces of objects that name none.
    pub(super) namespaces: Vec<String>,
    /// Paths whose values are sealed for other clusters.
    pub(super) elsewhere: Vec<String>,
}

/// What is known of one Repository's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Walked {
    /// `namespace/name`.
    pub(super) repository: String,
    /// Up to which commit. Empty: it is to be walked again from the beginning.
    pub(super) head: String,
    pub(super) commits: u64,
    /// Of objects that name none.
    #[serde(default)]
    pub(super) namespaces: BTreeSet<String>,
    /// Paths whose values are other clusters'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) elsewhere: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) gaps: Vec<String>,
    /// How many there are beside those.
    #[serde(default)]
    pub(super) more: u64,
    /// Whether it was said of its rows what stands there now, after that commit was looked at.
    #[serde(default)]
    pub(super) judged: bool,
}

impl Walked {
    /// What of it could not be looked through, as sentences.
    fn told(&self) -> impl Iterator<Item = String> + '_ {
        let more =
            (self.more > 0).then(|| format!("Repository {}: and {} more.", self.repository, self.more));
        self.gaps.iter().cloned().chain(more)
    }

    /// Whether values were tried in all of these namespaces, and in the same paths.
    pub(super) fn covers(&self, terms: &Terms) -> bool {
        let mut namespaces = terms.namespaces.iter();
        namespaces.all(|name| self.namespaces.contains(name)) && self.elsewhere == terms.elsewhere
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) rows: Vec<ReportRow>,
    index: HashMap<Place, Vec<usize>>,
    /// Of all values that were sealed with a leaked key.
    pub(super) digests: Vec<Digest>,
    known: HashSet<Digest>,
    /// By uid.
    pub(super) walked: BTreeMap<String, Walked>,
    /// Whether the objects of the cluster were looked through.
    pub(super) cluster: bool,
    /// The same as of a Repository.
    pub(super) cluster_judged: bool,
    /// The keys that were looked for.
    pub(super) leaked: BTreeSet<String>,
    /// What rows take, in bytes.
    bytes: usize,
    /// Whether something is not in it for want of room: then nobody can say that a value is none of those that leaked.
    pub(super) cut: bool,
    /// The key that digests were made under, by its name.
    pub(super) digest_key: String,
    /// Whether digests were made under another one, which is gone, and cannot be made again: the same holds.
    pub(super) lost: bool,
}

/// What stands where now.
#[derive(Default)]
pub(super) struct Now<'f> {
    /// By `namespace/name`, the Repositories that were looked at.
    pub(super) git: BTreeMap<&'f str, &'f Findings>,
    /// The SealedSecret objects of the cluster; none where they could not be looked at.
    pub(super) cluster: Option<&'f [Value]>,
}

impl Report {
    /// From what was kept.
    pub(super) fn of(rows: Vec<ReportRow>, digests: Vec<Digest>) -> Self {
        let mut report = Self {
            known: digests.iter().copied().collect(),
            digests,
            ..Self::default()
        };
        for row in rows {
            report.push(row);
        }
        report
    }

    /// The key of digests is another one. Where all keys that leaked are `at_hand`, everything is looked through anew; else what
    /// stands somewhere can only be said to be there.
    pub(super) fn forget_digests(&mut self, at_hand: bool) {
        self.digests.clear();
        self.known.clear();
        for row in &mut self.rows {
            if row.changed != ValueChanged::Removed {
                (row.changed, row.since) = (ValueChanged::Unknown, None);
            }
        }
        self.cluster_judged = false;
        for walked in self.walked.values_mut() {
            walked.judged = false;
        }
        self.lost = !at_hand;
        if at_hand {
            self.walked.clear();
            self.cluster = false;
        }
    }

    /// Another key leaked: everything is looked through for it. What was missed before stays missed, if the keys for that are gone.
    pub(super) fn walk_again(&mut self) {
        for walked in self.walked.values_mut() {
            walked.head.clear();
            walked.judged = false;
        }
        self.cluster = false;
    }

    /// What is known of a Repository's history, where it does not have to be walked from the beginning.
    pub(super) fn history(&self, uid: &str) -> Option<&Walked> {
        self.walked.get(uid).filter(|walked| !walked.head.is_empty())
    }

    /// Whether a Repository was looked through up to this commit, and all is said of it.
    pub(super) fn is_told(&self, uid: &str, head: &str, terms: &Terms) -> bool {
        let walked = self.walked.get(uid);
        walked.is_some_and(|walked| walked.judged && walked.head == head && walked.covers(terms))
    }

    fn has_room(&mut self) -> bool {
        let fits = self.rows.len() < MOST_ROWS && self.bytes < MOST_BYTES;
        self.cut |= !fits;
        fits
    }

    fn push(&mut self, row: ReportRow) {
        self.bytes += weight(&row);
        self.index.entry(place(&row)).or_default().push(self.rows.len());
        self.rows.push(row);
    }

    /// Takes in what was found in a Repository.
    pub(super) fn take(&mut self, uid: &str, repository: &str, terms: &Terms, found: &Findings) {
        for leak in &found.leaked {
            self.leaked(repository, leak);
        }
        let walked = self.walked.entry(uid.to_owned()).or_default();
        if found.afresh {
            let before = std::mem::take(walked);
            // What keys that are gone by now did not open then does not open now.
            if !found.with_all_keys {
                (walked.gaps, walked.more) = (before.gaps, before.more);
            }
        }
        repository.clone_into(&mut walked.repository);
        walked.namespaces.extend(terms.namespaces.iter().cloned());
        walked.elsewhere.clone_from(&terms.elsewhere);
        walked.head.clone_from(&found.head);
        walked.commits += found.commits;
        walked.judged = false;
        for gap in &found.gaps {
            let gap = text::bounded_bytes(&format!("Repository {repository}: {gap}"), REPOSITORY_GAP);
            if walked.gaps.contains(&gap) {
                continue;
            }
            if walked.gaps.len() < REPOSITORY_GAPS {
                walked.gaps.push(gap);
            } else {
                walked.more += 1;
            }
        }
        self.cut |= found.cut;
    }

    /// Takes in the SealedSecret objects of the cluster, as they were before they were sealed again.
    pub(super) fn take_cluster(&mut self, values: &[Value]) {
        self.cluster = true;
        self.cluster_judged = false;
        for value in values {
            let Some(key) = &value.leaked else { continue };
            let leak = Leak {
                place: value.place.clone(),
                key: key.clone(),
                digest: value.digest,
                file: String::new(),
                commit: None,
            };
            // Where a Repository has it, it is named there.
            if self.index.contains_key(&value.place) {
                self.remember(leak.digest);
            } else {
                self.leaked("", &leak);
            }
        }
    }

    fn remember(&mut self, digest: Option<Digest>) {
        let Some(digest) = digest.filter(|digest| !self.known.contains(digest)) else {
            return;
        };
        if self.digests.len() < MOST_DIGESTS {
            self.known.insert(digest);
            self.digests.push(digest);
        } else {
            self.cut = true;
        }
    }

    fn leaked(&mut self, repository: &str, leak: &Leak) {
        self.remember(leak.digest);
        let rows = self.index.get(&leak.place).into_iter().flatten().copied();
        // An object of the cluster that a Repository turns out to have.
        let fits =
            |at: &usize| self.rows[*at].repository == repository || self.rows[*at].repository.is_empty();
        let known = rows.into_iter().find(fits);
        let at = match known {
            Some(at) => at,
            None if !self.has_room() => return,
            None => {
                self.push(ReportRow {
                    namespace: leak.place.namespace.clone(),
                    name: leak.place.name.clone(),
                    key: leak.place.key.clone(),
                    ..ReportRow::default()
                });
                self.rows.len() - 1
            }
        };
        let row = &mut self.rows[at];
        let before = weight(row);
        repository.clone_into(&mut row.repository);
        if row.sealed_for.is_empty() {
            row.sealed_for.clone_from(&leak.key);
            // It held the same value as another before it was sealed for the leaked key itself.
            row.first = None;
        }
        if row.first.is_none() {
            row.first.clone_from(&leak.commit);
        }
        add_file(&mut row.files, &leak.file);
        self.bytes += weight(row).saturating_sub(before);
    }

    /// Says of every row whether it is another value now. Rows of what could not be looked at stay as they were.
    pub(super) fn judge(&mut self, now: &Now<'_>) {
        let mut standing: HashMap<&Place, Vec<Option<Digest>>> = HashMap::new();
        for (value, _) in now.git.values().flat_map(|found| &found.current) {
            standing.entry(&value.place).or_default().push(value.digest);
        }
        for value in now.cluster.into_iter().flatten() {
            standing.entry(&value.place).or_default().push(value.digest);
        }
        let brought = |place: &Place, digest: Digest| {
            let id = (place.clone(), digest);
            let brought = now.git.values().find_map(|found| found.brought.get(&id));
            brought.map(|commit| (**commit).clone())
        };
        // What was moved elsewhere is still in use.
        let mut moved = Vec::new();
        for (repository, found) in &now.git {
            for (value, file) in &found.current {
                if let Some(digest) = value.digest.filter(|digest| self.known.contains(digest))
                    && !self.index.contains_key(&value.place)
                {
                    moved.push((*repository, value.place.clone(), digest, file));
                }
            }
        }
        for (repository, place, digest, file) in moved {
            if self.index.contains_key(&place) || !self.has_room() {
                continue;
            }
            let mut row = ReportRow {
                first: brought(&place, digest),
                namespace: place.namespace,
                name: place.name,
                key: place.key,
                repository: repository.to_owned(),
                ..ReportRow::default()
            };
            add_file(&mut row.files, file);
            self.push(row);
        }
        self.cluster_judged |= now.cluster.is_some();
        for walked in self.walked.values_mut() {
            walked.judged |= now.git.contains_key(walked.repository.as_str());
        }
        let is_unsure = self.cut || self.lost;
        for row in &mut self.rows {
            let is_known = if row.repository.is_empty() {
                now.cluster.is_some()
            } else {
                now.git.contains_key(row.repository.as_str())
            };
            if !is_known {
                continue;
            }
            let place = place(row);
            let before = row.since.take().filter(|_| row.changed == ValueChanged::Yes);
            let is_cut = now
                .git
                .get(row.repository.as_str())
                .is_some_and(|found| found.cut);
            row.changed = match standing.get(&place).map(Vec::as_slice) {
                None | Some([]) if is_cut => ValueChanged::Unknown,
                None | Some([]) => ValueChanged::Removed,
                Some(all) if all.iter().flatten().any(|digest| self.known.contains(digest)) => {
                    ValueChanged::No
                }
                Some(all) if is_unsure || all.iter().any(Option::is_none) => ValueChanged::Unknown,
                Some(all) => {
                    let commit = all.iter().flatten().find_map(|digest| brought(&place, *digest));
                    row.since = commit.or(before);
                    ValueChanged::Yes
                }
            };
        }
    }

    /// What it comes to. `gaps`: what could not be looked through at all.
    pub(super) fn sum(&self, gaps: &BTreeSet<String>, shards: usize) -> RotationReport {
        let count = |changed| count(self.rows.iter().filter(|row| row.changed == changed).count());
        let mut gaps: Vec<String> = gaps
            .iter()
            .map(|gap| text::bounded(gap, LONGEST_GAP))
            .chain(self.walked.values().flat_map(Walked::told))
            .collect();
        if self.cut {
            // The most important one is not cut itself.
            gaps.insert(
                0,
                format!(
                    "There is more than a report keeps ({MOST_ROWS} values, or {} MiB of names): the rest is not listed, and nothing \
                     that stands somewhere is said to be changed.",
                    MOST_BYTES >> 20
                ),
            );
        }
        if self.lost {
            gaps.insert(
                0,
                "The Secret signet-digest-key was lost after old keys were gone: of values that stand somewhere nobody can say \
                 whether they were changed."
                    .into(),
            );
        }
        let confirm = word(&gaps);
        let more = gaps.len().saturating_sub(GAPS);
        if more > 0 {
            gaps.truncate(GAPS - 1);
            gaps.push(format!("And {} more.", more + 1));
        }
        RotationReport {
            state: if gaps.is_empty() {
                ReportState::Complete
            } else {
                ReportState::Incomplete
            },
            values: self::count(self.rows.len()),
            unchanged: count(ValueChanged::No),
            changed: count(ValueChanged::Yes),
            removed: count(ValueChanged::Removed),
            unknown: count(ValueChanged::Unknown),
            shards: self::count(shards),
            commits: self.walked.values().map(|walked| walked.commits).sum(),
            cluster: self.cluster,
            progress: String::new(),
            gaps,
            confirm,
        }
    }
}

/// What a person says who accepts all of these gaps, and no other ones. Empty where there are none.
fn word(gaps: &[String]) -> String {
    if gaps.is_empty() {
        return String::new();
    }
    let digest = Sha256::digest(json!(gaps).to_string());
    format!("gaps-{}", text::hex(&digest[..8]))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn place(row: &ReportRow) -> Place {
    Place {
        namespace: row.namespace.clone(),
        name: row.name.clone(),
        key: row.key.clone(),
    }
}

/// About what a row takes, with its place in the index, in bytes.
fn weight(row: &ReportRow) -> usize {
    let commit = |commit: &Option<crds::ReportCommit>| {
        let one = commit.as_ref();
        one.map_or(0, |one| one.id.len() + one.author.len() + one.date.len())
    };
    let files: usize = row
        .files
        .iter()
        .map(|file| file.len() + size_of::<String>())
        .sum();
    size_of::<ReportRow>()
        + 2 * place(row).weight()
        + row.repository.len()
        + files
        + row.sealed_for.len()
        + commit(&row.first)
        + commit(&row.since)
}

fn add_file(files: &mut Vec<String>, file: &str) {
    let file = text::bounded_bytes(file, LONGEST_FILE);
    if !file.is_empty() && files.len() < FILES && !files.contains(&file) {
        files.push(file);
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
