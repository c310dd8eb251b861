//! `toJson`, `toRawJson` and `toPrettyJson`, as Go's encoding/json writes.

use super::{Arguments, Checked, Function, made};
use crate::template::buffer::Buffer;
use crate::template::runes;
use crate::template::ty::Ty;
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "toJson",
        check: |arguments| check(arguments, None),
        eval: |values| write(values, true, None),
    },
    Function {
        name: "toRawJson",
        check: |arguments| check(arguments, None),
        eval: |values| write(values, false, None),
    },
    Function {
        name: "toPrettyJson",
        check: |arguments| check(arguments, Some(0)),
        eval: |values| write(values, true, Some(0)),
    },
];

fn check(arguments: &Arguments<'_>, deep: Option<usize>) -> Checked {
    arguments.count(1)?;
    Ok(Ty::Text(arguments.value(0)?.json(deep)))
}

fn write<'a>(values: &[Value<'_>], html: bool, deep: Option<usize>) -> Value<'a> {
    made(|out| {
        if let Some(value) = values.first() {
            let mut writer = Writer { out, html };
            writer.value(value, deep);
        }
    })
}

struct Writer<'b> {
    out: &'b mut Buffer,
    /// Whether `<`, `>` and `&` are escaped.
    html: bool,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value<'_>, deep: Option<usize>) {
        match value {
            Value::Nil => self.out.extend(b"null"),
            Value::Text(text) => self.text(text.bytes()),
            Value::Bool(_) | Value::Int(_) => value.format(self.out),
            Value::List(items) => self.many(*b"[]", items.iter().map(|item| (None, item)), deep),
            Value::Map(fields) => {
                let fields = fields.iter().map(|(key, value)| (Some(key.as_str()), value));
                self.many(*b"{}", fields, deep);
            }
        }
    }

    fn many<'v, 'a: 'v>(
        &mut self,
        [open, close]: [u8; 2],
        entries: impl ExactSizeIterator<Item = (Option<&'v str>, &'v Value<'a>)>,
        deep: Option<usize>,
    ) {
        let empty = entries.len() == 0;
        let deeper = deep.map(|deep| deep + 1);
        self.out.push(open);
        for (index, (key, value)) in entries.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.line(deeper);
            if let Some(key) = key {
                self.text(key.as_bytes());
                self.out.extend(if deep.is_some() { b": " } else { b":" });
            }
            self.value(value, deeper);
        }
        if !empty {
            self.line(deep);
        }
        self.out.push(close);
    }

    fn line(&mut self, deep: Option<usize>) {
        if let Some(deep) = deep {
            self.out.push(b'\n');
            self.out.repeat(b' ', 2 * deep);
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        for (rune, own) in runes::all(bytes) {
            match rune {
                Some('"') => self.out.extend(br#"\""#),
                Some('\\') => self.out.extend(br"\\"),
                Some('\n') => self.out.extend(br"\n"),
                Some('\r') => self.out.extend(br"\r"),
                Some('\t') => self.out.extend(br"\t"),
                Some('\u{8}') => self.out.extend(br"\b"),
                Some('\u{c}') => self.out.extend(br"\f"),
                Some(c) if c < ' ' => self.unicode(c),
                Some(c @ ('<' | '>' | '&')) if self.html => self.unicode(c),
                Some(c @ ('\u{2028}' | '\u{2029}')) => self.unicode(c),
                None => self.unicode(char::REPLACEMENT_CHARACTER),
                Some(_) => self.out.extend(own),
            }
        }
        self.out.push(b'"');
    }

    fn unicode(&mut self, c: char) {
        self.out.extend(format!("\\u{:04x}", u32::from(c)).as_bytes());
    }
}
