//! HTTPS with an authority of our own.

use source::{SourceError, list_head};

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::tls::Identity;
use crate::support::{fetch, main_branch, store};

#[test]
fn a_private_authority_is_trusted_only_where_it_is_named() {
    let repo = Repo::with(&[("a", "1")]);
    let identity = Identity::new("127.0.0.1");
    let server = Server::start_tls(repo.root(), Mode::Good, &identity);
    let mut remote = server.remote();
    let error = list_head(&remote, &main_branch()).unwrap_err();
    assert_eq!(
        error,
        SourceError::Tls("the server's certificate is from an unknown authority".into())
    );
    remote.ca_pem = Some(Identity::new("127.0.0.1").ca_pem);
    assert!(matches!(
        list_head(&remote, &main_branch()),
        Err(SourceError::Tls(_))
    ));
    remote.ca_pem = Some(identity.ca_pem);
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        fetch(&store(dir.path()), &remote)
            .unwrap()
            .commit()
            .id
            .to_string(),
        repo.head()
    );
    assert!(list_head(&server.remote(), &main_branch()).is_err());
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let repo = Repo::with(&[("a", "1")]);
    let identity = Identity::new("git.example");
    let server = Server::start_tls(repo.root(), Mode::Good, &identity);
    let mut remote = server.remote();
    remote.ca_pem = Some(identity.ca_pem);
    let error = list_head(&remote, &main_branch()).unwrap_err();
    assert_eq!(
        error,
        SourceError::Tls("the server's certificate is for another name".into())
    );
}

#[test]
fn a_server_without_tls_is_refused() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let mut remote = server.remote();
    remote.url = remote.url.replace("http:", "https:");
    let error = list_head(&remote, &main_branch()).unwrap_err();
    // It hangs up on the handshake; others answer in clear text.
    assert!(
        matches!(error, SourceError::Tls(_) | SourceError::NotGit(_)),
        "{error:?}"
    );
    let clear = Mode::Canned(b"HTTP/1.1 400 Bad Request\r\n\r\n".into());
    let server = Server::start(repo.root(), clear);
    remote.url = server.url().replace("http:", "https:");
    assert!(list_head(&remote, &main_branch()).is_err());
}

#[test]
fn a_client_certificate_opens_a_server_that_asks_for_one() {
    let repo = Repo::with(&[("a", "1")]);
    let identity = Identity::new("127.0.0.1");
    let server = Server::start_mutual(repo.root(), Mode::Good, &identity);
    let mut remote = server.remote();
    remote.ca_pem = Some(identity.ca_pem.clone());
    let without = list_head(&remote, &main_branch()).unwrap_err();
    assert!(matches!(without, SourceError::Tls(_)), "{without:?}");
    remote.client = Some(identity.client());
    let dir = tempfile::tempdir().unwrap();
    let head = fetch(&store(dir.path()), &remote).unwrap();
    assert_eq!(head.commit().id.to_string(), repo.head());
    remote.client = Some(Identity::new("127.0.0.1").client());
    let other = list_head(&remote, &main_branch()).unwrap_err();
    assert!(matches!(other, SourceError::Tls(_)), "{other:?}");
    assert_eq!(
        server.requests().len(),
        3,
        "nothing is asked without the right one"
    );

    // A key of another certificate is found before anything is sent.
    let mut swapped = identity.client();
    swapped.key_pem = identity.client().key_pem;
    for bad in [
        swapped,
        source::ClientCertificate {
            key_pem: String::from("hunter2").into(),
            ..identity.client()
        },
        source::ClientCertificate {
            chain_pem: "hunter2".into(),
            ..identity.client()
        },
    ] {
        remote.client = Some(bad);
        let error = list_head(&remote, &main_branch()).unwrap_err();
        assert!(matches!(error, SourceError::BadClientCertificate(_)), "{error:?}");
    }
    assert!(!format!("{remote:?}").contains("PRIVATE"));
}
