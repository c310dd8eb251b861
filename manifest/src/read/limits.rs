//! How much a text may ask of its reader.

/// Bounds for what is read. Each is checked before memory is spent on what it bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a stream.
    pub stream_bytes: usize,
    /// Bytes of one document.
    pub document_bytes: usize,
    /// Documents of a stream, the empty ones included.
    pub documents: usize,
    /// Collections inside collections, aliases followed. Values are walked by recursion: keep it below 1,000.
    pub depth: usize,
    /// Values of one document (scalars and collections), those counted again that an alias or a merge key repeats.
    pub nodes: usize,
    /// Bytes of one document's scalars, those counted again that an alias or a merge key repeats.
    pub expanded_bytes: usize,
    /// Lists inside Lists that [`crate::manifests`] takes apart.
    pub list_depth: usize,
}

impl Default for Limits {
    /// A stream of 32 MiB, 20,000 documents of 3 MiB each (etcd's own default limit for an object is 1.5 MiB); 100 levels,
    /// 200,000 values and 8 MiB of text in a document after aliases; 4 levels of Lists.
    fn default() -> Self {
        Self {
            stream_bytes: 32 << 20,
            document_bytes: 3 << 20,
            documents: 20_000,
            depth: 100,
            nodes: 200_000,
            expanded_bytes: 8 << 20,
            list_depth: 4,
        }
    }
}
