//! Goes through a history and tells of it, on a blocking thread.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use audit::{Change, File, LARGEST_FILE, LARGEST_NOTE, Line, NOTES, Outcome, Record, Verdict, is_manifest};
use jiff::Timestamp;
use jiff::tz::Offset;
use proof::Trust;
use source::{BlobId, Commit, CommitId, Person, RefSpec, Remote, RepoPath, SourceError, Store};

use super::Refusal;
use super::query::{MOST_COMMITS, Query, Since};
use crate::text;

/// For telling, once everything is here.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of an answer.
const LARGEST_ANSWER: usize = 8 << 20;
/// Bytes of the manifests of one commit, before and after: read, they take several times as much memory.
const LARGEST_COMMIT: usize = 16 << 20;
/// Sentences about what is not told.
const MOST_GAPS: usize = 20;
/// Characters of a subject.
const LONGEST_SUBJECT: usize = 512;

/// One question, and what it takes to answer it.
pub(super) struct Walk {
    /// Where stores for audits lie, one a Repository.
    pub(super) all: PathBuf,
    pub(super) uid: String,
    pub(super) remote: Remote,
    pub(super) reference: RefSpec,
    pub(super) head: CommitId,
    /// What is asked about; the root is the empty one.
    pub(super) path: RepoPath,
    pub(super) trust: Option<Trust>,
    pub(super) query: Query,
}

/// Lines, within bounds.
#[derive(Default)]
struct Answer {
    lines: String,
    gaps: Vec<String>,
    is_full: bool,
}

impl Walk {
    pub(super) fn run(self) -> Result<String, Refusal> {
        self.keep_only_this();
        let store = Store::open(&self.all.join(&self.uid)).map_err(|error| refused(&error))?;
        let remote = self.remote.for_one_look();
        let chronicle = store
            .chronicle(&remote, &self.reference, self.head, None, MOST_COMMITS)
            .map_err(|error| refused(&error))?;
        let mut answer = Answer::default();
        if chronicle.cut {
            answer.gaps.push(format!(
                "The history has more than {MOST_COMMITS} commits, or the remote does not serve the older ones: those are not told."
            ));
        }
        let wanted = self.wanted(&chronicle.commits);
        let ids: Vec<CommitId> = wanted.iter().map(|commit| commit.id).collect();
        let mut results = self.results(&store, &remote, &ids, &mut answer.gaps);
        let began = Instant::now();
        let mut told = 0;
        for commit in wanted {
            if told == self.query.limit || answer.is_full {
                break;
            }
            if began.elapsed() > PATIENCE {
                answer.gaps.push("It took too long: the rest is not told.".into());
                break;
            }
            let changes = match self.changes(&store, commit) {
                Ok(Some(changes)) => changes,
                Ok(None) => continue,
                Err(error) => {
                    let why = match error {
                        SourceError::NoSuchCommit => "the one before it is not here".to_owned(),
                        SourceError::TooLarge(what) => format!("it is too much: {what}"),
                        error => return Err(refused(&error)),
                    };
                    answer
                        .gaps
                        .push(format!("What commit {} changes is not told: {why}.", commit.id));
                    Vec::new()
                }
            };
            told += 1;
            if self.query.is_narrow() && changes.is_empty() {
                continue;
            }
            let object = store.commit_object(commit.id).map_err(|error| refused(&error))?;
            answer.tell(&Line::Record(Box::new(Record {
                commit: commit.id.to_string(),
                author: person(&commit.author),
                authored: time(&commit.author),
                committer: person(&commit.committer),
                committed: time(&commit.committer),
                subject: subject(&object),
                merge: commit.parents.len() > 1,
                signature: Verdict::of(&object, self.trust.as_ref()),
                changes,
                results: results.remove(&commit.id).unwrap_or_default(),
            })));
        }
        Ok(answer.end())
    }

