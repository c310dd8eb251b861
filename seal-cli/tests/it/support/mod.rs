//! A hermetic place to run `signet` in.

mod api_server;
mod discovery;
mod key_set;
mod keys;
mod manifests;
mod native_yaml;
mod sealed_yaml;
mod service;

pub(crate) use api_server::{ApiServer, Request, Response};
pub(crate) use discovery::{discovery, metadata, metadata_list};
pub(crate) use key_set::{key_set, native, rsa, serve_keys};
pub(crate) use keys::{CERTIFICATE, expired_certificate, open};
pub(crate) use manifests::{SECRET, plan, repository, sync};
pub(crate) use native_yaml::{NativeYaml, object as native_object};
pub(crate) use sealed_yaml::{SealedYaml, other_certificate, other_private_key};
pub(crate) use service::behind_service;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A home without a kubeconfig, an empty working directory, and a certificate `cert.pem` in it.
pub(crate) struct TestEnvironment {
    directory: TempDir,
    variables: Vec<(String, String)>,
}

/// What a run gave back.
#[must_use = "look at the output, or assert the exit code"]
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestEnvironment {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["home", "work"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        let env = Self {
            directory,
            variables: Vec::new(),
        };
        env.write("cert.pem", CERTIFICATE);
        env
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Points the kubeconfig at a made-up API server.
    pub(crate) fn use_cluster(&mut self, server: &ApiServer) {
        self.use_url(&server.url());
    }

    pub(crate) fn use_url(&mut self, url: &str) {
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: '{url}'}}}}]\n\
             users: [{{name: test, user: {{token: t}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test, namespace: shop}}}}]\n"
        );
        self.write("../home/kubeconfig", &kubeconfig);
        let path = self.directory.path().join("home/kubeconfig");
        self.set("KUBECONFIG", path.to_str().unwrap());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("work").join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Every file of the working directory.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A program that sees this environment and nothing of ours.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.path(""));
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.directory.path().join("home"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn signet(&self, arguments: &[&str]) -> CommandOutput {
        self.signet_with(arguments, "")
    }

    /// Runs with this text on standard input.
    pub(crate) fn signet_with(&self, arguments: &[&str], stdin: &str) -> CommandOutput {
        self.run(env!("CARGO_BIN_EXE_signet"), arguments, stdin)
    }

    fn run(&self, program: &str, arguments: &[&str], stdin: &str) -> CommandOutput {
        let mut child = self
            .command(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let text = stdin.to_owned();
        let writer = std::thread::spawn(move || {
            // It is no matter to the test whether all was read.
            let _ = pipe.write_all(text.as_bytes());
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output.into()
    }

    /// The same by the name of `kubeseal`.
    pub(crate) fn kubeseal(&self, arguments: &[&str], stdin: &str) -> CommandOutput {
        let link = self.directory.path().join("kubeseal");
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_signet"), &link).unwrap();
        }
        self.run(link.to_str().unwrap(), arguments, stdin)
    }

    /// A Git clone in the working directory, with nothing of the machine's configuration.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = self
            .command("git")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args([
                "-c",
                "user.name=Eve",
                "-c",
                "user.email=eve@example.com",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl CommandOutput {
    /// The whole of a failure: nothing on standard output, this on standard error.
    pub(crate) fn assert_failure(&self, code: i32, stderr: &str) {
        assert_eq!(self.stderr, stderr);
        assert_eq!((self.code, self.stdout.as_str()), (code, ""));
    }

    /// Standard output of a success that had nothing to say.
    pub(crate) fn success(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Permission bits of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// An editor that is a script: it notes who may read the file, and where it lies.
pub(crate) fn editor(env: &mut TestEnvironment, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let text = format!("#!/bin/sh\nset -e\nstat -c '%a %n' \"$1\" \"$(dirname \"$1\")\" > seen\n{script}\n");
    env.write("editor", &text);
    std::fs::set_permissions(env.path("editor"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = env.path("editor");
    env.set("EDITOR", path.to_str().unwrap());
}
