//! Credentials of a remote: a Secret in the Repository's own namespace, read with the controller's rights.

use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use source::{Auth, ClientCertificate, GitHubApp, Proxy, SigningKey};
use zeroize::Zeroizing;

use crate::request::bounded;

/// Longest username, password, token (1) and certificate bundle (2), in bytes.
const LONGEST_VALUE: usize = 16 << 10;
const LONGEST_BUNDLE: usize = 1 << 20;

/// What a Secret says. Wiped when dropped; `Debug` shows no value.
#[derive(Clone, Default)]
pub(super) struct Credentials {
    pub(super) auth: Auth,
    pub(super) ca_pem: Option<String>,
    pub(super) client: Option<ClientCertificate>,
    /// An app whose tokens are to be used.
    pub(super) app: Option<GitHubApp>,
    /// What a host's API takes, where that is something else.
    pub(super) api_token: Option<Zeroizing<String>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.auth).finish()
    }
}

/// Why there are no credentials. Quotes nothing but the Secret's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// Whether it may pass without anybody doing anything.
    pub(super) temporary: bool,
}

/// The credentials of `spec.secretRef`.
pub(super) async fn read(client: Client, namespace: &str, name: &str) -> Result<Credentials, Problem> {
    read_as(client, namespace, name, "secretRef").await
}

async fn read_as(client: Client, namespace: &str, name: &str, role: &str) -> Result<Credentials, Problem> {
    get(client, namespace, name, role, |secret| {
        parse(secret).map_err(|what| {
            format!(
                "Secret {name} {what}. Give username and password, or bearerToken, and ca.crt if the server's \
                 certificate authority is private; for SSH identity and known_hosts, and password if the key has a \
                 passphrase"
            )
        })
    })
    .await
}

/// The credentials of `spec.notes.pushSecretRef`: the same fields.
pub(super) async fn read_push(client: Client, namespace: &str, name: &str) -> Result<Credentials, Problem> {
    read_as(client, namespace, name, "notes.pushSecretRef").await
}

/// The proxy of `spec.proxySecretRef`.
pub(super) async fn read_proxy(client: Client, namespace: &str, name: &str) -> Result<Proxy, Problem> {
    get(client, namespace, name, "proxySecretRef", |secret| {
        proxy(secret).map_err(|what| {
            format!("Secret {name} {what}. Give address (http://host:port), and username and password if it asks for them")
        })
    })
    .await
}

/// The key of `signingSecretRef`.
pub(super) async fn read_signing_key(
    client: Client,
    namespace: &str,
    name: &str,
) -> Result<SigningKey, Problem> {
    get(client, namespace, name, "signingSecretRef", |secret| {
        signing_key(secret).map_err(|what| {
            format!("Secret {name} {what}. Give identity, an SSH key, and password if it has a passphrase")
        })
    })
    .await
}

async fn get<T>(
    client: Client,
    namespace: &str,
    name: &str,
    role: &str,
    parse: impl FnOnce(&Secret) -> Result<T, String>,
) -> Result<T, Problem> {
    let api: Api<Secret> = Api::namespaced(client, namespace);
    match bounded(api.get(name)).await {
        Ok(secret) => parse(&secret).map_err(|message| Problem {
            reason: "SecretUnusable",
            message,
            temporary: false,
        }),
        Err(error) if error.is_not_found() => Err(Problem {
            reason: "SecretMissing",
            message: format!(
                "Secret {name} of spec.{role} does not exist in namespace {namespace}. Create it"
            ),
            temporary: false,
        }),
        Err(error) if error.is_forbidden() => Err(Problem {
            reason: "SecretForbidden",
            message: format!(
                "The controller may not read Secret {name} in namespace {namespace}. Grant it with a Role (see \
                 deploy/README.md)"
            ),
            temporary: false,
        }),
        Err(error) => Err(Problem {
            reason: "SecretUnread",
            message: format!("Secret {name} cannot be read: {error}"),
            temporary: true,
        }),
    }
}

