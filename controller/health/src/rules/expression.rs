//! One CEL expression: parsed, bounded, and made harmless.
//!
//! CEL always ends, but not soon: loops nest, and values grow. So that the worst that passes here is bearable, an expression
//! has at most [`LENGTH`] bytes, [`DEPTH`] levels, loops in [`LOOPS`] levels and [`SIZE`] steps, and calls only functions
//! whose results are no larger than what went in. What it reads of an object is paid for (`fuel.rs`).
//!
//! The slowest found within these limits takes 0.4 s over an object of 1.5 MB, in an optimised build (a list of 990 literals
//! searched in a loop; `tests/suite/hostile.rs` prints such). Rules as people write them take some 20 µs.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, operators};
use cel::parser::Parser;
use std::panic::catch_unwind;

/// The longest source, in bytes.
const LENGTH: usize = 2048;
/// How deep brackets, and the tree, may nest.
const DEPTH: usize = 32;
/// How deep loops may nest.
const LOOPS: usize = 2;
/// How many nodes may be run, where every loop over an object turns once and those over literals in full.
const SIZE: usize = 20_000;

/// The parts of an object that have names of their own.
pub(crate) const PARTS: [&str; 3] = ["metadata", "spec", "status"];

/// What an identifier may name besides an object: the types that `type()` gives.
const TYPES: [&str; 10] = [
    "bool",
    "bytes",
    "double",
    "dyn",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "uint",
];

/// What may be called. Left out: `matches` (a pattern is compiled every time, and may come from the object), and whatever
/// an extension adds.
const FUNCTIONS: [&str; 31] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::NOT_STRICTLY_FALSE,
    operators::IN,
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "int",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];

/// An expression that may be run over any object.
#[derive(Debug)]
pub(crate) struct Expression {
    tree: IdedExpr,
    size: usize,
}

impl Expression {
    /// Parses and checks; the error is a sentence without its full stop.
    pub(crate) fn compile(source: &str) -> Result<Self, String> {
        if source.len() > LENGTH {
            return Err(format!("the expression is longer than {LENGTH} bytes"));
        }
        check_brackets(source)?;
        // The parser is not ours and has `unwrap` in it.
        let parsed = catch_unwind(|| {
            let parser = Parser::new().max_recursion_depth(u16::try_from(DEPTH).unwrap_or(u16::MAX));
            parser.parse(source).map_err(|all| {
                let first = all.errors.first();
                first.map_or_else(String::new, |e| {
                    format!(" (line {}, {}): {}", e.pos.0, e.pos.1, e.msg)
                })
            })
        });
        let mut tree = match parsed {
            Ok(Ok(tree)) => tree,
            Ok(Err(why)) => return Err(format!("this is not CEL{why}")),
            Err(_) => return Err("this is not CEL".into()),
        };
        let mut check = Check {
            size: 0,
            literals: 0,
            names: Vec::new(),
        };
        check.visit(&mut tree, DEPTH)?;
        if check.size > SIZE {
            return Err("loops over literals turn too often".into());
        }
        Ok(Self {
            tree,
            size: check.size,
        })
    }

    pub(crate) fn tree(&self) -> &IdedExpr {
        &self.tree
    }

    /// What running it costs, apart from what it reads of an object.
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

/// The parser's stack grows with each bracket, so they are counted before. Those in string literals count too.
fn check_brackets(source: &str) -> Result<(), String> {
    let mut depth = 0_usize;
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return Err(format!("brackets nest deeper than {DEPTH}"));
        }
    }
    Ok(())
}

struct Check {
    /// The steps so far; saturated, as literals in loops multiply.
    size: usize,
    /// The elements of literals so far.
    literals: usize,
    /// The variables of the loops around the node.
    names: Vec<String>,
}