    /// What a commit changes of what is asked about; none where it does not touch the path.
    fn changes(&self, store: &Store, commit: &Commit) -> Result<Option<Vec<Change>>, SourceError> {
        let changed = store.changed(commit, &self.path)?;
        if !changed.touches && !self.path.as_str().is_empty() {
            return Ok(None);
        }
        let read = changed.files.iter().filter(|file| is_manifest(&file.path));
        let blobs: Vec<BlobId> = read
            .flat_map(|file| [file.before, file.after])
            .flatten()
            .collect();
        let contents = store.contents(blobs.iter().copied(), LARGEST_FILE, LARGEST_COMMIT)?;
        // Many files may be one blob, and each is read for itself.
        let length = |blob: &BlobId| contents.get(blob).map_or(0, Vec::len);
        if blobs.iter().map(length).sum::<usize>() > LARGEST_COMMIT {
            return Err(SourceError::TooLarge("files to read at once".into()));
        }
        let contents: HashMap<String, Vec<u8>> = contents
            .into_iter()
            .map(|(id, bytes)| (id.to_string(), bytes))
            .collect();
        let name = |id: Option<BlobId>| id.map(|id| id.to_string());
        let files: Vec<File> = changed
            .files
            .into_iter()
            .map(|file| File {
                path: file.path,
                before: name(file.before),
                after: name(file.after),
            })
            .collect();
        let mut changes = audit::changes(&files, &contents);
        changes.retain(|change| self.query.wants(change));
        Ok(Some(changes))
    }

    /// Removes what was kept of other Repositories. Nobody else is at work.
    fn keep_only_this(&self) {
        for entry in std::fs::read_dir(&self.all).into_iter().flatten().flatten() {
            if entry.file_name().to_str() != Some(&*self.uid) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// The commits that are asked about, as `git log` lists them: the newest first, none before its children.
    fn wanted<'a>(&self, commits: &'a [Commit]) -> Vec<&'a Commit> {
        let all: HashMap<CommitId, &Commit> = commits.iter().map(|commit| (commit.id, commit)).collect();
        let before = match self.query.since {
            Some(Since::Commit(id)) => reached(&all, id),
            _ => HashSet::new(),
        };
        let mut seen = HashSet::from([self.head]);
        let mut next = BinaryHeap::new();
        let mut listed = Vec::new();
        let mut number = 0_u64;
        let mut put = |next: &mut BinaryHeap<_>, id: CommitId| {
            if let Some(commit) = all.get(&id) {
                // Of one second, the one that was met first.
                number += 1;
                next.push((commit.committer.time, Reverse(number), id));
            }
        };
        put(&mut next, self.head);
        while let Some((_, _, id)) = next.pop() {
            let Some(commit) = all.get(&id).filter(|_| !before.contains(&id)) else {
                continue;
            };
            for parent in &commit.parents {
                if seen.insert(*parent) {
                    put(&mut next, *parent);
                }
            }
            if self.fits(commit) {
                listed.push(*commit);
            }
        }
        listed
    }

    fn fits(&self, commit: &Commit) -> bool {
        let late = match self.query.since {
            Some(Since::Time(since)) => commit.committer.time >= since,
            _ => true,
        };
        let author = self.query.author.as_ref();
        late && author.is_none_or(|text| person(&commit.author).contains(text.as_str()))
    }

    /// What clusters made of these commits, as far as their notes tell it. The history is told without them.
    fn results(
        &self,
        store: &Store,
        remote: &Remote,
        ids: &[CommitId],
        gaps: &mut Vec<String>,
    ) -> HashMap<CommitId, Vec<Outcome>> {
        let mut results: HashMap<CommitId, Vec<Outcome>> = HashMap::new();
        match store.notes(remote, NOTES, ids, LARGEST_NOTE) {
            Ok(notes) => {
                for note in notes {
                    let mut told = Outcome::read(&note.reference, &note.text);
                    let sync = self.query.sync.as_ref();
                    told.retain(|found| sync.is_none_or(|sync| found.is_of(sync)));
                    results.entry(note.commit).or_default().extend(told);
                }
            }
            Err(error) => gaps.push(format!("Results of clusters are not told: {error}.")),
        }
        for told in results.values_mut() {
            told.sort_by(|a, b| a.time.cmp(&b.time));
        }
        results
    }
}

impl Answer {
    fn tell(&mut self, line: &Line) {
        // A record is strings and lists: it is written in any case.
        let text = serde_json::to_string(line).unwrap_or_default();
        if self.lines.len() + text.len() > LARGEST_ANSWER {
            self.is_full = true;
            return;
        }
        self.lines += &text;
        self.lines.push('\n');
    }

