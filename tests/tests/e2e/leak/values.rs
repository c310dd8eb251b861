//! The values that must not be found: random, made anew in every run, each with a name that says where it was used.

use std::fs::File;
use std::io::Read;

const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Where a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Nowhere but in its Secret.
    Sealed,
    /// In Git too, where somebody committed it in plain text.
    Committed,
}

/// A secret.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) name: String,
    pub(super) class: Class,
    pub(super) bytes: Vec<u8>,
}

/// All secrets of a run.
#[derive(Default)]
pub(super) struct Values(Vec<Value>);

impl Values {
    /// A new secret of 20 letters and digits.
    pub(super) fn sealed(&mut self, name: &str) -> String {
        self.text(name, Class::Sealed, letters(20))
    }

    /// The same, for plain text in Git.
    pub(super) fn committed(&mut self, name: &str) -> String {
        self.text(name, Class::Committed, letters(20))
    }

    /// A new secret of digits, a number that JSON can hold.
    pub(super) fn digits(&mut self, name: &str) -> String {
        let digits = random(16)
            .iter()
            .map(|byte| char::from(b'1' + byte % 9))
            .collect();
        self.text(name, Class::Committed, digits)
    }

    /// A secret of a shape of its own.
    pub(super) fn text(&mut self, name: &str, class: Class, text: String) -> String {
        self.bytes(name, class, text.clone().into_bytes());
        text
    }

    /// The same, that is no text.
    pub(super) fn bytes(&mut self, name: &str, class: Class, bytes: Vec<u8>) {
        self.0.push(Value {
            name: name.to_owned(),
            class,
            bytes,
        });
    }

    pub(super) fn all(&self) -> &[Value] {
        &self.0
    }
}

/// Letters and digits.
pub(super) fn letters(count: usize) -> String {
    // Not quite even, and random enough.
    random(count)
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect()
}

/// Everything that encoders treat differently, with randomness between.
pub(super) fn awkward() -> String {
    let specials = [
        "\"", "'", "\\", "\n", "<", "ä", "&", "鍵", "%", "\t", "{{", ": ", "🔑", "#", "\r\n", "=", "$(",
        "\u{7}", "+/",
    ];
    specials
        .iter()
        .fold(letters(9), |text, special| text + special + &letters(5))
}

/// Random bytes that are no UTF-8.
pub(super) fn random(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .expect("randomness");
    bytes
}
