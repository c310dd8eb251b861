//! Numbers, as Go parses them from YAML and prints them to JSON.

use serde_json::Number;

/// What go-yaml makes of a scalar that starts with a digit or a sign, or that is tagged as a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Parsed {
    Int(i64),
    /// Beyond `i64`, never within.
    Uint(u64),
    Float(f64),
}

/// A scalar that starts with a digit or a sign. Underscores may be anywhere; a leading zero means octal, unless the
/// rest is not octal, when it is read as a float.
pub(super) fn parse_number(text: &str) -> Option<Parsed> {
    let plain = text.replace('_', "");
    if let Some(int) = parse_int(&plain) {
        return Some(int);
    }
    if is_float(&plain) {
        return parse_float(&plain);
    }
    // go-yaml's own fallback: Go's binary prefix followed by a sign.
    let digits = plain.strip_prefix("0b")?;
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, digits.strip_prefix('+')?),
    };
    signed(negative, parse_radix(digits, 2)?).map(Parsed::Int)
}

/// A scalar that starts with a dot. Underscores must stand between digits here: another code path of Go's.
pub(super) fn parse_dotted(text: &str) -> Option<Parsed> {
    let bytes = text.as_bytes();
    let between_digits = |i: usize| {
        let digit = |i: Option<usize>| i.and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_digit);
        let run = |b: &u8| *b == b'_';
        // Two underscores in a row are not between digits.
        !bytes.get(i + 1).is_some_and(run) && digit(i.checked_sub(1)) && digit(Some(i + 1))
    };
    if !text
        .bytes()
        .enumerate()
        .all(|(i, b)| b != b'_' || between_digits(i))
    {
        return None;
    }
    let plain = text.replace('_', "");
    if is_float(&plain) {
        parse_float(&plain)
    } else {
        None
    }
}

/// `strconv.ParseInt` and then `ParseUint` with base 0.
fn parse_int(text: &str) -> Option<Parsed> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (Some(true), &text[1..]),
        b'+' => (Some(false), &text[1..]),
        _ => (None, text),
    };
    let magnitude = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => parse_radix(&digits[2..], 16),
        [b'0', b'o' | b'O', _, ..] => parse_radix(&digits[2..], 8),
        [b'0', b'b' | b'B', _, ..] => parse_radix(&digits[2..], 2),
        [b'0'] => Some(0),
        [b'0', ..] => parse_radix(&digits[1..], 8),
        _ => parse_radix(digits, 10),
    }?;
    match signed(sign == Some(true), magnitude) {
        Some(int) => Some(Parsed::Int(int)),
        None if sign.is_none() => Some(Parsed::Uint(magnitude)),
        None => None,
    }
}

/// Digits only: `from_str_radix` would take a sign too.
fn parse_radix(digits: &str, radix: u32) -> Option<u64> {
    if digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        u64::from_str_radix(digits, radix).ok()
    } else {
        None
    }
}

fn signed(negative: bool, magnitude: u64) -> Option<i64> {
    if negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// `[-+]? (\.[0-9]+ | [0-9]+ (\.[0-9]*)?) ([eE][-+]?[0-9]+)?`: what go-yaml allows a float to look like.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)),
        ),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

/// Go calls a number beyond `f64` an error, and go-yaml then takes it for a string.
fn parse_float(text: &str) -> Option<Parsed> {
    text.parse()
        .ok()
        .filter(|float: &f64| float.is_finite())
        .map(Parsed::Float)
}

/// The JSON number of a float, or none for what JSON cannot say.
///
/// Go prints a float below 1e21 without exponent, and an integral one without a point; whoever reads that gets an
/// integer. So it is one here, with the digits that are printed (the shortest that mean the float).
pub(super) fn json_number(float: f64) -> Option<Number> {
    if float.fract() == 0.0 && float.abs() < 1e21 {
        let digits = float.to_string();
        if let Ok(int) = digits.parse::<u64>() {
            return Some(int.into());
        }
        if let Ok(int) = digits.parse::<i64>() {
            return Some(int.into());
        }
    }
    Number::from_f64(float)
}

