//! Sealing keys and the digest key: Secrets in the controller's own namespace, stored as Bitnami's controller stores
//! them, so that either controller can use the other's.

mod create;
mod digest;
mod document;
mod follow;
mod labelled;
mod native;
mod renew;
mod stored;

pub use digest::{DigestKey, digest_key};
pub use follow::{Follower, first_load};
pub use renew::KeyOrder;
pub(crate) use renew::{cutoff, pairs};

#[cfg(test)]
pub(crate) use stored::tests::secret as test_secret;
