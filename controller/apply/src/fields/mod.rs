//! Fields and who owns them, from `metadata.managedFields` (KEP-555): what was lost and to whom, what others added, what
//! is left out of an apply, and what is taken over from another tool.
//!
//! Everything here is pure. `managedFields` can be written by anybody who may write the object, so depth and number of
//! paths are bounded, and a manager's name is a claim, never a proof. What is shown to people holds names and list
//! keys, never a value of an object.

mod element;
mod foreign;
mod go;
mod ignore;
mod items;
mod lost;
mod number;
mod owner;
mod path;
mod pointer;
mod set;
mod step;
mod strip;
mod takeover;
mod trusted;

pub use foreign::{Foreign, foreign, removal};
pub use ignore::ignore;
pub use lost::{Taker, lost, taken_by};
pub use path::{FieldPath, MAX_DEPTH, MAX_PATHS};
pub use pointer::{Pointer, PointerError};
pub use set::{FieldTree, TooLarge};
pub use step::Step;
pub use strip::{get, remove, set};
pub use takeover::{Heir, Takeover, Tool, legacy, merged, patch, tool};
pub use trusted::{TRUSTED, is_trusted};
