//! The two requests of smart HTTP (gitprotocol-http(5)): the advertisement and the exchange.

use std::io::{self, Read};
use std::sync::Arc;

use ureq::http::{HeaderMap, HeaderValue, StatusCode, header};
use zeroize::Zeroizing;

use super::names::Names;
use super::stream::{Awaited, Shared, Stream};
use super::{Operation, Version, tls};
use crate::{SourceError, url};

/// `GET info/refs`: answers with the refs, read as a stream.
pub(super) fn advertisement(
    operation: Arc<Operation>,
    service: &str,
    scales: Shared,
) -> Result<Stream, SourceError> {
    let http = operation.http()?;
    let url = format!("{}/info/refs?service={service}", http.base);
    let mut request = http.agent.get(&url);
    if let Some(authorization) = &http.authorization {
        request = request.header(header::AUTHORIZATION, authorization.clone());
    }
    let left = operation.remaining()?;
    let answer = request.config().timeout_global(Some(left)).build().call();
    let answer = answer.map_err(|error| explain(&error))?;
    check(&operation, answer.status(), answer.headers())?;
    content_type(
        answer.headers(),
        &format!("application/x-{service}-advertisement"),
    )?;
    let awaited = Awaited::Listing {
        left: operation.limits().listing_bytes,
        names: Names::default(),
    };
    Ok(Stream::reading(
        operation,
        answer.into_body().into_reader(),
        awaited,
        scales,
    ))
}

/// A stream whose written bytes become the body of a `POST` as soon as it is read.
pub(super) fn exchange(
    operation: Arc<Operation>,
    service: &'static str,
    version: Version,
    scales: Shared,
) -> Stream {
    Stream::writing(operation, service, version, scales)
}

/// `POST <service>` with `body`.
pub(super) fn post(
    operation: &Operation,
    service: &str,
    version: Version,
    body: &[u8],
) -> Result<ureq::BodyReader<'static>, SourceError> {
    let http = operation.http()?;
    let mut request = http
        .agent
        .post(format!("{}/{service}", http.base))
        .header(header::CONTENT_TYPE, format!("application/x-{service}-request"))
        .header(header::ACCEPT, format!("application/x-{service}-result"));
    if version == Version::Two {
        request = request.header("Git-Protocol", "version=2");
    }
    if let Some(authorization) = &http.authorization {
        request = request.header(header::AUTHORIZATION, authorization.clone());
    }
    let left = operation.remaining()?;
    let answer = request.config().timeout_global(Some(left)).build().send(body);
    let answer = answer.map_err(|error| explain(&error))?;
    check(operation, answer.status(), answer.headers())?;
    content_type(answer.headers(), &format!("application/x-{service}-result"))?;
    Ok(answer.into_body().into_reader())
}

/// What is asked of a host's REST API.
pub(crate) struct Asked<'a> {
    pub(crate) accept: &'a str,
    /// With the version of GitHub's API.
    pub(crate) github: bool,
    /// What stands behind `?`, escaped; empty: nothing.
    pub(crate) query: &'a str,
    /// JSON to `POST`; without it, `GET`.
    pub(crate) body: Option<&'a str>,
}