/// The same for a number that is JSON's already.
pub(crate) fn integral(number: &Number) -> Number {
    match number.as_f64() {
        Some(float) if number.is_f64() => json_number(float).unwrap_or_else(|| number.clone()),
        _ => number.clone(),
    }
}

/// The text of a float that is a mapping's key: sigs.k8s.io/yaml formats it with `%g` as if it had 32 bits.
pub(super) fn key_text(float: f64) -> String {
    #[allow(clippy::cast_possible_truncation)] // what Go does, infinity included
    let short = float as f32;
    if short.is_infinite() {
        return if short > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    // `{:e}` gives the shortest digits and the exponent; `%g` switches to it below 1e-4 and from 1e6 on.
    let scientific = format!("{short:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        short.to_string()
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_all_bases() {
        for (text, int) in [
            ("0", 0),
            ("00", 0),
            ("-0", 0),
            ("+1", 1),
            ("0644", 420),
            ("-0644", -420),
            ("0o644", 420),
            ("0O17", 15),
            ("0x1F", 31),
            ("-0X1f", -31),
            ("0b101", 5),
            ("0b-1", -1),
            ("0b+11", 3),
            ("1_000", 1000),
            ("1__0_", 10),
            ("0_7", 7),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_number(text), Some(Parsed::Int(int)), "{text}");
        }
        assert_eq!(parse_number("18446744073709551615"), Some(Parsed::Uint(u64::MAX)));
        assert_eq!(parse_number("0xFFFFFFFFFFFFFFFF"), Some(Parsed::Uint(u64::MAX)));
    }

    #[test]
    fn floats() {
        for (text, float) in [
            ("08", 8.0),
            ("0888", 888.0),
            ("1.", 1.0),
            ("1.5", 1.5),
            ("12e03", 12000.0),
            ("1E+3", 1000.0),
            ("-1e-2", -0.01),
            ("+.5", 0.5),
            ("18446744073709551616", 18_446_744_073_709_551_616.0),
            ("+18446744073709551615", 18_446_744_073_709_551_616.0),
            ("-9223372036854775809", -9_223_372_036_854_775_809.0),
        ] {
            assert_eq!(parse_number(text), Some(Parsed::Float(float)), "{text}");
        }
        assert_eq!(parse_dotted(".5"), Some(Parsed::Float(0.5)));
        assert_eq!(parse_dotted(".1_0e1_0"), Some(Parsed::Float(0.1e10)));
        for text in ["._1", ".1_", ".1__0", ".1e_1", ".", ".e1", ".5.5", ".5x"] {
            assert_eq!(parse_dotted(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "1e400",
            "6e2f",
            "1:30",
            "2001-01-01",
            "-",
            "+",
            "0x",
            "0xg",
            "0b",
            "0b2",
            "1.2.3",
            "1e",
            "--1",
            "1-1",
        ] {
            assert_eq!(parse_number(text), None, "{text}");
        }
    }

    #[test]
    fn floats_that_go_prints_as_integers_are_integers() {
        for (float, text) in [
            (1.0, "1"),
            (-0.0, "0"),
            (1e3, "1000"),
            (-2.0, "-2"),
            (1_152_921_504_606_846_976.0, "1152921504606847000"),
            (1.5, "1.5"),
        ] {
            assert_eq!(json_number(float).unwrap().to_string(), text);
        }
        assert!(json_number(1e21).unwrap().is_f64());
        assert!(json_number(18_446_744_073_709_551_616.0).unwrap().is_f64());
        assert_eq!(json_number(f64::INFINITY), None);
    }

    #[test]
    fn floats_as_keys() {
        for (float, text) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (123_456_789.0, "1.2345679e+08"),
            (999_999.5, "999999.5"),
            (1_000_000.0, "1e+06"),
            (1e22, "1e+22"),
            (0.00001, "1e-05"),
            (1e300, ".inf"),
            (f64::NEG_INFINITY, "-.inf"),
        ] {
            assert_eq!(key_text(float), text);
        }
    }
}
