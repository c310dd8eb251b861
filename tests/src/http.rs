//! The smallest HTTP client that a test needs: one request, one answer, no redirects.

use std::fmt::Write as _;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Status line and headers as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Gets `http://HOST:PORT/PATH`; `None` if nobody answers.
pub async fn get(url: &str) -> Option<Reply> {
    send("GET", url, &[], &[]).await
}

/// Posts a body, with more headers.
pub async fn post(url: &str, body: &[u8], headers: &[(&str, &str)]) -> Option<Reply> {
    send("POST", url, body, headers).await
}

/// Whom a TLS server has to be.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its certificate, or its authority's, in PEM.
    pub certificate: String,
    /// Its name.
    pub name: String,
}

/// Sends to `https://HOST:PORT/PATH`; `None` if nobody answers, or somebody else.
pub async fn over_tls(
    server: &Server,
    method: &str,
    url: &str,
    body: &[u8],
    headers: &[(&str, &str)],
) -> Option<Reply> {
    let (host, path) = split(url, "https://");
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(server.certificate.as_bytes()).expect("a certificate");
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("its versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(server.name.clone()).expect("a name");
    let stream = TcpStream::connect(host).await.ok()?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .ok()?;
    talk(stream, method, host, path, body, headers).await
}

async fn send(method: &str, url: &str, body: &[u8], headers: &[(&str, &str)]) -> Option<Reply> {
    let (host, path) = split(url, "http://");
    let stream = TcpStream::connect(host).await.ok()?;
    talk(stream, method, host, path, body, headers).await
}

/// Host with port, and path.
fn split<'a>(url: &'a str, scheme: &str) -> (&'a str, &'a str) {
    let rest = url
        .strip_prefix(scheme)
        .unwrap_or_else(|| panic!("not a {scheme} address: {url}"));
    rest.split_once('/').unwrap_or((rest, ""))
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    host: &str,
    path: &str,
    body: &[u8],
    headers: &[(&str, &str)],
) -> Option<Reply> {
    // HTTP/1.0: the answer is not chunked, and the end of the connection is its end.
    let mut request = format!("{method} /{path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    if method != "GET" {
        let _ = write!(request, "Content-Length: {}\r\n", body.len());
    }
    request += "\r\n";
    stream.write_all(request.as_bytes()).await.ok()?;
    // Who refuses a body may close before it is all there, and its answer still counts.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await;
    read.ok().or((!answer.is_empty()).then_some(0))?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Reply {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
