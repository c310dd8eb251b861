//! One file per command.

mod adopt;
mod approve;
mod cert;
mod completions;
mod diff;
mod events;
mod history;
mod man;
mod plan;
mod rollback;
mod seal;
mod status;
mod suspend;
mod sync;
mod tree;
mod wait;

pub(crate) use adopt::AdoptArgs;
pub(crate) use approve::ApproveArgs;
pub(crate) use cert::CertArgs;
pub(crate) use completions::CompletionsArgs;
pub(crate) use diff::DiffArgs;
pub(crate) use events::EventsArgs;
pub(crate) use history::HistoryArgs;
pub(crate) use man::ManArgs;
pub(crate) use plan::PlanArgs;
pub(crate) use rollback::RollbackArgs;
pub(crate) use seal::SealArgs;
pub(crate) use status::StatusArgs;
pub(crate) use suspend::{ResumeArgs, SuspendArgs};
pub(crate) use sync::SyncArgs;
pub(crate) use tree::TreeArgs;
pub(crate) use wait::WaitArgs;
