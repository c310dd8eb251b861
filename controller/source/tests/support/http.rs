//! A small HTTP server in front of `git http-backend`, which can also misbehave.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::{repo, tls};

/// What the server does with a request.
#[derive(Clone)]
pub enum Mode {
    /// Serves git.
    Good,
    /// Serves git to whoever sends this `Authorization` header, answers 401 to others.
    Guarded(String),
    /// Sends this, whatever is asked, and closes.
    Canned(Vec<u8>),
    /// Takes the request and says nothing.
    Silent,
    /// Sends a correct header, then one byte each 20 ms, for ever.
    Dripping,
    /// Sends a correct header, then refs without end.
    Endless,
    /// Serves git as a server that cannot do shallow fetches.
    NoShallow,
    /// Serves git as a server that leaves no files out.
    NoFilter,
    /// Serves git as a server that knows version 0 of the protocol alone.
    NoVersion2,
    /// Serves git, but the answers in version 2 of the protocol are this.
    CannedVersion2(Vec<u8>),
    /// Serves git, but the answers to `POST` are this.
    CannedPost(Vec<u8>),
    /// The same as a server that has deltas name their bases by id.
    CannedNamed(Vec<u8>),
    /// The same, with these bytes behind the list of refs.
    CannedBehind(Vec<u8>, Vec<u8>),
}

/// A running server; it ends with the test process.
pub struct Server {
    pub port: u16,
    tls: bool,
    mode: Arc<Mutex<Mode>>,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// A request as it came.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Server {
    /// Serves the repositories below `root`.
    pub fn start(root: &Path, mode: Mode) -> Self {
        Self::run(root, mode, None)
    }

    /// The same over TLS.
    pub fn start_tls(root: &Path, mode: Mode, identity: &tls::Identity) -> Self {
        Self::run(root, mode, Some(identity.server_config()))
    }

    /// The same for clients with a certificate.
    pub fn start_mutual(root: &Path, mode: Mode, identity: &tls::Identity) -> Self {
        Self::run(root, mode, Some(identity.mutual_config()))
    }

    fn run(root: &Path, mode: Mode, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(Mutex::new(mode));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let server = Self {
            port,
            tls: tls.is_some(),
            mode: mode.clone(),
            requests: requests.clone(),
        };
        let root = root.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (root, mode, requests, tls) = (root.clone(), mode.clone(), requests.clone(), tls.clone());
                // Clients hang up in the middle here: that is what is tested.
                thread::spawn(move || {
                    stream.and_then(|stream| connection(stream, tls, &root, &mode, &requests))
                });
            }
        });
        server
    }

    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}/repo.git", self.port)
    }

    pub fn remote(&self) -> source::Remote {
        let mut remote = source::Remote::new(self.url());
        remote.limits.connect = Duration::from_secs(5);
        remote.limits.total = Duration::from_secs(30);
        remote
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn connection(
    tcp: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    root: &Path,
    mode: &Mutex<Mode>,
    requests: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(tcp),
        Some(config) => {
            let session = rustls::ServerConnection::new(config).map_err(io::Error::other)?;
            Box::new(rustls::StreamOwned::new(session, tcp))
        }
    };
    let mut stream = BufReader::new(stream);
    // Keep-alive: until the client hangs up.
    while let Some(request) = read_request(&mut stream)? {
        requests.lock().unwrap().push(request.clone());
        let mode = mode.lock().unwrap().clone();
        if !answer(stream.get_mut(), &request, &mode, root)? {
            break;
        }
    }
    Ok(())
}

fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((key, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((key.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        target,
        headers,
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    request.body = vec![0; length];
    stream.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// Whether the connection stays open.
fn answer(stream: &mut dyn Stream, request: &Request, mode: &Mode, root: &Path) -> io::Result<bool> {
    let refs = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n";
    let endless = |stream: &mut dyn Stream, chunk: &[u8], pause: Duration| -> io::Result<bool> {
        stream.write_all(refs.as_bytes())?;
        stream.write_all(b"001e# service=git-upload-pack\n0000")?;
        loop {
            stream.write_all(chunk)?;
            stream.flush()?;
            thread::sleep(pause);
        }
    };
    match mode {
        Mode::Good => git(stream, request, root, "", &[]),
        Mode::NoShallow => git(stream, request, root, " shallow ", &[]),
        Mode::NoFilter => git(stream, request, root, " filter ", &[]),
        Mode::NoVersion2 => {
            let mut request = request.clone();
            request.headers.retain(|(key, _)| key != "git-protocol");
            git(stream, &request, root, "", &[])
        }
        Mode::Guarded(expected) if request.header("authorization") == Some(expected) => {
            git(stream, request, root, "", &[])
        }
        Mode::Guarded(_) => {
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes())?;
            Ok(true)
        }
        Mode::CannedVersion2(_) if request.header("git-protocol").is_none() => {
            git(stream, request, root, "", &[])
        }
        Mode::CannedPost(_) if request.method == "GET" => git(stream, request, root, "", &[]),
        Mode::CannedNamed(_) if request.method == "GET" => git(stream, request, root, " ofs-delta ", &[]),
        Mode::CannedBehind(behind, _) if request.method == "GET" => git(stream, request, root, "", behind),
        Mode::Canned(bytes)
        | Mode::CannedPost(bytes)
        | Mode::CannedNamed(bytes)
        | Mode::CannedVersion2(bytes)
        | Mode::CannedBehind(_, bytes) => {
            stream.write_all(bytes)?;
            stream.flush()?;
            Ok(false)
        }
        Mode::Silent => {
            thread::sleep(Duration::from_mins(1));
            Ok(false)
        }
        Mode::Dripping => endless(stream, b"1", Duration::from_millis(20)),
        Mode::Endless => {
            let line = format!("0041{} refs/heads/branch-x\n", "a".repeat(40));
            endless(stream, line.repeat(500).as_bytes(), Duration::ZERO)
        }
    }
}

/// Runs `git http-backend` as CGI (RFC 3875) and hands its answer on, without the offer of what is `hidden`, and with
/// `behind` at its end.
fn git(
    stream: &mut dyn Stream,
    request: &Request,
    root: &Path,
    hidden: &str,
    behind: &[u8],
) -> io::Result<bool> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut child = repo::command(root)
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", PathBuf::from(root))
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", request.header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .envs(
            request
                .header("git-protocol")
                .map(|version| ("HTTP_GIT_PROTOCOL", version)),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (mut stdin, body) = (child.stdin.take().unwrap(), request.body.clone());
    let feeder = thread::spawn(move || stdin.write_all(&body));
    let output = child.wait_with_output()?;
    let _ = feeder.join();
    let split = output
        .stdout
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or(0);
    let headers = String::from_utf8_lossy(&output.stdout[..split]).into_owned();
    let mut body = output.stdout.get(split + 4..).unwrap_or_default().to_vec();
    let found = |window: &[u8]| !hidden.is_empty() && window == hidden.as_bytes();
    if let Some(at) = body.windows(hidden.len().max(1)).position(found) {
        // A capability that nobody knows, of the same length.
        body[at + 1] = b'x';
    }
    body.extend_from_slice(behind);
    let status = headers
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len())?;
    for line in headers.lines().filter(|line| !line.starts_with("Status:")) {
        write!(stream, "{line}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(&body)?;
    stream.flush()?;
    Ok(true)
}
