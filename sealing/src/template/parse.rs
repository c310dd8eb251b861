//! From tokens to the tree. What Go's parser refuses is refused; so is every function that is not in our table, by name.

use super::ast::{Branch, Call, Expr, Literal, Node, NodeKind, Pipeline, Range};
use super::error::{TemplateError, TemplateProblem};
use super::functions;
use super::lex::{self, Piece, Spaced, Token};
use super::refused;
use std::collections::VecDeque;
use std::vec::IntoIter;

/// Blocks and parentheses within one another.
const DEEPEST: usize = 40;

pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let pieces = lex::pieces(text)?;
    let last = pieces.last().map_or(1, |(line, _)| *line);
    let mut parser = Parser {
        pieces: pieces.into_iter(),
        line: last,
        depth: 0,
    };
    let (nodes, end) = parser.block()?;
    match end {
        End::Text => Ok(nodes),
        End::Here => Err(parser.fail(TemplateProblem::Stray("end"))),
        End::Else(_) => Err(parser.fail(TemplateProblem::Stray("else"))),
    }
}

struct Parser {
    pieces: IntoIter<(usize, Piece)>,
    /// The line of the last action.
    line: usize,
    depth: usize,
}

/// What ended a block.
enum End {
    Text,
    Here,
    /// With what follows the word.
    Else(Action),
}

impl Parser {
    fn fail(&self, problem: TemplateProblem) -> TemplateError {
        TemplateError {
            line: self.line,
            problem,
        }
    }

    /// Nodes up to an `end`, an `else` or the end of the text.
    fn block(&mut self) -> Result<(Vec<Node>, End), TemplateError> {
        let mut nodes = Vec::new();
        while let Some((line, piece)) = self.pieces.next() {
            let kind = match piece {
                Piece::Text(text) => NodeKind::Text(text),
                Piece::Action(tokens) => {
                    self.line = line;
                    let mut action = Action::new(tokens);
                    match action.keyword() {
                        Some("end") => {
                            action.finish().map_err(|problem| self.fail(problem))?;
                            return Ok((nodes, End::Here));
                        }
                        Some("else") => return Ok((nodes, End::Else(action))),
                        Some(word @ ("if" | "with")) => self.branch(word, action)?,
                        Some(_) => NodeKind::Range(self.range(action)?),
                        None => action.statement().map_err(|problem| self.fail(problem))?,
                    }
                }
            };
            nodes.push(Node { line, kind });
        }
        Ok((nodes, End::Text))
    }

    fn branch(&mut self, word: &'static str, mut action: Action) -> Result<NodeKind, TemplateError> {
        let line = self.line;
        let (variable, pipeline) = action.condition().map_err(|problem| self.fail(problem))?;
        let (then, end) = self.deeper(line)?;
        let otherwise = match end {
            End::Else(mut rest) => match rest.keyword() {
                // `else if` and `else with` are a block of their own, ended by the same `end`.
                Some(inner @ ("if" | "with")) => {
                    let line = self.line;
                    self.enter()?;
                    let kind = self.branch(inner, rest)?;
                    self.depth -= 1;
                    vec![Node { line, kind }]
                }
                Some(_) => return Err(self.fail(TemplateProblem::Syntax)),
                None => self.otherwise(line, &rest)?,
            },
            _ => Vec::new(),
        };
        let branch = Branch {
            variable,
            pipeline,
            then,
            otherwise,
        };
        Ok(if word == "if" {
            NodeKind::If(branch)
        } else {
            NodeKind::With(branch)
        })
    }

    fn range(&mut self, mut action: Action) -> Result<Range, TemplateError> {
        let line = self.line;
        let (key, item) = action.variables().map_err(|problem| self.fail(problem))?;
        let pipeline = action.whole_pipeline().map_err(|problem| self.fail(problem))?;
        let (body, end) = self.deeper(line)?;
        let otherwise = match end {
            End::Else(rest) => self.otherwise(line, &rest)?,
            _ => Vec::new(),
        };
        Ok(Range {
            key,
            item,
            pipeline,
            body,
            otherwise,
        })
    }

