//! The smallest HTTP client that a test needs: one request, one answer, no redirects.

use std::fmt::Write as _;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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

async fn send(method: &str, url: &str, body: &[u8], headers: &[(&str, &str)]) -> Option<Reply> {
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("not a plain http address: {url}"));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).await.ok()?;
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
