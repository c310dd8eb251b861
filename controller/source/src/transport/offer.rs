//! One thing that a server offers, found in what it says behind the first ref (gitprotocol-pack(5), "Reference Discovery").

/// Looks for a word, of which the first letter comes once.
pub(super) struct Offer {
    word: &'static [u8],
    /// Behind the NUL of a line.
    inside: bool,
    /// Letters that have come.
    met: usize,
}

impl Offer {
    pub(super) const fn of(word: &'static [u8]) -> Self {
        Self {
            word,
            inside: false,
            met: 0,
        }
    }

    /// Whether the word is there with this byte, the next one. So libgit2 finds it, whatever comes after it.
    pub(super) fn ends_with(&mut self, byte: u8) -> bool {
        match byte {
            0 => self.inside = true,
            b'\n' => self.inside = false,
            _ => {}
        }
        self.met = if self.word.get(self.met) == Some(&byte) {
            self.met + 1
        } else {
            usize::from(self.word.first() == Some(&byte))
        };
        let found = self.met == self.word.len();
        if found {
            self.met = 0;
        }
        found && self.inside
    }
}
