//! `signet audit`, checked against `git log`.

use std::collections::BTreeMap;

use crate::support::TestEnvironment;
use serde_json::{Value, json};

/// A scripted history of 200 commits: two people, branches that are merged, sealed and plain objects. Every tenth is signed by
/// Ada, and one by somebody whom nobody knows.
fn history(env: &TestEnvironment) {
    env.git(&["init", "-q"]);
    env.git(&["config", "gpg.format", "ssh"]);
    let signing = |name: &str| format!("--gpg-sign={}", key(env, name));
    let (ada, eve) = (signing("ada"), signing("eve"));
    std::fs::create_dir_all(env.path("apps/web")).unwrap();
    std::fs::create_dir_all(env.path("docs")).unwrap();
    let mut made = 0;
    let commit = |subject: &str, author: &str, made: &mut u32| {
        let date = format!("2026-01-02T03:{:02}:{:02}Z", *made / 60, *made % 60);
        env.git(&["add", "apps", "docs"]);
        let author = format!("{author} <{author}@example.org>");
        let sign = match *made {
            101 => &eve,
            number if number % 10 == 0 => &ada,
            _ => "--no-gpg-sign",
        };
        env.git(&[
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            subject,
            "--author",
            &author,
            "--date",
            &date,
            sign,
        ]);
        *made += 1;
    };
    while made < 200 {
        let author = if made % 3 == 0 { "ada" } else { "bob" };
        match made % 10 {
            3 => env.write("apps/web/map.yaml", &map(made)),
            5 => env.write("apps/web/sealed.yaml", &sealed(made, "strict")),
            7 => env.write("docs/page.md", &made.to_string()),
            8 if made < 198 => {
                env.git(&["checkout", "-q", "-b", &format!("side-{made}")]);
                env.write("docs/side.md", &made.to_string());
                commit("on the side", author, &mut made);
                env.git(&["checkout", "-q", "main"]);
                let name = format!("side-{}", made - 1);
                env.git(&["merge", "-q", "--no-ff", "-m", &format!("merge {name}"), &name]);
                made += 1;
                continue;
            }
            _ => {}
        }
        commit(&format!("number {made}"), author, &mut made);
    }
}

/// Makes a key of somebody's, and says where it is.
fn key(env: &TestEnvironment, name: &str) -> String {
    let path = env.path(name);
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path.display().to_string()
}

/// Ada, as the file has her that git and we check signatures against.
fn allowed(env: &TestEnvironment) -> &'static str {
    let public = std::fs::read_to_string(env.path("ada.pub")).unwrap();
    env.write("team.allowed_signers", &format!("ada@example.org {public}"));
    "team.allowed_signers"
}

fn map(value: u32) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map\n  namespace: web\ndata:\n  value: \"{value}\"\n"
    )
}

fn sealed(value: u32, scope: &str) -> String {
    let annotations = match scope {
        "strict" => String::new(),
        wide => format!("  annotations:\n    sealedsecrets.bitnami.com/{wide}: \"true\"\n"),
    };
    format!(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: database\n  namespace: web\n{annotations}\
         spec:\n  encryptedData:\n    password: c2VhbGVk{value}\n    user: c2FtZQ==\n"
    )
}

fn native(values: &[(&str, &str)], keys: &[(&str, &str)]) -> String {
    let values: serde_json::Map<String, Value> = values
        .iter()
        .map(|(name, sealed)| ((*name).to_owned(), json!(sealed)))
        .collect();
    let keys: Vec<Value> = keys
        .iter()
        .map(|(id, recipient)| json!({"id": id, "recipients": [recipient], "age": "x"}))
        .collect();
    json!({"apiVersion": "signet.dev/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "native", "namespace": "web"},
        "spec": {"scope": "Strict", "dataKeys": keys, "values": values}})
    .to_string()
}

fn audit(env: &TestEnvironment, arguments: &[&str]) -> Vec<Value> {
    let all: Vec<_> = ["audit", "-o", "json"].iter().chain(arguments).copied().collect();
    let text = env.signet(&all).success();
    serde_json::from_str(&text).unwrap()
}

