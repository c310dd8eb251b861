//! A buffer for plaintext that grows without leaving copies behind.

use zeroize::Zeroizing;

/// Bytes that are wiped when dropped, and when they move to a larger place.
#[derive(Default)]
pub(super) struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    pub(super) fn push_char(&mut self, c: char) {
        self.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn repeat(&mut self, byte: u8, count: usize) {
        self.reserve(count);
        let len = self.0.len() + count;
        self.0.resize(len, byte);
    }

    /// Lets something append to a place that is large enough for it.
    pub(super) fn append(&mut self, room: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.reserve(room);
        write(&mut self.0);
    }

    /// Room for more. `Vec` would free the old place as it is.
    fn reserve(&mut self, more: usize) {
        let wanted = self.0.len().saturating_add(more);
        if wanted > self.0.capacity() {
            let mut larger = Vec::with_capacity(wanted.max(2 * self.0.capacity()));
            larger.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(larger);
        }
    }

    pub(super) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}
