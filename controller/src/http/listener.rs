//! A listener with limits: `axum::serve` has none, and a client that sends one byte a minute would stay for ever.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use crate::shutdown::Shutdown;

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS: usize = 512;
/// For a request's whole head to arrive.
const HEAD: Duration = Duration::from_secs(10);
/// After this long a connection ends with the answer under way, and soon after that in any case.
const LIFE: Duration = Duration::from_mins(1);
const LAST_ANSWER: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 << 10;

/// A bound address.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds. Port 0 takes a free one: see [`Listener::address`].
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The actual address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers requests until the controller stops.
pub async fn serve(listener: Listener, router: Router, shutdown: Shutdown) {
    let talk = move |stream, shutdown| connection(stream, router.clone(), shutdown);
    accept_all(listener, shutdown, talk).await;
}

/// The same over TLS.
pub async fn serve_tls(listener: Listener, router: Router, tls: Arc<ServerConfig>, shutdown: Shutdown) {
    let acceptor = TlsAcceptor::from(tls);
    let talk = move |stream, shutdown| {
        let (acceptor, router) = (acceptor.clone(), router.clone());
        async move {
            // An error here is the client's, or there is no certificate yet.
            if let Ok(Ok(stream)) = timeout(HEAD, acceptor.accept(stream)).await {
                connection(stream, router, shutdown).await;
            }
        }
    };
    accept_all(listener, shutdown, talk).await;
}

async fn accept_all<F>(listener: Listener, shutdown: Shutdown, talk: impl Fn(TcpStream, Shutdown) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = shutdown.requested() => return,
            accepted = accept(&listener.socket, &slots) => accepted,
        };
        match accepted {
            Some((stream, slot)) => {
                let _ = stream.set_nodelay(true);
                let talk = talk(stream, shutdown.clone());
                tokio::spawn(async move {
                    talk.await;
                    drop(slot);
                });
            }
            // Mostly "too many open files": it passes.
            None => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn accept(
    socket: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match socket.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            debug!(%error, "a connection could not be accepted");
            None
        }
    }
}

