//! Through an HTTP proxy, over TLS and without.

use base64::Engine;
use source::{Proxy, SourceError, list_head};
use zeroize::Zeroizing;

use crate::support::http::{Mode, Server};
use crate::support::proxy::HttpProxy;
use crate::support::repo::Repo;
use crate::support::tls::Identity;
use crate::support::{fetch, main_branch, store};

fn through(proxy: &HttpProxy, password: Option<&str>) -> Proxy {
    Proxy {
        address: format!("http://127.0.0.1:{}", proxy.port),
        username: password.map(|_| Zeroizing::new("ann".into())),
        password: password.map(|password| Zeroizing::new(password.into())),
    }
}

#[test]
fn everything_goes_through_the_proxy() {
    let repo = Repo::with(&[("a", "1")]);
    let identity = Identity::new("127.0.0.1");
    let server = Server::start_tls(repo.root(), Mode::Good, &identity);
    let proxy = HttpProxy::start(None);
    let mut remote = server.remote();
    remote.ca_pem = Some(identity.ca_pem.clone());
    remote.proxy = Some(through(&proxy, None));
    let dir = tempfile::tempdir().unwrap();
    fetch(&store(dir.path()), &remote).unwrap();
    assert!(!proxy.asked().is_empty());
    assert!(
        proxy
            .asked()
            .iter()
            .all(|target| *target == format!("127.0.0.1:{}", server.port))
    );

    let plain = Server::start(repo.root(), Mode::Good);
    let mut remote = plain.remote();
    remote.proxy = Some(through(&proxy, None));
    let before = proxy.asked().len();
    list_head(&remote, &main_branch()).unwrap();
    assert!(proxy.asked().len() > before);
}

#[test]
fn a_proxy_that_wants_a_password_or_is_not_there() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let encoded = base64::engine::general_purpose::STANDARD.encode("ann:hunter2");
    let proxy = HttpProxy::start(Some(&format!("Basic {encoded}")));
    let mut remote = server.remote();
    remote.proxy = Some(through(&proxy, Some("hunter2")));
    assert!(list_head(&remote, &main_branch()).is_ok());
    let requests = server.requests().len();
    remote.proxy = Some(through(&proxy, Some("wrong")));
    let error = list_head(&remote, &main_branch()).unwrap_err();
    assert!(
        matches!(&error, SourceError::ProxyRefused(words) if words.contains("407")),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("wrong"));
    let mut nobody = through(&proxy, None);
    nobody.address = "http://127.0.0.1:1".into();
    remote.proxy = Some(nobody);
    let error = list_head(&remote, &main_branch()).unwrap_err();
    assert!(matches!(error, SourceError::Unreachable(_)), "{error:?}");
    assert_eq!(server.requests().len(), requests, "never around the proxy");
    let mut hidden = through(&proxy, None);
    hidden.address = "http://169.254.169.254".into();
    remote.proxy = Some(hidden);
    let error = list_head(&remote, &main_branch()).unwrap_err();
    assert_eq!(
        error,
        SourceError::Unreachable("the address is not allowed".into())
    );
}
