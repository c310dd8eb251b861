//! `signet bootstrap`: what is refused before a cluster is asked. The rest is `tests/tests/e2e/bootstrap.rs`.

use crate::support::{CommandOutput, TestEnvironment};

/// A clone of a remote that is there.
fn clone() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.git(&["init", "-q", "--bare", "--initial-branch=main", "remote.git"]);
    env.git(&["init", "-q", "--initial-branch=main", "clone"]);
    env.git(&["-C", "clone", "remote", "add", "origin", "../remote.git"]);
    env
}

fn refused(answer: &CommandOutput) -> String {
    assert_eq!(
        (answer.code, answer.stdout.as_str()),
        (1, ""),
        "{}",
        answer.stderr
    );
    answer.stderr.clone()
}

fn commit(env: &TestEnvironment, file: &str, text: &str) {
    env.write(&format!("clone/{file}"), text);
    env.git(&["-C", "clone", "add", "."]);
    env.git(&["-C", "clone", "commit", "-q", "-m", "more"]);
}

#[test]
fn a_clone_has_to_be_where_its_remote_is() {
    let env = clone();
    commit(&env, "a", "one");
    let said = refused(&env.signet(&["bootstrap", "clone"]));
    assert!(
        said.contains("the remote does not have the branch") && said.contains("git push -u"),
        "{said}"
    );
    env.git(&["-C", "clone", "push", "-q", "origin", "main"]);
    commit(&env, "a", "two");
    let said = refused(&env.signet(&["bootstrap", "clone"]));
    assert!(said.contains("commits that the remote does not have"), "{said}");
    env.git(&["-C", "clone", "push", "-q", "origin", "main"]);
    env.git(&["-C", "clone", "reset", "-q", "--hard", "HEAD~1"]);
    let said = refused(&env.signet(&["bootstrap", "clone"]));
    assert!(
        said.contains("commits that the clone does not have") && said.contains("git pull"),
        "{said}"
    );
    let said = refused(&env.signet(&["bootstrap", "clone", "--branch", "other"]));
    assert!(said.contains("main is checked out, and not other"), "{said}");
}

#[test]
fn what_is_given_is_read_first_and_never_quoted() {
    let env = clone();
    let said = refused(&env.signet(&["bootstrap", "clone", "--git-password-file", "nowhere"]));
    assert!(said.contains("cannot read nowhere"), "{said}");
    env.write("empty", "");
    let said = refused(&env.signet(&["bootstrap", "clone", "--git-password-file", "empty"]));
    assert!(said.contains("empty is empty"), "{said}");
    env.write("hosts", "git.example.com ssh-ed25519 AAAA\n");
    env.write("backup", "hunter2");
    env.write("identity", "hunter2");
    let said = refused(&env.signet(&["bootstrap", "clone", "--keys", "backup", "--identity", "identity"]));
    assert!(!said.contains("hunter2"), "{said}");
    for wrong in [
        &["--keys", "backup"][..],
        &["--upgrade"],
        &["--git-identity", "identity"],
        &["--known-hosts", "hosts", "--git-password-file", "identity"],
        &["--path", "../elsewhere"],
        &["--path", "/etc"],
    ] {
        let answer = env.signet(&[&["bootstrap", "clone"], wrong].concat());
        assert_eq!(answer.code, 2, "{wrong:?}");
    }
}

#[test]
fn no_clone_and_no_address_is_said() {
    let env = TestEnvironment::new();
    let said = refused(&env.signet(&["bootstrap"]));
    assert!(
        said.contains("not a git repository") && said.contains("inside a clone"),
        "{said}"
    );
    let said = refused(&env.signet(&["bootstrap", "./nowhere.git"]));
    assert!(
        said.contains("nowhere.git") && said.contains("your own credentials"),
        "{said}"
    );
}
