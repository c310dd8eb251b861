//! Variables: names, values, and which of the values are secret.

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use manifest::Printable;

/// Variables of one Sync, bytes of one value, and bytes of all names and values.
const MAX_VARIABLES: usize = 10_000;
const MAX_VALUE: usize = 1 << 20;
const MAX_TOTAL: usize = 4 << 20;

/// Names and values that are put in place of `${NAME}`. Values are wiped when they are dropped, and never printed.
pub struct Variables {
    key: Zeroizing<[u8; 32]>,
    values: BTreeMap<Box<str>, Variable>,
    allow_unset: bool,
    bytes: usize,
}

pub(super) struct Variable {
    pub(super) value: Zeroizing<String>,
    pub(super) secret: bool,
}

/// Why a variable is refused. Names it, and never says its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VariableError {
    /// Not of the form `[A-Za-z_][A-Za-z0-9_]*`.
    #[error("`{}` is no name of a variable: write letters, digits and `_`, with no digit first", Printable(.name))]
    Name {
        /// The name.
        name: String,
    },
    /// More than 1 MiB.
    #[error("the value of the variable `{}` is longer than 1 MiB", Printable(.name))]
    TooLong {
        /// The name.
        name: String,
    },
    /// More than 10,000, or 4 MiB of names and values.
    #[error("there are more than 10,000 variables, or more than 4 MiB of them")]
    TooMany,
}

impl Variables {
    /// None yet. Digests are made with `key`: nothing that derives from a value can be guessed at without it.
    pub fn new(key: [u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(key),
            values: BTreeMap::new(),
            allow_unset: false,
            bytes: 0,
        }
    }

    /// Sets a variable, over one of the same name. Line ends in a value are left out, as Flux leaves them out: files made
    /// into Secrets mostly end with one.
    pub fn set(&mut self, name: &str, value: &str, secret: bool) -> Result<(), VariableError> {
        if !is_name(name) {
            return Err(VariableError::Name { name: name.into() });
        }
        if value.len() > MAX_VALUE {
            return Err(VariableError::TooLong { name: name.into() });
        }
        let mut one_line = Zeroizing::new(String::with_capacity(value.len()));
        for line in value.split_inclusive('\n') {
            let text = line
                .strip_suffix('\n')
                .map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
            one_line.push_str(text);
        }
        let old = self
            .values
            .get(name)
            .map_or(0, |old| name.len() + old.value.len());
        let bytes = self.bytes - old + name.len() + one_line.len();
        if bytes > MAX_TOTAL || (old == 0 && self.values.len() == MAX_VARIABLES) {
            return Err(VariableError::TooMany);
        }
        self.bytes = bytes;
        let variable = Variable {
            value: one_line,
            secret,
        };
        self.values.insert(name.into(), variable);
        Ok(())
    }

    /// Whether an expression whose variable has neither value nor default is left as it stands, instead of being an
    /// error. It is an error unless this is called.
    pub fn allow_unset(&mut self, allow: bool) {
        self.allow_unset = allow;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(|name| &**name)
    }

    /// A keyed digest (HMAC-SHA-256) over all names and values, which of them are secret, and whether others may be unset.
    pub fn digest(&self) -> [u8; 32] {
        let mut parts: Vec<&[u8]> = Vec::with_capacity(1 + 3 * self.values.len());
        parts.push(if self.allow_unset { b"unset" } else { b"" });
        for (name, variable) in &self.values {
            let secret: &[u8] = if variable.secret { b"secret" } else { b"plain" };
            parts.extend([name.as_bytes(), variable.value.as_bytes(), secret]);
        }
        self.keyed(b"signet variables 1\0", &parts)
    }

    /// A keyed digest of an object with a secret in it, from its plain one.
    pub(super) fn digest_of(&self, object: &[u8; 32]) -> [u8; 32] {
        self.keyed(b"signet secret object 1\0", &[object])
    }

    pub(super) fn may_be_unset(&self) -> bool {
        self.allow_unset
    }

