//! Format v2, Signet's own: one data key an object, inside one age file; values under AES-256-GCM, bound to scope, place,
//! key name, template and recipients. `docs/sealed-format.md` is its specification.
//!
//! ```
//! use sealing::v2::{Identities, Identity, Recipients, SealedSecret, Suite, seal_secret};
//! use sealing::SealOptions;
//! use serde_json::json;
//!
//! let identity = Identity::generate(Suite::MlKem768X25519)?;
//! let recipients = Recipients::new([identity.recipient().clone()])?;
//! let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "team-a"},
//!     "stringData": {"password": "hunter2"}});
//!
//! let object = seal_secret(&secret, &recipients, SealOptions::default())?.to_value();
//!
//! let sealed = SealedSecret::parse(&object).map_err(|problems| problems[0].clone())?;
//! let identities = Identities::new([identity]);
//! let opened = sealed.open(&identities, "team-a").map_err(|problems| problems[0].clone())?;
//! assert_eq!(opened.data()["password"].expose(), b"hunter2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it promises is confidentiality and placement. It does not say who sealed: whoever has the public key and may write
//! to the repository can replace a value, or bring back an older one. That is what verified commits are for.

mod age_file;
mod bech32_text;
mod data_key;
mod edit;
mod fault;
mod hybrid;
mod identity;
mod key_id;
pub mod limits;
mod open;
mod parse;
mod place;
mod recipient;
mod reference;
mod seal;
mod sealed_secret;
mod template;
mod unlocked;
mod value;

pub use age_file::AgeFileProblem;
pub use data_key::DataKeyId;
pub use fault::{EditError, Fault, Refusal};
pub use identity::{Identities, Identity, IdentityError};
pub use key_id::{KeyId, NotAKeyId, Suite};
pub use place::{Place, scope_from_name, scope_name};
pub use recipient::{Recipient, RecipientError, Recipients, RecipientsError};
pub use reference::{ReferenceError, ReferenceProblem};
pub use seal::seal_secret;
pub use sealed_secret::{API_VERSION, Outline, SealedSecret};
pub use unlocked::Unlocked;
