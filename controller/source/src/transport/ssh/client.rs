//! A connection: address, host key, key, command.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use russh::client::{self, Handle, Msg};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{Channel, Preferred, SshId};
use tokio::net::{TcpStream, lookup_host};

use super::identity::{self, Identity};
use super::known_hosts::KnownHost;
use super::rsa::{NotSigned, RsaKey};
use crate::ssh_address::SshAddress;
use crate::transport::Version;
use crate::transport::address::is_allowed;
use crate::{Auth, SourceError};

/// What is prepared before anything is sent.
pub(super) struct Plan {
    pub(super) address: SshAddress,
    pub(super) key: Identity,
    pub(super) host: KnownHost,
}

impl Plan {
    pub(super) fn new(address: &SshAddress, auth: &Auth) -> Result<Self, SourceError> {
        let Auth::Key {
            identity,
            passphrase,
            known_hosts,
        } = auth
        else {
            return Err(SourceError::NoKey);
        };
        Ok(Self {
            key: identity::read(identity, passphrase.as_ref())?,
            host: KnownHost::read(known_hosts, &address.known_as())?,
            address: address.clone(),
        })
    }
}

/// An open connection; the handle keeps it open.
pub(super) struct Connection {
    _handle: Handle<Client>,
    pub(super) channel: Channel<Msg>,
}

/// Finds the host. Its addresses are those that a remote may have.
pub(super) async fn find(address: &SshAddress) -> Result<Vec<SocketAddr>, SourceError> {
    let found = lookup_host((address.host.as_str(), address.port))
        .await
        .map_err(|_| SourceError::Unreachable("the host name is not known".into()))?;
    let allowed: Vec<_> = found.filter(|address| is_allowed(address.ip())).collect();
    if allowed.is_empty() {
        return Err(SourceError::Unreachable("the address is not allowed".into()));
    }
    Ok(allowed)
}

/// Connects to the first address that answers.
pub(super) async fn connect(addresses: &[SocketAddr], each: Duration) -> Result<TcpStream, SourceError> {
    let mut last = SourceError::Unreachable("the connection failed".into());
    for address in addresses {
        last = match tokio::time::timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small packets go both ways before anything large does. Without it, it is only slower.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => crate::transport::http::explain_io(&error),
            Err(_) => SourceError::Timeout("connection"),
        };
    }
    Err(last)
}

/// Shakes hands, logs in, and starts the service.
pub(super) async fn begin(
    plan: Plan,
    stream: TcpStream,
    service: &str,
    version: Version,
) -> Result<Connection, SourceError> {
    let Plan { address, key, host } = plan;
    let config = client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-signet_",
            env!("CARGO_PKG_VERSION")
        ))),
        preferred: Preferred {
            key: Cow::Owned(host.algorithms()),
            host_key_certificates: Cow::Owned(host.certificates()),
            ..Preferred::DEFAULT
        },
        ..client::Config::default()
    };
    let refusal = Arc::new(Mutex::new(None));
    let client = Client {
        host,
        refusal: Arc::clone(&refusal),
    };
    let mut handle = client::connect_stream(Arc::new(config), stream, client)
        .await
        .map_err(|error| {
            let refused = refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
            refused.unwrap_or_else(|| explain(&error))
        })?;
    let print = key.fingerprint();
    let known = match key {
        Identity::Other(key) => handle
            .authenticate_publickey(address.user.clone(), key)
            .await
            .map_err(|error| explain(&error))?
            .success(),
        Identity::Rsa(key) => log_in(&mut handle, &address.user, &key).await?,
    };
    if !known {
        return Err(SourceError::KeyRefused(print));
    }
    let channel = handle
        .channel_open_session()
        .await
        .map_err(|error| explain(&error))?;
    if version == Version::Two {
        // Hosts that do not take it go on with version 0.
        channel
            .set_env(false, "GIT_PROTOCOL", "version=2")
            .await
            .map_err(|error| explain(&error))?;
    }
    channel
        .exec(true, address.command(service))
        .await
        .map_err(|error| explain(&error))?;
    Ok(Connection {
        _handle: handle,
        channel,
    })
}

/// Logs in with an RSA key, by the best digest that the host says it takes, or by both where it says nothing.
async fn log_in(handle: &mut Handle<Client>, user: &str, key: &RsaKey) -> Result<bool, SourceError> {
    let both = [HashAlg::Sha512, HashAlg::Sha256];
    let said = handle.best_supported_rsa_hash().await;
    let digests = match said.map_err(|error| explain(&error))? {
        Some(Some(digest)) => vec![digest],
        Some(None) => {
            return Err(SourceError::Ssh(
                "the host takes RSA keys with SHA-1 alone".into(),
            ));
        }
        None => both.to_vec(),
    };
    for digest in digests {
        let mut signer = key;
        let answer = handle
            .authenticate_publickey_with(user, key.public().clone(), Some(digest), &mut signer)
            .await;
        match answer {
            Ok(answer) if answer.success() => return Ok(true),
            Ok(_) => {}
            Err(NotSigned::Closed) => {
                return Err(SourceError::Unreachable("the connection was closed".into()));
            }
            Err(NotSigned::Refused) => return Err(SourceError::BadKey("it cannot sign")),
        }
    }
    Ok(false)
}

/// What answers the host's questions: there is one, whether its key is the right one.
pub(super) struct Client {
    host: KnownHost,
    refusal: Arc<Mutex<Option<SourceError>>>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        match self.host.check(shown, now.as_secs()) {
            Ok(()) => Ok(true),
            Err(refusal) => {
                *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
                Ok(false)
            }
        }
    }
}

/// russh's error in our words.
pub(super) fn explain(error: &russh::Error) -> SourceError {
    use russh::Error;
    match error {
        Error::IO(error) => crate::transport::http::explain_io(error),
        Error::NoCommonAlgo { kind, .. } => SourceError::Ssh(format!(
            "host and client have no {} algorithm in common",
            match kind {
                russh::AlgorithmKind::Key => "host key",
                russh::AlgorithmKind::Kex => "key exchange",
                _ => "cipher or MAC",
            }
        )),
        Error::Version => SourceError::Ssh("the host does not speak SSH here".into()),
        Error::WrongServerSig | Error::UnknownKey => {
            SourceError::HostKey("the host did not prove that it has the key it shows".into())
        }
        Error::Disconnect | Error::HUP | Error::SendError | Error::RecvError => {
            SourceError::Unreachable("the connection was closed".into())
        }
        Error::ChannelOpenFailure(_) | Error::RequestDenied => {
            SourceError::Ssh("the host refuses to run anything for this key".into())
        }
        _ => SourceError::Ssh("the host breaks the protocol".into()),
    }
}
