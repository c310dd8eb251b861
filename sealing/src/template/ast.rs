//! The tree of a template, as Go's text/template/parse reads it.

use super::functions::Function;

/// Text, or an action, with the line that it begins in.
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) kind: NodeKind,
}

pub(super) enum NodeKind {
    Text(Vec<u8>),
    /// `{{ pipeline }}`.
    Print(Pipeline),
    /// `{{ $x := pipeline }}`.
    Declare(String, Pipeline),
    /// `{{ $x = pipeline }}`.
    Assign(String, Pipeline),
    If(Branch),
    With(Branch),
    Range(Range),
}

/// `{{ if pipeline }} then {{ else }} otherwise {{ end }}`.
pub(super) struct Branch {
    /// `$x := ` before the pipeline.
    pub(super) variable: Option<String>,
    pub(super) pipeline: Pipeline,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `{{ range $key, $item := pipeline }} body {{ else }} otherwise {{ end }}`.
pub(super) struct Range {
    pub(super) key: Option<String>,
    pub(super) item: Option<String>,
    pub(super) pipeline: Pipeline,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `first | call | call`: each result is the last argument of the next call.
pub(super) struct Pipeline {
    pub(super) first: Expr,
    pub(super) calls: Vec<Call>,
}

pub(super) struct Call {
    pub(super) function: &'static Function,
    pub(super) arguments: Vec<Expr>,
}

pub(super) enum Expr {
    Literal(Literal),
    Dot,
    Variable(String),
    Call(Call),
    /// `(pipeline)`.
    Pipeline(Box<Pipeline>),
    /// `.key`, `$x.key`, `(pipeline).key`.
    Field(Box<Expr>, String),
}

#[derive(Clone)]
pub(super) enum Literal {
    Bool(bool),
    Int(i64),
    Text(Vec<u8>),
}
