//! The byte stream of one service over SSH, with its limits.

use std::future::Future;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use russh::ChannelMsg;
use tokio::runtime::{Builder, Runtime};

use super::client::{self, Connection, Plan};
use crate::transport::names::Names;
use crate::transport::pack::Scales;
use crate::transport::{Operation, Version, filter};
use crate::{SourceError, text};

/// Bytes sent to a service, as over HTTP.
const MAX_REQUEST_BYTES: usize = 64 << 20;
/// Bytes kept of what a service says on its standard error.
const MAX_WORDS: usize = 1 << 10;

/// A running service.
pub(in crate::transport) struct SshStream {
    operation: Arc<Operation>,
    runtime: Background,
    connection: Option<Connection>,
    /// Received and not yet read.
    pending: bytes::Bytes,
    /// For what may hold a pack.
    scales: Option<Box<Scales>>,
    /// Bytes of the list of refs that are still allowed.
    listing: u64,
    names: Names,
    sent: usize,
    /// What is wanted, until all of it is there: it is changed where files are left out.
    request: Vec<u8>,
    received: bool,
    /// What the service said on its standard error.
    words: Vec<u8>,
    status: Option<u32>,
}

/// Connects and starts `service`.
pub(in crate::transport) fn open(
    operation: Arc<Operation>,
    service: &str,
    version: Version,
) -> Result<SshStream, SourceError> {
    let (address, auth) = operation.ssh()?;
    let plan = Plan::new(address, auth)?;
    let address = address.clone();
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .map_err(|_| SourceError::Store("no thread can be started".into()))?;
    let limits = *operation.limits();
    let mut stream = SshStream {
        listing: limits.listing_bytes,
        names: Names::default(),
        operation,
        runtime: Background(Some(runtime)),
        connection: None,
        scales: (service == "git-upload-pack").then(|| Box::new(Scales::of(version))),
        pending: bytes::Bytes::new(),
        sent: 0,
        request: Vec::new(),
        received: false,
        words: Vec::new(),
        status: None,
    };
    let addresses = stream.wait(limits.connect, "name resolution", client::find(&address))??;
    // Each address may take the whole time for connections; all together what is left of the total.
    let socket = stream.wait(
        limits.total,
        "connection",
        client::connect(&addresses, limits.connect),
    )??;
    let begun = stream.wait(
        limits.read,
        "handshake",
        client::begin(plan, socket, service, version),
    )?;
    stream.connection = Some(begun?);
    Ok(stream)
}

impl SshStream {
    /// Runs `future` for at most `limit` and what is left of the total time.
    fn wait<T>(
        &self,
        limit: Duration,
        what: &'static str,
        future: impl Future<Output = T>,
    ) -> Result<T, SourceError> {
        wait(&self.runtime, &self.operation, limit, what, future)
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let silence = self.operation.limits().read;
        while self.pending.is_empty() {
            let Some(connection) = &mut self.connection else {
                return Ok(0);
            };
            let next = connection.channel.wait();
            match wait(&self.runtime, &self.operation, silence, "silence", next)? {
                Some(ChannelMsg::Data { data }) => {
                    self.count(data.len())?;
                    let data = self.named(data);
                    if let Some(scales) = &mut self.scales {
                        scales.weigh(&data, &self.operation)?;
                    }
                    self.received = true;
                    self.pending = data;
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let left = MAX_WORDS.saturating_sub(self.words.len());
                    self.words.extend_from_slice(&data[..data.len().min(left)]);
                    self.count(data.len())?;
                }
                Some(ChannelMsg::Failure) => {
                    return Err(SourceError::Ssh("the host refuses to run Git".into()));
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => self.status = Some(exit_status),
                Some(ChannelMsg::Close) | None => {
                    self.connection = None;
                    return self.end();
                }
                Some(_) => {}
            }
        }
        let length = buffer.len().min(self.pending.len());
        buffer[..length].copy_from_slice(&self.pending.split_to(length));
        Ok(length)
    }

    /// What comes before the first request names refs.
    fn named(&mut self, data: bytes::Bytes) -> bytes::Bytes {
        if self.sent > 0 {
            return data;
        }
        let mut all = vec![0; 3 + data.len()];
        let kept = self.names.resume(&mut all);
        all.truncate(kept + data.len());
        all[kept..].copy_from_slice(&data);
        let ready = self.names.clean(&mut all, false);
        all.truncate(ready);
        all.into()
    }

    /// What comes before the first request is the list of refs, what comes after it are packs.
    fn count(&mut self, bytes: usize) -> Result<(), SourceError> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.operation.count(bytes)?;
        if self.sent > 0 {
            return Ok(());
        }
        self.listing = self.listing.checked_sub(bytes).ok_or_else(|| {
            let limit = self.operation.limits().listing_bytes;
            SourceError::TooLarge(format!("a list of refs over {limit} bytes"))
        })?;
        Ok(())
    }

