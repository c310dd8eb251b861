//! What must not stand in Git in plain text. Names are quoted, values never.

use super::finding::{Finding, Level, Object, Place, Rule};
use crate::repo_files::Text;
use manifest::{Path as Way, Step};
use sealing::{Certificate, Printable};
use serde_json::Value;
use std::time::SystemTime;

const SEAL: &str = "seal it with `signet seal FILE -w FILE`; if it was committed before, change the value at its source: Git's \
                    history keeps the plain text";
const MOVE: &str = "put it into a Secret, seal that, and refer to it with valueFrom.secretKeyRef";
const KEY: &str = "remove it, and replace the key: Git's history keeps it";

/// Looks at one object.
pub(super) fn object(object: &Object<'_>, found: &mut Vec<Finding>) {
    let kind = object.field("kind");
    match (object.field("apiVersion"), kind) {
        ("v1", "Secret") => {
            secret(object, found);
            return;
        }
        ("v1", "ConfigMap") => config_map(object, found),
        _ if kind == "SealedSecret" => {
            template(object, found);
            return;
        }
        _ => {}
    }
    generators(object, found);
    walk(object, object.value, object.at, found);
}

fn secret(object: &Object<'_>, found: &mut Vec<Finding>) {
    // Encrypted by SOPS: other tools look after it.
    if object.value.get("sops").is_some() {
        return;
    }
    let plain = |field: &str| {
        let entries = object.value.get(field).and_then(Value::as_object);
        entries
            .into_iter()
            .flatten()
            .filter(|(_, value)| !is_placeholder(value))
            .count()
    };
    let (data, strings) = (plain("data"), plain("stringData"));
    let count = data + strings;
    if count > 0 {
        let field = if strings > 0 { "stringData" } else { "data" };
        let values = if count == 1 {
            "1 value".to_owned()
        } else {
            format!("{count} values")
        };
        found.push(object.finding(
            Rule::PlainSecret,
            Level::Error,
            [field],
            format!("{values} in plain text; base64 is no encryption"),
            SEAL,
        ));
    }
}

/// What another program puts in later, or nothing.
fn is_placeholder(value: &Value) -> bool {
    match value.as_str() {
        None => value.is_null(),
        Some(text) => {
            let text = text.trim();
            text.is_empty()
                || (text.starts_with("${") && text.ends_with('}'))
                || (text.starts_with("$(") && text.ends_with(')'))
                || (text.starts_with("{{") && text.ends_with("}}"))
                || (text.starts_with('<') && text.ends_with('>') && !text.contains('\n'))
        }
    }
}

fn config_map(object: &Object<'_>, found: &mut Vec<Finding>) {
    let data = object.value.get("data").and_then(Value::as_object);
    for (key, value) in data.into_iter().flatten() {
        if is_secret_name(key)
            && value
                .as_str()
                .is_some_and(|text| is_secret_value(text) && !text.contains('\n'))
        {
            found.push(object.finding(
                Rule::PlainEnv,
                Level::Warning,
                ["data", key],
                format!(
                    "{} looks like a secret, and ConfigMaps are read by many",
                    Printable(key)
                ),
                "put it into a Secret, and seal that",
            ));
        }
    }
}

/// The entries of a SealedSecret's template: what is put together from sealed values, and is not sealed itself.
fn template(object: &Object<'_>, found: &mut Vec<Finding>) {
    for field in ["data", "stringData"] {
        let entries = object
            .value
            .pointer(&format!("/spec/template/{field}"))
            .and_then(Value::as_object);
        for (key, text) in entries.into_iter().flatten() {
            let Some(text) = text.as_str() else { continue };
            let (rule, message, hint) = if holds_private_key(text) {
                (Rule::PrivateKey, "a private key in plain text".to_owned(), KEY)
            } else if is_given(key, text) || text.lines().any(holds_given) {
                (
                    Rule::PlainSecret,
                    format!(
                        "{} of the template has a secret in plain text; templates are not sealed",
                        Printable(key)
                    ),
                    "seal it as a value of its own, and refer to it in the template",
                )
            } else {
                continue;
            };
            found.push(object.finding(
                rule,
                Level::Error,
                ["spec", "template", field, key],
                message,
                hint,
            ));
        }
    }
}

/// Whether a line of a template, `name: value` or `name = value` or with a URL in it, gives a secret itself.
fn holds_given(line: &str) -> bool {
    if line.trim_start().starts_with(['#', ';']) {
        return false; // a remark
    }
    let named = line.split_once([':', '=']).is_some_and(|(name, value)| {
        is_given(
            name.trim().trim_matches('"'),
            value.trim().trim_matches(['"', '\'', ',', ';']),
        )
    });
    named
        || line
            .split([' ', '\t', '"', '\'', '='])
            .any(|word| !word.contains("{{") && holds_login(word))
}

/// Whether a secret's name stands beside a value that is no place for a sealed one.
fn is_given(name: &str, value: &str) -> bool {
    is_secret_name(name) && !value.contains('\n') && !value.contains("{{") && is_secret_value(value)
}

