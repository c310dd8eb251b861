//! What can be said of a text that cannot be read as a manifest.

/// Whether it may be a Secret: a line says so, in YAML or JSON.
pub(crate) fn may_be_secret(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let says_so = |line: &str| {
        let line: String = line
            .chars()
            .filter(|char| !char.is_whitespace() && !"\"'".contains(*char))
            .collect();
        let after = line.split_once("kind:Secret").map(|(_, after)| after);
        after.is_some_and(|after| !after.starts_with(char::is_alphanumeric))
    };
    text.lines().any(says_so)
}
