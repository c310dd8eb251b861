//! A Git server on loopback: `git http-backend` below axum, with the manners of a bad network on request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::cgi;
use super::repo::Repo;

/// How far back somebody asks who wants to see more than what is new.
const LONG_HISTORY: &str = "deepen 50";

/// How the server treats requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It answers them.
    Serving,
    /// It takes them and says nothing until the mood changes.
    Stalled,
    /// It answers 503.
    Unavailable,
    /// It answers who wants a few commits. Who wants [`LONG_HISTORY`] is sent a byte every half second, without an end.
    Dripping,
}

/// A Git server and the directory it serves.
#[derive(Debug)]
pub struct GitServer {
    address: SocketAddr,
    home: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    login: Mutex<Option<String>>,
    mood: watch::Sender<Mood>,
    requests: Mutex<Vec<String>>,
    /// Paths of requests that were answered with a pack.
    packs: Mutex<Vec<String>>,
    /// Paths of requests that were answered a byte at a time.
    dripped: Mutex<Vec<String>>,
    /// The credentials that came with requests, as the header has them.
    given: Mutex<Vec<String>>,
}

impl Shared {
    fn new(home: &Path) -> Arc<Self> {
        let root = home.join("remotes");
        std::fs::create_dir_all(&root).expect("a directory for the remotes");
        Arc::new(Self {
            root,
            login: Mutex::default(),
            mood: watch::Sender::new(Mood::Serving),
            requests: Mutex::default(),
            packs: Mutex::default(),
            dripped: Mutex::default(),
            given: Mutex::default(),
        })
    }
}

impl GitServer {
    /// Starts a server on a free loopback port. Remotes and clones are kept below `home`.
    pub async fn start(home: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::serve(home, listener)
    }

    /// One that another process runs on the same directory.
    pub fn at(home: &Path, address: SocketAddr) -> Self {
        Self {
            address,
            home: home.to_owned(),
            shared: Shared::new(home),
        }
    }

    fn serve(home: &Path, listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("its address");
        let shared = Shared::new(home);
        let router = axum::Router::new()
            .fallback(any(answer))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            home: home.to_owned(),
            shared,
        }
    }

    /// Makes an empty repository. The name is the last part of its address, before `.git`.
    pub fn repository(&self, name: &str) -> Repo {
        Repo::create(
            format!("http://{}/{name}.git", self.address),
            self.shared.root.join(format!("{name}.git")),
            self.home.join("clones").join(name),
        )
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how requests are treated, those that wait too.
    pub fn set_mood(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }

    /// From now on, only this user gets in.
    pub fn require_login(&self, user: &str, password: &str) {
        let login = STANDARD.encode(format!("{user}:{password}"));
        *lock(&self.shared.login) = Some(format!("Basic {login}"));
    }

    /// Whether some request so far came with these credentials.
    pub fn was_given(&self, user: &str, password: &str) -> bool {
        let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        lock(&self.shared.given).contains(&login)
    }

    /// Every request so far that names this repository, as `METHOD path?query`.
    pub fn requests(&self, repo: &Repo) -> Vec<String> {
        let name = repo.bare().file_name().expect("a name").to_string_lossy();
        let wanted = format!(" /{name}/");
        lock(&self.shared.requests)
            .iter()
            .filter(|line| line.contains(&wanted))
            .cloned()
            .collect()
    }
}

impl GitServer {
    /// Packs of this repository that were sent so far. A fetch is one of them, and two or more requests: where history ends and
    /// what both have is agreed on before (gitprotocol-http(5)).
    pub fn packs(&self, repo: &Repo) -> usize {
        count(&self.shared.packs, repo)
    }

    /// Requests of this repository so far that are answered without an end: see [`Mood::Dripping`].
    pub fn dripped(&self, repo: &Repo) -> usize {
        count(&self.shared.dripped, repo)
    }
}

fn count(paths: &Mutex<Vec<String>>, repo: &Repo) -> usize {
    let name = repo.bare().file_name().expect("a name").to_string_lossy();
    let wanted = format!("/{name}/");
    lock(paths)
        .iter()
        .filter(|path| path.starts_with(&wanted))
        .count()
}

/// Notes whether a request is the last one of a negotiation, which a pack is the answer to.
fn note(shared: &Shared, path: &str, body: &[u8]) {
    if path.ends_with("/git-upload-pack") && body.ends_with(b"0009done\n") {
        lock(&shared.packs).push(path.to_owned());
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    lock(&shared.requests).push(format!("{} {}", request.method(), request.uri()));
    let mut moods = shared.mood.subscribe();
    let mood = moods
        .wait_for(|mood| *mood != Mood::Stalled)
        .await
        .map(|mood| *mood);
    if !matches!(mood, Ok(Mood::Serving | Mood::Dripping)) {
        return (StatusCode::SERVICE_UNAVAILABLE, "down for maintenance\n").into_response();
    }
    let login = lock(&shared.login).clone();
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if let Some(given) = given {
        lock(&shared.given).push(given.to_owned());
    }
    if login.as_deref().is_some_and(|login| given != Some(login)) {
        let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"git\"")];
        return (StatusCode::UNAUTHORIZED, challenge, Body::empty()).into_response();
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    note(&shared, parts.uri.path(), &body);
    let is_long = || {
        body.windows(LONG_HISTORY.len())
            .any(|part| part == LONG_HISTORY.as_bytes())
    };
    if matches!(mood, Ok(Mood::Dripping)) && is_long() {
        lock(&shared.dripped).push(parts.uri.path().to_owned());
        return drip();
    }
    let request = Request::from_parts(parts, body.into());
    cgi::run(&shared.root, request)
        .await
        .unwrap_or_else(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response())
}

/// The beginning of a packet that never ends.
fn drip() -> Response {
    let bytes = futures::stream::unfold("fff0", |begun| async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (now, later) = if begun.is_empty() {
            (".", "")
        } else {
            begun.split_at(1)
        };
        Some((Ok::<_, Infallible>(now), later))
    });
    let kind = [(CONTENT_TYPE, "application/x-git-upload-pack-result")];
    (kind, Body::from_stream(bytes)).into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
