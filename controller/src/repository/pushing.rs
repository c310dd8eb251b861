//! A Repository's remote for who pushes there: its address and proxy, and credentials of somebody else.

use std::time::Duration;

use crds::Repository;
use kube::{Client, ResourceExt};
use source::{Auth, FileRemotes, RefSpec, Remote, SigningKey, SourceError, list_head};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::app_login::AppLogin;
use super::deploy_key::DeployKeys;
use super::{credentials, spec};

/// For the question which key the host takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The remote of a Repository with the credentials in a Secret, and the ref that the Repository follows. Where there are none,
/// a sentence that quotes nothing.
pub(crate) async fn remote_to_push(
    client: &Client,
    repository: &Repository,
    secret: (&str, &str),
    files: &FileRemotes,
) -> Result<(Remote, RefSpec), String> {
    let (remote, reference, _) = remote_to_ask(client, repository, secret, files).await?;
    Ok((remote, reference))
}

/// The same, with what the host's API takes where the Secret says that this is something else than what pushes.
pub(crate) async fn remote_to_ask(
    client: &Client,
    repository: &Repository,
    (namespace, secret): (&str, &str),
    files: &FileRemotes,
) -> Result<(Remote, RefSpec, Option<Zeroizing<String>>), String> {
    let target = spec::parse(&repository.spec, files).map_err(|problem| format!("{}.", problem.message))?;
    let mut remote = target.remote;
    let sentence = |problem: credentials::Problem| format!("{}.", problem.message);
    let push = credentials::read(client.clone(), namespace, secret)
        .await
        .map_err(sentence)?;
    remote.auth = push.auth;
    remote.ca_pem = push.ca_pem;
    remote.client = push.client;
    if let Some(proxy) = &target.proxy {
        // Whoever may change the Repository has chosen the proxy, which reads what is not encrypted.
        if repository.spec.url.starts_with("http://") {
            return Err(
                "With spec.proxySecretRef the address has to be one of https or ssh: the proxy would read the push Secret."
                    .into(),
            );
        }
        let home = repository.namespace().unwrap_or_default();
        let proxy = credentials::read_proxy(client.clone(), &home, proxy).await;
        remote.proxy = Some(proxy.map_err(sentence)?);
    }
    if let Some(app) = &push.app {
        let login = AppLogin::default().auth(app, &remote).await;
        remote.auth = login.map_err(|failure| failure.message)?;
    }
    Ok((remote, target.reference, push.api_token))
}

/// The remote of a Repository with its own credentials, and the ref that it follows. Where there are none, a sentence that
/// quotes nothing.
pub(crate) async fn remote_to_read(
    client: &Client,
    repository: &Repository,
    files: &FileRemotes,
) -> Result<(Remote, RefSpec), String> {
    let home = repository.namespace().unwrap_or_default();
    if let Some(secret) = &repository.spec.secret_ref {
        return remote_to_push(client, repository, (&home, &secret.name), files).await;
    }
    let target = spec::parse(&repository.spec, files).map_err(|problem| format!("{}.", problem.message))?;
    let mut remote = target.remote;
    if let Some(proxy) = &target.proxy {
        let proxy = credentials::read_proxy(client.clone(), &home, proxy).await;
        remote.proxy = Some(proxy.map_err(|problem| format!("{}.", problem.message))?);
    }
    if let Some(known_hosts) = &target.deploy_key {
        let keys = DeployKeys::ensure(client.clone(), repository).await;
        let keys = keys.map_err(|failure| failure.message)?;
        remote = with_key(remote, &target.reference, keys.auths(known_hosts)).await?;
    }
    Ok((remote, target.reference))
}

/// With the newer key if the host takes it already, and else with the older one. Only while a key is renewed there are two, and
/// the host is asked.
async fn with_key(mut remote: Remote, reference: &RefSpec, auths: Vec<Auth>) -> Result<Remote, String> {
    let mut auths = auths.into_iter();
    remote.auth = auths.next().unwrap_or_default();
    let Some(older) = auths.next() else {
        return Ok(remote);
    };
    let reference = reference.clone();
    let asked = spawn_blocking(move || {
        let mut asked = remote.clone();
        asked.limits.total = asked.limits.total.min(PATIENCE);
        if let Err(SourceError::KeyRefused(_)) = list_head(&asked, &reference) {
            remote.auth = older;
        }
        remote
    });
    asked
        .await
        .map_err(|_| "The question to the remote stopped unexpectedly.".to_owned())
}

/// The key that signs commits, from a Secret.
pub(crate) async fn signing_key(
    client: &Client,
    namespace: &str,
    secret: &str,
) -> Result<SigningKey, String> {
    credentials::read_signing_key(client.clone(), namespace, secret)
        .await
        .map_err(|problem| format!("{}.", problem.message))
}
