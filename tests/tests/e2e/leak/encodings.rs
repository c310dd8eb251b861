//! Every form in which a value could turn up: as it is, escaped, encoded, or as a plain hash.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::md5::md5;

/// A form's text, and its name for reports.
pub(super) type Forms = BTreeMap<Vec<u8>, &'static str>;

/// What is searched for of a form that is longer: pieces of this length, each half a piece further. An error that
/// quotes the first hundred bytes of a value, or one line of it, holds such a piece.
const PIECE: usize = 24;
/// How much of a hash is enough to know it by: logs like to cut them.
const HASH_PIECE: usize = 8;
/// The beginning of a value tells it as well.
const BEGINNING: usize = 8;
/// Values larger than this are searched for by their beginning.
const LARGEST: usize = 2048;

/// Every text that must not be found where `value` must not.
pub(super) fn needles(value: &[u8]) -> Forms {
    let mut needles = Forms::new();
    hashes(value, &mut needles);
    let value = &value[..value.len().min(LARGEST)];
    for (name, text) in forms(value) {
        let piece = if name == "list of bytes" { 2 * PIECE } else { PIECE };
        cut(&text, piece, name, &mut needles);
    }
    // A parser's error likes to quote the line it stumbled over.
    for line in value
        .split(|byte| *byte == b'\n')
        .filter(|line| line.len() >= BEGINNING)
    {
        for (name, text) in forms(line) {
            if text.len() <= PIECE {
                needles.entry(text).or_insert(name);
            }
        }
    }
    if value.len() > BEGINNING {
        needles.entry(value[..BEGINNING].to_vec()).or_insert("beginning");
    }
    needles
}

fn cut(text: &[u8], piece: usize, name: &'static str, needles: &mut Forms) {
    if text.len() <= 2 * piece {
        needles.entry(text.to_vec()).or_insert(name);
        return;
    }
    let last = text.len() - piece;
    for start in (0..last).step_by(piece / 2).chain([last]) {
        let part = &text[start..start + piece];
        // Too little to know a value by: the same replacement character again and again.
        if part.iter().collect::<HashSet<_>>().len() > 5 {
            needles.entry(part.to_vec()).or_insert(name);
        }
    }
}

/// The readable forms, whole.
fn forms(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let lossy = String::from_utf8_lossy(value).into_owned();
    let json = json(&lossy);
    // Go's encoder, which the API server uses, escapes what could be HTML.
    let html = ["<", ">", "&"]
        .iter()
        .zip(["\\u003c", "\\u003e", "\\u0026"])
        .fold(json.clone(), |text, (from, to)| text.replace(from, to));
    let ascii = json.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
        text
    });
    let debug = format!("{lossy:?}");
    let list = value.iter().map(u8::to_string).collect::<Vec<_>>();
    let mut forms = vec![
        ("raw", value.to_vec()),
        ("lossy text", lossy.clone().into_bytes()),
        ("JSON-escaped", json.into_bytes()),
        ("JSON-escaped as Go does", html.into_bytes()),
        ("JSON-escaped to ASCII", ascii.into_bytes()),
        ("Debug", debug.trim_matches('"').as_bytes().to_vec()),
        ("ASCII-escaped", value.escape_ascii().to_string().into_bytes()),
        ("single-quoted YAML", lossy.replace('\'', "''").into_bytes()),
        ("list of bytes", list.join(", ").into_bytes()),
        ("list of bytes", list.join(",").into_bytes()),
        ("list of bytes", list.join(" ").into_bytes()),
        ("hex", hex(value, "").into_bytes()),
        ("upper-case hex", hex(value, "").to_uppercase().into_bytes()),
        ("hex with colons", hex(value, ":").into_bytes()),
        ("percent-encoded", percent(value, false, true).into_bytes()),
        ("percent-encoded", percent(value, false, false).into_bytes()),
        (
            "percent-encoded throughout",
            percent(value, true, true).into_bytes(),
        ),
        (
            "percent-encoded throughout",
            percent(value, true, false).into_bytes(),
        ),
        (
            "form-encoded",
            percent(value, false, true).replace("%20", "+").into_bytes(),
        ),
    ];
    // Logs in JSON, and JSON in JSON.
    for (_, text) in forms.clone() {
        if let Ok(text) = str::from_utf8(&text)
            && text.contains(['\\', '"'])
        {
            forms.push(("escaped twice", self::json(text).into_bytes()));
        }
    }
    for text in base64(value) {
        // A Secret's data, encoded once more: JSON of a Secret in base64.
        forms.extend(base64(&text).into_iter().map(|text| ("base64 twice", text)));
        forms.push(("base64", text));
    }
    forms
}

/// Both alphabets, at each of the three places in a longer text, without the characters that depend on neighbours.
fn base64(value: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    for before in 0..3 {
        let mut shifted = vec![0; before];
        shifted.extend_from_slice(value);
        let from = (before * 8).div_ceil(6);
        let to = shifted.len() * 8 / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(&shifted);
            texts.push(text.as_bytes()[from..to].to_vec());
        }
    }
    texts
}

/// Plain hashes: of the value, of the line that `echo` makes of it, of the base64 text that a Secret holds.
fn hashes(value: &[u8], needles: &mut Forms) {
    let line = [value, b"\n"].concat();
    let encoded = base64::engine::general_purpose::STANDARD.encode(value);
    for text in [value, &line, encoded.as_bytes()] {
        let algorithms = [
            ("SHA-256", &digest::SHA256),
            ("SHA-512", &digest::SHA512),
            ("SHA-1", &digest::SHA1_FOR_LEGACY_USE_ONLY),
        ];
        for (name, algorithm) in algorithms {
            hash(name, digest::digest(algorithm, text).as_ref(), needles);
        }
        hash("MD5", &md5(text), needles);
    }
}

fn hash(name: &'static str, hash: &[u8], needles: &mut Forms) {
    let start = &hash[..HASH_PIECE];
    needles.insert(start.to_vec(), name);
    needles.insert(hex(start, "").into_bytes(), name);
    needles.insert(hex(start, "").to_uppercase().into_bytes(), name);
    needles.insert(hex(start, ":").into_bytes(), name);
    for text in base64(start) {
        needles.insert(text, name);
    }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .trim_matches('"')
        .to_owned()
}

fn hex(bytes: &[u8], between: &str) -> String {
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(between)
}

fn percent(bytes: &[u8], all: bool, upper: bool) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
        let _ = match (plain && !all, upper) {
            (true, _) => write!(text, "{}", char::from(*byte)),
            (false, true) => write!(text, "%{byte:02X}"),
            (false, false) => write!(text, "%{byte:02x}"),
        };
        text
    })
}