    /// The block after a plain `else`.
    fn otherwise(&mut self, line: usize, rest: &Action) -> Result<Vec<Node>, TemplateError> {
        rest.finish().map_err(|problem| self.fail(problem))?;
        match self.deeper(line)? {
            (nodes, End::Here) => Ok(nodes),
            _ => Err(self.fail(TemplateProblem::Stray("else"))),
        }
    }

    /// A block within a block that began in this line; the text must not end in it.
    fn deeper(&mut self, line: usize) -> Result<(Vec<Node>, End), TemplateError> {
        self.enter()?;
        let block = self.block()?;
        self.depth -= 1;
        if matches!(block.1, End::Text) {
            let problem = TemplateProblem::Unclosed;
            return Err(TemplateError { line, problem });
        }
        Ok(block)
    }

    fn enter(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.fail(TemplateProblem::TooDeep));
        }
        Ok(())
    }
}

/// The tokens of one action.
struct Action {
    tokens: VecDeque<Spaced>,
    depth: usize,
}

type Parsed<T> = Result<T, TemplateProblem>;

impl Action {
    fn new(tokens: Vec<Spaced>) -> Self {
        Self {
            tokens: tokens.into(),
            depth: 0,
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.ahead(0)
    }

    fn ahead(&self, count: usize) -> Option<&Token> {
        self.tokens.get(count).map(|spaced| &spaced.token)
    }

    fn next(&mut self) -> Option<Token> {
        self.tokens.pop_front().map(|spaced| spaced.token)
    }

    fn takes(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.next();
        }
        found
    }

    fn spaced(&self) -> bool {
        self.tokens.front().is_none_or(|spaced| spaced.spaced)
    }

