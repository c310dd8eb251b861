//! How the controller logs in to the Git host: a key of its own making, or a Secret out of files.

use crate::command_error::CommandError;
use crate::output::show;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The Secret that is made of what is given.
pub(super) const SECRET: &str = "signet-git";
/// As the controller bounds them, in bytes.
const LARGEST: u64 = 1 << 20;

/// What the controller logs in with.
#[derive(Args)]
#[command(next_help_heading = "How the controller logs in to the Git host")]
pub(super) struct LoginArgs {
    /// For SSH: the keys that the host may show, as ssh-keyscan writes them. Without --git-identity the controller makes a deploy key
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
    /// For SSH: a private key, as ssh-keygen writes it
    #[arg(long, value_name = "FILE", requires = "known_hosts")]
    git_identity: Option<PathBuf>,
    /// The passphrase of that key
    #[arg(long, value_name = "FILE", requires = "git_identity")]
    git_passphrase_file: Option<PathBuf>,
    /// For HTTPS: the user's name [default: git]
    #[arg(long, value_name = "NAME", requires = "git_password_file")]
    git_username: Option<String>,
    /// For HTTPS: the password or token; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "known_hosts")]
    git_password_file: Option<PathBuf>,
    /// For HTTPS: PEM certificates of authorities to trust, beside the platform's
    #[arg(long, value_name = "FILE", conflicts_with = "known_hosts")]
    git_ca: Option<PathBuf>,
}

/// What the Repository is given.
pub(super) enum Login {
    /// It is read by anybody.
    Nobody,
    /// The Secret, ready to send.
    Secret(Value),
    /// known_hosts for a key of the controller's own making.
    DeployKey(String),
}

impl LoginArgs {
    /// Reads the files. Nothing of them is in an error.
    pub(super) fn read(&self, namespace: &str) -> Result<Login, CommandError> {
        let mut data = Map::new();
        let mut put = |name: &str, value: Option<Zeroizing<Vec<u8>>>| {
            if let Some(value) = value {
                data.insert(name.to_owned(), STANDARD.encode(&*value).into());
            }
        };
        let file = |path: &Option<PathBuf>| path.as_deref().map(read).transpose();
        let known_hosts = file(&self.known_hosts)?;
        if let (Some(hosts), None) = (&known_hosts, &self.git_identity) {
            let text = std::str::from_utf8(hosts)
                .ok()
                .filter(|text| are_known_hosts(text));
            return text.map(|text| Login::DeployKey(text.to_owned())).ok_or_else(|| {
                let name = self.known_hosts.as_deref().map(show).unwrap_or_default();
                CommandError::user(
                    format!("{name} has something else than keys of hosts, and would be committed"),
                    "give what `ssh-keyscan -t ed25519 HOST` writes, after comparing it with what the host publishes",
                )
            });
        }
        put("known_hosts", known_hosts);
        put("identity", file(&self.git_identity)?);
        put("password", one_line(file(&self.git_passphrase_file)?));
        let password = one_line(file(&self.git_password_file)?);
        if password.is_some() {
            let name = self.git_username.as_deref().unwrap_or("git");
            put("username", Some(Zeroizing::new(name.as_bytes().to_vec())));
        }
        put("password", password);
        put("ca.crt", file(&self.git_ca)?);
        if data.is_empty() {
            return Ok(Login::Nobody);
        }
        Ok(Login::Secret(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": SECRET, "namespace": namespace}, "data": data,
        })))
    }
}

impl Login {
    /// Puts it into a Repository's spec.
    pub(super) fn write(&self, spec: &mut Value) {
        match self {
            Self::Nobody => {}
            Self::Secret(_) => spec["secretRef"] = json!({"name": SECRET}),
            Self::DeployKey(known_hosts) => {
                spec["deployKey"] = json!({"generate": true, "knownHosts": known_hosts});
            }
        }
    }
}

/// Whether a text is what sshd(8) calls a known_hosts file: hosts, the kind of a key, the key; perhaps with a marker before and a
/// comment behind. Whatever else somebody gives by mistake, a private key for one, is not to be committed.
fn are_known_hosts(text: &str) -> bool {
    let lines = text.lines().map(str::trim);
    let mut lines = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .peekable();
    lines.peek().is_some()
        && lines.all(|line| {
            let mut words = line.split_whitespace().skip(usize::from(line.starts_with('@')));
            let (_, kind, key) = (words.next(), words.next(), words.next());
            let known = |kind: &str| {
                ["ssh-", "ecdsa-", "sk-"]
                    .iter()
                    .any(|start| kind.starts_with(start))
            };
            kind.is_some_and(known) && key.is_some_and(|key| STANDARD.decode(key).is_ok())
        })
}

/// Editors and shells end a file with a line end that is no part of a password.
fn one_line(value: Option<Zeroizing<Vec<u8>>>) -> Option<Zeroizing<Vec<u8>>> {
    value.map(|mut value| {
        if value.pop_if(|byte| *byte == b'\n').is_some() {
            value.pop_if(|byte| *byte == b'\r');
        }
        value
    })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let all = |source: &mut dyn io::Read, bytes: &mut Vec<u8>| source.take(LARGEST + 1).read_to_end(bytes);
    let taken = if path.as_os_str() == "-" {
        all(&mut io::stdin().lock(), &mut bytes)
    } else {
        File::open(path).and_then(|mut file| all(&mut file, &mut bytes))
    };
    let failed = |what: String| CommandError::user(what, "give a file that you may read");
    taken.map_err(|err| failed(format!("cannot read {}: {}", show(path), err.kind())))?;
    if bytes.is_empty() {
        return Err(failed(format!("{} is empty", show(path))));
    }
    if bytes.len() as u64 > LARGEST {
        return Err(failed(format!("{} is larger than {LARGEST} bytes", show(path))));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::are_known_hosts;

    #[test]
    fn only_keys_of_hosts_are_committed() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE4mZ2";
        for good in [
            format!("git.example.com {key}AA"),
            format!(
                "# scanned\n\n[git.example.com]:22,10.0.0.1 {key}AA comment\n@cert-authority *.example.com {key}AA\n"
            ),
        ] {
            assert!(are_known_hosts(&good), "{good}");
        }
        for bad in [
            String::new(),
            "# nothing\n".to_owned(),
            key.to_owned(),
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n".to_owned(),
            format!("git.example.com {key}AA\n-----BEGIN OPENSSH PRIVATE KEY-----\n"),
            "machine git.example.com login me password ssh-hunter2".to_owned(),
        ] {
            assert!(!are_known_hosts(&bad), "{bad}");
        }
    }
}
