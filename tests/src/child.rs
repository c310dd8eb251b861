//! Child processes that end with this one, however this one ends.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A shell holds the read end of a pipe whose write end only this process has. The kernel closes that when this process
/// ends, even by `kill -9`, and the shell ends the child. The first line says the child's process id.
const HOLD: &str = r#"
exec 3<&0
log=$1; shift
"$@" </dev/null >>"$log" 2>&1 3<&- &
child=$!
( read -r _ <&3; kill -9 "$child" ) >/dev/null 2>&1 &
guard=$!
exec 3<&-
echo "$child"
exec >&-
wait "$child"; status=$?
kill "$guard" 2>/dev/null
exit "$status"
"#;

/// A running program.
#[derive(Debug)]
pub struct Child {
    shell: std::process::Child,
    pid: Pid,
}

impl Child {
    /// Starts `command`, with all it writes appended to the file `log`.
    pub fn start(command: &Command, log: &Path) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", HOLD, "sh"])
            .arg(log)
            .arg(command.get_program())
            .args(command.get_args());
        if let Some(dir) = command.get_current_dir() {
            shell.current_dir(dir);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        // The shell's own complaints, such as a binary that is not there, belong to the same log.
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(append(log));
        let mut shell = shell.spawn().expect("/bin/sh starts");
        let mut line = String::new();
        BufReader::new(shell.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("the shell says the child's process id");
        let pid = line
            .trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .unwrap_or_else(|| panic!("not a process id: {line:?}"));
        Self { shell, pid }
    }

    /// The child's process id.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.shell.try_wait().expect("the shell can be waited for")
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Kills it at once and waits for the end.
    pub fn kill(mut self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.wait()
    }

    /// Stops it from running until [`Child::thaw`]: a process that hangs.
    pub fn freeze(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.signal(Signal::CONT);
    }

    fn signal(&mut self, signal: Signal) {
        // The shell waits for the child, so the id is the child's as long as the shell runs.
        if self.ended().is_none() {
            let _ = kill_process(self.pid, signal);
        }
    }

    fn wait(&mut self) -> ExitStatus {
        // `Child::wait` would close the pipe first, and the guard would then kill a child that is ending in order.
        let hold = self.shell.stdin.take();
        let status = self.shell.wait().expect("the shell can be waited for");
        drop(hold);
        status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }
}

/// Starts a program that outlives this process and its terminal. Its process id is written beside its log.
#[allow(clippy::zombie_processes)] // whoever ends it is not its parent
pub fn detach(command: &mut Command, log: &Path) {
    command.stdout(append(log));
    detach_piped(command, log);
}

/// The same, for a program whose standard output somebody reads.
pub(crate) fn detach_piped(command: &mut Command, log: &Path) -> std::process::Child {
    use std::os::unix::process::CommandExt;
    // Ctrl-C in the terminal is not for it.
    command.stdin(Stdio::null()).stderr(append(log)).process_group(0);
    let child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", command.get_program().display()));
    std::fs::write(log.with_extension("pid"), child.id().to_string()).expect("the process id can be written");
    child
}

fn append(log: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", log.display()))
}