fn ids(entries: &[Value]) -> Vec<String> {
    let ids = entries
        .iter()
        .map(|entry| entry["commit"].as_str().unwrap().to_owned());
    ids.collect()
}

fn log(env: &TestEnvironment, arguments: &[&str]) -> Vec<String> {
    let all: Vec<_> = ["log", "--format=%H"].iter().chain(arguments).copied().collect();
    env.git(&all).lines().map(str::to_owned).collect()
}

#[test]
fn two_hundred_commits_are_as_git_log_has_them() {
    let env = TestEnvironment::new();
    history(&env);
    let all = audit(&env, &["--signers", allowed(&env)]);
    assert_eq!(all.len(), 200);
    assert_eq!(ids(&all), log(&env, &[]));
    // Author, committer, dates, subject and files: as git says it of every one.
    let lines = env.git(&[
        "-c",
        "gpg.ssh.allowedSignersFile=team.allowed_signers",
        "log",
        "--format=%H%x09%an <%ae>%x09%aI%x09%cn <%ce>%x09%cI%x09%s%x09%P%x09%G?%x09%GS%x09%GF",
    ]);
    let mut verdicts = BTreeMap::new();
    for (entry, line) in all.iter().zip(lines.lines()) {
        let fields: Vec<&str> = line.split('\t').collect();
        let found = [
            "commit",
            "author",
            "authored",
            "committer",
            "committed",
            "subject",
        ];
        for (name, field) in found.iter().zip(&fields) {
            assert_eq!(entry[name], *field, "{name} of {line}");
        }
        let merge = fields.get(6).is_some_and(|parents| parents.contains(' '));
        assert_eq!(entry["merge"], merge, "{line}");
        // G: by who is allowed to; U: nobody knows by whom; N: not at all.
        let (verdict, message) = match fields[7] {
            "G" => ("good", format!("it is signed by {} ({})", fields[8], fields[9])),
            "U" => (
                "unknown",
                format!(
                    "it is signed with a key that nobody is trusted with ({})",
                    fields[9]
                ),
            ),
            "N" => ("unsigned", "it is not signed".to_owned()),
            other => panic!("{other}: {line}"),
        };
        assert_eq!(
            entry["signature"],
            json!({"verdict": verdict, "message": message}),
            "{line}"
        );
        *verdicts.entry(verdict).or_insert(0) += 1;
        let files = env.git(&["show", "-c", "--format=", "--name-only", fields[0]]);
        let expected = files.lines().filter(|line| !line.is_empty()).count();
        assert_eq!(
            entry["changes"].as_array().unwrap().len(),
            expected,
            "{line}\n{files}"
        );
    }
    let expected = [("good", 20), ("unknown", 1), ("unsigned", 179)];
    assert_eq!(verdicts, BTreeMap::from(expected));

    assert_eq!(
        ids(&audit(&env, &["--author", "ada@"])),
        log(&env, &["--author=ada@"])
    );
    assert_eq!(
        ids(&audit(&env, &["--since", "HEAD~5"])),
        log(&env, &["HEAD~5..HEAD"])
    );
    let on_path = log(&env, &["--full-history", "--", "apps/web"]);
    assert_eq!(ids(&audit(&env, &["--path", "apps/web"])), on_path);
    let of_secret = log(&env, &["--full-history", "--", "apps/web/sealed.yaml"]);
    assert_eq!(ids(&audit(&env, &["--secret", "web/database"])), of_secret);
    assert!(of_secret.len() > 10);
    assert!(audit(&env, &["--secret", "web/other"]).is_empty());
    env.write(
        "sync.yaml",
        "apiVersion: signet.dev/v1alpha1\nkind: Sync\nmetadata:\n  name: web\nspec:\n  path: ./apps/web\n",
    );
    env.git(&["add", "sync.yaml"]);
    env.git(&["commit", "-q", "-m", "A Sync"]);
    assert_eq!(ids(&audit(&env, &["--sync", "web"])), on_path);
    let unknown = env.signet(&["audit", "--sync", "nobody"]);
    assert!(
        unknown.code == 1 && unknown.stderr.contains("hint: "),
        "{}",
        unknown.stderr
    );
}

