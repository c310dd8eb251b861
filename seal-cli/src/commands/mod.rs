//! One file per command.

mod cert;
mod completions;
mod history;
mod man;
mod seal;
mod status;
mod sync;

pub(crate) use cert::CertArgs;
pub(crate) use completions::CompletionsArgs;
pub(crate) use history::HistoryArgs;
pub(crate) use man::ManArgs;
pub(crate) use seal::SealArgs;
pub(crate) use status::StatusArgs;
pub(crate) use sync::SyncArgs;
