//! `signet rollback`.

use crate::support::{ApiServer, CommandOutput, Response, TestEnvironment, sync};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A clone of a bare repository, and a Sync of `apps/web` that can be told what it has applied and tried.
struct Stage {
    env: TestEnvironment,
    sync: Arc<Mutex<Value>>,
    _server: ApiServer,
}

impl Stage {
    fn new() -> Self {
        let object = Arc::new(Mutex::new(sync("c", "True")));
        let served = Arc::clone(&object);
        let server = ApiServer::start(move |_| Response::json(&served.lock().unwrap()));
        let mut env = TestEnvironment::new();
        env.use_cluster(&server);
        for name in ["GIT_AUTHOR", "GIT_COMMITTER"] {
            env.set(&format!("{name}_NAME"), "Eve");
            env.set(&format!("{name}_EMAIL"), "eve@example.com");
        }
        env.git(&["init", "-q", "--bare", "../remote.git"]);
        env.git(&["init", "-q"]);
        env.git(&["remote", "add", "origin", "../remote.git"]);
        std::fs::create_dir_all(env.path("apps/web")).unwrap();
        Self {
            env,
            sync: object,
            _server: server,
        }
    }

    fn commit(&self, files: &[(&str, &str)], subject: &str) -> String {
        for (file, text) in files {
            self.env.write(file, text);
            self.env.git(&["add", file]);
        }
        self.env.git(&["commit", "-q", "-m", subject]);
        self.env.git(&["rev-parse", "HEAD"])
    }

    fn push(&self) {
        self.env.git(&["push", "-q", "-u", "origin", "main"]);
    }

    fn has(&self, applied: &str, attempted: &str) {
        let mut sync = self.sync.lock().unwrap();
        sync["status"]["lastAppliedRevision"] = json!({"commit": applied, "branch": "main"});
        sync["status"]["lastAttemptedRevision"] = json!({"commit": attempted, "branch": "main"});
    }

    fn rollback(&self, arguments: &[&str]) -> CommandOutput {
        let all: Vec<_> = ["rollback", "web"].iter().chain(arguments).copied().collect();
        self.env.signet(&all)
    }

    fn file(&self) -> String {
        self.env.read("apps/web/a.yaml")
    }
}

const FILE: &str = "apps/web/a.yaml";