#[test]
fn what_happens_to_sealed_keys_is_told_without_a_value() {
    let env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let commit = |file: &str, text: &str, subject: &str| {
        env.write(file, text);
        env.git(&["add", file]);
        env.git(&["commit", "-q", "-m", subject]);
    };
    let (one, other) = (("aa", "key-1111"), ("bb", "key-2222"));
    commit(
        "n.json",
        &native(&[("password", "aa.hunter2"), ("user", "aa.x")], &[one]),
        "add",
    );
    commit(
        "n.json",
        &native(&[("password", "bb.hunter3"), ("user", "aa.x")], &[one, other]),
        "rotate one",
    );
    commit(
        "moved.json",
        &native(&[("password", "bb.hunter3"), ("user", "aa.x")], &[one, other]),
        "copy",
    );
    commit(
        "n.json",
        &native(&[("password", "bb.hunter3")], &[other]),
        "drop the user",
    );
    commit("v1.yaml", &sealed(1, "strict"), "old format");
    commit("v1.yaml", &sealed(2, "namespace-wide"), "wider");
    let told: Vec<String> = audit(&env, &[])
        .iter()
        .map(|entry| entry["changes"].to_string())
        .collect();
    assert!(
        told.iter()
            .all(|text| !text.contains("hunter") && !text.contains("c2VhbGVk")),
        "{told:?}"
    );
    let entries = audit(&env, &[]);
    let sealed_of = |index: usize| entries[index]["changes"][0]["sealed"].clone();
    let by_1 = json!(["key-1111"]);
    assert_eq!(
        sealed_of(5),
        json!([{"what": "added", "text": "password", "sealedFor": by_1}, {"what": "added", "text": "user", "sealedFor": by_1}])
    );
    assert_eq!(
        sealed_of(4),
        json!([{"what": "resealed", "text": "password", "sealedFor": ["key-2222"]}])
    );
    assert_eq!(
        sealed_of(2),
        json!([{"what": "removed", "text": "user", "sealedFor": []}])
    );
    assert_eq!(
        sealed_of(0),
        json!([{"what": "scope", "text": "strict → namespace-wide", "sealedFor": []},
            {"what": "resealed", "text": "password", "sealedFor": []}])
    );
    let subjects = |arguments: &[&str]| -> Vec<String> {
        audit(&env, arguments)
            .iter()
            .map(|entry| entry["subject"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(subjects(&["--key", "key-2222"]), ["copy", "rotate one"]);
    assert_eq!(subjects(&["--secret", "web/database"]), ["wider", "old format"]);
    let table = env.signet(&["audit"]).success();
    assert!(
        table.contains("changed SealedSecret web/native: sealed again password (for key-2222)"),
        "{table}"
    );
    assert!(!table.contains("hunter"), "{table}");
}

#[test]
fn signatures_are_checked_against_the_files_that_are_given() {
    let env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let signing = format!("user.signingkey={}", key(&env, "ada"));
    allowed(&env);
    env.git(&[
        "-c",
        "gpg.format=ssh",
        "-c",
        &signing,
        "commit",
        "-q",
        "-S",
        "--allow-empty",
        "-m",
        "signed",
    ]);
    env.git(&["commit", "-q", "--allow-empty", "-m", "unsigned"]);
    let verdicts = |arguments: &[&str]| -> Vec<String> {
        let entries = audit(&env, arguments);
        entries
            .iter()
            .map(|entry| entry["signature"]["verdict"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(verdicts(&[]), ["unsigned", "unchecked"]);
    assert_eq!(
        verdicts(&["--signers", "team.allowed_signers"]),
        ["unsigned", "good"]
    );
    let public = std::fs::read_to_string(env.path("ada.pub")).unwrap();
    env.write("revoked_keys", &public);
    let both = ["--signers", "team.allowed_signers", "--signers", "revoked_keys"];
    assert_eq!(verdicts(&both), ["unsigned", "revoked"]);
    let wrong = env.signet(&["audit", "--signers", "ada.pub"]);
    assert!(
        wrong.code == 1 && wrong.stderr.contains("allowed_signers"),
        "{}",
        wrong.stderr
    );
}

/// Subjects and names come from whoever can push.
#[test]
fn nothing_from_git_computes_or_marks_anything_up() {
    let env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    for (number, subject) in [
        "=HYPERLINK(\"http://evil\")",
        "+1+1",
        "@SUM(A1)",
        "-2",
        "a | <b>*x*</b> \u{1b}[2J",
    ]
    .iter()
    .enumerate()
    {
        env.write("=cmd|x.txt", &number.to_string());
        env.git(&["add", "=cmd|x.txt"]);
        env.git(&["commit", "-q", "-m", subject]);
    }
    let csv = env.signet(&["audit", "-o", "csv"]).success();
    for line in csv.lines().skip(1) {
        for cell in line.split("\",\"").map(|cell| cell.trim_matches('"')) {
            assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell} in {line}");
        }
    }
    assert!(
        csv.contains("\"'=HYPERLINK(\"\"http://evil\"\")\"") && csv.contains("\"'=cmd|x.txt\""),
        "{csv}"
    );
    assert!(csv.lines().count() == 6 && !csv.contains('\u{1b}'), "{csv}");
    let markdown = env.signet(&["audit", "-o", "markdown"]).success();
    assert!(
        markdown.contains("a \\| &lt;b&gt;\\*x\\*&lt;/b&gt;"),
        "{markdown}"
    );
    assert!(
        !markdown.contains("<b>") && !markdown.contains('\u{1b}'),
        "{markdown}"
    );
    let none = env.signet(&["audit", "--author", "nobody-at-all"]);
    assert_eq!((none.code, none.stderr.as_str()), (0, "No commit fits.\n"));
}

/// What controllers write down of each commit, as any git lays it out.
#[test]
fn what_clusters_made_of_a_commit_is_told() {
    let env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    for subject in ["first", "second"] {
        env.git(&["commit", "-q", "--allow-empty", "-m", subject]);
    }
    let note = |cluster: &str, commit: &str, text: &str| {
        let reference = format!("--ref=refs/notes/signet/{cluster}");
        env.git(&["notes", &reference, "append", "-m", text, commit]);
    };
    note(
        "prod",
        "HEAD",
        "2026-11-29T06:10:05Z shop/web Ready: 12 objects, 3 created",
    );
    note(
        "prod",
        "HEAD",
        "2026-11-29T06:10:02Z shop/web Failed: 1 of 12 objects",
    );
    note(
        "test",
        "HEAD",
        "2026-11-29T06:09:00Z shop/web Applied: =SUM(A1) | <b>",
    );
    note(
        "test",
        "HEAD",
        "a word by hand\nTuesday shop/web Ready: no\n2026-11-29T06:09:00Z shop/web Grand: no",
    );
    note("prod", "HEAD~1", "2026-11-28T06:10:05Z shop/api Ready: 2 objects");
    env.git(&[
        "notes",
        "--ref=refs/notes/other",
        "add",
        "-m",
        "2026-11-29T06:10:05Z a/b Ready: x",
        "HEAD",
    ]);

    let entries = audit(&env, &[]);
    let results = entries[0]["results"].as_array().unwrap();
    let told: Vec<String> = results
        .iter()
        .map(|found| {
            format!(
                "{} {}",
                found["cluster"].as_str().unwrap(),
                found["result"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        told,
        ["test Applied", "prod Failed", "prod Ready"],
        "by time, and nothing that is no result"
    );
    assert_eq!(
        entries[1]["results"],
        json!([{"cluster": "prod", "time": "2026-11-28T06:10:05Z", "sync": "shop/api", "result": "Ready", "detail": "2 objects"}])
    );
    let table = env.signet(&["audit"]).success();
    assert!(
        table.contains("Ready in prod at 2026-11-29T06:10:05Z by shop/web: 12 objects, 3 created"),
        "{table}"
    );
    let csv = env.signet(&["audit", "-o", "csv"]).success();
    assert!(
        csv.contains("Failed in prod at 2026-11-29T06:10:02Z by shop/web: 1 of 12 objects; Ready in prod"),
        "{csv}"
    );
    let markdown = env.signet(&["audit", "-o", "markdown"]).success();
    assert!(markdown.contains("=SUM(A1) \\| &lt;b&gt;"), "{markdown}");
}

/// Commits by these committers' clocks, in this order.
fn clocks(env: &TestEnvironment, dates: &[&str]) {
    env.git(&["init", "-q"]);
    for date in dates {
        let made = env
            .command("git")
            .env("GIT_COMMITTER_DATE", date)
            .args(["-c", "user.name=Eve", "-c", "user.email=eve@example.com"])
            .args(["commit", "-q", "--allow-empty", "-m", date])
            .status()
            .unwrap();
        assert!(made.success());
    }
}

fn subjects(env: &TestEnvironment, arguments: &[&str]) -> Vec<String> {
    audit(env, arguments)
        .iter()
        .map(|entry| entry["subject"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_clock_that_goes_wrong_hides_nothing_behind_it() {
    let env = TestEnvironment::new();
    let dates = [
        "2026-01-31T23:59:59Z",
        "2026-02-01T00:00:00Z",
        "2026-03-01T12:00:00Z",
        "2001-01-01T00:00:00Z",
    ];
    clocks(&env, &dates);
    let late = ["2026-03-01T12:00:00Z", "2026-02-01T00:00:00Z"];
    assert_eq!(subjects(&env, &["--since", "2026-02-01"]), late);
    assert_eq!(subjects(&env, &["--since", "2026-02-01T02:00:00+02:00"]), late);
    assert_eq!(subjects(&env, &["--since", "2026-02-01 00:00:00 +0000"]), late);
    // Those that fit are counted.
    assert_eq!(
        subjects(&env, &["--since", "2026-02-01", "--limit", "1"]),
        late[..1]
    );
    assert_eq!(
        subjects(&env, &["--since", "HEAD~3"]),
        [dates[3], dates[2], dates[1]]
    );
}

#[test]
fn what_is_neither_a_commit_nor_a_date_is_refused() {
    let env = TestEnvironment::new();
    clocks(&env, &["2001-01-01T00:00:00Z"]);
    env.git(&["commit", "-q", "--allow-empty", "-m", "now"]);
    env.git(&["tag", "v1.2.0", "HEAD~1"]);
    assert_eq!(subjects(&env, &["--since", "v1.2.0"]), ["now"]);
    for date in [
        "2 weeks ago",
        "2.weeks.ago",
        "1 day 3 hours ago",
        "yesterday",
        "last friday",
        "Thu, 1 Jan 2026 12:00:00 +0200",
        "Jan 1 2026",
        "2026-01-01 12:00",
        "2026-01-01T12:00:00",
        "@1767312000",
    ] {
        assert_eq!(subjects(&env, &["--since", date]), ["now"], "{date}");
    }
    for bad in [
        "v1.2.O",
        "1.2.0",
        "1234567",
        "2026",
        "soon",
        "last",
        "ago",
        "2 ago",
        "now-ish",
        "2026-13-01",
        "12:00",
        "origin/main",
        "0123456789abcdef0123456789abcdef01234567",
        "@x",
        "",
    ] {
        let refused = env.signet(&["audit", "--since", bad]);
        assert_eq!(refused.code, 1, "{bad}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("it is no date")
                && refused.stderr.contains("hint: name a commit, or a date"),
            "{bad}: {}",
            refused.stderr
        );
    }
}

#[test]
fn a_mailmap_gives_nobody_another_name() {
    let env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    env.write(".mailmap", "Nobody <nobody@example.org> <eve@example.com>\n");
    env.git(&["add", ".mailmap"]);
    env.git(&["commit", "-q", "-m", "by Eve"]);
    assert_eq!(subjects(&env, &["--author", "eve@"]), ["by Eve"]);
    assert_eq!(subjects(&env, &["--author", "Eve <"]), ["by Eve"]);
    assert!(subjects(&env, &["--author", "nobody@"]).is_empty());
}
