//! `printf` with a format that is written out: `%s`, `%d`, `%v`, `%q`, `%x`, `%t` and `%%`; width, `-`, `0`, `+` and precision
//! for texts and numbers.

use super::{Arguments, Checked, Function, encode, made, quote};
use crate::template::buffer::Buffer;
use crate::template::error::TemplateProblem;
use crate::template::runes;
use crate::template::ty::{Ty, times};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "printf",
    check,
    eval: |values| {
        made(|out| {
            if let Some((format, arguments)) = values.split_first() {
                let mut arguments = arguments.iter();
                for part in parts(format.text()).into_iter().flatten() {
                    match part {
                        Part::Text(text) => out.extend(text),
                        Part::Verb(verb) => verb.write(arguments.next().unwrap_or(&Value::Nil), out),
                    }
                }
            }
        })
    },
}];

fn check(arguments: &Arguments<'_>) -> Checked {
    let parts = parts(arguments.written_text(0)?).ok_or_else(|| arguments.wrong())?;
    let mut size: usize = 0;
    let mut next = 1;
    for part in parts {
        size = size.saturating_add(match part {
            Part::Text(text) => text.len(),
            Part::Verb(verb) => {
                next += 1;
                verb.most(arguments.value(next - 1)?)
                    .ok_or_else(|| arguments.wrong())?
            }
        });
    }
    // Go appends a complaint about arguments that no verb uses.
    if next == arguments.types.len() {
        Ok(Ty::Text(size))
    } else {
        Err(TemplateProblem::Arguments(arguments.name))
    }
}

enum Part<'f> {
    Text(&'f [u8]),
    Verb(Verb),
}

#[derive(Default)]
struct Verb {
    kind: u8,
    minus: bool,
    zero: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

/// The parts of a format; none if it has what is not known.
fn parts(format: &[u8]) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        parts.push(Part::Text(&rest[..at]));
        rest = &rest[at + 1..];
        if let [b'%', after @ ..] = rest {
            parts.push(Part::Text(b"%"));
            rest = after;
            continue;
        }
        let mut verb = Verb::default();
        while let [flag @ (b'-' | b'0' | b'+'), after @ ..] = rest {
            match flag {
                b'-' => verb.minus = true,
                b'0' => verb.zero = true,
                _ => verb.plus = true,
            }
            rest = after;
        }
        let width;
        (width, rest) = number(rest)?;
        verb.width = width.unwrap_or_default();
        if let [b'.', after @ ..] = rest {
            let precision;
            (precision, rest) = number(after)?;
            verb.precision = Some(precision.unwrap_or_default());
        }
        let (kind, after) = rest.split_first()?;
        verb.kind = *kind;
        rest = after;
        parts.push(Part::Verb(verb));
    }
    parts.push(Part::Text(rest));
    Some(parts)
}

/// Up to four digits.
fn number(text: &[u8]) -> Option<(Option<usize>, &[u8])> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, after) = text.split_at(count);
    match count {
        0 => Some((None, after)),
        1..=4 => Some((Some(std::str::from_utf8(digits).ok()?.parse().ok()?), after)),
        _ => None,
    }
}

impl Verb {
    fn plain(&self) -> bool {
        !self.minus && !self.zero && !self.plus && self.width == 0 && self.precision.is_none()
    }

    /// The most that a value of this type becomes; none where Go would complain or the pair is not known here.
    fn most(&self, ty: &Ty) -> Option<usize> {
        match (self.kind, ty) {
            (b's' | b'v', Ty::Text(most)) if !self.zero && !self.plus => {
                Some(most.saturating_add(self.width))
            }
            (b'd' | b'v', Ty::Int) if self.precision.is_none() => {
                Some(ty.printed().saturating_add(self.width))
            }
            (b'v', _) | (b't', Ty::Bool) if self.plain() => Some(ty.printed()),
            (b'q', Ty::Text(most)) if self.plain() => Some(quote::quoted_len(*most)),
            (b'x', Ty::Text(most)) if self.plain() => Some(times(*most, 2)),
            _ => None,
        }
    }

    fn write(&self, value: &Value<'_>, out: &mut Buffer) {
        match (self.kind, value) {
            (b'q', value) => quote::go(value.text(), out),
            (b'x', value) => encode::hex(value.text(), super::LOWER_HEX, out),
            (_, Value::Text(text)) => self.pad_text(text.bytes(), out),
            (_, Value::Int(number)) => self.pad_int(*number, out),
            (_, other) => other.format(out),
        }
    }

    fn pad_text(&self, bytes: &[u8], out: &mut Buffer) {
        let wanted = self.precision.unwrap_or(usize::MAX);
        let (runes, len) = runes::all(bytes)
            .take(wanted)
            .fold((0, 0), |(runes, len), (_, own)| (runes + 1, len + own.len()));
        let padding = self.width.saturating_sub(runes);
        if !self.minus {
            out.repeat(b' ', padding);
        }
        out.extend(&bytes[..len]);
        if self.minus {
            out.repeat(b' ', padding);
        }
    }

    fn pad_int(&self, number: i64, out: &mut Buffer) {
        let digits = number.unsigned_abs().to_string();
        let sign: &[u8] = match (number < 0, self.plus) {
            (true, _) => b"-",
            (false, true) => b"+",
            (false, false) => b"",
        };
        let padding = self.width.saturating_sub(sign.len() + digits.len());
        let zeros = self.zero && !self.minus;
        if !zeros && !self.minus {
            out.repeat(b' ', padding);
        }
        out.extend(sign);
        if zeros {
            out.repeat(b'0', padding);
        }
        out.extend(digits.as_bytes());
        if self.minus {
            out.repeat(b' ', padding);
        }
    }
}