fn parse(secret: &Secret) -> Result<Credentials, String> {
    let api_token = field(secret, "apiToken", LONGEST_VALUE)?;
    let credentials = login(secret)?;
    Ok(Credentials {
        api_token,
        ..credentials
    })
}

fn login(secret: &Secret) -> Result<Credentials, String> {
    if let Some(identity) = field(secret, "identity", LONGEST_VALUE)? {
        return key(secret, identity);
    }
    let username = field(secret, "username", LONGEST_VALUE)?;
    let password = field(secret, "password", LONGEST_VALUE)?;
    let token = field(secret, "bearerToken", LONGEST_VALUE)?;
    let ca_pem = field(secret, "ca.crt", LONGEST_BUNDLE)?.map(|text| text.to_string());
    let client = client(secret)?;
    let app = app(secret)?;
    if app.is_some() && (username.is_some() || password.is_some() || token.is_some()) {
        return Err("has both a GitHub App and a username, password or bearerToken".into());
    }
    let auth = match (username, password, token) {
        (Some(username), Some(password), None) => Auth::Basic { username, password },
        (None, None, Some(token)) => Auth::Bearer(token),
        // Some hosts take a token as the password of any user.
        (None, Some(password), None) => Auth::Basic {
            username: Zeroizing::new("git".into()),
            password,
        },
        (None, None, None) if ca_pem.is_some() || client.is_some() || app.is_some() => Auth::None,
        (None, None, None) => return Err("holds no credentials".into()),
        (Some(_), None, None) => return Err("has a username and no password".into()),
        (_, _, Some(_)) => return Err("has both a bearerToken and a username or password".into()),
    };
    Ok(Credentials {
        auth,
        ca_pem,
        client,
        app,
        api_token: None,
    })
}

/// A GitHub App, by Flux's names.
fn app(secret: &Secret) -> Result<Option<GitHubApp>, String> {
    let field = |name| field(secret, name, LONGEST_VALUE);
    let (id, installation) = (field("githubAppID")?, field("githubAppInstallationID")?);
    let (key, api) = (field("githubAppPrivateKey")?, field("githubAppBaseURL")?);
    match (id, installation, key) {
        (None, None, None) => Ok(None),
        (Some(id), Some(installation), Some(key_pem)) => Ok(Some(GitHubApp {
            id: id.trim().to_owned(),
            installation: installation.trim().to_owned(),
            key_pem,
            api: api.map(|api| api.trim().to_owned()),
        })),
        _ => Err("has not all of githubAppID, githubAppInstallationID and githubAppPrivateKey".into()),
    }
}

fn signing_key(secret: &Secret) -> Result<SigningKey, String> {
    let identity = field(secret, "identity", LONGEST_VALUE)?.ok_or("holds no identity")?;
    let passphrase = field(secret, "password", LONGEST_VALUE)?;
    SigningKey::read(&identity, passphrase.as_ref())
        .map_err(|error| format!("holds no key that signs: {error}"))
}

/// A certificate to show, by the names of `kubectl create secret tls`.
fn client(secret: &Secret) -> Result<Option<ClientCertificate>, String> {
    let chain = field(secret, "tls.crt", LONGEST_BUNDLE)?;
    let key = field(secret, "tls.key", LONGEST_VALUE)?;
    match (chain, key) {
        (Some(chain), Some(key_pem)) => Ok(Some(ClientCertificate {
            chain_pem: chain.to_string(),
            key_pem,
        })),
        (None, None) => Ok(None),
        (Some(_), None) => Err("has a tls.crt and no tls.key".into()),
        (None, Some(_)) => Err("has a tls.key and no tls.crt".into()),
    }
}

/// A proxy, by Flux's names: `address`, `username`, `password`.
fn proxy(secret: &Secret) -> Result<Proxy, String> {
    let address = field(secret, "address", LONGEST_VALUE)?.ok_or("holds no address")?;
    Ok(Proxy {
        address: address.to_string(),
        username: field(secret, "username", LONGEST_VALUE)?,
        password: field(secret, "password", LONGEST_VALUE)?,
    })
}

