//! Runs a checked template over values. Nothing here can fail.

use super::ast::{Branch, Call, Expr, Literal, Node, NodeKind, Pipeline, Range};
use super::buffer::Buffer;
use super::scope::Scope;
use super::value::{Text, Value};
use zeroize::Zeroizing;

/// The text with the values in it.
pub(super) fn render<'a>(nodes: &'a [Node], root: &Value<'a>) -> Zeroizing<Vec<u8>> {
    let mut run = Run {
        scope: Scope::new(root.clone()),
        out: Buffer::default(),
    };
    run.block(nodes, root);
    run.out.finish()
}

struct Run<'a> {
    scope: Scope<Value<'a>>,
    out: Buffer,
}

impl<'a> Run<'a> {
    fn block(&mut self, nodes: &'a [Node], dot: &Value<'a>) {
        for node in nodes {
            match &node.kind {
                NodeKind::Text(text) => self.out.extend(text),
                NodeKind::Print(pipeline) => {
                    let value = self.pipeline(pipeline, dot);
                    value.print(&mut self.out);
                }
                NodeKind::Declare(name, pipeline) => {
                    let value = self.pipeline(pipeline, dot);
                    self.scope.declare(name, value);
                }
                NodeKind::Assign(name, pipeline) => {
                    let value = self.pipeline(pipeline, dot);
                    self.scope.assign(name, value);
                }
                NodeKind::If(branch) => self.branch(branch, dot, false),
                NodeKind::With(branch) => self.branch(branch, dot, true),
                NodeKind::Range(range) => self.range(range, dot),
            }
        }
    }

    fn branch(&mut self, branch: &'a Branch, dot: &Value<'a>, with: bool) {
        let value = self.pipeline(&branch.pipeline, dot);
        let outside = self.scope.len();
        if let Some(name) = &branch.variable {
            self.scope.declare(name, value.clone());
        }
        if !value.is_true() {
            self.block(&branch.otherwise, dot);
        } else if with {
            self.block(&branch.then, &value);
        } else {
            self.block(&branch.then, dot);
        }
        self.scope.leave(outside);
    }

    fn range(&mut self, range: &'a Range, dot: &Value<'a>) {
        let over = self.pipeline(&range.pipeline, dot);
        let items: Vec<(Value<'a>, Value<'a>)> = match &over {
            Value::List(items) => (0..).map(Value::Int).zip(items.iter().cloned()).collect(),
            Value::Map(fields) => {
                let entries = fields.iter();
                entries
                    .map(|(key, value)| (Value::copy(key.as_bytes()), value.clone()))
                    .collect()
            }
            _ => Vec::new(),
        };
        let outside = self.scope.len();
        if items.is_empty() {
            // As in Go, where the variables hold the whole list until there is an item.
            for name in range.key.iter().chain(&range.item) {
                self.scope.declare(name, over.clone());
            }
            self.block(&range.otherwise, dot);
            self.scope.leave(outside);
        }
        for (key, item) in items {
            if let Some(name) = &range.key {
                self.scope.declare(name, key);
            }
            if let Some(name) = &range.item {
                self.scope.declare(name, item.clone());
            }
            self.block(&range.body, &item);
            self.scope.leave(outside);
        }
        self.scope.leave(outside);
    }

    fn pipeline(&mut self, pipeline: &'a Pipeline, dot: &Value<'a>) -> Value<'a> {
        let first = self.expr(&pipeline.first, dot);
        pipeline
            .calls
            .iter()
            .fold(first, |value, call| self.call(call, Some(value), dot))
    }

    fn call(&mut self, call: &'a Call, last: Option<Value<'a>>, dot: &Value<'a>) -> Value<'a> {
        let mut values: Vec<_> = call
            .arguments
            .iter()
            .map(|argument| self.expr(argument, dot))
            .collect();
        values.extend(last);
        (call.function.eval)(&values)
    }

    fn expr(&mut self, expr: &'a Expr, dot: &Value<'a>) -> Value<'a> {
        match expr {
            Expr::Literal(Literal::Bool(bool)) => Value::Bool(*bool),
            Expr::Literal(Literal::Int(number)) => Value::Int(*number),
            Expr::Literal(Literal::Text(text)) => Value::Text(Text::Borrowed(text)),
            Expr::Dot => dot.clone(),
            Expr::Variable(name) => self.scope.get(name).cloned().unwrap_or(Value::Nil),
            Expr::Call(call) => self.call(call, None, dot),
            Expr::Pipeline(pipeline) => self.pipeline(pipeline, dot),
            Expr::Field(of, name) => self.expr(of, dot).field(name),
        }
    }
}
