//! One request through `git http-backend`, a CGI program (RFC 3875). Bodies are streamed both ways.

use std::io;
use std::path::Path;
use std::process::Stdio;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};

use super::command::git;

pub(crate) async fn run(root: &Path, request: Request) -> io::Result<Response> {
    let (parts, body) = request.into_parts();
    let mut command = Command::from(git(root));
    let header = |name: HeaderName| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "test")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header(CONTENT_TYPE))
        // git compresses what it sends; the backend unpacks it when told so.
        .env("HTTP_CONTENT_ENCODING", header(CONTENT_ENCODING))
        .env("GIT_PROTOCOL", header(HeaderName::from_static("git-protocol")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Its complaints about what tests do on purpose are noise; its status says enough.
        .stderr(Stdio::null())
        .kill_on_drop(true);
    // Without a length the backend reads to the end, which is what a chunked body needs.
    if parts.headers.contains_key(CONTENT_LENGTH) {
        command.env("CONTENT_LENGTH", header(CONTENT_LENGTH));
    }
    let mut child = command.spawn()?;
    let stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    tokio::spawn(feed(body, stdin));
    let mut output = BufReader::new(stdout);
    let mut response = Response::builder();
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).await? == 0 {
            return Err(io::Error::other("git http-backend said nothing"));
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break; // the empty line before the body
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.get(..3).and_then(|code| code.parse::<u16>().ok());
            response = response.status(code.unwrap_or(StatusCode::BAD_GATEWAY.as_u16()));
        } else if let Ok(value) = HeaderValue::from_str(value) {
            response = response.header(name, value);
        }
    }
    // The child is owned by its own output, and dies with it if the other side goes away.
    let stream = futures::stream::unfold((output, child), |(mut output, child)| async move {
        let chunk = read(&mut output).await.transpose()?;
        Some((chunk, (output, child)))
    });
    response.body(Body::from_stream(stream)).map_err(io::Error::other)
}

async fn read(output: &mut BufReader<ChildStdout>) -> io::Result<Option<Vec<u8>>> {
    let mut chunk = Vec::with_capacity(32 * 1024);
    let count = output.read_buf(&mut chunk).await?;
    Ok((count > 0).then_some(chunk))
}

async fn feed(body: Body, mut stdin: ChildStdin) {
    let mut chunks = body.into_data_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        if stdin.write_all(&chunk).await.is_err() {
            return; // it has heard enough
        }
    }
}
