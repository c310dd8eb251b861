//! The same command lines for the real kubeseal and for `signet` by the name of `kubeseal`, and what both make of them:
//! exit code, sealed values opened and compared with the rest of the object, files, and the messages that scripts look
//! for. Where Signet departs, the table says why.

mod inputs;
mod lines;
mod outcome;
mod sealing_lines;

use std::fmt::Write as _;
use std::path::Path;

use outcome::Outcome;
use tests::{command, paths};

/// One command line, in a directory of its own.
pub(super) struct Line {
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(&'static str, &'static str)>,
    pub(super) stdin: String,
    /// Files that are there beforehand.
    pub(super) files: Vec<(&'static str, String)>,
    /// Why the two differ on purpose, and what `signet` does instead.
    pub(super) departs: Option<(&'static str, Departure)>,
}

/// What `signet` does where it departs.
#[derive(Clone, Copy)]
pub(super) enum Departure {
    /// It refuses, and says this.
    Refuses(&'static str),
    /// It succeeds, and what it writes has this in it once it is opened.
    Writes(&'static str),
}

impl Line {
    pub(super) fn new(args: &[&str], stdin: &str) -> Self {
        Self {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            stdin: stdin.to_owned(),
            files: Vec::new(),
            departs: None,
        }
    }

    pub(super) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    pub(super) fn file(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.files.push((name, text.into()));
        self
    }

    pub(super) fn departs(mut self, why: &'static str, what: Departure) -> Self {
        self.departs = Some((why, what));
        self
    }
}

#[test]
fn whole_secrets() {
    compare(&sealing_lines::all());
}

#[test]
fn raw_values_recovery_and_wrong_command_lines() {
    compare(&lines::all());
}

/// Every flag that the real one lists is known, so that a script that gives one goes on.
#[test]
fn every_flag_of_the_real_one_is_known() {
    let home = tempfile::tempdir().unwrap();
    let ours = home.path().join("kubeseal");
    std::os::unix::fs::symlink(paths::binary("signet"), &ours).unwrap();
    let mut theirs = std::process::Command::new(paths::kubeseal());
    theirs.arg("--help");
    let answer = command::run(theirs, b"");
    let help = answer.stdout + &answer.stderr;
    // `  -o, --format string   …`: what a flag takes is said by one word.
    let flags: Vec<(Option<&str>, &str, bool)> = help
        .lines()
        .filter_map(|line| {
            let (short, rest) = line.split_once("--")?;
            if !line.starts_with("  ") || short.trim().len() > 3 {
                return None;
            }
            let short = short.trim().strip_suffix(',');
            let (flag, rest) = rest.split_once(' ')?;
            Some((short, flag, !rest.starts_with(' ')))
        })
        .collect();
    assert!(flags.len() > 40, "{help}");
    let unknown = |argument: &str| {
        let mut kubeseal = std::process::Command::new(&ours);
        kubeseal
            .env_clear()
            .env("HOME", home.path())
            .args([argument, "--version"]);
        let answer = command::run(kubeseal, b"");
        answer.stderr.contains("unknown") || answer.stderr.contains("unexpected argument")
    };
    assert!(unknown("--no-such-flag") && unknown("-Z"));
    let mut missing = Vec::new();
    for (short, flag, takes) in flags {
        let value = if takes { "=1" } else { "" };
        let long = Some(format!("--{flag}{value}"));
        let short = short.map(|short| format!("{short}{}", value.trim_start_matches('=')));
        missing.extend(long.into_iter().chain(short).filter(|argument| unknown(argument)));
    }
    assert_eq!(missing, Vec::<String>::new());
}

/// Runs every line with both, and reports every difference at once.
fn compare(lines: &[Line]) {
    let home = tempfile::tempdir().unwrap();
    let ours = home.path().join("kubeseal");
    std::os::unix::fs::symlink(paths::binary("signet"), &ours).unwrap();
    let theirs = paths::kubeseal();
    let mut report = String::new();
    let mut departures = 0;
    for (number, line) in lines.iter().enumerate() {
        let run =
            |program: &Path, who: &str| run(program, line, &home.path().join(format!("{number}-{who}")));
        let (theirs, ours) = (run(&theirs, "theirs"), run(&ours, "ours"));
        departures += usize::from(line.departs.is_some());
        if let Err(difference) = ours.against(&theirs, line.departs) {
            let _ = writeln!(
                report,
                "kubeseal {} {:?}\n--- stdin\n{}\n--- difference: {difference}\n--- theirs {}--- ours {}",
                line.args.join(" "),
                line.env,
                line.stdin.chars().take(400).collect::<String>(),
                theirs.shown(),
                ours.shown()
            );
        }
    }
    eprintln!("{} command lines, {departures} of them departures", lines.len());
    assert!(report.is_empty(), "{report}");
}

fn run(program: &Path, line: &Line, dir: &Path) -> Outcome {
    std::fs::create_dir(dir).unwrap();
    let files = [
        ("cert.pem", inputs::CERTIFICATE),
        ("key.pem", inputs::KEY),
        ("kubeconfig", inputs::KUBECONFIG),
    ];
    for (name, text) in files {
        std::fs::write(dir.join(name), text).unwrap();
    }
    for (name, text) in &line.files {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let before = std::fs::read_dir(dir).unwrap().count();
    let mut kubeseal = std::process::Command::new(program);
    kubeseal
        .env_clear()
        .env("HOME", dir)
        .env("KUBECONFIG", dir.join("kubeconfig"))
        .envs(line.env.iter().copied())
        .current_dir(dir)
        .args(&line.args);
    let answer = command::run(kubeseal, line.stdin.as_bytes());
    Outcome::new(answer, dir, before)
}
