//! `make demo`: the whole of Signet in a minute, on a control plane of its own.
//!
//! A secret is sealed, committed beside the workload that needs it, and applied; what is deleted comes back; what was a
//! mistake is reverted; and the history of it all is `git log`. Every command that is shown is the one that runs.

#![forbid(unsafe_code)]
// A step that fails ends the demo, with what it saw.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ground;
mod keep;
mod shell;
mod story;

use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;

use tests::ui::Ui;

/// Where a demo that is left up has everything.
fn kept() -> PathBuf {
    tests::paths::root().join(".demo")
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ui = Ui::default();
    match arguments[..] {
        [] => told(&ui, story::tell),
        ["--keep"] if kept().exists() => {
            let there = kept().display().to_string();
            ui.bad(&format!(
                "A demo is up, or was: {there} is there. `make demo-stop` stops and removes it."
            ));
            ExitCode::FAILURE
        }
        ["--keep"] => {
            let code = told(&ui, || keep::tell(&kept()));
            if code != ExitCode::SUCCESS {
                keep::stop(&ui, &kept());
            }
            code
        }
        ["--stop"] => {
            keep::stop(&ui, &kept());
            ExitCode::SUCCESS
        }
        [keep::SERVE_GIT, home] => keep::serve_git(home.as_ref()),
        _ => {
            ui.bad("usage: demo [--keep | --stop]");
            ExitCode::from(2)
        }
    }
}

/// Runs a demo. The harness panics when something fails; that is one message here, and an exit code.
fn told(ui: &Ui, story: impl FnOnce()) -> ExitCode {
    panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("for an unknown reason");
        Ui::default().bad(&format!("The demo failed: {text}"));
    }));
    if panic::catch_unwind(AssertUnwindSafe(story)).is_ok() {
        return ExitCode::SUCCESS;
    }
    ui.say("Everything it started is stopped again.");
    ExitCode::FAILURE
}
