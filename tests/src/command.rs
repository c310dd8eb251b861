//! Running the tools: `signet`, `kubectl`, `kubeseal`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::paths;

/// What a tool answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The command, for messages.
    pub command: String,
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    /// Standard output of a command that succeeded; panics with everything it said if it did not.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.code == 0, "{self}");
        self.stdout
    }

    /// Standard error of a command that failed; panics if it succeeded.
    #[track_caller]
    pub fn refused(self) -> String {
        assert!(self.code != 0, "it succeeded, and should not have\n{self}");
        self.stderr
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` ended with {}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}

/// Runs a command with `input` on its standard input.
pub fn run(mut command: Command, input: &[u8]) -> Answer {
    let mut words = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        let _ = write!(words, " {}", argument.to_string_lossy());
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`{words}` does not start: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        // A tool that ends early closes its input, which is not our failure.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().expect("its output can be read")
    });
    Answer {
        command: words,
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `kubectl` of the control plane's own version.
pub fn kubectl(kubeconfig: &Path) -> Command {
    let mut command = Command::new(paths::signet_cluster());
    command
        .arg("kubectl")
        .env("KUBECONFIG", kubeconfig)
        .env("KUBERC", "off")
        // What somebody does who runs `kubectl edit`.
        .env("KUBE_EDITOR", "sed -i 's/^  value: one$/  value: edited/'");
    command
}

/// `signet`, as it was built with the tests.
pub fn signet(kubeconfig: &Path) -> Command {
    let mut command = Command::new(paths::binary("signet"));
    command.env("KUBECONFIG", kubeconfig).env("NO_COLOR", "1");
    command
}

/// The real `kubeseal`.
pub fn kubeseal() -> Command {
    let mut command = Command::new(paths::kubeseal());
    // It looks for a cluster unless everything it needs is given; it must not find one.
    command.env("KUBECONFIG", "/dev/null");
    command
}
