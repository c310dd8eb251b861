//! From a Sync's `spec.substitute` and what its ConfigMaps and Secrets hold to variables. Pure: the controller and `signet
//! diff` each read them in their own way.

use std::collections::BTreeMap;
use std::fmt::Display;

use crds::{Substitute, VariableKind};
use manifest::Printable;
use zeroize::Zeroizing;

use super::variables::{VariableError, Variables};

/// ConfigMaps and Secrets of one Sync, and bytes of all their keys and values. The schema has the first as well.
const SOURCES: usize = 32;
const BYTES: usize = 1 << 20;

/// The keys and values of one ConfigMap or Secret, wiped when they are dropped.
pub type Data = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Why variables are not known. Names objects and keys, never a value. `E`: why one could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError<E> {
    /// More than the schema lets in.
    #[error("spec.substitute.from has more than {SOURCES} entries")]
    TooManySources,
    /// An object has no such name.
    #[error("spec.substitute.from: `{}` is no name of a {kind}", Printable(.name))]
    Name {
        /// The name.
        name: String,
        /// The kind.
        kind: &'static str,
    },
    /// It is not there, and is not optional.
    #[error(
        "there is no {kind} {name} in namespace {namespace}: create it, or set `optional: true` in spec.substitute.from"
    )]
    Missing {
        /// The kind.
        kind: &'static str,
        /// The object.
        name: String,
        /// Where it should be.
        namespace: String,
    },
    /// It could not be read.
    #[error("{kind} {name} cannot be read as {reader}: {error}")]
    Unread {
        /// The kind.
        kind: &'static str,
        /// The object.
        name: String,
        /// Who asked.
        reader: String,
        /// Why.
        error: E,
    },
    /// A value is not text.
    #[error("the value of `{}` in {kind} {name} is not UTF-8 and cannot be a variable", Printable(.key))]
    NotText {
        /// The kind.
        kind: &'static str,
        /// The object.
        name: String,
        /// Which of its values.
        key: String,
    },
    /// A key or value of one of them cannot be a variable.
    #[error("{kind} {name}: {error}")]
    Value {
        /// The kind.
        kind: &'static str,
        /// The object.
        name: String,
        /// Why.
        error: VariableError,
    },
    /// One of the Sync's own cannot be a variable.
    #[error("spec.substitute.variables: {0}")]
    Own(VariableError),
    /// They are too large together.
    #[error("the ConfigMaps and Secrets of spec.substitute.from hold more than 1 MiB")]
    TooLarge,
}

/// Whether the sources can be asked for at all.
///
/// # Errors
/// [`GatherError::TooManySources`] and [`GatherError::Name`].
pub fn check<E>(substitute: &Substitute) -> Result<(), GatherError<E>> {
    if substitute.from.len() > SOURCES {
        return Err(GatherError::TooManySources);
    }
    let is_name = |name: &str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        !name.is_empty() && name.chars().all(allowed) && !name.starts_with('.')
    };
    match substitute.from.iter().find(|source| !is_name(&source.name)) {
        Some(source) => Err(GatherError::Name {
            name: source.name.clone(),
            kind: kind(source.kind),
        }),
        None => Ok(()),
    }
}

/// Puts together what `reader` read of each of `from`, in their order: a later source goes before an earlier one, and the
/// Sync's own variables before all of them. As with Flux, a key that is no name of a variable is an error. Digests of the
/// variables are made with `key`.
///
/// # Errors
/// The first that stands in the way.
pub fn gather<E: Display>(
    substitute: &Substitute,
    reads: impl IntoIterator<Item = Result<Option<Data>, E>>,
    (namespace, reader): (&str, &str),
    key: &[u8; 32],
) -> Result<Variables, GatherError<E>> {
    let mut variables = Variables::new(*key);
    variables.allow_unset(substitute.allow_unset);
    let mut bytes = 0_usize;
    for (source, read) in substitute.from.iter().zip(reads) {
        let (kind, name) = (kind(source.kind), || source.name.clone());
        let data = match read {
            Ok(Some(data)) => data,
            Ok(None) if source.optional => continue,
            Ok(None) => {
                return Err(GatherError::Missing {
                    kind,
                    name: name(),
                    namespace: namespace.into(),
                });
            }
            Err(error) => {
                return Err(GatherError::Unread {
                    kind,
                    name: name(),
                    reader: reader.into(),
                    error,
                });
            }
        };
        for (key, value) in &data {
            bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
            if bytes > BYTES {
                return Err(GatherError::TooLarge);
            }
            let text = std::str::from_utf8(value).map_err(|_| GatherError::NotText {
                kind,
                name: name(),
                key: key.clone(),
            })?;
            let secret = source.kind == VariableKind::Secret;
            variables
                .set(key, text, secret)
                .map_err(|error| GatherError::Value {
                    kind,
                    name: name(),
                    error,
                })?;
        }
    }
    for (name, value) in &substitute.variables {
        variables.set(name, value, false).map_err(GatherError::Own)?;
    }
    Ok(variables)
}

