//! Strings as Go sees them: bytes that are mostly UTF-8, of which every byte that is not stands for itself.

/// The first rune and its length; no rune for a byte that is not UTF-8.
pub(super) fn first(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let most = bytes.len().min(4);
    let fits = |len: usize| std::str::from_utf8(&bytes[..len]).ok()?.chars().next();
    if most == 0 {
        return None;
    }
    let found = (1..=most).find_map(|len| Some((fits(len)?, len)));
    Some(found.map_or((None, 1), |(rune, len)| (Some(rune), len)))
}

/// The last rune and its length.
pub(super) fn last(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let most = bytes.len().min(4);
    if most == 0 {
        return None;
    }
    let whole = (1..=most).find_map(|len| match first(&bytes[bytes.len() - len..]) {
        Some((Some(rune), size)) if size == len => Some((rune, len)),
        _ => None,
    });
    Some(whole.map_or((None, 1), |(rune, len)| (Some(rune), len)))
}

/// Every rune, each with its bytes.
pub(super) fn all(bytes: &[u8]) -> impl Iterator<Item = (Option<char>, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (rune, len) = first(rest)?;
        let (own, after) = rest.split_at(len);
        rest = after;
        Some((rune, own))
    })
}

/// Without the runes at both ends that are to go. A byte that is not UTF-8 counts as U+FFFD, as in Go.
pub(super) fn trim(bytes: &[u8], goes: impl Fn(char) -> bool) -> &[u8] {
    let goes = |rune: Option<char>| goes(rune.unwrap_or(char::REPLACEMENT_CHARACTER));
    let mut rest = bytes;
    while let Some((rune, len)) = first(rest)
        && goes(rune)
    {
        rest = &rest[len..];
    }
    while let Some((rune, len)) = last(rest)
        && goes(rune)
    {
        rest = &rest[..rest.len() - len];
    }
    rest
}

/// `unicode.ToUpper`: Unicode's simple mapping, one rune for one.
pub(super) fn upper(c: char) -> char {
    let code = u32::from(c);
    // Small Greek letters with iota: their full mapping is two letters, their simple one is the titlecase letter.
    let with_iota = match code {
        0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => Some(code + 8),
        0x1fb3 | 0x1fc3 | 0x1ff3 => Some(code + 9),
        _ => None,
    };
    with_iota
        .and_then(char::from_u32)
        .unwrap_or_else(|| single(c, c.to_uppercase()))
}

/// `unicode.ToLower`.
pub(super) fn lower(c: char) -> char {
    if c == 'İ' {
        'i'
    } else {
        single(c, c.to_lowercase())
    }
}

fn single(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}
