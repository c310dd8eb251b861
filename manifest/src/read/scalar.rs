//! What a scalar means: go-yaml v2's rules, which are YAML 1.1's with exceptions.

use std::rc::Rc;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use serde_json::Value;

use super::error::ReadErrorKind as Kind;
use super::node::Node;
use super::number::{Parsed, parse_dotted, parse_number};
use super::timestamp::is_timestamp;

const PREFIX: &str = "tag:yaml.org,2002:";

/// Go's decoder wants padding and does not look at the bits it does not need.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The value of a scalar. `implicit` says that it is plain, that is neither quoted nor tagged.
pub(super) fn resolve(tag: Option<&str>, implicit: bool, text: String) -> Result<Node, Kind> {
    let Some(tag) = tag.filter(|tag| !tag.is_empty()) else {
        return Ok(if implicit {
            plain(text)
        } else {
            Node::Str(Rc::new(text))
        });
    };
    match tag.strip_prefix(PREFIX) {
        Some("binary") => binary(&text),
        Some("timestamp") if is_timestamp(&text) => Ok(Node::Str(Rc::new(text))),
        Some(tag @ ("bool" | "int" | "float" | "null" | "timestamp")) => fit(tag, plain(text)),
        // `!!str`, and every tag that go-yaml does not know.
        _ => Ok(Node::Str(Rc::new(text))),
    }
}

/// Whether a mapping's key stands for the entries of another mapping.
pub(super) fn is_merge(tag: Option<&str>, implicit: bool, text: &str) -> bool {
    text == "<<" && (implicit || tag.and_then(|tag| tag.strip_prefix(PREFIX)) == Some("merge"))
}

/// Whether go-yaml reads a plain scalar as the string it is.
pub(crate) fn is_plain_string(text: &str) -> bool {
    matches!(plain(text.to_owned()), Node::Str(_))
}

/// What a plain scalar means; one that JSON has no number for is the text it is.
pub(crate) fn plain_value(text: &str) -> Value {
    plain(text.to_owned())
        .into_json(false)
        .unwrap_or_else(|| text.into())
}

fn fit(tag: &str, value: Node) -> Result<Node, Kind> {
    match (tag, value) {
        ("bool", value @ Node::Bool(_))
        | ("int", value @ (Node::Int(_) | Node::Uint(_)))
        | ("float", value @ Node::Float(_))
        | ("null", value @ Node::Null) => Ok(value),
        #[allow(clippy::cast_precision_loss)] // as Go converts it
        ("float", Node::Int(int)) => Ok(Node::Float(int as f64)),
        _ => Err(Kind::TagMismatch),
    }
}

/// The first character decides what a scalar may be.
fn plain(text: String) -> Node {
    let value = match text.as_bytes().first() {
        None => Some(Node::Null),
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => word(&text),
        Some(b'.') => word(&text).or_else(|| parse_dotted(&text).map(number)),
        Some(b'0'..=b'9') => parse_number(&text).map(number),
        Some(b'+' | b'-') => word(&text).or_else(|| parse_number(&text).map(number)),
        Some(_) => None,
    };
    value.unwrap_or_else(|| Node::Str(Rc::new(text)))
}

fn word(text: &str) -> Option<Node> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Node::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Node::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Node::Null,
        ".nan" | ".NaN" | ".NAN" => Node::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Node::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Node::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

fn number(parsed: Parsed) -> Node {
    match parsed {
        Parsed::Int(int) => Node::Int(int),
        Parsed::Uint(uint) => Node::Uint(uint),
        Parsed::Float(float) => Node::Float(float),
    }
}

fn binary(text: &str) -> Result<Node, Kind> {
    // Go skips line ends, and only those.
    let text: Vec<u8> = text
        .bytes()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    let bytes = BASE64.decode(text).map_err(|_| Kind::InvalidBase64)?;
    let text = String::from_utf8(bytes).map_err(|_| Kind::BinaryNotText)?;
    Ok(Node::Str(Rc::new(text)))
}