async fn connection<S>(stream: S, router: Router, shutdown: Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            .max_headers(64)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    tokio::select! {
        // An error here is the client's: gone, too slow, or not HTTP.
        _ = connection.as_mut() => return,
        () = sleep(LIFE) => {}
        () = shutdown.requested() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_ANSWER, connection).await;
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Listener, serve};
    use crate::calm::Calm;
    use crate::config::Config;
    use crate::events::Events;
    use crate::http::{metrics, public};
    use crate::metrics::Metrics;
    use crate::ready::Readiness;
    use crate::repository::Heads;
    use crate::shutdown;
    use crate::webhook::Webhooks;
    use clap::Parser;
    use sealing::{KeyRing, PrivateKey, SealingKey, SelfSigned};
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::watch;

    async fn start(router: axum::Router) -> (SocketAddr, shutdown::Trigger) {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.address();
        let (trigger, shutdown) = shutdown::channel();
        tokio::spawn(serve(listener, router, shutdown));
        (address, trigger)
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn open(keys: watch::Receiver<Arc<KeyRing>>, readiness: Readiness) -> axum::Router {
        let config = Config::try_parse_from(["signet-controller"]).unwrap();
        let metrics = Arc::new(Metrics::new(false));
        public(keys, readiness, Arc::clone(&metrics), nobody(metrics), &config)
    }

    /// Webhooks without a Repository: an API server is never asked.
    pub(in crate::http) fn nobody(metrics: Arc<Metrics>) -> Webhooks {
        let nowhere = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let client = crate::client::build(nowhere, crate::leader::Fence::new("signet-system")).unwrap();
        let (_, shutdown) = shutdown::channel();
        let events = Events::start(client.clone(), "test", Calm::default(), shutdown);
        Webhooks::new(client, Heads::default(), events, metrics)
    }

    fn ring() -> KeyRing {
        let key = PrivateKey::generate(2048).unwrap();
        let certificate = SelfSigned::new(SystemTime::now(), Duration::from_hours(1))
            .sign(&key)
            .unwrap();
        KeyRing::new([SealingKey::new(key, certificate).unwrap()])
    }

    #[tokio::test]
    async fn the_certificate_comes_with_the_key() {
        let (keys, receiver) = watch::channel(Arc::new(KeyRing::new([])));
        let (address, _trigger) = start(open(receiver, Readiness::default())).await;
        let answer = get(address, "/v1/cert.pem").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        keys.send_replace(Arc::new(ring()));
        let answer = get(address, "/v1/cert.pem").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(
            answer.contains("content-type: application/x-pem-file"),
            "{answer}"
        );
        assert!(answer.contains("-----BEGIN CERTIFICATE-----"), "{answer}");
        assert!(!answer.to_lowercase().contains("server:"), "{answer}");
    }

    #[tokio::test]
    async fn health_readiness_and_nothing_else() {
        let readiness = Readiness::default();
        let gate = readiness.gate("the sealing keys");
        let (_keys, receiver) = watch::channel(Arc::new(KeyRing::new([])));
        let (address, _trigger) = start(open(receiver, readiness)).await;
        assert!(get(address, "/healthz").await.ends_with("ok\n"));
        let answer = get(address, "/readyz").await;
        assert!(
            answer.starts_with("HTTP/1.1 503") && answer.contains("the sealing keys"),
            "{answer}"
        );
        gate.open();
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        for path in ["/", "/metrics", "/v1/verify", "/v1/rotate", "/v1/cert.pem/x"] {
            assert!(get(address, path).await.starts_with("HTTP/1.1 404"), "{path}");
        }
    }

    #[tokio::test]
    async fn metrics_are_on_their_own() {
        let (address, _trigger) = start(metrics(Arc::new(Metrics::new(false)), Readiness::default())).await;
        let answer = get(address, "/metrics").await;
        assert!(answer.contains("application/openmetrics-text"), "{answer}");
        assert!(answer.trim_end().ends_with("# EOF"), "{answer}");
        assert!(get(address, "/v1/cert.pem").await.starts_with("HTTP/1.1 404"));
        // The kubelet asks here.
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_slow_client_is_cut_off_and_a_large_head_refused() {
        let (address, _trigger) = start(metrics(Arc::new(Metrics::new(false)), Readiness::default())).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let big = format!(
            "GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "y".repeat(64 << 10)
        );
        let _ = stream.write_all(big.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(
            !answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer)
        );

        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET /met").await.unwrap();
        let started = std::time::Instant::now();
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut rest))
            .await
            .unwrap();
        assert!(started.elapsed() > Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a_slow_body_is_cut_off_and_keeps_nobody_waiting() {
        let (_keys, receiver) = watch::channel(Arc::new(KeyRing::new([])));
        let (address, _trigger) = start(open(receiver, Readiness::default())).await;
        let head = |length: usize| {
            format!(
                "POST /v1/hooks/shop/push HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
            )
        };
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(head(1000).as_bytes()).await.unwrap();
        let (mut answers, mut bytes) = slow.into_split();
        let drip = tokio::spawn(async move {
            // Until it is hung up on.
            while bytes.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let mut other = TcpStream::connect(address).await.unwrap();
        let request = format!("{}{{}}", head(2));
        other.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(!drip.is_finished(), "the other one was not waited for");

        let mut answer = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(20), answers.read_exact(&mut answer));
        read.await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
        let ended = tokio::time::timeout(Duration::from_secs(20), drip).await;
        ended.expect("it is hung up on").unwrap();
    }

    #[tokio::test]
    async fn idle_connections_do_not_hold_up_the_end() {
        let (address, trigger) = start(metrics(Arc::new(Metrics::new(false)), Readiness::default())).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        trigger.fire();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(2), idle.read_to_end(&mut rest)).await;
        assert!(closed.is_ok());
    }
}