    /// The keyword that the action begins with.
    fn keyword(&mut self) -> Option<&'static str> {
        const KEYWORDS: [&str; 5] = ["else", "end", "if", "range", "with"];
        let Some(Token::Word(word)) = self.peek() else {
            return None;
        };
        let word = KEYWORDS.into_iter().find(|keyword| keyword == word)?;
        self.next();
        Some(word)
    }

    fn finish(&self) -> Parsed<()> {
        if self.peek().is_some() {
            return Err(TemplateProblem::Syntax);
        }
        Ok(())
    }

    /// An action that is not a block: it prints, declares or assigns.
    fn statement(&mut self) -> Parsed<NodeKind> {
        if let Some((name, declares)) = self.target()? {
            let pipeline = self.whole_pipeline()?;
            return Ok(if declares {
                NodeKind::Declare(name, pipeline)
            } else {
                NodeKind::Assign(name, pipeline)
            });
        }
        Ok(NodeKind::Print(self.whole_pipeline()?))
    }

    /// What `if` and `with` ask.
    fn condition(&mut self) -> Parsed<(Option<String>, Pipeline)> {
        let variable = match self.target()? {
            Some((name, true)) => Some(name),
            Some((_, false)) => return Err(TemplateProblem::Syntax),
            None => None,
        };
        Ok((variable, self.whole_pipeline()?))
    }

    /// `$x := ` or `$x = `.
    fn target(&mut self) -> Parsed<Option<(String, bool)>> {
        let declares = match (self.peek(), self.ahead(1)) {
            (Some(Token::Variable(_)), Some(Token::Declare)) => true,
            (Some(Token::Variable(_)), Some(Token::Assign)) => false,
            _ => return Ok(None),
        };
        let name = self.variable()?;
        self.next();
        Ok(Some((name, declares)))
    }

    /// `$item := ` or `$key, $item := `, of a range.
    fn variables(&mut self) -> Parsed<(Option<String>, Option<String>)> {
        match self.target()? {
            Some((item, true)) => return Ok((None, Some(item))),
            Some((_, false)) => return Err(TemplateProblem::Syntax),
            None => {}
        }
        if !matches!(
            (self.peek(), self.ahead(1)),
            (Some(Token::Variable(_)), Some(Token::Comma))
        ) {
            return Ok((None, None));
        }
        let key = self.variable()?;
        self.next();
        match self.target()? {
            Some((item, true)) => Ok((Some(key), Some(item))),
            _ => Err(TemplateProblem::Syntax),
        }
    }

    /// A variable that can be set, which `$` cannot.
    fn variable(&mut self) -> Parsed<String> {
        match self.next() {
            Some(Token::Variable(name)) if !name.is_empty() => Ok(name),
            _ => Err(TemplateProblem::Syntax),
        }
    }

    fn whole_pipeline(&mut self) -> Parsed<Pipeline> {
        let pipeline = self.pipeline()?;
        self.finish()?;
        Ok(pipeline)
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        let first = self.command()?;
        let mut calls = Vec::new();
        while self.takes(&Token::Pipe) {
            match self.command()? {
                Expr::Call(call) => calls.push(call),
                _ => return Err(TemplateProblem::Syntax),
            }
        }
        Ok(Pipeline { first, calls })
    }

    /// One operand, or a function with its arguments.
    fn command(&mut self) -> Parsed<Expr> {
        let first = self.operand()?;
        let Expr::Call(mut call) = first else {
            return match self.peek() {
                None | Some(Token::Pipe | Token::Close) => Ok(first),
                Some(_) => Err(TemplateProblem::Syntax),
            };
        };
        while !matches!(self.peek(), None | Some(Token::Pipe | Token::Close)) {
            if !self.spaced() {
                return Err(TemplateProblem::Syntax);
            }
            call.arguments.push(self.operand()?);
        }
        Ok(Expr::Call(call))
    }

    fn operand(&mut self) -> Parsed<Expr> {
        let mut expr = match self.next().ok_or(TemplateProblem::Syntax)? {
            Token::Text(text) => return self.constant(Literal::Text(text)),
            Token::Int(number) => return self.constant(Literal::Int(number)),
            Token::Word(word) => match word.as_str() {
                "true" => return self.constant(Literal::Bool(true)),
                "false" => return self.constant(Literal::Bool(false)),
                name => Expr::Call(Call {
                    function: functions::named(name).ok_or_else(|| refused::why(name))?,
                    arguments: Vec::new(),
                }),
            },
            Token::Dot => return Ok(Expr::Dot),
            Token::Field(name) => Expr::Field(Box::new(Expr::Dot), name),
            Token::Variable(name) => Expr::Variable(name),
            Token::Open => Expr::Pipeline(Box::new(self.parenthesised()?)),
            _ => return Err(TemplateProblem::Syntax),
        };
        let mut fields = 0;
        while let Some(Token::Field(_)) = self.peek()
            && !self.spaced()
            && let Some(Token::Field(name)) = self.next()
        {
            fields += 1;
            if fields > DEEPEST || matches!(expr, Expr::Call(_)) {
                return Err(TemplateProblem::Syntax);
            }
            expr = Expr::Field(Box::new(expr), name);
        }
        Ok(expr)
    }

    /// A constant has no fields.
    fn constant(&self, literal: Literal) -> Parsed<Expr> {
        if matches!(self.peek(), Some(Token::Field(_))) && !self.spaced() {
            return Err(TemplateProblem::Syntax);
        }
        Ok(Expr::Literal(literal))
    }

    fn parenthesised(&mut self) -> Parsed<Pipeline> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(TemplateProblem::TooDeep);
        }
        let pipeline = self.pipeline()?;
        self.depth -= 1;
        if self.takes(&Token::Close) {
            Ok(pipeline)
        } else {
            Err(TemplateProblem::Unclosed)
        }
    }
}
