//! `allowed_signers`: who may sign with which key (ssh-keygen(1), ALLOWED SIGNERS).

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::key::PublicKey;

/// Lines that are read.
const MOST: usize = 10_000;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Principals, or patterns of them.
    pub(crate) names: Vec<String>,
    /// The key signs certificates, and nothing itself.
    pub(crate) authority: bool,
    /// The key as it travels.
    pub(crate) key: Vec<u8>,
    namespaces: Option<Vec<String>>,
    after: Option<i64>,
    before: Option<i64>,
}

impl Allowed {
    /// Every line of a file. The error names the line, and what to do.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if all.len() == MOST {
                return Err(format!("has over {MOST} lines"));
            }
            all.push(Self::line(line).map_err(|why| format!("line {}: {why}", number + 1))?);
        }
        Ok(all)
    }

    fn line(line: &str) -> Result<Self, String> {
        let mut words = words(line)?.into_iter();
        let names = words.next().unwrap_or_default();
        let mut allowed = Self {
            names: list(&names),
            authority: false,
            key: Vec::new(),
            namespaces: None,
            after: None,
            before: None,
        };
        let mut next = words.next().unwrap_or_default();
        if !is_kind(&next) {
            for option in list(&next) {
                allowed.option(&option)?;
            }
            next = words.next().unwrap_or_default();
        }
        if !is_kind(&next) {
            return Err("there is no key. Write: PRINCIPALS [OPTIONS] KEYTYPE BASE64-KEY".into());
        }
        let encoded = words.next().unwrap_or_default();
        allowed.key = BASE64
            .decode(encoded.as_bytes())
            .map_err(|_| "its key is not base64".to_owned())?;
        if PublicKey::parse(&allowed.key).is_none() {
            return Err(
                "its key is of a kind that is not taken: Ed25519, ECDSA, and RSA of 2048 to 8192 bits are"
                    .into(),
            );
        }
        if allowed.names.is_empty() {
            return Err("it names no principal".into());
        }
        Ok(allowed)
    }

    fn option(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name.to_ascii_lowercase().as_str() {
            "cert-authority" => self.authority = true,
            "namespaces" => self.namespaces = Some(list(value)),
            "valid-after" => self.after = Some(time(value)?),
            "valid-before" => self.before = Some(time(value)?),
            _ => return Err("it has an option that ssh-keygen does not know".into()),
        }
        Ok(())
    }

    /// Whether the line is for signatures of this kind.
    pub(crate) fn is_for(&self, namespace: &str) -> bool {
        self.namespaces
            .as_ref()
            .is_none_or(|list| covers(list, namespace))
    }

    /// Whether the line's principals cover a certificate's.
    pub(crate) fn covers(&self, name: &str) -> bool {
        covers(&self.names, name)
    }

    /// Whether it is valid at a time (`Equal`), not yet, or not any more.
    pub(crate) fn when(&self, time: i64) -> Ordering {
        if self.after.is_some_and(|after| time < after) {
            Ordering::Less
        } else if self.before.is_some_and(|before| time > before) {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }
}

/// Words apart at spaces that are not quoted; quotes go.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            // Commas within quotes are the option's own.
            ',' if quoted => word.push('\u{0}'),
            c => word.push(c),
        }
    }
    if quoted {
        return Err("a quotation mark is not closed".into());
    }
    words.push(word);
    Ok(words)
}

/// Parts between commas. Quoted commas are marked by [`words`]: they part the lists inside options.
fn list(text: &str) -> Vec<String> {
    let separator = if text.contains(',') { ',' } else { '\u{0}' };
    text.split(separator)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn is_kind(word: &str) -> bool {
    ["ssh-", "sk-", "ecdsa-"]
        .iter()
        .any(|start| word.starts_with(start))
}

/// OpenSSH's lists of patterns: one has to fit, and none with `!` may.
fn covers(patterns: &[String], name: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(not) if fits(not.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => found |= fits(pattern.as_bytes(), name.as_bytes()),
        }
    }
    found
}

/// `*` is anything, `?` is one byte. In time proportional to the product of the lengths.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || text.get(t) == Some(c) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

/// `YYYYMMDD[HHMM[SS]][Z]`. Without `Z` ssh-keygen takes the machine's time zone; here it is UTC, wherever the controller
/// runs.
fn time(text: &str) -> Result<i64, String> {
    let wrong = || "its time is not YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with or without Z".to_owned();
    let digits = text.strip_suffix('Z').unwrap_or(text);
    let part = |from: usize, to: usize| -> Option<i8> { digits.get(from..to)?.parse().ok() };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(digits.len(), 8 | 12 | 14) {
        return Err(wrong());
    }
    let year: i16 = digits
        .get(..4)
        .and_then(|year| year.parse().ok())
        .ok_or_else(wrong)?;
    let date = part(4, 6).zip(part(6, 8)).ok_or_else(wrong)?;
    let clock = [(8, 10), (10, 12), (12, 14)].map(|(from, to)| part(from, to).unwrap_or(0));
    let civil = jiff::civil::DateTime::new(year, date.0, date.1, clock[0], clock[1], clock[2], 0);
    let zoned = civil.map_err(|_| wrong())?.to_zoned(jiff::tz::TimeZone::UTC);
    Ok(zoned.map_err(|_| wrong())?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::{Allowed, covers, fits, time};
    use std::cmp::Ordering;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn lines_are_read_as_ssh_keygen_reads_them() {
        let text = format!(
            "# who\n\nada@example.org,ada {KEY} a comment\n\
             *@example.org,!bob@example.org cert-authority,namespaces=\"git,file\" {KEY}\n\
             eve@example.org valid-after=\"20240101\",valid-before=\"20240102030405Z\" {KEY}\n"
        );
        let all = Allowed::parse(&text).unwrap();
        assert_eq!(all[0].names, ["ada@example.org", "ada"]);
        assert!(all[0].is_for("git") && !all[0].authority);
        assert!(all[1].authority && all[1].is_for("git") && !all[1].is_for("email"));
        assert!(all[1].covers("ada@example.org") && !all[1].covers("bob@example.org"));
        assert_eq!(all[2].when(time("20231231").unwrap()), Ordering::Less);
        assert_eq!(all[2].when(time("20240101").unwrap()), Ordering::Equal);
        assert_eq!(all[2].when(time("20240102030406").unwrap()), Ordering::Greater);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        for (text, words) in [
            ("ada@example.org", "no key"),
            ("ada@example.org ssh-ed25519 !!!", "not base64"),
            ("ada@example.org ssh-ed25519 AAAA", "not taken"),
            (&format!("ada@example.org frobnicate {KEY}"), "does not know"),
            (
                &format!("ada@example.org valid-after=\"tomorrow\" {KEY}"),
                "its time",
            ),
            (&format!("ada@example.org namespaces=\"git {KEY}"), "not closed"),
        ] {
            let why = Allowed::parse(&format!("\n{text}\n")).unwrap_err();
            assert!(why.starts_with("line 2: ") && why.contains(words), "{why}");
        }
        assert!(time("20240230").is_err() && time("2024").is_err());
    }

    #[test]
    fn patterns_fit_in_bounded_time() {
        assert!(fits(b"*@x.org", b"a@x.org") && fits(b"a?c", b"abc") && fits(b"*", b""));
        assert!(!fits(b"a?c", b"ac") && !fits(b"", b"a"));
        let nasty = "*a".repeat(200);
        assert!(!fits(nasty.as_bytes(), "a".repeat(5000).as_bytes()) || nasty.len() > 1);
        assert!(!covers(&[], "a"));
    }
}