    /// The service has ended: well, or with words about why not.
    fn end(&self) -> Result<usize, SourceError> {
        if self.received && self.status.is_none_or(|status| status == 0) {
            return Ok(0);
        }
        let words = String::from_utf8_lossy(&self.words);
        let small = words.to_lowercase();
        let says = |parts: &[&str]| parts.iter().any(|part| small.contains(part));
        // GitHub, GitLab, Gitea and git itself, in this order.
        Err(
            if says(&[
                "repository not found",
                "could not be found",
                "cannot find repository",
                "does not appear to be a git",
            ]) {
                SourceError::NotFound
            } else if says(&["denied", "not allowed", "forbidden"]) {
                SourceError::Forbidden
            } else if words.trim().is_empty() {
                SourceError::NotGit("the service ended without a word".into())
            } else {
                SourceError::NotGit(crate::display_safe(text::bounded(words.trim(), 200)))
            },
        )
    }

    fn too_long(&mut self) -> io::Error {
        self.fail(SourceError::TooLarge(format!(
            "a request over {MAX_REQUEST_BYTES} bytes"
        )))
    }

    fn fail(&mut self, error: SourceError) -> io::Error {
        self.connection = None;
        self.pending = bytes::Bytes::new();
        // git2 turns this into a C string: our words, without NUL.
        io::Error::other(self.operation.fail(error).to_string().replace('\0', " "))
    }
}

fn wait<T>(
    runtime: &Background,
    operation: &Operation,
    limit: Duration,
    what: &'static str,
    future: impl Future<Output = T>,
) -> Result<T, SourceError> {
    let left = operation.remaining()?;
    let (limit, what) = if left < limit {
        (left, "total time")
    } else {
        (limit, what)
    };
    let Some(runtime) = &runtime.0 else {
        return Err(SourceError::Unreachable("the connection was closed".into()));
    };
    runtime
        .block_on(async { tokio::time::timeout(limit, future).await })
        .map_err(|_| SourceError::Timeout(what))
}

impl Read for SshStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_read(buffer).map_err(|error| self.fail(error))
    }
}

impl Write for SshStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.sent + bytes.len() > MAX_REQUEST_BYTES {
            return Err(self.too_long());
        }
        let Some(connection) = &self.connection else {
            let error = SourceError::Unreachable("the connection was closed".into());
            return Err(self.fail(error));
        };
        let mut sending = bytes::Bytes::copy_from_slice(bytes);
        if self.sent == 0 && self.operation.leaves_files() {
            self.request.extend_from_slice(bytes);
            match filter::without_files(&self.request) {
                Some(request) => sending = request.into(),
                None if self.request.len() > MAX_REQUEST_BYTES => return Err(self.too_long()),
                None => return Ok(bytes.len()),
            }
        }
        let send = connection.channel.data_bytes(sending);
        let sent = self
            .wait(self.operation.limits().read, "silence", send)
            .and_then(|sent| sent.map_err(|error| client::explain(&error)));
        match sent {
            Ok(()) => {
                self.sent += bytes.len();
                Ok(bytes.len())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A runtime that is not waited for when it goes: a name may still be looked up in it.
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
