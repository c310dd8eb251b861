//! Encodings and digests: `b64enc`, `b64dec`, `html`, `urlquery`, `sha1sum`, `sha256sum`, `sha512sum`.

use super::{Arguments, Function, made};
use crate::base64_text;
use crate::template::buffer::Buffer;
use crate::template::error::TemplateProblem;
use crate::template::ty::{Ty, times};
use crate::template::value::Value;
use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "b64enc",
        check: |arguments| Ok(Ty::Text(base64_text::encoded_len(one_text(arguments)?))),
        eval: |values| {
            let bytes = first(values);
            made(|out| {
                out.append(base64_text::encoded_len(bytes.len()), |out| {
                    base64_text::append(bytes, out);
                });
            })
        },
    },
    Function {
        name: "b64dec",
        check: |arguments| Ok(Ty::Text(one_text(arguments)?.max(LONGEST_COMPLAINT))),
        eval: |values| decode(first(values)),
    },
    Function {
        name: "html",
        check: |arguments| Ok(Ty::Text(times(one_text(arguments)?, 5))),
        eval: |values| {
            made(|out| {
                for byte in first(values) {
                    match byte {
                        0 => out.extend("\u{fffd}".as_bytes()),
                        b'"' => out.extend(b"&#34;"),
                        b'\'' => out.extend(b"&#39;"),
                        b'&' => out.extend(b"&amp;"),
                        b'<' => out.extend(b"&lt;"),
                        b'>' => out.extend(b"&gt;"),
                        other => out.push(*other),
                    }
                }
            })
        },
    },
    Function {
        name: "urlquery",
        check: |arguments| Ok(Ty::Text(times(one_text(arguments)?, 3))),
        eval: |values| {
            made(|out| {
                for byte in first(values) {
                    match byte {
                        b' ' => out.push(b'+'),
                        b'-' | b'_' | b'.' | b'~' => out.push(*byte),
                        byte if byte.is_ascii_alphanumeric() => out.push(*byte),
                        byte => {
                            out.push(b'%');
                            hex(&[*byte], b"0123456789ABCDEF", out);
                        }
                    }
                }
            })
        },
    },
    Function {
        name: "sha1sum",
        check: |arguments| one_text(arguments).map(|_| Ty::Text(40)),
        eval: |values| sum(&SHA1_FOR_LEGACY_USE_ONLY, values),
    },
    Function {
        name: "sha256sum",
        check: |arguments| one_text(arguments).map(|_| Ty::Text(64)),
        eval: |values| sum(&SHA256, values),
    },
    Function {
        name: "sha512sum",
        check: |arguments| one_text(arguments).map(|_| Ty::Text(128)),
        eval: |values| sum(&SHA512, values),
    },
];

/// `illegal base64 data at input byte `, and a position.
const LONGEST_COMPLAINT: usize = 64;

fn one_text(arguments: &Arguments<'_>) -> Result<usize, TemplateProblem> {
    arguments.count(1)?;
    arguments.text(0)
}

fn first<'v>(values: &'v [Value<'_>]) -> &'v [u8] {
    values.first().map(Value::text).unwrap_or_default()
}

fn sum<'a>(algorithm: &'static Algorithm, values: &[Value<'_>]) -> Value<'a> {
    let digest = digest(algorithm, first(values));
    made(|out| hex(digest.as_ref(), super::LOWER_HEX, out))
}

pub(super) fn hex(bytes: &[u8], digits: &[u8; 16], out: &mut Buffer) {
    for byte in bytes {
        out.push(digits[usize::from(byte >> 4)]);
        out.push(digits[usize::from(byte & 15)]);
    }
}

/// sprig gives the complaint in place of the bytes. To say more of it than sprig does would say something about a
/// value, to whoever reads a status.
fn decode<'a>(text: &[u8]) -> Value<'a> {
    match base64_text::decode_bytes(text) {
        Ok(bytes) => made(|out| out.extend(&bytes)),
        Err(_) => made(|out| {
            out.extend(b"illegal base64 data at input byte ");
            out.extend(first_bad(text).to_string().as_bytes());
        }),
    }
}

/// Where Go's `encoding/base64` says that a text stops being base64.
fn first_bad(text: &[u8]) -> usize {
    let newline = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let skip = |mut at: usize| {
        while text.get(at).is_some_and(newline) {
            at += 1;
        }
        at
    };
    let mut at = 0;
    let mut digits = 0;
    loop {
        match text.get(at) {
            None => return at - digits,
            Some(byte) if newline(byte) => at += 1,
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') => {
                at += 1;
                digits = (digits + 1) % 4;
            }
            Some(b'=') if digits >= 2 => {
                at += 1;
                if digits == 2 {
                    at = skip(at);
                    match text.get(at) {
                        None => return text.len(),
                        Some(b'=') => at += 1,
                        // Go names the first padding character here.
                        Some(_) => return at - 1,
                    }
                }
                return skip(at);
            }
            Some(_) => return at,
        }
    }
}
