//! A faulty road to the API server: TLS ends here, so every request is seen, and can be delayed, refused or cut off.
//!
//! Each connection has one of its own to the API server, and credentials pass through: a client has a bearer token, and
//! needs only this proxy's certificate authority. In front of it stands a [`Proxy`], which does what needs no HTTP: it
//! resets connections, or lets bytes go nowhere.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::proxy::Proxy;
use crate::{Cluster, ControllerOptions, tls};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is passed on later, and so is each piece of a watch's answer.
    Delay(Duration),
    /// It is answered with this status, and the API server does not learn of it.
    Refuse {
        /// The HTTP status.
        code: u16,
        /// Seconds for the header `Retry-After`.
        retry_after: Option<u32>,
    },
    /// A watch is answered as the API server does where it has forgotten what came after that resource version.
    Expire,
    /// It is answered as by an API server that has no streaming lists (KEP-3157), if it asks for one.
    NoStreaming,
    /// The connection ends, and the API server does not learn of the request.
    CutRequest,
    /// The API server acts on it, and the connection ends in the middle of the answer.
    CutAnswer,
}

/// A request, as a rule sees it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path.
    pub path: &'a str,
    /// What follows `?`.
    pub query: &'a str,
}

impl Asked<'_> {
    /// Whether the answer goes on for minutes.
    pub fn is_watch(&self) -> bool {
        self.query
            .split('&')
            .any(|part| matches!(part, "watch=true" | "watch=1"))
    }

    /// Whether it can change anything.
    pub fn writes(&self) -> bool {
        self.method != Method::GET
    }
}

