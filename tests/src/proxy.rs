//! A TCP proxy that can be cut: between the controller and the API server, or between the controller and Git.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to connections, those that are open too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Bytes pass.
    Open,
    /// Bytes go nowhere, and nobody is told: a network that drops packets.
    Silent,
    /// Every connection is reset, new ones at once: a process that is gone.
    Reset,
}

/// A proxy on a free loopback port.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of `target`.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (line, state) = watch::channel(Line::Open);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, target, state.clone()));
            }
        });
        Self {
            address,
            line,
            accepting,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts or restores.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(client: TcpStream, target: SocketAddr, mut state: watch::Receiver<Line>) {
    // A connection made while the line is silent gets through once it opens, as a retransmitted SYN would.
    let open = state
        .wait_for(|line| *line != Line::Silent)
        .await
        .map(|line| *line);
    let server = match open {
        Ok(Line::Open) => TcpStream::connect(target).await.ok(),
        _ => None,
    };
    let Some(server) = server else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let back = tokio::spawn(pump(from_server, to_client, state.clone()));
    pump(from_client, to_server, state).await;
    back.abort();
}

/// Copies one direction, until the line is reset or either side ends.
async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut state: watch::Receiver<Line>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = tokio::select! {
            biased;
            () = reset(&mut state) => {
                // No FIN, but a RST, which is what a peer sees of a process that is gone.
                let _ = (from.as_ref().set_zero_linger(), to.as_ref().set_zero_linger());
                to.forget();
                return;
            }
            count = from.read(&mut buffer) => count.unwrap_or(0),
        };
        // Held back while the line is silent; lost if it is reset after that.
        let open = state
            .wait_for(|line| *line != Line::Silent)
            .await
            .map(|line| *line);
        if count == 0 || !matches!(open, Ok(Line::Open)) || to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}

async fn reset(state: &mut watch::Receiver<Line>) {
    if state.wait_for(|line| *line == Line::Reset).await.is_err() {
        std::future::pending::<()>().await; // the proxy is gone, and with it whoever could reset the line
    }
}