impl Check {
    fn visit(&mut self, node: &mut IdedExpr, depth: usize) -> Result<(), String> {
        self.size = self.size.saturating_add(1);
        let depth = depth
            .checked_sub(1)
            .ok_or_else(|| format!("the expression nests deeper than {DEPTH}"))?;
        match &mut node.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.check_name(name),
            Expr::Select(select) => self.visit(&mut select.operand, depth),
            Expr::Call(call) => self.visit_call(call, depth),
            Expr::Comprehension(each) => self.visit_loop(each, depth),
            Expr::List(list) => {
                self.literals += list.elements.len();
                list.elements.iter_mut().try_for_each(|e| self.visit(e, depth))
            }
            Expr::Map(map) => {
                self.literals += map.entries.len();
                map.entries
                    .iter_mut()
                    .try_for_each(|entry| match &mut entry.expr {
                        EntryExpr::MapEntry(entry) => {
                            self.visit(&mut entry.key, depth)?;
                            self.visit(&mut entry.value, depth)
                        }
                        EntryExpr::StructField(_) => Err("messages cannot be built".into()),
                    })
            }
            Expr::Struct(_) => Err("messages cannot be built".into()),
            Expr::Unspecified => Err("a part of it is missing".into()),
        }
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        let known = name == "self" || PARTS.contains(&name) || TYPES.contains(&name);
        // A name that starts so cannot be written: it is a loop's own.
        if known || name.starts_with('@') || self.names.iter().any(|n| n == name) {
            return Ok(());
        }
        Err(format!(
            "there is no variable {name}, only self, metadata, spec and status"
        ))
    }

    fn visit_call(&mut self, call: &mut CallExpr, depth: usize) -> Result<(), String> {
        let name = call.func_name.as_str();
        if !FUNCTIONS.contains(&name) {
            return Err(match name {
                "has" | "all" | "exists" | "exists_one" | "filter" => {
                    format!("{name} has the wrong number of arguments")
                }
                _ => format!("there is no function {name}"),
            });
        }
        for part in call.target.iter_mut().map(|t| &mut **t).chain(&mut call.args) {
            self.visit(part, depth)?;
        }
        match (name, call.args.as_mut_slice()) {
            // Strings and lists would grow, so only numbers may: `a + b` is `a - -b`.
            (operators::ADD, [_, second]) => {
                let id = second.id;
                let negated = CallExpr {
                    func_name: operators::NEGATE.into(),
                    target: None,
                    args: vec![std::mem::take(second)],
                };
                *second = IdedExpr {
                    id,
                    expr: Expr::Call(negated),
                };
                call.func_name = operators::SUBSTRACT.into();
            }
            // CEL's own lists and maps do not know ours, but ours know them (`view.rs`): a path goes first.
            (operators::EQUALS | operators::NOT_EQUALS, [first, second]) if rank(first) > rank(second) => {
                std::mem::swap(first, second);
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_loop(&mut self, each: &mut ComprehensionExpr, depth: usize) -> Result<(), String> {
        let literals = self.literals;
        self.visit(&mut each.iter_range, depth)?;
        let turns = (self.literals - literals).max(1);
        if self.names.len() >= LOOPS {
            return Err(format!("loops nest deeper than {LOOPS}"));
        }
        self.names.push(each.iter_var.clone());
        let before = self.size;
        if let Expr::List(_) = each.accu_init.expr {
            self.visit_filter(each, depth)?;
        } else if !is_count(&each.accu_init) {
            self.visit(&mut each.loop_step, depth)?;
        } else if let Expr::Call(CallExpr { args, .. }) = &mut each.loop_step.expr {
            // `exists_one` adds to its own count; only its condition is the user's.
            args.first_mut()
                .map_or(Ok(()), |condition| self.visit(condition, depth))?;
        }
        self.names.pop();
        // 8: what the macro itself adds to each turn.
        let turn = self.size.saturating_sub(before).saturating_add(8);
        self.size = before.saturating_add(turn.saturating_mul(turns));
        Ok(())
    }

    /// `filter` and `map` both append to a list; `filter` appends what it found, so that nothing grows.
    fn visit_filter(&mut self, each: &mut ComprehensionExpr, depth: usize) -> Result<(), String> {
        let refused = || Err("map() is not supported: filter(), all(), exists() and exists_one() are".into());
        let Expr::Call(CallExpr { func_name, args, .. }) = &mut each.loop_step.expr else {
            return refused();
        };
        match (func_name.as_str(), args.as_mut_slice()) {
            (operators::CONDITIONAL, [condition, append, _]) if appends(append, &each.iter_var) => {
                self.visit(condition, depth)
            }
            _ => refused(),
        }
    }
}

fn is_count(start: &IdedExpr) -> bool {
    matches!(start.expr, Expr::Literal(cel::common::ast::LiteralValue::Int(_)))
}

/// Whether a step is `@result + [name]`.
fn appends(step: &IdedExpr, name: &str) -> bool {
    let Expr::Call(CallExpr { args, .. }) = &step.expr else {
        return false;
    };
    let [
        _,
        IdedExpr {
            expr: Expr::List(list),
            ..
        },
    ] = args.as_slice()
    else {
        return false;
    };
    matches!(list.elements.as_slice(), [IdedExpr { expr: Expr::Ident(n), .. }] if n == name)
}

/// Where a value comes from: the object first, literals last.
fn rank(node: &IdedExpr) -> u8 {
    match &node.expr {
        Expr::Ident(_) | Expr::Select(_) => 0,
        Expr::Call(call) if call.func_name == operators::INDEX => 0,
        Expr::List(_) | Expr::Map(_) | Expr::Literal(_) => 2,
        _ => 1,
    }
}
