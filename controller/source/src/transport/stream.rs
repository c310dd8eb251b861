//! The byte stream that libgit2 reads and writes, with its limits.

use std::io::{self, Read, Write};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use ureq::BodyReader;

use super::names::Names;
use super::pack::Scales;
use super::{Operation, Version, filter, http};
use crate::SourceError;

/// Bytes of one request body: a negotiation takes kilobytes, a push of manifests little more.
const MAX_REQUEST_BYTES: usize = 64 << 20;

/// What is awaited. All of it counts against the bytes of the operation.
pub(super) enum Awaited {
    /// The list of refs, which has a bound of its own.
    Listing {
        /// Bytes still allowed.
        left: u64,
        names: Names,
    },
    Packs,
}

/// The scales of a connection, which has a stream for each of its requests. None: no pack is awaited.
pub(super) type Shared = Option<Arc<Mutex<Scales>>>;

/// One request and its answer.
pub(super) struct Stream {
    operation: Arc<Operation>,
    awaited: Awaited,
    scales: Shared,
    state: State,
}

enum State {
    /// Collects the request body.
    Writing {
        service: &'static str,
        version: Version,
        body: Vec<u8>,
    },
    Reading(BodyReader<'static>),
    /// After a failure, which the operation remembers.
    Failed,
}

impl Stream {
    pub(super) fn reading(
        operation: Arc<Operation>,
        body: BodyReader<'static>,
        awaited: Awaited,
        scales: Shared,
    ) -> Self {
        Self {
            operation,
            awaited,
            scales,
            state: State::Reading(body),
        }
    }

    pub(super) fn writing(
        operation: Arc<Operation>,
        service: &'static str,
        version: Version,
        scales: Shared,
    ) -> Self {
        Self {
            operation,
            awaited: Awaited::Packs,
            scales,
            state: State::Writing {
                service,
                version,
                body: Vec::new(),
            },
        }
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        if let State::Writing {
            service,
            version,
            body,
        } = &mut self.state
        {
            let (service, version, mut body) = (*service, *version, mem::take(body));
            if version == Version::Zero && self.operation.leaves_files() {
                body = filter::without_files(&body).unwrap_or(body);
            }
            self.state = State::Reading(http::post(&self.operation, service, version, &body)?);
        }
        let State::Reading(body) = &mut self.state else {
            return Err(SourceError::Unreachable("the connection was closed".into()));
        };
        // ureq bounds the body by the time set for its request; this bounds a remote that drips
        // while libgit2 works.
        let read = loop {
            self.operation.remaining()?;
            let kept = match &mut self.awaited {
                Awaited::Listing { names, .. } => names.resume(buffer),
                Awaited::Packs => 0,
            };
            let read = body
                .read(&mut buffer[kept..])
                .map_err(|error| http::explain_io(&error))?;
            let bytes = u64::try_from(read).unwrap_or(u64::MAX);
            self.operation.count(bytes)?;
            let Awaited::Listing { left, names } = &mut self.awaited else {
                break read;
            };
            *left = left.checked_sub(bytes).ok_or_else(|| {
                let limit = self.operation.limits().listing_bytes;
                SourceError::TooLarge(format!("a list of refs over {limit} bytes"))
            })?;
            let ready = names.clean(&mut buffer[..kept + read], read == 0);
            if ready > 0 || read == 0 {
                break ready;
            }
        };
        if let Some(scales) = &self.scales {
            let mut scales = scales.lock().unwrap_or_else(PoisonError::into_inner);
            scales.weigh(&buffer[..read], &self.operation)?;
        }
        Ok(read)
    }

    fn fail(&mut self, error: SourceError) -> io::Error {
        self.state = State::Failed;
        // git2 turns this into a C string: our words, without NUL.
        io::Error::other(self.operation.fail(error).to_string().replace('\0', " "))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_read(buffer).map_err(|error| self.fail(error))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let State::Writing { body, .. } = &mut self.state
            && body.len() + bytes.len() <= MAX_REQUEST_BYTES
        {
            body.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        Err(self.fail(SourceError::TooLarge(format!(
            "a request over {MAX_REQUEST_BYTES} bytes"
        ))))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
