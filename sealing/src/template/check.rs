//! Runs a template over types and sizes instead of values: what could fail, grow or take long is found here.

use super::ast::{Branch, Call, Expr, Literal, Node, NodeKind, Pipeline, Range};
use super::error::{TemplateError, TemplateProblem};
use super::functions::Arguments;
use super::scope::Scope;
use super::ty::{Ty, times};
use std::cell::Cell;

/// The most that a Secret's data may be (`MaxSecretSize` of the API server).
pub(super) const LARGEST: usize = 1 << 20;
/// Bytes read and written at most while a template runs: well under a second.
const MOST_WORK: usize = 1 << 27;
/// What each step costs beside the bytes that it moves.
const STEP: usize = 64;
/// Loops within one another; each can double the work of checking.
const DEEPEST_LOOP: usize = 3;
const MOST_VARIABLES: usize = 500;
/// Types within one another, and of how many one is made: a `dict` of `dict`s of itself doubles with every line.
const DEEPEST_TYPE: usize = 16;
const LARGEST_TYPE: usize = 1000;
/// What looking at one part of a type costs.
const PART: usize = 16;

/// The most bytes that the template can become. The work is added to what the object's other templates take.
pub(super) fn bound(nodes: &[Node], root: &Ty, work: &Cell<usize>) -> Result<usize, TemplateError> {
    let mut check = Check {
        scope: Scope::new(root.clone()),
        work: work.get(),
        loops: 0,
        keys: match root {
            Ty::Map(keys) => keys.len(),
            _ => 0,
        },
    };
    let bound = check.block(nodes, root);
    work.set(check.work.max(work.get()));
    bound
}

struct Check {
    scope: Scope<Ty>,
    /// Bytes read and written so far.
    work: usize,
    loops: usize,
    /// How many keys the object has.
    keys: usize,
}

type Checked<T> = Result<T, TemplateProblem>;

impl Check {
    fn block(&mut self, nodes: &[Node], dot: &Ty) -> Result<usize, TemplateError> {
        let mut size: usize = 0;
        for node in nodes {
            let fail = |problem| TemplateError {
                line: node.line,
                problem,
            };
            let more = match &node.kind {
                NodeKind::Text(text) => text.len(),
                NodeKind::Print(pipeline) => {
                    let ty = self.pipeline(pipeline, dot).map_err(fail)?;
                    if ty == Ty::Nil {
                        return Err(fail(TemplateProblem::UnknownKey));
                    }
                    ty.printed()
                }
                NodeKind::Declare(name, pipeline) => {
                    let ty = self.pipeline(pipeline, dot).map_err(fail)?;
                    self.declare(name, ty).map_err(fail)?;
                    0
                }
                NodeKind::Assign(name, pipeline) => {
                    let ty = self.pipeline(pipeline, dot).map_err(fail)?;
                    if !self.scope.assign(name, ty) {
                        return Err(fail(TemplateProblem::UnknownVariable));
                    }
                    0
                }
                NodeKind::If(branch) => self.branch(node.line, branch, dot, false)?,
                NodeKind::With(branch) => self.branch(node.line, branch, dot, true)?,
                NodeKind::Range(range) => self.range(node.line, range, dot)?,
            };
            size = size.saturating_add(more);
            self.spend(more).map_err(fail)?;
            if size > LARGEST {
                return Err(fail(TemplateProblem::TooLarge));
            }
        }
        Ok(size)
    }

    fn spend(&mut self, bytes: usize) -> Checked<()> {
        self.work = self.work.saturating_add(bytes).saturating_add(STEP);
        if self.work > MOST_WORK {
            return Err(TemplateProblem::TooMuchWork);
        }
        Ok(())
    }

    fn declare(&mut self, name: &str, ty: Ty) -> Checked<()> {
        if self.scope.len() >= MOST_VARIABLES {
            return Err(TemplateProblem::TooMuchWork);
        }
        self.scope.declare(name, ty);
        Ok(())
    }

    fn branch(&mut self, line: usize, branch: &Branch, dot: &Ty, with: bool) -> Result<usize, TemplateError> {
        let fail = |problem| TemplateError { line, problem };
        let ty = self.pipeline(&branch.pipeline, dot).map_err(fail)?;
        let outside = self.scope.len();
        let before = self.scope.values(outside);
        if let Some(name) = &branch.variable {
            self.declare(name, ty.clone()).map_err(fail)?;
        }
        let inside = self.scope.len();
        let truth = ty.without_nil();
        // What is never true is never run; so a key that is not there can be asked for.
        let then = if truth == Ty::Nil {
            0
        } else {
            self.block(&branch.then, if with { &truth } else { dot })?
        };
        self.scope.leave(inside);
        let after_then = self.scope.values(outside);
        self.scope.set_values(before);
        let otherwise = self.block(&branch.otherwise, dot)?;
        self.scope.leave(outside);
        let after_else = self.scope.values(outside);
        let either = self.either(&after_then, &after_else).map_err(fail)?;
        self.scope.set_values(either);
        Ok(then.max(otherwise))
    }

