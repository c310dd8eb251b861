//! The byte stream that libgit2 reads and writes, with its limits.

use std::io::{self, Read, Write};
use std::mem;
use std::sync::Arc;

use ureq::BodyReader;

use super::pack::Scales;
use super::{Operation, http};
use crate::SourceError;

/// Bytes of one request body: a negotiation takes kilobytes, a push of manifests little more.
const MAX_REQUEST_BYTES: usize = 64 << 20;

/// What received bytes are counted against.
pub(super) enum Budget {
    /// The list of refs; on its own.
    Listing {
        /// Bytes still allowed.
        left: u64,
    },
    /// Packs; all streams of the operation together.
    Packs,
}

/// One request and its answer.
pub(super) struct Stream {
    operation: Arc<Operation>,
    budget: Budget,
    state: State,
}

enum State {
    /// Collects the request body.
    Writing { service: &'static str, body: Vec<u8> },
    Reading {
        body: BodyReader<'static>,
        /// For what may hold a pack.
        scales: Option<Box<Scales>>,
    },
    /// After a failure, which the operation remembers.
    Failed,
}

impl Stream {
    pub(super) fn reading(operation: Arc<Operation>, body: BodyReader<'static>, budget: Budget) -> Self {
        Self {
            operation,
            budget,
            state: State::Reading { body, scales: None },
        }
    }

    pub(super) fn writing(operation: Arc<Operation>, service: &'static str) -> Self {
        Self {
            operation,
            budget: Budget::Packs,
            state: State::Writing {
                service,
                body: Vec::new(),
            },
        }
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        if let State::Writing { service, body } = &mut self.state {
            let (service, body) = (*service, mem::take(body));
            let reader = http::post(&self.operation, service, &body)?;
            self.state = State::Reading {
                scales: (service == "git-upload-pack").then(Box::default),
                body: reader,
            };
        }
        let State::Reading { body, scales } = &mut self.state else {
            return Err(SourceError::Unreachable("the connection was closed".into()));
        };
        // ureq bounds the body by the time set for its request; this bounds a remote that drips
        // while libgit2 works.
        self.operation.remaining()?;
        let read = body.read(buffer).map_err(|error| http::explain_io(&error))?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        match &mut self.budget {
            Budget::Packs => self.operation.count(bytes)?,
            Budget::Listing { left } => {
                *left = left.checked_sub(bytes).ok_or_else(|| {
                    let limit = self.operation.limits().listing_bytes;
                    SourceError::TooLarge(format!("a list of refs over {limit} bytes"))
                })?;
            }
        }
        if let Some(scales) = scales {
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
