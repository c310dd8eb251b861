//! Why a template is refused. Nothing here holds a template's text or a value; names of functions are from our own lists.

use std::fmt;

/// A template that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TemplateError {
    /// The line within the template, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: TemplateProblem,
}

/// What is wrong with a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateProblem {
    /// A function or keyword that is known, and not run here.
    #[error("`{0}` {1}")]
    NotRun(&'static str, WhyNot),
    /// A function that neither Go's templates nor sprig have.
    #[error("it calls a function that Sealed Secrets does not have either")]
    UnknownFunction,
    /// A variable that was not declared in this place.
    #[error("it uses a variable that is not declared there")]
    UnknownVariable,
    /// A key that the object does not have. Upstream would write `<no value>` into the Secret.
    #[error("it refers to a key that neither encryptedData nor template.data has")]
    UnknownKey,
    /// A word or a sign where Go's templates do not allow one.
    #[error("not an action that templates have")]
    Syntax,
    /// An action, a string, a comment, a parenthesis or a block without an end.
    #[error("an action is not closed")]
    Unclosed,
    /// An `end` or `else` of nothing.
    #[error("`{0}` stands where nothing is to be ended")]
    Stray(&'static str),
    /// A function or keyword with arguments that it does not take, whatever the values are.
    #[error("`{0}` is given other arguments than it takes here")]
    Arguments(&'static str),
    /// An argument that must stand in the template, so that it is known beforehand.
    #[error("`{0}` takes this argument only where it is written out in the template")]
    NotWritten(&'static str),
    /// A field of something that has none.
    #[error("only the object's keys and what `dict` makes have fields")]
    NoFields,
    /// A variable that gets longer with every turn of a loop, or changes its type.
    #[error("a variable is set to something that cannot be known beforehand")]
    Unsteady,
    /// Parentheses, blocks or loops within one another.
    #[error("too deeply nested")]
    TooDeep,
    /// The result could be larger than a Secret.
    #[error(
        "with values of these lengths the result could be larger than 1 MiB, the most that Kubernetes takes"
    )]
    TooLarge,
    /// It could take long.
    #[error("with values of these lengths it could take too long")]
    TooMuchWork,
}

/// Why a known function is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyNot {
    /// Its result is another every time.
    Changes,
    /// It has an error that holds a value, or that depends on one.
    Fails,
    /// Sealed Secrets does not have it either: it is Helm's, or was taken out.
    NotUpstream,
    /// Nobody was seen to use it.
    Unused,
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changes => {
                "is not run: its result is another every time, so the Secret would change at every sync"
            }
            Self::Fails => "is not run: it can fail, and its failure would tell something about a value",
            Self::NotUpstream => "is not run: Sealed Secrets does not have it either",
            Self::Unused => "is not supported in templates",
        })
    }
}