/// The kind's name.
#[must_use]
pub fn kind(kind: VariableKind) -> &'static str {
    match kind {
        VariableKind::ConfigMap => "ConfigMap",
        VariableKind::Secret => "Secret",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::VariableSource;

    const WHERE: (&str, &str) = ("shop", "service account deployer");

    type Read = Result<Option<Data>, &'static str>;

    fn source(kind: VariableKind, name: &str, optional: bool) -> VariableSource {
        VariableSource {
            kind,
            name: name.into(),
            optional,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as an answer comes")]
    fn found(data: &[(&str, &[u8])]) -> Read {
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Zeroizing::new(value.to_vec())));
        Ok(Some(data.collect()))
    }

    fn substitute(own: &[(&str, &str)], from: Vec<VariableSource>) -> Substitute {
        Substitute {
            variables: own
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            from,
            allow_unset: false,
        }
    }

    /// What the same variables, set one after the other, come to.
    fn digest(all: &[(&str, &str, bool)]) -> [u8; 32] {
        let mut variables = Variables::new([1; 32]);
        for (name, value, secret) in all {
            variables.set(name, value, *secret).unwrap();
        }
        variables.digest()
    }

    fn error(substitute: &Substitute, reads: Vec<Read>) -> String {
        gather(substitute, reads, WHERE, &[1; 32])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn later_sources_go_first_and_the_syncs_own_variables_before_all() {
        let (map, secret) = (VariableKind::ConfigMap, VariableKind::Secret);
        let spec = substitute(
            &[("c", "own")],
            vec![source(map, "m", false), source(secret, "s", false)],
        );
        let reads = vec![
            found(&[("a", b"map"), ("b", b"map"), ("c", b"map")]),
            found(&[("b", b"secret"), ("c", b"secret")]),
        ];
        let made = gather(&spec, reads, WHERE, &[1; 32]).unwrap();
        let wanted = [("a", "map", false), ("b", "secret", true), ("c", "own", false)];
        assert_eq!(made.digest(), digest(&wanted));

        // The other way round, what the ConfigMap says is no secret any more.
        let spec = substitute(&[], vec![source(secret, "s", false), source(map, "m", false)]);
        let reads = vec![found(&[("b", b"secret")]), found(&[("b", b"map")])];
        let made = gather(&spec, reads, WHERE, &[1; 32]).unwrap();
        assert_eq!(made.digest(), digest(&[("b", "map", false)]));
    }

    #[test]
    fn what_is_missing_is_named_unless_it_may_be() {
        let map = VariableKind::ConfigMap;
        let spec = substitute(&[], vec![source(map, "m", true)]);
        assert!(
            gather(&spec, vec![Read::Ok(None)], WHERE, &[1; 32])
                .unwrap()
                .is_empty()
        );
        let spec = substitute(&[], vec![source(map, "m", false)]);
        let said = error(&spec, vec![Ok(None)]);
        assert!(
            said.starts_with("there is no ConfigMap m in namespace shop"),
            "{said}"
        );
        let said = error(&spec, vec![Err("no answer")]);
        assert_eq!(
            said,
            "ConfigMap m cannot be read as service account deployer: no answer"
        );
    }

    #[test]
    fn what_cannot_be_a_variable_is_named_and_never_quoted() {
        let spec = substitute(&[], vec![source(VariableKind::Secret, "s", false)]);
        for (key, value, wanted) in [
            (
                "tls",
                &b"hunter2\xff"[..],
                "the value of `tls` in Secret s is not UTF-8",
            ),
            (
                "tls.crt",
                b"hunter2",
                "Secret s: `tls.crt` is no name of a variable",
            ),
        ] {
            let said = error(&spec, vec![found(&[(key, value)])]);
            assert!(said.starts_with(wanted) && !said.contains("hunter2"), "{said}");
        }
        let said = error(&substitute(&[("a-b", "hunter2")], Vec::new()), Vec::new());
        assert!(
            said.starts_with("spec.substitute.variables: `a-b`") && !said.contains("hunter2"),
            "{said}"
        );
    }

    #[test]
    fn sources_are_bounded() {
        let map = VariableKind::ConfigMap;
        let half = vec![b'x'; BYTES / 2];
        let two = substitute(&[], vec![source(map, "a", false), source(map, "b", false)]);
        let reads = || vec![found(&[("a", &half[1..])]), found(&[("b", &half[1..])])];
        assert!(gather(&two, reads(), WHERE, &[1; 32]).is_ok());
        let mut more = reads();
        more[1] = found(&[("b", &half)]);
        assert!(error(&two, more).contains("more than 1 MiB"));
        let many = |count| substitute(&[], vec![source(map, "a", false); count]);
        let check = check::<&str>;
        assert!(check(&many(SOURCES)).is_ok());
        assert!(check(&many(SOURCES + 1)).is_err());
        for bad in ["", "a,b=c", "../a", "A", "a/b", "."] {
            assert!(
                check(&substitute(&[], vec![source(map, bad, false)])).is_err(),
                "{bad}"
            );
        }
    }
}
