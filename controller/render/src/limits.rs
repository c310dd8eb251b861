//! Bounds on what one path may hold.

/// Bounds on one rendering. Whatever is over one of the first four makes the whole rendering fail; a file
/// that is too large is that file's [`Problem`](crate::Problem).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of all directories below the path, files of other kinds included.
    pub entries: usize,
    /// Nested directories.
    pub depth: usize,
    /// Bytes of all manifest files together.
    pub total_bytes: usize,
    /// Objects and problems together.
    pub objects: usize,
    /// Bytes of one file.
    pub file_bytes: usize,
    /// Bounds on one document: size, nesting, aliases.
    pub manifest: manifest::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        let manifest = manifest::Limits::default();
        Self {
            entries: 50_000,
            depth: 32,
            total_bytes: 256 << 20,
            objects: 50_000,
            file_bytes: manifest.stream_bytes,
            manifest,
        }
    }
}