/// Asks a REST API at the operation's own address: the status, and a body of at most `limit` bytes. No redirect is followed.
pub(crate) fn ask(
    operation: &Operation,
    asked: &Asked<'_>,
    limit: u64,
) -> Result<(u16, Zeroizing<Vec<u8>>), SourceError> {
    let http = operation.http()?;
    let url = match asked.query {
        "" => http.base.clone(),
        query => format!("{}?{query}", http.base),
    };
    let left = operation.remaining()?;
    let headers = |headers: &mut HeaderMap| {
        let known = HeaderValue::from_str(asked.accept);
        headers.extend(known.ok().map(|accept| (header::ACCEPT, accept)));
        if asked.github {
            headers.insert("X-GitHub-Api-Version", HeaderValue::from_static("2022-11-28"));
        }
        if let Some(authorization) = &http.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
    };
    let answer = if let Some(body) = asked.body {
        let mut request = http.agent.post(&url);
        if let Some(all) = request.headers_mut() {
            headers(all);
            all.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.config().timeout_global(Some(left)).build().send(body)
    } else {
        let mut request = http.agent.get(&url);
        if let Some(all) = request.headers_mut() {
            headers(all);
        }
        request.config().timeout_global(Some(left)).build().call()
    };
    let answer = answer.map_err(|error| explain(&error))?;
    let status = answer.status().as_u16();
    let mut body = Zeroizing::new(Vec::new());
    let read = answer
        .into_body()
        .into_reader()
        .take(limit)
        .read_to_end(&mut body);
    read.map_err(|error| explain_io(&error))?;
    Ok((status, body))
}

fn check(operation: &Operation, status: StatusCode, headers: &HeaderMap) -> Result<(), SourceError> {
    Err(match status.as_u16() {
        200 => return Ok(()),
        300..=399 => {
            let location = headers
                .get(header::LOCATION)
                .and_then(|value| value.to_str().ok());
            SourceError::Redirected(url::redirect_target(location))
        }
        401 => SourceError::Unauthorized {
            sent: operation.http()?.authorization.is_some(),
        },
        403 => SourceError::Forbidden,
        404 | 410 => SourceError::NotFound,
        other => SourceError::Status(other),
    })
}

fn content_type(headers: &HeaderMap, expected: &str) -> Result<(), SourceError> {
    let found = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let essence = found.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let page = essence.eq_ignore_ascii_case("text/html");
    let words = if page {
        "a web page"
    } else {
        "another content type"
    };
    Err(SourceError::NotGit(words.into()))
}

/// ureq's error in our words: its own may hold addresses.
pub(super) fn explain(error: &ureq::Error) -> SourceError {
    use ureq::Timeout;
    match error {
        ureq::Error::Timeout(which) => SourceError::Timeout(match which {
            Timeout::Resolve => "name resolution",
            Timeout::Connect => "connection",
            Timeout::Global | Timeout::PerCall => "total time",
            _ => "silence",
        }),
        // Its own words for the proxy's status; nothing that the proxy wrote.
        ureq::Error::ConnectProxyFailed(words) => SourceError::ProxyRefused(words.clone()),
        ureq::Error::HostNotFound => SourceError::Unreachable("the host name is not known".into()),
        ureq::Error::Io(error) => explain_io(error),
        ureq::Error::Rustls(error) => tls::explain(error),
        ureq::Error::Tls(_) | ureq::Error::TlsRequired => SourceError::Tls("the handshake failed".into()),
        ureq::Error::Protocol(_) => SourceError::NotGit("broken HTTP".into()),
        ureq::Error::LargeResponseHeader(..) => SourceError::TooLarge("the HTTP header".into()),
        ureq::Error::BadUri(_) => SourceError::BadUrl("it is not a URL"),
        _ => SourceError::Unreachable("the connection failed".into()),
    }
}

pub(super) fn explain_io(error: &io::Error) -> SourceError {
    if let Some(inner) = error.get_ref() {
        if let Some(inner) = inner.downcast_ref::<ureq::Error>() {
            return explain(inner);
        }
        if let Some(inner) = inner.downcast_ref::<rustls::Error>() {
            return tls::explain(inner);
        }
    }
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => SourceError::Timeout("silence"),
        io::ErrorKind::ConnectionRefused => SourceError::Unreachable("connection refused".into()),
        io::ErrorKind::UnexpectedEof => SourceError::NotGit("the answer ends too early".into()),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            SourceError::Unreachable("the connection was closed".into())
        }
        io::ErrorKind::PermissionDenied => SourceError::Unreachable("the address is not allowed".into()),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            SourceError::Unreachable("no route".into())
        }
        _ => SourceError::Unreachable("the connection failed".into()),
    }
}
