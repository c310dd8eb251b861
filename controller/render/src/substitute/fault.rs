//! What is wrong with an expression. Names variables, never values.

use thiserror::Error;

use manifest::Printable;

/// Names are of letters, digits and `_`, from the document; they are cut when they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Fault {
    #[error("the variable `{}` is not set", Printable(.0))]
    NotSet(String),
    #[error("`${{` is followed by no variable's name")]
    NoName,
    #[error("a `${{` is not closed")]
    NotClosed,
    #[error("the function `{}` on the variable `{}` is not supported", .1, Printable(.0))]
    Unsupported(String, &'static str),
    #[error("what follows the variable `{}` is not known", Printable(.0))]
    Unknown(String),
    #[error("the position or length in the variable `{}` is not a whole number", Printable(.0))]
    NotANumber(String),
    #[error("the pattern for the variable `{}` has a `[` that is not closed, or a class of characters by name", Printable(.0))]
    Pattern(String),
    #[error("there are more than {limit} variables inside variables")]
    TooDeep { limit: usize },
    #[error("there are more than {limit} variables and texts between them")]
    TooMany { limit: usize },
    #[error("the variables make more than {limit} bytes, or work, of the object")]
    TooMuch { limit: usize },
    #[error("the variable `{}` is secret, and this is shown in statuses and logs", Printable(.0))]
    Shown(String),
}

impl Fault {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NotSet(_) => {
                "set it, or give a default: `${NAME:=default}`; write `$${` for text that is no variable"
            }
            Self::NoName | Self::Unknown(_) => {
                "if it is no variable, write `$${`, or annotate the object with signet.dev/substitute: disabled"
            }
            Self::NotClosed => "close it with `}`, or write `$${` for text that is no variable",
            Self::Unsupported(..) => "give a default with `:=` instead",
            Self::NotANumber(_) => "write `${NAME:position}` or `${NAME:position:length}`",
            Self::Pattern(_) => "close the `[`, list the characters, or write `\\[` for the character itself",
            Self::TooDeep { .. } => "use fewer variables inside defaults",
            Self::TooMany { .. } => {
                "split the text, or annotate the object with signet.dev/substitute: disabled"
            }
            Self::TooMuch { .. } => "split the object, or use shorter values",
            Self::Shown(_) => {
                "take the value from spec.substitute or a ConfigMap, or leave it out of names, keys and annotations for tools"
            }
        }
    }
}