    /// With what is not told. That is told in any case.
    fn end(mut self) -> String {
        if self.is_full {
            self.gaps
                .push("The answer became too large: the rest is not told.".into());
        }
        let more = self.gaps.len().saturating_sub(MOST_GAPS);
        let mut gaps = std::mem::take(&mut self.gaps);
        gaps.truncate(MOST_GAPS);
        if more > 0 {
            gaps.push(format!("There is more that is not told, {more} times."));
        }
        for gap in gaps {
            self.lines += &serde_json::to_string(&Line::Gap(gap)).unwrap_or_default();
            self.lines.push('\n');
        }
        self.lines
    }
}

/// A commit and all before it.
fn reached(all: &HashMap<CommitId, &Commit>, from: CommitId) -> HashSet<CommitId> {
    let mut seen = HashSet::new();
    let mut next = vec![from];
    while let Some(id) = next.pop() {
        if seen.insert(id)
            && let Some(commit) = all.get(&id)
        {
            next.extend(&commit.parents);
        }
    }
    seen
}

fn person(person: &Person) -> String {
    format!("{} <{}>", person.name, person.email)
}

/// As `git log` writes it: RFC 3339, with the author's own offset.
fn time(person: &Person) -> String {
    // An offset that no place has is none.
    let offset = Offset::from_seconds(person.offset.saturating_mul(60));
    let (offset, minutes) = offset.map_or((Offset::UTC, 0), |offset| (offset, person.offset));
    let time = offset.to_datetime(Timestamp::from_second(person.time).unwrap_or_default());
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    format!(
        "{}{sign}{:02}:{:02}",
        time.strftime("%Y-%m-%dT%H:%M:%S"),
        minutes / 60,
        minutes % 60
    )
}

/// The first paragraph of a commit's message, in one line.
fn subject(object: &[u8]) -> String {
    let text = String::from_utf8_lossy(object);
    let message = text.split_once("\n\n").map_or("", |(_, message)| message);
    let lines = message.lines().skip_while(|line| line.trim().is_empty());
    let paragraph: Vec<&str> = lines
        .map(str::trim_end)
        .take_while(|line| !line.is_empty())
        .collect();
    text::bounded(&paragraph.join(" "), LONGEST_SUBJECT)
}

fn refused(error: &SourceError) -> Refusal {
    let sentence = match error {
        SourceError::NoSuchCommit => {
            "The commit in use is not in the history that the remote has: the branch was rewritten."
                .to_owned()
        }
        error => format!("The history cannot be read: {error}. {}.", error.hint()),
    };
    if error.is_temporary() {
        Refusal::Later(sentence)
    } else {
        Refusal::Unready(sentence)
    }
}

#[cfg(test)]
mod tests {
    use audit::Line;
    use source::Person;

    use super::{Answer, LARGEST_ANSWER, MOST_GAPS, subject, time};

    #[test]
    fn an_answer_ends_and_says_so() {
        let mut answer = Answer::default();
        let long = Line::Gap("x".repeat(1 << 20));
        for _ in 0..20 {
            answer.tell(&long);
        }
        assert!(answer.is_full);
        answer.gaps.extend((0..30).map(|number| number.to_string()));
        let end = answer.end();
        assert!(end.len() <= LARGEST_ANSWER + 10_000);
        let lines: Vec<&str> = end.lines().collect();
        assert_eq!(lines.len(), 7 + MOST_GAPS + 1);
        assert!(
            lines[lines.len() - 1].contains("11 times"),
            "{}",
            lines[lines.len() - 1]
        );
    }

    #[test]
    fn times_and_subjects_are_as_git_log_has_them() {
        let person = |time, offset| Person {
            time,
            offset,
            ..Person::default()
        };
        assert_eq!(time(&person(1_700_000_000, 90)), "2023-11-14T23:43:20+01:30");
        assert_eq!(time(&person(1_700_000_000, -480)), "2023-11-14T14:13:20-08:00");
        assert_eq!(time(&person(0, 0)), "1970-01-01T00:00:00+00:00");
        assert_eq!(time(&person(i64::MAX, 99_999)), "1970-01-01T00:00:00+00:00");
        let commit = b"tree x\nauthor a\ngpgsig -----\n line\n\n\nOne  \n two\n\nbody\n";
        assert_eq!(subject(commit), "One  two");
        assert_eq!(subject(b"tree x\nauthor a\n\n"), "");
    }
}
