//! `quote` and `squote`.

use super::{Arguments, Checked, Function, made};
use crate::template::buffer::Buffer;
use crate::template::runes;
use crate::template::ty::{Ty, times};
use crate::template::value::Value;
use unicode_general_category::{GeneralCategory, get_general_category};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "quote",
        check,
        eval: |values| {
            each(values, |value, out| match value {
                Value::Text(text) => go(text.bytes(), out),
                other => {
                    let text = made(|out| other.format(out));
                    go(text.text(), out);
                }
            })
        },
    },
    Function {
        name: "squote",
        check,
        eval: |values| {
            each(values, |value, out| {
                out.push(b'\'');
                value.format(out);
                out.push(b'\'');
            })
        },
    },
];

fn check(arguments: &Arguments<'_>) -> Checked {
    let mut most: usize = 0;
    for index in 0..arguments.types.len() {
        let printed = arguments.value(index)?.printed();
        most = most.saturating_add(quoted_len(printed)).saturating_add(1);
    }
    Ok(Ty::Text(most))
}

/// With spaces between; what is nothing is left out.
fn each<'a>(values: &[Value<'_>], write: fn(&Value<'_>, &mut Buffer)) -> Value<'a> {
    made(|out| {
        for (index, value) in values
            .iter()
            .filter(|value| !matches!(value, Value::Nil))
            .enumerate()
        {
            if index > 0 {
                out.push(b' ');
            }
            write(value, out);
        }
    })
}

/// A byte can become `\x00`.
pub(super) fn quoted_len(most: usize) -> usize {
    times(most, 4).saturating_add(2)
}

/// Go's `strconv.Quote`.
pub(super) fn go(bytes: &[u8], out: &mut Buffer) {
    out.push(b'"');
    for (rune, own) in runes::all(bytes) {
        match rune {
            Some('"') => out.extend(br#"\""#),
            Some('\\') => out.extend(br"\\"),
            Some('\u{7}') => out.extend(br"\a"),
            Some('\u{8}') => out.extend(br"\b"),
            Some('\u{c}') => out.extend(br"\f"),
            Some('\n') => out.extend(br"\n"),
            Some('\r') => out.extend(br"\r"),
            Some('\t') => out.extend(br"\t"),
            Some('\u{b}') => out.extend(br"\v"),
            Some(c) if is_print(c) => out.extend(own),
            Some(c) if c < ' ' || c == '\u{7f}' => out.extend(format!("\\x{:02x}", u32::from(c)).as_bytes()),
            Some(c) if u32::from(c) < 0x1_0000 => out.extend(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            Some(c) => out.extend(format!("\\U{:08x}", u32::from(c)).as_bytes()),
            None => {
                out.extend(br"\x");
                super::encode::hex(own, super::LOWER_HEX, out);
            }
        }
    }
    out.push(b'"');
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
fn is_print(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Surrogate, Unassigned,
    };
    let hidden = matches!(
        get_general_category(c),
        Control
            | Format
            | LineSeparator
            | ParagraphSeparator
            | PrivateUse
            | SpaceSeparator
            | Surrogate
            | Unassigned
    );
    c == ' ' || !hidden
}
