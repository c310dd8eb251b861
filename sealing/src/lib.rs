//! Sealed formats: keys, sealing and opening.
//!
//! The crate knows no Kubernetes client, no runtime and no I/O. Bytes and parsed JSON go in, sealed text or plaintext
//! in [`Plaintext`] comes out. It is used by both binaries: the command line seals with a [`Certificate`], the
//! controller opens with a [`KeyRing`].
//!
//! Format v1 is Bitnami Sealed Secrets', byte for byte: see [`v1`]. Format v2 is our own: see [`v2`].
//!
//! ```
//! use sealing::{KeyRing, PrivateKey, Scope, SealingKey, SelfSigned, v1};
//! use std::time::{Duration, SystemTime};
//!
//! let private = PrivateKey::generate(2048)?;
//! let now = SystemTime::now();
//! let certificate = SelfSigned::new(now, Duration::from_secs(3600)).sign(&private)?;
//! let label = Scope::Strict.label("team-a", "db");
//!
//! let sealed = v1::seal(certificate.public_key_at(now)?, &label, b"hunter2")?;
//!
//! let ring = KeyRing::new([SealingKey::new(private, certificate)?]);
//! let opened = ring.open(&sealed, &label)?;
//! assert_eq!(opened.expose(), b"hunter2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What never happens here
//!
//! - No error, no `Debug` and no `Display` holds plaintext, template text or a sealed value. Paths and key names are
//!   printed with control characters escaped.
//! - A failed OAEP decoding and a failed GCM tag look the same from outside, and cost the same private operations.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod base64_text;
mod digest;
mod key;
pub mod keyset;
mod opened;
mod path;
mod plaintext;
mod reseal;
mod ring;
mod scope;
mod seal_secret;
mod sealed_secret;
mod template;
pub mod v1;
pub mod v2;

pub use digest::sealed_digest;
pub use key::{
    Certificate, CertificateError, Fingerprint, PrivateKey, PrivateKeyError, PublicKey, SelfSigned,
};
pub use opened::Opened;
pub use path::{Printable, is_data_key, is_namespace, is_object_name};
pub use plaintext::Plaintext;
pub use reseal::{ResealError, reseal};
pub use ring::{KeyMismatch, KeyRing, OpenError, SealingKey, Tries};
pub use scope::{CLUSTER_WIDE, NAMESPACE_WIDE, Scope, UnknownScope};
pub use seal_secret::{SealError, SealOptions, SealProblem, seal_secret, secret_values};
pub use sealed_secret::{ItemError, ItemProblem, ParseError, ParseProblem, SealedSecret};
pub use template::{TemplateError, TemplateProblem, WhyNot};
pub use v1::SealFailed;
