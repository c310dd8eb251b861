//! Sealing keys and the digest key: Secrets in the controller's own namespace, stored as Bitnami's controller stores
//! them, so that either controller can use the other's.

mod bar;
mod create;
mod digest;
mod document;
mod endorsed;
mod follow;
mod inventory;
mod labelled;
mod native;
mod planned;
mod renew;
mod retire;
mod stored;

pub(crate) use bar::bar;
pub use digest::{DigestKey, digest_key};
pub use follow::{Follower, first_load};
pub(crate) use inventory::{KeyFormat, KeySecret, inventory};
pub(crate) use labelled::KeyState;
pub(crate) use planned::{Planned, make_planned, take};
pub use renew::KeyOrder;
pub(crate) use renew::{cutoff, pairs};
pub(crate) use retire::{ArchiveError, Archived, archive, delete, is_gone, prove};

#[cfg(test)]
pub(crate) use stored::tests::secret as test_secret;
