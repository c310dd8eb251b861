//! Git's smart protocol for libgit2: over HTTP, spoken by ureq and rustls, and over SSH, spoken by russh.
//!
//! libgit2 chooses a transport by URL scheme and gives its factory nothing but the URL. So each call
//! of this crate is an [`Operation`] in a table, and libgit2 sees `signet://<number>/`: no real
//! address and no credential ever enters libgit2, hence none can be in its messages.

mod address;
mod filter;
mod http;
mod names;
mod objects;
mod offer;
mod operation;
mod pack;
mod proxy;
mod ssh;
mod stream;
mod tls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{Error, ErrorClass, ErrorCode};

pub(crate) use http::{Asked, ask};
pub(crate) use objects::objects;
pub(crate) use operation::Operation;
pub(crate) use ssh::private_key;

const SCHEME: &str = "signet";

/// Which version of Git's protocol is spoken: libgit2 knows but the first (gitprotocol-v2(5)).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Zero,
    Two,
}

/// Adds our scheme to libgit2.
///
/// # Safety
/// As [`git2::transport::register`]: nothing else may use libgit2's transports meanwhile.
#[allow(
    unsafe_code,
    reason = "called by init::settings only, which says why it is sound"
)]
pub(crate) unsafe fn register() -> Result<(), Error> {
    let factory = |remote: &git2::Remote<'_>| {
        let number = remote.url().ok().and_then(number_of);
        let operation = number.and_then(|number| table(|map| map.get(&number).cloned()));
        let Some(operation) = operation else {
            return Err(error("the operation has ended"));
        };
        let stateless = !operation.is_ssh();
        let subtransport = Subtransport {
            operation,
            scales: Arc::default(),
        };
        Transport::smart(remote, stateless, subtransport)
    };
    // SAFETY: the caller keeps the contract.
    unsafe { git2::transport::register(SCHEME, factory) }
}

/// An operation's place in the table; dropping it ends the operation.
pub(crate) struct Registered {
    number: u64,
    operation: Arc<Operation>,
}

impl Registered {
    pub(crate) fn new(operation: Operation) -> Self {
        let operation = Arc::new(operation);
        let number = table(|map| {
            // Numbers need not be unguessable: only this process looks them up.
            let number = map.keys().max().map_or(1, |last| last + 1);
            map.insert(number, Arc::clone(&operation));
            number
        });
        Self { number, operation }
    }

    pub(crate) fn url(&self) -> String {
        format!("{SCHEME}://{}/", self.number)
    }

    pub(crate) fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        table(|map| map.remove(&self.number));
    }
}

/// One connection: libgit2 makes one for each, with a buffer of its own.
struct Subtransport {
    operation: Arc<Operation>,
    /// Over HTTP; a stream over SSH has its own, since there is but one.
    scales: Arc<Mutex<pack::Scales>>,
}

impl SmartSubtransport for Subtransport {
    fn action(&self, _url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let operation = Arc::clone(&self.operation);
        if operation.is_ssh() {
            // One connection and one stream for both halves of a service.
            let service = match service {
                Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
                Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
            };
            return match ssh::open(operation, service, Version::Zero) {
                Ok(stream) => Ok(Box::new(stream)),
                Err(failure) => Err(error(&self.operation.fail(failure).to_string())),
            };
        }
        let scales = Some(Arc::clone(&self.scales));
        let stream = match service {
            Service::UploadPackLs => http::advertisement(operation, "git-upload-pack", scales),
            Service::UploadPack => Ok(http::exchange(
                operation,
                "git-upload-pack",
                Version::Zero,
                scales,
            )),
            // Nothing is unpacked of what comes back from a push.
            Service::ReceivePackLs => http::advertisement(operation, "git-receive-pack", None),
            Service::ReceivePack => Ok(http::exchange(operation, "git-receive-pack", Version::Zero, None)),
        };
        match stream {
            Ok(stream) => Ok(Box::new(stream)),
            Err(failure) => Err(error(&self.operation.fail(failure).to_string())),
        }
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

type Table = HashMap<u64, Arc<Operation>>;

fn table<T>(with: impl FnOnce(&mut Table) -> T) -> T {
    static TABLE: OnceLock<Mutex<Table>> = OnceLock::new();
    // A panic elsewhere leaves the map whole: every change is one call.
    with(
        &mut TABLE
            .get_or_init(Mutex::default)
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    )
}

fn number_of(url: &str) -> Option<u64> {
    url.strip_prefix(SCHEME)?
        .strip_prefix("://")?
        .trim_end_matches('/')
        .parse()
        .ok()
}

fn error(message: &str) -> Error {
    Error::new(ErrorCode::GenericError, ErrorClass::Net, message)
}
