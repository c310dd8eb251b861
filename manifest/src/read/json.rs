//! JSON text to values, for texts that start with `{`: kubectl tries JSON first.
//!
//! serde_json does not serve here: it may read a float one step off (its exact mode is a feature that would apply to
//! the whole program), and it does not count what it allocates.

use serde_json::{Map, Number, Value};

use super::error::ReadErrorKind as Kind;
use super::fault::Fault;
use super::limits::Limits;
use super::number::json_number;

/// Reads one JSON object from the start of a text, white space before it included. Answers with the object and the
/// byte after it.
pub(super) fn object(text: &str, limits: &Limits) -> Result<(Value, usize), Fault> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        nodes: 0,
        limits,
    };
    reader.white_space();
    if reader.peek() != Some(b'{') {
        return Err(reader.fault(Kind::Json));
    }
    let value = reader.value(0)?;
    Ok((value, reader.at))
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    nodes: usize,
    limits: &'a Limits,
}

impl Reader<'_> {
    fn fault(&self, kind: Kind) -> Fault {
        Fault::new(kind, self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Takes the byte if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.fault(Kind::Json))
        }
    }

    /// The depth of recursion is the depth of the document, which is bounded.
    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(self.fault(Kind::TooManyNodes {
                limit: self.limits.nodes,
            }));
        }
        self.check_length()?;
        match self.peek() {
            Some(b'{' | b'[') if depth >= self.limits.depth => Err(self.fault(Kind::TooDeep {
                limit: self.limits.depth,
            })),
            Some(b'{') => self.fields(depth + 1),
            Some(b'[') => self.items(depth + 1),
            Some(b'"') => Ok(self.string()?.into()),
            Some(b'-' | b'0'..=b'9') => Ok(self.number()?.into()),
            Some(b't') => self.word("true", true.into()),
            Some(b'f') => self.word("false", false.into()),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.fault(Kind::Json)),
        }
    }

    /// The text may be a whole stream of objects; the limit is for one.
    fn check_length(&self) -> Result<(), Fault> {
        let limit = self.limits.document_bytes;
        if self.at > limit {
            Err(self.fault(Kind::DocumentTooLarge { limit }))
        } else {
            Ok(())
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Fault> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.fault(Kind::Json))
        }
    }

    fn items(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut items = Vec::new();
        self.at += 1;
        self.white_space();
        if !self.take(b']') {
            loop {
                self.white_space();
                items.push(self.value(depth)?);
                self.white_space();
                if self.take(b']') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        Ok(items.into())
    }

    fn fields(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut fields = Map::new();
        self.at += 1;
        self.white_space();
        if !self.take(b'}') {
            loop {
                self.white_space();
                let key = self.string()?;
                self.white_space();
                self.expect(b':')?;
                self.white_space();
                // The last of equal keys wins, as in Go.
                let value = self.value(depth)?;
                fields.insert(key, value);
                self.white_space();
                if self.take(b'}') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        Ok(fields.into())
    }

    fn number(&mut self) -> Result<Number, Fault> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut integer = true;
        if self.take(b'.') {
            integer = false;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            integer = false;
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if integer {
            if let Ok(int) = text.parse::<i64>() {
                return Ok(int.into());
            }
            if let Ok(int) = text.parse::<u64>() {
                return Ok(int.into());
            }
        }
        let float = text.parse().map_err(|_| Fault::new(Kind::Json, start))?;
        json_number(float).ok_or(Fault::new(Kind::NotFinite, start))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start {
            Ok(())
        } else {
            Err(self.fault(Kind::Json))
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.expect(b'"')?;
        let mut string = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1F)) {
                self.at += 1;
            }
            self.check_length()?;
            // Both ends are at ASCII bytes, so this is a whole number of characters.
            string.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => {
                    self.at += 1;
                    string.push(self.escape()?);
                }
                _ => return Err(self.fault(Kind::Json)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let Some(byte) = self.peek() else {
            return Err(self.fault(Kind::Json));
        };
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let start = self.at;
                let mut units = vec![self.hex()?];
                if (0xD800..0xDC00).contains(&units[0]) && self.take(b'\\') {
                    self.expect(b'u')?;
                    units.push(self.hex()?);
                }
                // Go puts U+FFFD for half a pair; a manifest with that is broken.
                let mut chars = char::decode_utf16(units);
                match (chars.next(), chars.next()) {
                    (Some(Ok(char)), None) => char,
                    _ => return Err(Fault::new(Kind::Json, start)),
                }
            }
            _ => return Err(Fault::new(Kind::Json, self.at - 1)),
        })
    }

    fn hex(&mut self) -> Result<u16, Fault> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit.and_then(|digit| u16::try_from(digit).ok()) else {
                return Err(self.fault(Kind::Json));
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, Kind> {
        let (value, end) = object(text, &Limits::default()).map_err(|fault| fault.kind)?;
        assert_eq!(end, text.len());
        Ok(value)
    }

    #[test]
    fn agrees_with_serde_json() {
        for text in [
            r"{}",
            r#" {"a": [], "b": [1, -2, 1.5, 2e-3, true, false, null], "c": {"d": "e"}}"#,
            r#"{"a": "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀"}"#,
            r#"{"a": 1, "a": 2}"#,
            "{\"\u{7f}\":\t-9223372036854775808,\r\n\"b\": 18446744073709551615}",
        ] {
            assert_eq!(read(text), Ok(serde_json::from_str(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn integral_floats_are_integers() {
        assert_eq!(
            read(r#"{"a": 1.0, "b": 1e3, "c": -0.0}"#),
            Ok(serde_json::json!({"a": 1, "b": 1000, "c": 0}))
        );
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            "[]",
            "{",
            "{a: 1}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":+1}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":tru}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":"\x"}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\ud800\u0041"}"#,
            r#"{"a":"\u00"#,
            r#"{"a":"\"#,
            r#"{"a":-}"#,
            r#"{"a":1e}"#,
        ] {
            assert_eq!(read(text), Err(Kind::Json), "{text}");
        }
        assert_eq!(read(r#"{"a":1e400}"#), Err(Kind::NotFinite));
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = format!("{}{}", "{\"a\":".repeat(1000), "[".repeat(1_000_000));
        assert_eq!(read(&deep), Err(Kind::TooDeep { limit: 100 }));
        let wide = format!("{{\"a\":[{}1]}}", "1,".repeat(1_000_000));
        assert_eq!(read(&wide), Err(Kind::TooManyNodes { limit: 200_000 }));
    }
}