/// An SSH key, by Flux's names: `identity`, `password` for its passphrase, `known_hosts`.
fn key(secret: &Secret, identity: Zeroizing<String>) -> Result<Credentials, String> {
    for other in ["username", "bearerToken"] {
        if field(secret, other, LONGEST_VALUE)?.is_some() {
            return Err(format!("has both an identity and a {other}"));
        }
    }
    let known_hosts = field(secret, "known_hosts", LONGEST_BUNDLE)?;
    let known_hosts = known_hosts.ok_or("has an identity and no known_hosts")?;
    Ok(Credentials {
        auth: Auth::Key {
            identity,
            passphrase: field(secret, "password", LONGEST_VALUE)?,
            known_hosts: known_hosts.to_string(),
        },
        // Of the host's API: SSH has no use for it.
        ca_pem: field(secret, "ca.crt", LONGEST_BUNDLE)?.map(|text| text.to_string()),
        client: None,
        app: None,
        api_token: None,
    })
}

fn field(secret: &Secret, name: &str, longest: usize) -> Result<Option<Zeroizing<String>>, String> {
    let Some(bytes) = secret.data.as_ref().and_then(|data| data.get(name)) else {
        return Ok(None);
    };
    if bytes.0.is_empty() {
        return Ok(None);
    }
    if bytes.0.len() > longest {
        return Err(format!("has a {name} that is too long"));
    }
    let text = std::str::from_utf8(&bytes.0).map_err(|_| format!("has a {name} that is not text"))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::keys::test_secret as secret;
    use source::Auth;

    #[test]
    fn every_form_is_read() {
        let basic = parse(&secret(&[("username", "bob"), ("password", "hunter2")])).unwrap();
        assert!(matches!(&basic.auth, Auth::Basic { username, .. } if username.as_str() == "bob"));
        assert!(!format!("{basic:?}").contains("hunter2"));
        let token = parse(&secret(&[("bearerToken", "hunter2"), ("ca.crt", "pem")])).unwrap();
        assert!(matches!(token.auth, Auth::Bearer(_)));
        assert_eq!(token.ca_pem.as_deref(), Some("pem"));
        assert!(matches!(
            parse(&secret(&[("password", "p")])).unwrap().auth,
            Auth::Basic { .. }
        ));
        assert!(matches!(
            parse(&secret(&[("ca.crt", "pem")])).unwrap().auth,
            Auth::None
        ));
    }

    #[test]
    fn an_ssh_key_comes_with_the_hosts_it_is_for() {
        let fields = [
            ("identity", "hunter2"),
            ("known_hosts", "h ssh-ed25519 A"),
            ("password", "hunter2"),
            ("identity.pub", "ssh-ed25519 A"),
        ];
        let key = parse(&secret(&fields)).unwrap();
        assert!(!format!("{key:?}").contains("hunter2"));
        assert!(matches!(
            &key.auth,
            Auth::Key {
                passphrase: Some(_),
                ..
            }
        ));
        assert!(key.api_token.is_none(), "a passphrase is no token");
        let more = [&fields[..], &[("apiToken", "hunter3"), ("ca.crt", "pem")]].concat();
        let with = parse(&secret(&more)).unwrap();
        assert_eq!(
            with.api_token.as_ref().map(|token| token.as_str()),
            Some("hunter3")
        );
        assert_eq!(with.ca_pem.as_deref(), Some("pem"));
        assert!(!format!("{with:?}").contains("hunter"));
        let without = parse(&secret(&fields[..1])).unwrap_err();
        assert_eq!(without, "has an identity and no known_hosts");
    }

    #[test]
    fn what_is_wrong_quotes_nothing() {
        for fields in [
            &[][..],
            &[
                ("identity", "hunter2"),
                ("known_hosts", "h"),
                ("bearerToken", "hunter2"),
            ],
            &[("username", "hunter2")],
            &[("username", "hunter2"), ("bearerToken", "hunter2")],
            &[("password", "hunter2"), ("bearerToken", "hunter2")],
        ] {
            let why = parse(&secret(fields)).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        let long = "hunter2".repeat(10_000);
        assert_eq!(
            parse(&secret(&[("password", &long)])).unwrap_err(),
            "has a password that is too long"
        );
    }
}