    pub(super) fn get(&self, name: &str) -> Option<&Variable> {
        self.values.get(name)
    }

    fn keyed(&self, label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        // HMAC pads a key that is shorter than a block: this is `new` for a key of 32 bytes, and cannot fail.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(&*self.key);
        let mut mac = Hmac::<Sha256>::new(&(*block).into());
        mac.update(label);
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Names, and which are secret.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |variable: &Variable| if variable.secret { "secret" } else { "plain" };
        f.debug_map()
            .entries(self.values.iter().map(|(name, variable)| (name, said(variable))))
            .finish()
    }
}

/// `[A-Za-z_][A-Za-z0-9_]*`.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && name_length(text) == text.len()
}

/// The length of the name that a text begins with; 0 for none.
pub(super) fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(all: &[(&str, &str, bool)]) -> Variables {
        let mut variables = Variables::new([7; 32]);
        for (name, value, secret) in all {
            variables.set(name, value, *secret).unwrap();
        }
        variables
    }

    #[test]
    fn names() {
        let mut variables = Variables::new([0; 32]);
        for good in ["a", "_", "A1_b", "a1"] {
            assert_eq!(variables.set(good, "x", false), Ok(()), "{good}");
        }
        for bad in ["", "1a", "a-b", "a.b", "ä", "a b", "a\n"] {
            assert!(
                matches!(
                    variables.set(bad, "hunter2", true),
                    Err(VariableError::Name { .. })
                ),
                "{bad}"
            );
        }
        assert_eq!(variables.names().collect::<Vec<_>>(), ["A1_b", "_", "a", "a1"]);
    }

    #[test]
    fn line_ends_are_left_out() {
        let set = variables(&[("a", "\nx\r\ny\n\n", false), ("b", "x\ry", false)]);
        assert_eq!(set.get("a").unwrap().value.as_str(), "xy");
        assert_eq!(set.get("b").unwrap().value.as_str(), "x\ry");
    }

    #[test]
    fn values_are_bounded_and_never_shown() {
        let mut set = variables(&[("pin", "hunter2", true), ("zone", "hunter2", false)]);
        assert_eq!(format!("{set:?}"), r#"{"pin": "secret", "zone": "plain"}"#);
        let long = "x".repeat(MAX_VALUE);
        assert!(set.set("long", &format!("{long}x"), false).is_err());
        for name in ["a", "b", "c"] {
            assert_eq!(set.set(name, &long, false), Ok(()));
        }
        assert_eq!(set.set("d", &long, false), Err(VariableError::TooMany));
        // In place of what it replaces, there is room.
        assert_eq!(set.set("c", &long, true), Ok(()));
        let mut many = Variables::new([0; 32]);
        for number in 0..MAX_VARIABLES {
            many.set(&format!("v{number}"), "", false).unwrap();
        }
        assert_eq!(many.set("more", "", false), Err(VariableError::TooMany));
        assert_eq!(many.set("v0", "x", false), Ok(()));
        assert_eq!(many.len(), MAX_VARIABLES);
    }

    #[test]
    fn the_digest_covers_everything_and_needs_the_key() {
        let digest = |all: &[(&str, &str, bool)]| variables(all).digest();
        let first = digest(&[("a", "b", false)]);
        assert_eq!(digest(&[("a", "b", false)]), first);
        for other in [
            &[] as &[_],
            &[("a", "b", true)],
            &[("a", "c", false)],
            &[("c", "b", false)],
            &[("a", "b", false), ("c", "", false)],
            &[("ab", "", false)],
        ] {
            assert_ne!(digest(other), first, "{other:?}");
        }
        let mut lenient = variables(&[("a", "b", false)]);
        lenient.allow_unset(true);
        assert_ne!(lenient.digest(), first);
        let mut keyed = Variables::new([8; 32]);
        keyed.set("a", "b", false).unwrap();
        assert_ne!(keyed.digest(), first);
        assert_ne!(keyed.digest_of(&[0; 32]), variables(&[]).digest_of(&[0; 32]));
    }
}
