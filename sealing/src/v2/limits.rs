//! What a sealed object of format v2 may be at most. All is looked at before memory is spent on it.

/// Recipients of one data key.
pub const RECIPIENTS: usize = 64;
/// Data keys of one object.
pub const DATA_KEYS: usize = 128;
/// Values of one object.
pub const VALUES: usize = 1024;
/// Entries of one map of the template.
pub const ENTRIES: usize = 1024;
/// Bytes of all the template's texts.
pub const TEMPLATE: usize = 256 << 10;
/// Bytes of one age file. 64 hybrid recipients take some 101,000.
pub const AGE_FILE: usize = 128 << 10;
/// Bytes of all data of a Secret (`MaxSecretSize` of the API server); no value is larger.
pub const SECRET: usize = 1 << 20;
/// Characters of one key of age. A hybrid recipient has 1,959.
pub(super) const KEY_TEXT: usize = 4096;
