//! Constants as Go writes them: interpreted strings and integers.

use super::error::TemplateProblem;
use super::lex::is_word;

/// An interpreted string, after its first quote. Escapes can make bytes that are not text.
pub(super) fn quoted(text: &str) -> Result<(Vec<u8>, &str), TemplateProblem> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let c = rest.chars().next().ok_or(TemplateProblem::Unclosed)?;
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Ok((out, rest)),
            '\n' => return Err(TemplateProblem::Unclosed),
            '\\' => rest = escape(rest, &mut out)?,
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// What stands after a backslash (Go specification, rune literals).
fn escape<'a>(rest: &'a str, out: &mut Vec<u8>) -> Result<&'a str, TemplateProblem> {
    let kind = rest.chars().next().ok_or(TemplateProblem::Unclosed)?;
    let after = &rest[kind.len_utf8()..];
    let digits = |from: &'a str, count: usize, radix: u32| {
        let digits = from.get(..count).ok_or(TemplateProblem::Syntax)?;
        if !digits.chars().all(|c| c.is_digit(radix)) {
            return Err(TemplateProblem::Syntax);
        }
        u32::from_str_radix(digits, radix)
            .map(|number| (number, &from[count..]))
            .map_err(|_| TemplateProblem::Syntax)
    };
    let byte = |number: u32| u8::try_from(number).map_err(|_| TemplateProblem::Syntax);
    let plain = match kind {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        '"' => b'"',
        'x' => {
            let (number, after) = digits(after, 2, 16)?;
            out.push(byte(number)?);
            return Ok(after);
        }
        '0'..='7' => {
            let (number, after) = digits(rest, 3, 8)?;
            out.push(byte(number)?);
            return Ok(after);
        }
        'u' | 'U' => {
            let (number, after) = digits(after, if kind == 'u' { 4 } else { 8 }, 16)?;
            let c = char::from_u32(number).ok_or(TemplateProblem::Syntax)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(after);
        }
        _ => return Err(TemplateProblem::Syntax),
    };
    out.push(plain);
    Ok(after)
}

/// A decimal integer. Go's other ways to write one are not read: nobody was seen to use them.
pub(super) fn integer(text: &str) -> Result<(i64, &str), TemplateProblem> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let count = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let end = text.len() - digits.len() + count;
    let (number, after) = text.split_at(end);
    let octal = count > 1 && digits.starts_with('0');
    if octal || after.starts_with(|c: char| is_word(c) || c == '.') {
        return Err(TemplateProblem::Syntax);
    }
    number
        .parse()
        .map(|number| (number, after))
        .map_err(|_| TemplateProblem::Syntax)
}
