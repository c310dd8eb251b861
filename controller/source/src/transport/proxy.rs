//! The way to a remote through an HTTP proxy (RFC 9110, 9.3.6: CONNECT).
//!
//! The proxy resolves the remote's name, so which addresses it may lead to is the proxy's to say; an address that stands in the
//! URL itself is checked as ever. The proxy's own address is checked like a remote's.

use std::net::IpAddr;

use ureq::http::Uri;
use ureq::{Proxy as Way, ProxyProtocol};

use super::address::is_allowed;
use crate::{Proxy, SourceError};

/// ureq's setting for it.
pub(super) fn config(proxy: &Proxy, base: &str) -> Result<Way, SourceError> {
    let uri: Uri = proxy
        .address
        .parse()
        .map_err(|_| SourceError::BadProxy("it is not a URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(SourceError::BadProxy("it has to begin with http://"));
    }
    let authority = uri
        .authority()
        .map(ureq::http::uri::Authority::as_str)
        .unwrap_or_default();
    if authority.contains('@') {
        return Err(SourceError::BadProxy(
            "it holds credentials, which have fields of their own",
        ));
    }
    let host = uri.host().filter(|host| !host.is_empty());
    let host = host.ok_or(SourceError::BadProxy("it has no host"))?;
    if uri.path() != "/" && !uri.path().is_empty() {
        return Err(SourceError::BadProxy("it has a path"));
    }
    let target: Option<Uri> = base.parse().ok();
    let target = target.as_ref().and_then(Uri::host).unwrap_or_default();
    if target
        .trim_matches(['[', ']'])
        .parse::<IpAddr>()
        .is_ok_and(|address| !is_allowed(address))
    {
        return Err(SourceError::Unreachable("the address is not allowed".into()));
    }
    let mut builder = Way::builder(ProxyProtocol::Http)
        .host(host)
        .port(uri.port_u16().unwrap_or(80));
    if let Some(username) = &proxy.username {
        builder = builder.username(username);
    }
    if let Some(password) = &proxy.password {
        builder = builder.password(password);
    }
    builder
        .build()
        .map_err(|_| SourceError::BadProxy("it is not a URL"))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn proxy(address: &str) -> Proxy {
        Proxy {
            address: address.into(),
            username: None,
            password: Some(Zeroizing::new("hunter2".into())),
        }
    }

    #[test]
    fn only_plain_http_proxies_without_credentials_in_the_address() {
        let base = "https://git.example/r";
        assert!(config(&proxy("http://proxy.example:3128"), base).is_ok());
        for bad in [
            "",
            "proxy:3128",
            "https://p",
            "socks5://p:1",
            "http://u:hunter2@p:1",
            "http://p/x",
            "http://",
        ] {
            let error = config(&proxy(bad), base).unwrap_err();
            assert!(matches!(error, SourceError::BadProxy(_)), "{bad}: {error:?}");
            assert!(!format!("{error:?} {error}").contains("hunter2"));
        }
        let hidden = config(&proxy("http://proxy.example"), "http://169.254.169.254/latest");
        assert_eq!(
            hidden.unwrap_err(),
            SourceError::Unreachable("the address is not allowed".into())
        );
        assert!(!format!("{:?}", proxy("http://p")).contains("hunter2"));
    }
}
