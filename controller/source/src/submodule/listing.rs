//! `.gitmodules` (gitmodules(5)), in the syntax of git-config(1): the paths and addresses, and nothing else of it. Names are for
//! directories that are not made here, and `update` is for commands that are not run.

use std::collections::HashSet;

/// Longest file, in bytes.
pub(super) const LONGEST: usize = 64 << 10;

/// One submodule as it is listed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) path: String,
    pub(super) url: String,
}

/// What is listed, in order. An entry without a path or an address is none, as for Git.
pub(super) fn read(text: &[u8]) -> Result<Vec<Listed>, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| ".gitmodules is not UTF-8")?;
    let mut all: Vec<Section> = Vec::new();
    let mut inside = false;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            inside = header.starts_with("submodule \"") || header.starts_with("submodule\t\"");
            if !header.ends_with(']') {
                return Err(".gitmodules has a section that is not read here");
            }
            if inside {
                all.push(Section {
                    name: header.to_owned(),
                    ..Section::default()
                });
            }
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let value = value_of(value, &mut lines)?;
        let Some(section) = all.last_mut().filter(|_| inside) else {
            continue;
        };
        let place = match key.trim().to_ascii_lowercase().as_str() {
            "path" => &mut section.path,
            "url" => &mut section.url,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(".gitmodules says one thing twice");
        }
    }
    let mut seen = HashSet::new();
    let mut listed = Vec::new();
    for Section { name, path, url } in all {
        if !seen.insert(name) {
            return Err(".gitmodules names a submodule twice");
        }
        if let (Some(path), Some(url)) = (path, url) {
            listed.push(Listed { path, url });
        }
    }
    Ok(listed)
}

#[derive(Default)]
struct Section {
    name: String,
    path: Option<String>,
    url: Option<String>,
}

/// A value without its quotes, escapes and comment, going on with the next line after a backslash.
fn value_of<'a>(first: &str, lines: &mut impl Iterator<Item = &'a str>) -> Result<String, &'static str> {
    let (mut value, mut kept, mut quoted) = (String::new(), 0, false);
    let mut chars = first.trim_start().chars();
    loop {
        match chars.next() {
            None if quoted => return Err(".gitmodules has a quote without an end"),
            None => break,
            Some('"') => {
                quoted = !quoted;
                kept = value.len();
            }
            Some('\\') => match chars.next() {
                Some(c @ ('"' | '\\')) => value.push(c),
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                None => {
                    chars = lines.next().unwrap_or_default().chars();
                    continue;
                }
                Some(_) => return Err(".gitmodules has an escape that Git does not know"),
            },
            Some('#' | ';') if !quoted => break,
            // Spaces at the end are none of the value.
            Some(c) if c.is_whitespace() && !quoted => {
                value.push(c);
                continue;
            }
            Some(c) => value.push(c),
        }
        kept = kept.max(value.len());
    }
    value.truncate(kept);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let listed = read(text.as_bytes()).unwrap().into_iter();
        listed.map(|one| (one.path, one.url)).collect()
    }

    #[test]
    fn what_git_writes_is_read() {
        let text = "# ours\n[submodule \"charts\"]\n\tpath = charts\n\turl = ../charts.git\n\tbranch = main\n\
                    [other]\n\tpath = not-this\n\
                    [submodule \"lib/two\"]\n  URL = \"https://git.example/a b#c\" ; ours\n  path = \"lib/t\\\"w\\\\o\"  \n\
                    [submodule \"half\"]\n\tpath = half\n\
                    [submodule \"long\"]\n\tpath = lo\\\nng\n\turl=x\n";
        let expected = [
            ("charts", "../charts.git"),
            ("lib/t\"w\\o", "https://git.example/a b#c"),
            ("long", "x"),
        ];
        assert_eq!(
            pairs(text),
            expected.map(|(path, url)| (path.to_owned(), url.to_owned()))
        );
        assert_eq!(pairs(""), []);
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for (text, part) in [
            ("[submodule \"a\"]\npath=a\npath=b\n", "twice"),
            ("[submodule \"a\"]\npath=a\n[submodule \"a\"]\nurl=x\n", "twice"),
            ("[submodule \"a\"]\npath=\"a\n", "quote"),
            ("[submodule \"a\"]\npath=\\x\n", "escape"),
            ("[submodule \"a\"] path = a\n", "section"),
        ] {
            let why = read(text.as_bytes()).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
        assert!(read(b"\xff").is_err());
    }

    proptest! {
        #[test]
        fn garbage_does_not_panic(text in "[\\[\\]a-z\"\\\\ =#;\n\t.]{0,200}") {
            let _ = read(text.as_bytes());
        }
    }
}
