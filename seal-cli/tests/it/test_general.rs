//! What holds for every command.

use crate::support::TestEnvironment;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

#[test]
fn usage_errors_end_with_2() {
    let env = TestEnvironment::new();
    for arguments in [
        &["sael"][..],
        &["seal", "--scope", "wide"],
        &["status", "-A", "-n", "x"],
        &["sync"],
        &["sync", "web", "--timeout", "soon"],
        &["history", "path", "--sync", "web"],
        &["suspend"],
        &["diff"],
        &["diff", "--sync", "web", "--worktree", "--revision", "HEAD"],
        &["adopt", "--from", "helm"],
        &["events", "web", "-A"],
        &["wait"],
        &["wait", "web", "--for", "luck"],
        &["resume", "web", "--all"],
        &["suspend", "web", "--reason", " "],
        &["approve", "web", "--expires", "later"],
    ] {
        let output = env.signet(arguments);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(output.stderr.starts_with("error: "), "{}", output.stderr);
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let env = TestEnvironment::new();
    let overview = env.signet(&["--help"]).success();
    assert!(overview.contains("Exit codes: 0 success;"), "{overview}");
    for command in [
        "adopt",
        "approve",
        "audit",
        "bootstrap",
        "cert",
        "completions",
        "diff",
        "edit",
        "events",
        "history",
        "keys",
        "lint",
        "migrate",
        "plan",
        "rename",
        "resume",
        "retemplate",
        "rollback",
        "seal",
        "set",
        "status",
        "suspend",
        "sync",
        "tree",
        "unset",
        "verify",
        "view",
        "wait",
    ] {
        assert!(
            overview.contains(&format!("\n  {command} ")),
            "{command} is not in the overview"
        );
        is_help_with_an_example(&env, &[command]);
    }
    for part in ["backup", "list", "restore", "usage"] {
        is_help_with_an_example(&env, &["keys", part]);
    }
    assert!(!overview.contains("  man "), "it is for packagers");
    assert_eq!(
        env.signet(&["--version"]).success(),
        format!("signet {}\n", env!("CARGO_PKG_VERSION"))
    );
}

fn is_help_with_an_example(env: &TestEnvironment, command: &[&str]) {
    let help = env.signet(&[command, &["--help"]].concat()).success();
    assert!(help.contains("\nExample:"), "{command:?}");
    let too_long = help
        .lines()
        .take_while(|line| !line.starts_with("Usage:"))
        .find(|line| line.len() > 80);
    assert_eq!(too_long, None, "{command:?}");
}

#[test]
fn colour_is_for_those_who_ask_or_have_a_terminal() {
    let mut env = TestEnvironment::new();
    let error = "error: cannot read gone.yaml: No such file or directory (os error 2)\n\
                 hint: give files with manifests, or `-` for standard input\n";
    env.signet(&["seal", "gone.yaml"]).assert_failure(1, error);
    let colored = env.signet(&["seal", "gone.yaml", "--color=always"]).stderr;
    assert_eq!(
        colored,
        error
            .replace("error: ", "\u{1b}[1;31merror: \u{1b}[0m")
            .replace("hint: ", "\u{1b}[1mhint: \u{1b}[0m")
    );
    env.set("NO_COLOR", "1");
    env.signet(&["seal", "gone.yaml"]).assert_failure(1, error);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let env = TestEnvironment::new();
    // A socket that is shut down, and not a pipe: other tests fork, and a child of theirs may hold a pipe open.
    let (reader, writer) = UnixStream::pair().unwrap();
    reader.shutdown(Shutdown::Both).unwrap();
    let output = env
        .command(env!("CARGO_BIN_EXE_signet"))
        .args(["completions", "bash"])
        .stdout(OwnedFd::from(writer))
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(141), &b""[..])
    );
}