#[test]
fn the_last_change_is_reverted_and_pushed() {
    let stage = Stage::new();
    let one = stage.commit(&[(FILE, "one")], "web: one");
    let two = stage.commit(&[(FILE, "two")], "web: two");
    stage.commit(&[("other.yaml", "x")], "elsewhere");
    stage.push();
    stage.has(&two, &two);
    let output = stage.rollback(&["--yes"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(
        output.stderr,
        format!(
            "Sync shop/web goes back to {}. Reverted are, newest first:\n  {} web: two\n",
            &one[..12],
            &two[..12]
        )
    );
    assert_eq!(stage.file(), "one");
    assert_eq!(output.stdout.trim(), stage.env.git(&["rev-parse", "HEAD"]));
    assert_eq!(
        output.stdout.trim(),
        &stage.env.git(&["ls-remote", "origin", "main"])[..40]
    );
    let message = stage.env.git(&["log", "-1", "--format=%B"]);
    assert_eq!(
        message,
        format!("Revert \"web: two\"\n\nThis reverts commit {two}.")
    );
    assert_eq!(stage.env.read("other.yaml"), "x");
}

#[test]
fn what_failed_goes_and_what_was_applied_stays() {
    let stage = Stage::new();
    stage.commit(&[(FILE, "one")], "one");
    let two = stage.commit(&[(FILE, "two")], "two");
    let three = stage.commit(&[(FILE, "three")], "three");
    stage.has(&two, &three);
    let said: Value = serde_json::from_str(&stage.rollback(&["--no-push", "-o", "json"]).stdout).unwrap();
    assert_eq!(stage.file(), "two");
    assert_eq!(
        (&said["to"], &said["reverted"], &said["pushed"]),
        (
            &json!(two),
            &json!([{"commit": three, "subject": "three"}]),
            &json!(false)
        )
    );
    assert_eq!(said["commits"][0]["subject"], "Revert \"three\"");
}

#[test]
fn a_merge_is_one_change_and_a_target_may_be_further_back() {
    let stage = Stage::new();
    let one = stage.commit(&[(FILE, "one")], "one");
    stage.commit(&[("other.yaml", "x")], "elsewhere");
    stage.env.git(&["switch", "-q", "-c", "topic"]);
    stage.commit(&[(FILE, "topic 1")], "topic 1");
    stage.commit(&[(FILE, "topic 2")], "topic 2");
    stage.env.git(&["switch", "-q", "main"]);
    stage
        .env
        .git(&["merge", "-q", "--no-ff", "-m", "merge the topic", "topic"]);
    let merge = stage.env.git(&["rev-parse", "HEAD"]);
    let last = stage.commit(&[(FILE, "last"), ("beside.yaml", "y")], "last");
    stage.has(&last, &last);
    let output = stage.rollback(&["--no-push", "--to", "HEAD~2"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(stage.file(), "one");
    assert_eq!(output.stdout.lines().count(), 2);
    assert!(
        output
            .stderr
            .contains(&format!("  {} merge the topic\n", &merge[..12])),
        "{}",
        output.stderr
    );
    let warning = format!(
        "warning: these change files outside of apps/web too, which are reverted with them: {}\n",
        &last[..12]
    );
    assert!(output.stderr.contains(&warning), "{}", output.stderr);
    assert!(!stage.env.files().contains(&"beside.yaml".to_owned()));
    // And forward again: to what came after the first.
    let head = stage.env.git(&["rev-parse", "HEAD"]);
    stage.has(&head, &head);
    let output = stage.rollback(&["--no-push", "--to", &last]);
    assert_eq!(
        (output.code, stage.file().as_str()),
        (0, "last"),
        "{}",
        output.stderr
    );
    let output = stage.rollback(&["--no-push", "--to", &one]);
    assert_eq!(
        (output.code, stage.file().as_str()),
        (0, "one"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_clone_that_is_not_fit_is_left_alone() {
    let stage = Stage::new();
    let one = stage.commit(&[(FILE, "one")], "one");
    let two = stage.commit(&[(FILE, "two")], "two");
    stage.has(&two, &two);
    stage.rollback(&[]).assert_failure(
        1,
        "error: there is no terminal to ask whether the reverts may be pushed\n\
         hint: --yes pushes them, --no-push leaves them in the clone\n",
    );
    stage.env.write(FILE, "dirty");
    stage.rollback(&["--no-push"]).assert_failure(
        1,
        "error: the clone has changes that are not committed\n\
         hint: commit them, or put them aside with `git stash`\n",
    );
    stage.env.git(&["checkout", "-q", FILE]);
    for unknown in ["f".repeat(40), "--output=x".to_owned()] {
        stage.has(&unknown, &unknown);
        let output = stage.rollback(&["--no-push"]);
        assert_eq!(output.code, 1);
        assert!(output.stderr.contains("does not have main@"), "{}", output.stderr);
    }
    std::fs::write(stage.env.path(".git/REVERT_HEAD"), &one).unwrap();
    let output = stage.rollback(&["--no-push"]);
    assert!(
        output.stderr.contains("is under way in the clone"),
        "{}",
        output.stderr
    );
    std::fs::remove_file(stage.env.path(".git/REVERT_HEAD")).unwrap();
    stage.has(&one, &one);
    let output = stage.rollback(&["--no-push"]);
    assert!(
        output.stderr.contains("the first commit that touched the path"),
        "{}",
        output.stderr
    );
    stage.has(&two, &two);
    assert!(stage.rollback(&["--no-push", "--to", "--all"]).code > 0);
    assert_eq!(stage.env.git(&["rev-parse", "HEAD"]), two);
    // No remote: the commits stay, and it says so.
    stage.env.git(&["remote", "remove", "origin"]);
    let output = stage.rollback(&["--yes"]);
    assert_eq!((output.code, stage.file().as_str()), (1, "one"));
    assert!(
        output
            .stderr
            .contains("hint: the reverts are committed in the clone"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_conflict_leaves_no_trace() {
    let stage = Stage::new();
    stage.commit(&[(FILE, "one"), ("other.yaml", "1")], "one");
    // It touches the path and another file, which a later commit changed again.
    let two = stage.commit(&[(FILE, "two"), ("other.yaml", "2")], "two");
    let head = stage.commit(&[("other.yaml", "3")], "three");
    stage.has(&two, &two);
    let output = stage.rollback(&["--no-push"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stderr.contains(
            "
error: could not revert "
        ) && output.stderr.contains(
            "
hint: a later change stands in the way"
        ),
        "{}",
        output.stderr
    );
    assert_eq!(stage.env.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(
        stage.env.git(&["status", "--porcelain", "--untracked-files=no"]),
        ""
    );
}
