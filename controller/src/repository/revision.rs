//! A commit as status and events show it: bounded, and unable to steer a terminal.

use crds::Revision;
use source::Commit;

use crate::text;

/// Characters kept of subject and author.
const SUBJECT: usize = 200;
const AUTHOR: usize = 200;

pub(super) fn of(commit: &Commit, branch: &str) -> Revision {
    Revision {
        commit: commit.id.to_string(),
        branch: branch.to_owned(),
        author: author(&commit.author.name, &commit.author.email),
        subject: text::bounded(&commit.subject, SUBJECT),
        time: time(commit.committer.time),
        signer: String::new(),
    }
}

/// The first twelve digits of a commit's name.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

fn author(name: &str, email: &str) -> String {
    let text = if email.is_empty() {
        name.to_owned()
    } else {
        format!("{name} <{email}>")
    };
    text::bounded(&text, AUTHOR)
}

fn time(seconds: i64) -> String {
    // A commit can claim any time; one that no calendar holds is left out.
    jiff::Timestamp::from_second(seconds)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{author, short, time};

    #[test]
    fn people_and_times() {
        assert_eq!(author("Ada", "ada@example.org"), "Ada <ada@example.org>");
        assert_eq!(author("Ada\x1b[2J", ""), "Ada [2J");
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(i64::MAX), "");
        assert_eq!(short("0123456789abcdef"), "0123456789ab");
        assert_eq!(short("01"), "01");
    }
}
