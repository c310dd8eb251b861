//! An SSH server in front of the real `git upload-pack`: russh's, and OpenSSH's where there is one. Keys come from the real
//! `ssh-keygen`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::{Certificate, PrivateKey, PublicKey, load_openssh_certificate, load_secret_key};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// Keys in a directory of their own.
pub struct Keys(TempDir);

impl Keys {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a key of this kind, `name` and `name.pub`.
    pub fn make(&self, name: &str, kind: &str, passphrase: &str) -> &Self {
        self.keygen(&["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", name])
    }

    /// Runs ssh-keygen there.
    pub fn keygen(&self, arguments: &[&str]) -> &Self {
        let mut command = Command::new("ssh-keygen");
        let output = command
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "ssh-keygen {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        self
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// `ssh-ed25519 AAAA…`, without the comment.
    pub fn public(&self, name: &str) -> String {
        let text = self.text(&format!("{name}.pub"));
        let mut words = text.split_whitespace();
        format!("{} {}", words.next().unwrap(), words.next().unwrap())
    }
}

/// What is there to see of a server.
#[derive(Clone, Default)]
pub struct Seen {
    /// User and key of every login that was tried.
    pub logins: Arc<Mutex<Vec<String>>>,
    /// Every command.
    pub commands: Arc<Mutex<Vec<String>>>,
}

/// A running server; it ends with the test process.
pub struct SshServer {
    pub port: u16,
    pub seen: Seen,
    authorized: Arc<Mutex<Vec<PublicKey>>>,
}

/// How a server is set up.
#[derive(Default)]
pub struct Setup {
    host_keys: Vec<PrivateKey>,
    certificates: Vec<Certificate>,
    authorized: Vec<PublicKey>,
}

impl Setup {
    pub fn host_key(mut self, keys: &Keys, name: &str) -> Self {
        self.host_keys
            .push(load_secret_key(keys.path(name), None).unwrap());
        self
    }

    pub fn certificate(mut self, keys: &Keys, name: &str) -> Self {
        let path = keys.path(&format!("{name}-cert.pub"));
        self.certificates.push(load_openssh_certificate(path).unwrap());
        self
    }

    pub fn authorize(mut self, keys: &Keys, name: &str) -> Self {
        self.authorized
            .push(PublicKey::from_openssh(&keys.text(&format!("{name}.pub"))).unwrap());
        self
    }

    /// Serves the repositories below `root` as the host's own paths.
    pub fn start(self, root: &Path) -> SshServer {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Arc::new(server::Config {
            auth_rejection_time: Duration::ZERO,
            keys: self.host_keys,
            certificates: self.certificates,
            ..server::Config::default()
        });
        let seen = Seen::default();
        let authorized = Arc::new(Mutex::new(self.authorized));
        let known = Arc::clone(&authorized);
        let (root, told) = (root.to_owned(), seen.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let session = Handler {
                        root: root.clone(),
                        seen: told.clone(),
                        authorized: Arc::clone(&known),
                        channel: None,
                        protocol: None,
                    };
                    let config = Arc::clone(&config);
                    // Clients hang up in the middle here: that is what is tested.
                    tokio::spawn(async move {
                        if let Ok(session) = server::run_stream(config, stream, session).await {
                            let _ = session.await;
                        }
                    });
                }
            });
        });
        SshServer {
            port,
            seen,
            authorized,
        }
    }
}

impl SshServer {
    pub fn url(&self) -> String {
        format!("ssh://git@127.0.0.1:{}/repo.git", self.port)
    }

    /// A line of known_hosts.
    pub fn known(&self, key: &str) -> String {
        format!("[127.0.0.1]:{} {key}\n", self.port)
    }

    /// These public keys, and no others, may log in from now on.
    pub fn authorize(&self, keys: &[&str]) {
        let keys = keys.iter().map(|key| PublicKey::from_openssh(key).unwrap());
        *self.authorized.lock().unwrap() = keys.collect();
    }

    pub fn commands(&self) -> Vec<String> {
        self.seen.commands.lock().unwrap().clone()
    }

    pub fn logins(&self) -> Vec<String> {
        self.seen.logins.lock().unwrap().clone()
    }
}

struct Handler {
    root: PathBuf,
    seen: Seen,
    authorized: Arc<Mutex<Vec<PublicKey>>>,
    channel: Option<Channel<Msg>>,
    /// What `GIT_PROTOCOL` was set to.
    protocol: Option<String>,
}

impl server::Handler for Handler {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let key = key.public_key;
        let known = self
            .authorized
            .lock()
            .unwrap()
            .iter()
            .any(|known| known.key_data() == key.key_data());
        let line = format!("{user} {}", if known { "in" } else { "out" });
        self.seen.logins.lock().unwrap().push(line);
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        _id: ChannelId,
        name: &str,
        value: &str,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name == "GIT_PROTOCOL" {
            self.protocol = Some(value.to_owned());
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(data).into_owned();
        self.seen.commands.lock().unwrap().push(command.clone());
        session.channel_success(id)?;
        let handle = session.handle();
        let channel = self.channel.take().unwrap();
        // The host's own paths begin at the root.
        let command = command.replacen("'/", &format!("'{}/", self.root.display()), 1);
        let mut child = tokio::process::Command::from(shell(&self.root, &command))
            .envs(self.protocol.take().map(|version| ("GIT_PROTOCOL", version)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let (mut from_client, mut to_client) = tokio::io::split(channel.into_stream());
        tokio::spawn(async move {
            let _ = tokio::io::copy(&mut from_client, &mut stdin).await;
        });
        tokio::spawn(async move {
            let _ = tokio::io::copy(&mut stdout, &mut to_client).await;
            let mut words = Vec::new();
            let _ = stderr.read_to_end(&mut words).await;
            if !words.is_empty() {
                let _ = handle.extended_data(id, 1, words).await;
            }
            let code = child.wait().await.ok().and_then(|status| status.code());
            let code = code.and_then(|code| u32::try_from(code).ok()).unwrap_or(255);
            let _ = handle.exit_status_request(id, code).await;
            let _ = handle.eof(id).await;
            let _ = handle.close(id).await;
        });
        Ok(())
    }
}

/// A command line for the shell, without the configuration of whoever runs the tests.
fn shell(dir: &Path, line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", line])
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    shell
}

/// OpenSSH's server, where there is one: `SIGNET_SSHD`, or where packages put it.
pub struct Sshd {
    child: Child,
    pub port: u16,
}

impl Sshd {
    pub fn start(keys: &Keys, host_key: &str, authorized: &str) -> Option<Self> {
        let named = std::env::var_os("SIGNET_SSHD").map(PathBuf::from);
        let program = [named, Some("/usr/sbin/sshd".into())]
            .into_iter()
            .flatten()
            .find(|path| path.is_file())?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
            keys.path(host_key).display(),
            keys.path(&format!("{authorized}.pub")).display(),
        );
        std::fs::write(keys.path("sshd_config"), config).unwrap();
        let mut child = Command::new(&program)
            .arg("-D")
            .arg("-e")
            .arg("-f")
            .arg(keys.path("sshd_config"))
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(keys.path("sshd.log")).unwrap())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if matches!(child.try_wait(), Ok(Some(_))) {
                break;
            }
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Self { child, port });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = keys.text("sshd.log");
        // As root it wants a user and a directory that its service makes.
        assert!(
            log.to_lowercase().contains("privilege separation"),
            "sshd did not start: {log}"
        );
        eprintln!("sshd does not start here: {log}");
        let _ = child.kill();
        None
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
