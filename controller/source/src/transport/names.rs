//! Names of refs as they come: what is not UTF-8 of them is made printable, since git2 panics over a name that is not.
//!
//! A byte that belongs to no character becomes a question mark, which no name of a ref may have (git-check-ref-format(1)): so
//! such a ref is listed, and never taken for another. Lengths stay as they are.

/// The longest character, less its last byte.
const INCOMPLETE: usize = 3;

/// What came last and may be the beginning of a character.
#[derive(Default)]
pub(super) struct Names {
    begun: Vec<u8>,
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