    fn range(&mut self, line: usize, range: &Range, dot: &Ty) -> Result<usize, TemplateError> {
        let fail = |problem| TemplateError { line, problem };
        let over = self.pipeline(&range.pipeline, dot).map_err(fail)?;
        let (turns, key, item) = match over.clone() {
            Ty::List(list) => (list.most, Ty::Int, list.item.clone()),
            Ty::Map(fields) => {
                let key = fields.keys().map(String::len).max().unwrap_or_default();
                let mut items = fields.values();
                let first = items.next().cloned().unwrap_or(Ty::Nil);
                let item = items.fold(first, |ty, other| ty.or(other));
                (fields.len(), Ty::Text(key), item)
            }
            Ty::Nil => return Err(fail(TemplateProblem::UnknownKey)),
            _ => return Err(fail(TemplateProblem::Arguments("range"))),
        };
        self.loops += 1;
        if self.loops > DEEPEST_LOOP {
            return Err(fail(TemplateProblem::TooDeep));
        }
        let outside = self.scope.len();
        let before = self.scope.values(outside);
        let worked = self.work;
        let mut body = 0;
        // The second time with what the first left in the variables: then nothing may change any more.
        for steady in [false, true] {
            let start = self.scope.values(outside);
            self.work = 0;
            if let Some(name) = &range.key {
                self.declare(name, key.clone()).map_err(fail)?;
            }
            if let Some(name) = &range.item {
                self.declare(name, item.clone()).map_err(fail)?;
            }
            body = if turns == 0 {
                0
            } else {
                self.block(&range.body, &item)?
            };
            self.scope.leave(outside);
            let end = self.scope.values(outside);
            let either = self.either(&start, &end).map_err(fail)?;
            if either == start {
                self.scope.set_values(either);
                break;
            }
            if steady {
                return Err(fail(TemplateProblem::Unsteady));
            }
            self.scope.set_values(either);
        }
        self.loops -= 1;
        let work = times(self.work, turns);
        self.work = worked;
        self.spend(work).map_err(fail)?;
        let after = self.scope.values(outside);
        self.scope.set_values(before);
        // As in Go, where the variables hold the whole list until there is an item.
        for name in range.key.iter().chain(&range.item) {
            self.declare(name, over.clone()).map_err(fail)?;
        }
        let otherwise = self.block(&range.otherwise, dot)?;
        self.scope.leave(outside);
        let after_else = self.scope.values(outside);
        let either = self.either(&after, &after_else).map_err(fail)?;
        self.scope.set_values(either);
        Ok(times(turns, body).max(otherwise))
    }

    /// What variables hold after one of two ways.
    fn either(&mut self, one: &[Ty], other: &[Ty]) -> Checked<Vec<Ty>> {
        let mut both = Vec::with_capacity(one.len());
        for (a, b) in one.iter().zip(other) {
            if a.is_same(b) {
                both.push(a.clone());
                continue;
            }
            self.look_at([a, b])?;
            let ty = a.or(b);
            self.look_at([&ty])?;
            both.push(ty);
        }
        Ok(both)
    }

    /// Pays for looking at types, and refuses those that are too large for it. The map of the object's keys, which is there
    /// before anything is called, may be as large as it is.
    fn look_at<'t>(&mut self, types: impl IntoIterator<Item = &'t Ty>) -> Checked<()> {
        let most = LARGEST_TYPE + self.keys;
        let mut parts: usize = 0;
        for ty in types {
            parts += ty.parts(most, DEEPEST_TYPE).ok_or(TemplateProblem::TooDeep)?;
        }
        self.spend(times(parts, PART))
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Ty) -> Checked<Ty> {
        let mut ty = self.expr(&pipeline.first, dot)?;
        let mut written = literal(&pipeline.first);
        for call in &pipeline.calls {
            ty = self.call(call, Some((ty, written)), dot)?;
            written = None;
        }
        Ok(ty)
    }

    fn call(&mut self, call: &Call, last: Option<(Ty, Option<&Literal>)>, dot: &Ty) -> Checked<Ty> {
        let mut types = Vec::with_capacity(call.arguments.len() + 1);
        let mut written = Vec::with_capacity(call.arguments.len() + 1);
        for argument in &call.arguments {
            types.push(self.expr(argument, dot)?);
            written.push(literal(argument));
        }
        if let Some((ty, literal)) = last {
            types.push(ty);
            written.push(literal);
        }
        // Each may be compared with each other one.
        self.look_at(&types)?;
        self.spend(times(times(types.len(), types.len()), PART))?;
        let arguments = Arguments {
            name: call.function.name,
            types: &types,
            written: &written,
            more: Cell::new(0),
        };
        let result = (call.function.check)(&arguments)?;
        self.look_at([&result])?;
        self.spend(arguments.more.get())?;
        let moved = types
            .iter()
            .map(Ty::printed)
            .fold(result.printed(), usize::saturating_add);
        self.spend(moved)?;
        Ok(result)
    }

    fn expr(&mut self, expr: &Expr, dot: &Ty) -> Checked<Ty> {
        match expr {
            Expr::Literal(Literal::Bool(_)) => Ok(Ty::Bool),
            Expr::Literal(Literal::Int(_)) => Ok(Ty::Int),
            Expr::Literal(Literal::Text(text)) => Ok(Ty::Text(text.len())),
            Expr::Dot => Ok(dot.clone()),
            Expr::Variable(name) => self
                .scope
                .get(name)
                .cloned()
                .ok_or(TemplateProblem::UnknownVariable),
            Expr::Call(call) => self.call(call, None, dot),
            Expr::Pipeline(pipeline) => self.pipeline(pipeline, dot),
            Expr::Field(of, name) => field(&self.expr(of, dot)?, name),
        }
    }
}

/// A field of what has fields.
pub(super) fn field(of: &Ty, name: &str) -> Checked<Ty> {
    match of {
        Ty::Map(fields) => Ok(fields.get(name).cloned().unwrap_or(Ty::Nil)),
        Ty::Nil => Err(TemplateProblem::UnknownKey),
        _ => Err(TemplateProblem::NoFields),
    }
}

fn literal(expr: &Expr) -> Option<&Literal> {
    match expr {
        Expr::Literal(literal) => Some(literal),
        _ => None,
    }
}