/// `secretGenerator` of a kustomization.
fn generators(object: &Object<'_>, found: &mut Vec<Finding>) {
    let generators = object.value.get("secretGenerator").and_then(Value::as_array);
    for (index, generator) in generators.into_iter().flatten().enumerate() {
        let literals = generator.get("literals").and_then(Value::as_array);
        if literals.is_some_and(|literals| !literals.is_empty()) {
            let way = object
                .at
                .within(["secretGenerator"])
                .then(Step::Index(index))
                .then(Step::Key("literals".to_owned()));
            found.push(object.finding_at(
                Rule::PlainSecret,
                Level::Error,
                &way,
                "secretGenerator.literals are values in plain text".to_owned(),
                "write a SealedSecret, and list it under resources",
            ));
        }
    }
}

/// Looks for environment variables and private keys at any depth; the reader has bounded it.
fn walk(object: &Object<'_>, value: &Value, way: &Way, found: &mut Vec<Finding>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let way = way.then(Step::Key(key.clone()));
                if key == "env" {
                    variables(object, value, &way, found);
                }
                walk(object, value, &way, found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                walk(object, value, &way.then(Step::Index(index)), found);
            }
        }
        Value::String(text) if holds_private_key(text) => found.push(object.finding_at(
            Rule::PrivateKey,
            Level::Error,
            way,
            "a private key in plain text".to_owned(),
            KEY,
        )),
        _ => {}
    }
}

fn variables(object: &Object<'_>, value: &Value, way: &Way, found: &mut Vec<Finding>) {
    for (index, variable) in value.as_array().into_iter().flatten().enumerate() {
        let text = |field: &str| variable.get(field).and_then(Value::as_str);
        let (Some(name), Some(value)) = (text("name"), text("value")) else {
            continue;
        };
        let message = if is_secret_name(name) && is_secret_value(value) {
            format!("the variable {} has its value in plain text", Printable(name))
        } else if holds_login(value) {
            format!("the variable {} has a URL with a password in it", Printable(name))
        } else {
            continue;
        };
        let way = way.then(Step::Index(index)).then(Step::Key("value".to_owned()));
        found.push(object.finding_at(Rule::PlainEnv, Level::Error, &way, message, MOVE));
    }
}

/// Whether a name says that its value is a secret.
fn is_secret_name(name: &str) -> bool {
    const SECRET: [&str; 12] = [
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PWD",
        "SECRET",
        "TOKEN",
        "APIKEY",
        "API_KEY",
        "PRIVATE_KEY",
        "SECRET_KEY",
        "ACCESS_KEY",
        "CREDENTIALS",
    ];
    // What these end in is about a secret, and none itself.
    const ABOUT: [&str; 22] = [
        "FILE",
        "PATH",
        "DIR",
        "NAME",
        "NAMESPACE",
        "URL",
        "URI",
        "ENDPOINT",
        "HOST",
        "TTL",
        "EXPIRY",
        "EXPIRATION",
        "TIMEOUT",
        "LIFETIME",
        "LENGTH",
        "ENABLED",
        "ISSUER",
        "AUDIENCE",
        "TYPE",
        "HEADER",
        "ID",
        "REF",
    ];
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let Some(last) = words.last() else { return false };
    let joined = format!("_{}_", words.join("_"));
    !ABOUT.contains(last)
        && name != "PWD"
        && (SECRET
            .iter()
            .any(|secret| joined.contains(&format!("_{secret}_")))
            || ["PASSWORD", "PASSWD", "APIKEY"]
                .iter()
                .any(|secret| last.ends_with(secret)))
}

/// Whether a text can be a secret: not a switch, a number, or what is put in later.
fn is_secret_value(text: &str) -> bool {
    let trimmed = text.trim();
    let switch = ["true", "false", "yes", "no", "on", "off", "none", "null"];
    !is_placeholder(&Value::from(trimmed))
        && !trimmed.contains("${")
        && !trimmed.contains("$(")
        && !switch.contains(&trimmed.to_lowercase().as_str())
        && trimmed.parse::<f64>().is_err()
        && !trimmed.starts_with('/')
}

/// `scheme://user:password@host`
fn holds_login(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .and_then(|(login, _)| login.split_once(':'))
        .is_some_and(|(_, password)| is_secret_value(password))
}

fn holds_private_key(text: &str) -> bool {
    text.contains("AGE-SECRET-KEY-1")
        || text.contains("AGE-SECRET-KEY-PQ-1")
        || (text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----"))
}

/// Looks at a file that is no manifest.
pub(super) fn key_file(text: &Text) -> Option<Finding> {
    let content = std::str::from_utf8(&text.bytes).ok()?;
    let finding = |rule, level, message: String, hint| {
        Some(Finding {
            rule,
            level,
            place: Place {
                file: text.name.clone(),
                line: 1,
            },
            object: None,
            message,
            hint,
        })
    };
    if holds_private_key(content) {
        return finding(
            Rule::PrivateKey,
            Level::Error,
            "a private key in plain text".to_owned(),
            KEY,
        );
    }
    let certificate = Certificate::from_pem(content).ok()?;
    if certificate.not_after() < SystemTime::now() {
        return finding(
            Rule::ExpiredCertificate,
            Level::Warning,
            "the certificate has expired; nothing can be sealed for it".to_owned(),
            "fetch the current one with `signet cert`",
        );
    }
    None
}
