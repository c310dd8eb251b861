//! What an object is called, and where it was written.

mod name;
mod object_ref;
mod origin;
mod type_meta;

pub use name::{InvalidName, InvalidNamespace, check_name, check_namespace};

pub use object_ref::ObjectRef;
pub use origin::Origin;
pub use type_meta::{GroupVersionKind, InvalidType};
