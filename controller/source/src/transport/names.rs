//! The list of refs as it comes, and what the server offers with it: names that are not UTF-8 are made printable, since git2 panics
//! over one that is not, and what libgit2 should not ask for is offered by another name.
//!
//! A byte that belongs to no character becomes a question mark, which no name of a ref may have (git-check-ref-format(1)): so
//! such a ref is listed, and never taken for another. Lengths stay as they are.

use super::offer::Offer;

/// The longest character, less its last byte.
const INCOMPLETE: usize = 3;

/// What came last and may be the beginning of a character.
pub(super) struct Names {
    begun: Vec<u8>,
    /// A thin pack's deltas have bases that are not in it. libgit2 would ask for one and add those bases.
    thin: Offer,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            begun: Vec::new(),
            thin: Offer::of(b"thin-pack"),
        }
    }
}

impl Names {
    /// Makes room for what was begun: as many bytes at the beginning of `buffer` are not to be read into.
    pub(super) fn resume(&mut self, buffer: &mut [u8]) -> usize {
        let begun = std::mem::take(&mut self.begun);
        let fits = begun.len().min(buffer.len());
        buffer[..fits].copy_from_slice(&begun[..fits]);
        self.begun = begun[fits..].to_vec();
        fits
    }

    /// Cleans what is in `bytes`. How many of them are to be handed on: others wait for the rest of their character, unless this
    /// is the `last` of it.
    pub(super) fn clean(&mut self, bytes: &mut [u8], last: bool) -> usize {
        let ready = self.print(bytes, last);
        for byte in &mut bytes[..ready] {
            if self.thin.ends_with(*byte) {
                // Nobody knows it by this name.
                *byte = b'x';
            }
        }
        ready
    }

    fn print(&mut self, bytes: &mut [u8], last: bool) -> usize {
        let mut done = 0;
        while let Err(error) = std::str::from_utf8(&bytes[done..]) {
            let from = done + error.valid_up_to();
            let length = match error.error_len() {
                Some(length) => length,
                None if last || bytes.len() - from > INCOMPLETE => bytes.len() - from,
                None => {
                    self.begun.splice(0..0, bytes[from..].iter().copied());
                    return from;
                }
            };
            bytes[from..from + length].fill(b'?');
            done = from + length;
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Names;

    /// As a stream reads it, in portions of these sizes.
    fn read(mut bytes: &[u8], portion: usize, room: usize) -> Vec<u8> {
        let (mut names, mut all) = (Names::default(), Vec::new());
        let mut buffer = vec![0; room];
        loop {
            let kept = names.resume(&mut buffer);
            let count = portion.min(room - kept).min(bytes.len());
            buffer[kept..kept + count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            let ready = names.clean(&mut buffer[..kept + count], count == 0);
            all.extend_from_slice(&buffer[..ready]);
            if count == 0 && ready == 0 {
                return all;
            }
        }
    }

    #[test]
    fn characters_stay_and_other_bytes_are_seen() {
        let text = "refs/heads/müller-€-𝄞\n".as_bytes();
        let broken = [text, b"caf\xe9/x \xe2\x82", text, b"\xf0\x9f"].concat();
        let expected = [text, b"caf?/x ??", text, b"??"].concat();
        for portion in 1..9 {
            for room in [4, 5, 64] {
                assert_eq!(read(text, portion, room), text);
                assert_eq!(read(&broken, portion, room), expected, "{portion} {room}");
            }
        }
    }

    #[test]
    fn a_thin_pack_is_not_offered() {
        let list = b"0032x refs/heads/thin-pack\n0040y HEAD\0side-band thin-pack ofs-delta\n003az refs/heads/thin-pack\n";
        let expected = String::from_utf8_lossy(list).replace("band thin-pack", "band thin-pacx");
        for portion in 1..9 {
            assert_eq!(read(list, portion, 64), expected.as_bytes(), "{portion}");
        }
    }

    proptest! {
        #[test]
        fn anything_becomes_text_of_its_length(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            portion in 1..9_usize,
            room in 4..20_usize,
        ) {
            let read = read(&bytes, portion, room);
            prop_assert_eq!(read.len(), bytes.len());
            prop_assert!(std::str::from_utf8(&read).is_ok());
        }
    }
}