type Rule = Box<dyn Fn(&Asked<'_>) -> Option<Fault> + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// A proxy in front of a cluster's API server.
pub struct FaultProxy {
    line: Proxy,
    authority: PathBuf,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    target: SocketAddr,
    connector: TlsConnector,
    rule: RwLock<Option<Rule>>,
    done: AtomicU64,
    /// Counts how often all watches were cut.
    cuts: watch::Sender<u64>,
}

impl FaultProxy {
    /// Starts one that passes everything on.
    pub async fn start(cluster: &Cluster) -> Self {
        let target = cluster
            .server()
            .strip_prefix("https://")
            .expect("an address with TLS");
        let shared = Arc::new(Shared {
            target: target.parse().expect("an address"),
            connector: connector(cluster),
            rule: RwLock::default(),
            done: AtomicU64::new(0),
            cuts: watch::Sender::new(0),
        });
        let (acceptor, certificate) = tls::acceptor();
        let authority = cluster.home().join("fault-proxy.crt");
        std::fs::write(&authority, certificate).expect("the certificate can be written");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let accepting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                    tokio::spawn(async move {
                        let _ = client.set_nodelay(true);
                        if let Ok(client) = acceptor.accept(client).await {
                            shared.serve(TokioIo::new(client)).await;
                        }
                    });
                }
            }
        });
        Self {
            line: Proxy::start(address).await,
            authority,
            shared,
            accepting,
        }
    }

    /// Leads a controller this way.
    pub fn lead(&self, options: &mut ControllerOptions) {
        options.server = Some(format!("https://{}", self.line.address()));
        options.authority = Some(self.authority.clone());
    }

    /// The line in front.
    pub fn line(&self) -> &Proxy {
        &self.line
    }

    /// From now on each request goes by this rule.
    pub fn set(&self, rule: impl Fn(&Asked<'_>) -> Option<Fault> + Send + Sync + 'static) {
        self.replace(Some(Box::new(rule)));
    }

    /// From now on everything is passed on.
    pub fn clear(&self) {
        self.replace(None);
    }

    /// Ends every answer that is a watch's, in the middle.
    pub fn cut_watches(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many requests had a fault so far.
    pub fn faults(&self) -> u64 {
        self.shared.done.load(Ordering::Relaxed)
    }

    fn replace(&self, rule: Option<Rule>) {
        *self.shared.rule.write().unwrap_or_else(PoisonError::into_inner) = rule;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    /// Serves one client's connection with one of its own to the API server.
    async fn serve(
        self: Arc<Self>,
        client: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    ) {
        let Some(server) = self.connect().await else {
            return;
        };
        let server = Arc::new(Mutex::new(server));
        let service = service_fn(move |request| {
            let (shared, server) = (Arc::clone(&self), Arc::clone(&server));
            async move { shared.answer(request, &server).await }
        });
        // However it ends, it is over.
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(client, service)
            .await;
    }

    async fn connect(&self) -> Option<SendRequest<Incoming>> {
        let server = TcpStream::connect(self.target).await.ok()?;
        let _ = server.set_nodelay(true);
        let name = ServerName::IpAddress(self.target.ip().into());
        let server = self.connector.connect(name, server).await.ok()?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(server))
            .await
            .ok()?;
        tokio::spawn(connection);
        Some(sender)
    }

    /// An error ends the client's connection without another word.
    async fn answer(
        &self,
        request: Request<Incoming>,
        server: &Mutex<SendRequest<Incoming>>,
    ) -> Result<Answer, io::Error> {
        let asked = Asked {
            method: request.method(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
        };
        let watched = asked.is_watch();
        let fault = {
            let rule = self.rule.read().unwrap_or_else(PoisonError::into_inner);
            rule.as_ref().and_then(|rule| rule(&asked))
        };
        if fault.is_some() {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        let mut delay = Duration::ZERO;
        match fault {
            Some(Fault::CutRequest) => return Err(cut_off()),
            Some(Fault::Refuse { code, retry_after }) => {
                // Not left in the connection, where it would stand for the next request.
                let _ = request.into_body().collect().await;
                return Ok(refusal(code, retry_after));
            }
            Some(Fault::Expire) => return Ok(expired()),
            Some(Fault::NoStreaming) if asked.query.contains("sendInitialEvents=true") => {
                return Ok(no_streaming());
            }
            Some(Fault::Delay(by)) => delay = by,
            Some(Fault::CutAnswer | Fault::NoStreaming) | None => {}
        }
        tokio::time::sleep(delay).await;
        // The watches of this connection are over only once they have begun.
        let cuts = watched.then(|| self.cuts.subscribe());
        let answer = server.lock().await.send_request(request).await;
        let answer = answer.map_err(io::Error::other)?;
        let cut = fault == Some(Fault::CutAnswer);
        Ok(answer.map(|body| pass(body, cuts, cut, if watched { delay } else { Duration::ZERO })))
    }
}

/// Passes an answer's body on, until it is to be cut.
fn pass(
    body: Incoming,
    cuts: Option<watch::Receiver<u64>>,
    cut: bool,
    delay: Duration,
) -> UnsyncBoxBody<Bytes, io::Error> {
    let pieces = body.into_data_stream().map_err(io::Error::other);
    let pieces = stream::unfold((pieces, cuts), move |(mut pieces, mut cuts)| async move {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let piece = {
            let changed = pin!(async {
                match &mut cuts {
                    Some(cuts) => cuts.changed().await.is_ok(),
                    None => std::future::pending().await,
                }
            });
            tokio::select! {
                biased;
                _ = changed => Some(Err(cut_off())),
                piece = pieces.next() => piece,
            }
        };
        let piece = piece?;
        // Half of what came, and never the end: a length that was announced is not kept.
        let piece = piece.map(|bytes| {
            if cut {
                bytes.slice(..bytes.len() / 2)
            } else {
                bytes
            }
        });
        Some((piece, (pieces, cuts)))
    });
    let end = stream::iter(cut.then(|| Err(cut_off())));
    let limit = if cut { 1 } else { usize::MAX };
    let frames = pieces.take(limit).chain(end).map_ok(Frame::data);
    StreamBody::new(frames).boxed_unsync()
}

fn cut_off() -> io::Error {
    io::Error::other("cut off by a test")
}

/// A load balancer, and the API server's own priority and fairness, refuse in plain text; the API server where it has an
/// opinion says so in an object.
fn refusal(code: u16, retry_after: Option<u32>) -> Answer {
    let code = StatusCode::from_u16(code).expect("an HTTP status");
    let mut answer = match code {
        StatusCode::FORBIDDEN => json(&status(code, "Forbidden")),
        StatusCode::GONE => json(&status(code, "Expired")),
        StatusCode::INTERNAL_SERVER_ERROR => json(&status(code, "InternalError")),
        _ => text(
            "Too many requests, please try again later.\n".to_owned(),
            "text/plain; charset=utf-8",
        ),
    };
    *answer.status_mut() = code;
    let retry_after = retry_after.map(|seconds| (RETRY_AFTER, seconds.into()));
    answer.headers_mut().extend(retry_after);
    answer
}

fn expired() -> Answer {
    json(&json!({"type": "ERROR", "object": status(StatusCode::GONE, "Expired")}))
}

/// As Kubernetes validates the options of a list where the feature gate is off.
fn no_streaming() -> Answer {
    let code = StatusCode::UNPROCESSABLE_ENTITY;
    let mut said = status(code, "Invalid");
    said["message"] = "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch \
                       unless the WatchList feature gate is enabled"
        .into();
    let mut answer = json(&said);
    *answer.status_mut() = code;
    answer
}

fn status(code: StatusCode, reason: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": "refused by a test",
    })
}

fn json(value: &Value) -> Answer {
    text(format!("{value}\n"), "application/json")
}

fn text(text: String, content_type: &'static str) -> Answer {
    let body = Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

fn connector(cluster: &Cluster) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(cluster.ca_file()).expect("the cluster's authority") {
        roots
            .add(certificate.expect("a certificate"))
            .expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("its versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}
