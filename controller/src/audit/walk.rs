//! Goes through a history and tells of it, on a blocking thread.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::{Duration, Instant};

use audit::{
    Change, Comparison, File, LARGEST_FILE, LARGEST_NOTE, Line, NOTES, Outcome, Record, Verdict, is_manifest,
};
use jiff::Timestamp;
use jiff::tz::Offset;
use proof::Trust;
use source::{BlobId, Budget, Commit, CommitId, Person, RefSpec, Remote, RepoPath, SourceError, Store};

use super::Refusal;
use super::query::{MOST_COMMITS, Query, Since};
use super::shelf::Shelf;
use crate::histories::Histories;
use crate::text;

/// For telling, once the history is here, and for what clusters made of it.
const PATIENCE: Duration = Duration::from_secs(20);
const NOTES_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LARGEST_ANSWER: usize = 8 << 20;
/// Bytes of the manifests of one commit, before and after. One at a time is in memory.
const LARGEST_COMMIT: usize = 32 << 20;
/// Results of clusters: more do not fit an answer.
const MOST_RESULTS: usize = 50_000;
/// Sentences about what is not told.
const MOST_GAPS: usize = 20;
/// Characters of a subject.
const LONGEST_SUBJECT: usize = 512;

/// One question, and what it takes to answer it.
pub(super) struct Walk {
    pub(super) shelf: Shelf,
    pub(super) histories: Histories,
    pub(super) uid: String,
    /// With the budget of the question: whoever asked may be gone.
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
    pub(super) fn run(mut self) -> Result<String, Refusal> {
        let taken = self.shelf.take(&self.uid);
        let held = self.histories.take(&taken.dir(), &self.query.namespace);
        self.remote.disk = Some(held.part());
        let store = Store::open(&taken.dir()).map_err(|error| refused(&error))?;
        let chronicle = store
            .chronicle(&self.remote, &self.reference, self.head, None, MOST_COMMITS)
            .map_err(|error| refused(&error))?;
        let mut answer = Answer::default();
        if chronicle.cut {
            answer.gaps.push(format!(
                "The history has more than {MOST_COMMITS} commits, or the remote does not serve the older ones: those are not told."
            ));
        }
        let wanted = self.wanted(&chronicle.commits);
        let records = self.records(&store, &wanted, &mut answer)?;
        let ids: Vec<CommitId> = records.iter().map(|(id, _)| *id).collect();
        let mut results = self.results(&store, &ids, &mut answer.gaps);
        for (id, mut record) in records {
            record.results = results.remove(&id).unwrap_or_default();
            answer.tell(&Line::Record(Box::new(record)));
            if answer.is_full {
                break;
            }
        }
        Ok(answer.end())
    }

