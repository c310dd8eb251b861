//! An HTTP server of a few lines that plays the API server, or a server of certificates.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked.
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    /// What comes after the `?`, as it was sent.
    pub(crate) query: String,
    /// The headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What is answered.
pub(crate) struct Response {
    status: u16,
    body: String,
}

impl Response {
    pub(crate) fn text(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            body: body.into(),
        }
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::text(body.to_string())
    }

    /// What a watch brings before it ends.
    pub(crate) fn lines(events: &[Value]) -> Self {
        let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
        Self::text(lines.join("\n") + "\n")
    }

    /// An error as the API server words it.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let reason = match status {
            404 => "NotFound",
            409 => "AlreadyExists",
            _ => "Test",
        };
        let body = json!({
            "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": status, "reason": reason,
            "message": message,
        });
        Self {
            status,
            body: body.to_string(),
        }
    }
}

/// A server that lives as long as the test.
pub(crate) struct ApiServer {
    port: u16,
    log: Arc<Mutex<Vec<String>>>,
}

impl ApiServer {
    /// Answers each request with this function.
    pub(crate) fn start(answer: impl Fn(&Request) -> Response + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that gives up is no concern of the server.
                let _ = serve(stream.unwrap(), &answer, &requests);
            }
        });
        Self { port, log }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked so far, as `GET /path`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    answer: &impl Fn(&Request) -> Response,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    let mut length = 0;
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
        if let Some(value) = head[start..].to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    log.lock().unwrap().push(format!("{method} {path}"));
    let response = answer(&Request {
        method,
        path,
        query,
        head: head.to_lowercase(),
        body: String::from_utf8(body).unwrap(),
    });
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        response.status,
        response.body.len(),
        response.body
    )
}
