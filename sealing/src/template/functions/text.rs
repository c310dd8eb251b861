//! Texts: `trim` and its kin, `upper`, `lower`, `replace`, `repeat`, `trunc`, `substr`, `indent`, `nindent`.

use super::{Arguments, Checked, Function, made};
use crate::template::buffer::Buffer;
use crate::template::error::TemplateProblem;
use crate::template::runes;
use crate::template::ty::{Ty, times};
use crate::template::value::Value;
use zeroize::Zeroizing;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "trim",
        check: |arguments| same(arguments, 0),
        eval: |values| part(values, |_, text| runes::trim(text, char::is_whitespace)),
    },
    Function {
        name: "trimAll",
        check: trimmed,
        eval: |values| part(values, trim_all),
    },
    Function {
        name: "trimall",
        check: trimmed,
        eval: |values| part(values, trim_all),
    },
    Function {
        name: "trimPrefix",
        check: |arguments| same(arguments, 1),
        eval: |values| part(values, |prefix, text| text.strip_prefix(prefix).unwrap_or(text)),
    },
    Function {
        name: "trimSuffix",
        check: |arguments| same(arguments, 1),
        eval: |values| part(values, |suffix, text| text.strip_suffix(suffix).unwrap_or(text)),
    },
    Function {
        name: "upper",
        check: cased,
        eval: |values| map(values, runes::upper),
    },
    Function {
        name: "lower",
        check: cased,
        eval: |values| map(values, runes::lower),
    },
    Function {
        name: "trunc",
        check: |arguments| {
            arguments.count(2)?;
            arguments.int(0)?;
            arguments.text(1).map(Ty::Text)
        },
        eval: |values| match values {
            [count, text] => text.part(|bytes| trunc(count.int(), bytes)),
            _ => Value::Nil,
        },
    },
    Function {
        name: "substr",
        check: |arguments| {
            arguments.count(3)?;
            // Go panics where the start is behind the end, so only the beginning of a text can be asked for.
            if arguments.written_count(0)? != 0 {
                return Err(TemplateProblem::Arguments("substr"));
            }
            arguments.int(1)?;
            arguments.text(2).map(Ty::Text)
        },
        eval: |values| match values {
            [_, end, text] => text.part(|bytes| {
                let end = usize::try_from(end.int()).unwrap_or(usize::MAX);
                bytes.get(..end).unwrap_or(bytes)
            }),
            _ => Value::Nil,
        },
    },
    Function {
        name: "replace",
        check: |arguments| {
            arguments.count(3)?;
            let (old, new, text) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
            let written = arguments.written_text(0).map_or(0, <[u8]>::len);
            let places = text
                .checked_div(written)
                .unwrap_or_else(|| text.saturating_add(1));
            debug_assert!(written <= old, "a constant is as long as it is");
            Ok(Ty::Text(times(places, new).saturating_add(text)))
        },
        eval: |values| match values {
            [old, new, text] => made(|out| replace(old.text(), new.text(), text.text(), out)),
            _ => Value::Nil,
        },
    },
    Function {
        name: "repeat",
        check: |arguments| {
            arguments.count(2)?;
            let count = arguments.written_count(0)?;
            arguments.charge(count);
            Ok(Ty::Text(times(count, arguments.text(1)?)))
        },
        eval: |values| {
            made(|out| {
                if let [count, text] = values
                    && !text.text().is_empty()
                {
                    (0..count.int()).for_each(|_| out.extend(text.text()));
                }
            })
        },
    },
    Function {
        name: "indent",
        check: indented,
        eval: |values| indent(values, false),
    },
    Function {
        name: "nindent",
        check: indented,
        eval: |values| indent(values, true),
    },
];

/// The text that comes after so many others, all or a part of it.
fn same(arguments: &Arguments<'_>, others: usize) -> Checked {
    arguments.count(others + 1)?;
    for other in 0..others {
        arguments.text(other)?;
    }
    arguments.text(others).map(Ty::Text)
}

/// The last argument cut by the first.
fn part<'a>(values: &[Value<'a>], cut: for<'v> fn(&[u8], &'v [u8]) -> &'v [u8]) -> Value<'a> {
    let by = values.first().map(Value::text).unwrap_or_default();
    values
        .last()
        .map_or(Value::Nil, |text| text.part(|bytes| cut(by, bytes)))
}

/// Both are read, and each rune of the text is looked up in the sorted set.
fn trimmed(arguments: &Arguments<'_>) -> Checked {
    let ty = same(arguments, 1)?;
    let both = arguments.text(0)?.saturating_add(arguments.text(1)?);
    arguments.charge(times(both, LOOK_UP));
    Ok(ty)
}

/// Steps of a binary search in a text of a Secret's size.
pub(super) const LOOK_UP: usize = 21;

fn trim_all<'v>(set: &[u8], text: &'v [u8]) -> &'v [u8] {
    let mut runes = Zeroizing::new(Vec::with_capacity(set.len()));
    runes.extend(runes::all(set).map(|(rune, _)| rune.unwrap_or(char::REPLACEMENT_CHARACTER)));
    runes.sort_unstable();
    runes::trim(text, |c| runes.binary_search(&c).is_ok())
}

/// Some letters are longer in the other case, and a byte that is not UTF-8 becomes U+FFFD.
fn cased(arguments: &Arguments<'_>) -> Checked {
    arguments.count(1)?;
    Ok(Ty::Text(times(arguments.text(0)?, 3)))
}

fn map<'a>(values: &[Value<'_>], change: fn(char) -> char) -> Value<'a> {
    made(|out| {
        for (rune, _) in runes::all(values.first().map(Value::text).unwrap_or_default()) {
            out.push_char(change(rune.unwrap_or(char::REPLACEMENT_CHARACTER)));
        }
    })
}

/// The first so many bytes, or the last of a negative number.
fn trunc(count: i64, bytes: &[u8]) -> &[u8] {
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 {
        &bytes[bytes.len().saturating_sub(size)..]
    } else {
        bytes.get(..size).unwrap_or(bytes)
    }
}

/// Where a part that is not empty stands, from the left, without overlap. In time linear in both.
pub(super) fn places<'b>(bytes: &'b [u8], part: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    memchr::memmem::find_iter(bytes, part)
}

fn replace(old: &[u8], new: &[u8], text: &[u8], out: &mut Buffer) {
    if old.is_empty() {
        // Before every rune, and at the end.
        for (_, own) in runes::all(text) {
            out.extend(new);
            out.extend(own);
        }
        out.extend(new);
        return;
    }
    let mut start = 0;
    for at in places(text, old) {
        out.extend(&text[start..at]);
        out.extend(new);
        start = at + old.len();
    }
    out.extend(&text[start..]);
}

/// Every byte can be a line of its own.
fn indented(arguments: &Arguments<'_>) -> Checked {
    arguments.count(2)?;
    let (spaces, most) = (arguments.written_count(0)?, arguments.text(1)?);
    let lines = most.saturating_add(1);
    Ok(Ty::Text(times(lines, spaces).saturating_add(lines)))
}

fn indent<'a>(values: &[Value<'_>], on_a_new_line: bool) -> Value<'a> {
    made(|out| {
        if let [spaces, text] = values {
            let spaces = usize::try_from(spaces.int()).unwrap_or_default();
            if on_a_new_line {
                out.push(b'\n');
            }
            out.repeat(b' ', spaces);
            for byte in text.text() {
                out.push(*byte);
                if *byte == b'\n' {
                    out.repeat(b' ', spaces);
                }
            }
        }
    })
}