    /// What is told, without what clusters made of it. No more than fits the answer.
    fn records(
        &self,
        store: &Store,
        wanted: &[&Commit],
        answer: &mut Answer,
    ) -> Result<Vec<(CommitId, Record)>, Refusal> {
        let until = Instant::now() + PATIENCE;
        let mut records = Vec::new();
        let (mut told, mut bytes) = (0, 0);
        for commit in wanted {
            if told == self.query.limit {
                break;
            }
            let changes = match self.changes(store, commit, until) {
                Ok(Some(changes)) => changes,
                Ok(None) => continue,
                Err(SourceError::Timeout(_)) if self.is_alone() => {
                    return Err(Refusal::Later("Nobody waits for it.".into()));
                }
                Err(SourceError::Timeout(_)) => {
                    answer.gaps.push("It took too long: the rest is not told.".into());
                    break;
                }
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
            let record = Record {
                commit: commit.id.to_string(),
                author: person(&commit.author),
                authored: time(&commit.author),
                committer: person(&commit.committer),
                committed: time(&commit.committer),
                subject: subject(&object),
                merge: commit.parents.len() > 1,
                signature: Verdict::of(&object, self.trust.as_ref()),
                changes,
                results: Vec::new(),
            };
            bytes += length(&record);
            records.push((commit.id, record));
            // Telling them says that there is more.
            if bytes > LARGEST_ANSWER {
                break;
            }
        }
        Ok(records)
    }

    /// Whether whoever asked is gone.
    fn is_alone(&self) -> bool {
        self.remote.budget.as_ref().is_some_and(Budget::is_cancelled)
    }

    /// What a commit changes of what is asked about; none where it does not touch the path.
    fn changes(
        &self,
        store: &Store,
        commit: &Commit,
        until: Instant,
    ) -> Result<Option<Vec<Change>>, SourceError> {
        let go_on = || {
            if self.is_alone() || Instant::now() >= until {
                return Err(SourceError::Timeout("telling"));
            }
            Ok(())
        };
        go_on()?;
        let changed = store.changed(commit, &self.path, &go_on)?;
        if !changed.touches && !self.path.as_str().is_empty() {
            return Ok(None);
        }
        let mut left = LARGEST_COMMIT;
        let mut comparison = Comparison::default();
        // The others are not here to be compared.
        let read = changed
            .files
            .into_iter()
            .filter(|file| self.remote.reads(&file.path));
        for file in read {
            go_on()?;
            let (before, after) = (file.before, file.after);
            let read = is_manifest(&file.path);
            let contents = if read {
                store.contents(before.into_iter().chain(after), LARGEST_FILE, left)?
            } else {
                HashMap::new()
            };
            let name = |id: Option<BlobId>| id.map(|id| id.to_string());
            let file = File {
                path: file.path,
                before: name(before),
                after: name(after),
            };
            let bytes = |id: Option<BlobId>| id.and_then(|id| contents.get(&id)).map(Vec::as_slice);
            comparison.file(&file, bytes(before), bytes(after));
            // Where many files are one blob, each is read for itself.
            left = left.saturating_sub(contents.values().map(Vec::len).sum());
        }
        let mut changes = comparison.end();
        changes.retain(|change| self.query.wants(change));
        Ok(Some(changes))
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
        ids: &[CommitId],
        gaps: &mut Vec<String>,
    ) -> HashMap<CommitId, Vec<Outcome>> {
        let mut results: HashMap<CommitId, Vec<Outcome>> = HashMap::new();
        let mut remote = self.remote.clone();
        remote.limits.total = remote.limits.total.min(NOTES_PATIENCE);
        let mut left = MOST_RESULTS;
        match store.notes(&remote.for_one_look(), NOTES, ids, LARGEST_NOTE) {
            Ok(notes) => {
                for note in notes {
                    let mut told = Outcome::read(&note.reference, &note.text);
                    let sync = self.query.sync.as_ref();
                    told.retain(|found| sync.is_none_or(|sync| found.is_of(sync)));
                    if told.len() > left {
                        told.truncate(left);
                        gaps.push(format!("There are more than {MOST_RESULTS} results of clusters."));
                    }
                    left -= told.len();
                    results.entry(note.commit).or_default().extend(told);
                    if left == 0 {
                        break;
                    }
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

/// Bytes of what is of no fixed length, at least.
fn length(record: &Record) -> usize {
    let changes = record.changes.iter().map(|change| {
        let details = change.details.iter();
        let details = details
            .map(|detail| detail.text.len() + detail.by.iter().map(|by| by.len() + 3).sum::<usize>() + 40);
        change.object.len() + details.sum::<usize>() + 40
    });
    record.author.len() + record.committer.len() + record.subject.len() + changes.sum::<usize>() + 200
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
    use std::path::Path;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use audit::{LARGEST_FILE, Line};
    use source::{Commit, FileRemotes, Person, RefSpec, Remote, RepoPath, SourceError, Store};

    use super::{Answer, LARGEST_ANSWER, MOST_GAPS, Walk, subject, time};
    use crate::audit::Refusal;
    use crate::audit::query::Query;
    use crate::audit::shelf::Shelf;
    use crate::histories::Histories;

    fn git(dir: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(dir)
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b.c",
                "-c",
                "core.autocrlf=false",
            ])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A history of two commits, the second of which has one file many times; and who walks it.
    fn walk(dir: &Path) -> Walk {
        let repo = dir.join("repo");
        std::fs::create_dir(&repo).unwrap();
        git(&repo, &["init", "-q", "-b", "main"]);
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n";
        std::fs::write(repo.join("one.yaml"), map).unwrap();
        git(&repo, &["add", "."]);
        git(&repo, &["commit", "-q", "-m", "one"]);
        for number in 0..9 {
            std::fs::write(repo.join(format!("{number}.yaml")), vec![0; LARGEST_FILE]).unwrap();
        }
        git(&repo, &["add", "."]);
        git(&repo, &["commit", "-q", "-m", "two"]);
        let head = git(&repo, &["rev-parse", "HEAD"]);
        let mut remote = Remote::new(format!("file://{}", repo.display()));
        remote.files = FileRemotes::Below(vec![dir.to_owned()]);
        Walk {
            shelf: Shelf::new(dir.join("audit")),
            histories: Histories::new(1 << 30),
            uid: "uid".into(),
            remote: remote.for_one_look(),
            reference: RefSpec::Branch("main".into()),
            head: head.parse().unwrap(),
            path: RepoPath::parse("").unwrap(),
            trust: None,
            query: Query::parse("repository=a/b").unwrap(),
        }
    }

    fn commits(walk: &Walk, store: &Store) -> Vec<Commit> {
        let found = store.chronicle(&walk.remote, &walk.reference, walk.head, None, 10);
        found.unwrap().commits
    }

    #[test]
    fn a_commit_has_bounds_of_bytes_and_of_time() {
        let dir = tempfile::tempdir().unwrap();
        let walk = walk(dir.path());
        let store = Store::open(&dir.path().join("store")).unwrap();
        let commits = commits(&walk, &store);
        let later = Instant::now() + Duration::from_mins(5);
        let changes = walk.changes(&store, &commits[0], later).unwrap().unwrap();
        assert_eq!(changes[0].object, "ConfigMap map");
        // One blob, and read for each of its files.
        let much = walk.changes(&store, &commits[1], later);
        assert!(matches!(much, Err(SourceError::TooLarge(_))), "{much:?}");
        let late = walk.changes(&store, &commits[0], Instant::now());
        assert!(matches!(late, Err(SourceError::Timeout(_))), "{late:?}");
    }

    #[test]
    fn what_is_too_much_is_a_gap_and_the_rest_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let walk = walk(dir.path());
        let head = walk.head.to_string();
        let lines = walk.run().unwrap();
        let lines: Vec<Line> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let [Line::Record(two), Line::Record(one), Line::Gap(gap)] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert_eq!((&*two.subject, &*one.subject), ("two", "one"));
        assert!(two.changes.is_empty() && one.changes.len() == 1);
        assert!(gap.contains(&head) && gap.contains("too much"), "{gap}");
    }

    #[test]
    fn for_nobody_nothing_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let walk = walk(dir.path());
        let store = Store::open(&dir.path().join("store")).unwrap();
        let commits = commits(&walk, &store);
        walk.remote.budget.as_ref().unwrap().cancel();
        let later = Instant::now() + Duration::from_mins(5);
        let alone = walk.changes(&store, &commits[0], later);
        assert!(matches!(alone, Err(SourceError::Timeout(_))), "{alone:?}");
        assert!(matches!(walk.run(), Err(Refusal::Later(_))));
    }

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
