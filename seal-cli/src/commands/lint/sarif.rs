//! SARIF 2.1.0 (OASIS), the form that code scanning takes.

use super::finding::{Finding, Rule};
use super::report::level;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) fn log(found: &[Finding]) -> Value {
    let rules: Vec<Value> = Rule::ALL
        .iter()
        .map(|rule| json!({"id": rule.id(), "shortDescription": {"text": rule.about()}}))
        .collect();
    let results: Vec<Value> = found.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "signet lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let index = Rule::ALL.iter().position(|rule| *rule == finding.rule);
    let object = finding
        .object
        .as_ref()
        .map(|object| format!("{object}: "))
        .unwrap_or_default();
    json!({
        "ruleId": finding.rule.id(),
        "ruleIndex": index,
        "level": level(finding.level),
        "message": {"text": format!("{object}{}. {}.", finding.message, finding.hint)},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&finding.place.file)},
            "region": {"startLine": finding.place.line},
        }}],
    })
}

/// A relative reference (RFC 3986, 4.2): what may not stand in a path is escaped.
fn uri(file: &str) -> String {
    let mut out = String::with_capacity(file.len());
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/+@!$&'()*,;=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
