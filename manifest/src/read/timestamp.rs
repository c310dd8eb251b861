//! Which texts the tag `!!timestamp` takes. Their value stays the text, so only yes or no matters.

/// `2006-1-2`, `2006-1-2 15:4:5.999`, `2006-1-2T15:4:5.999Z` or with `+07:00`, as Go's `time.Parse` takes them.
pub(super) fn is_timestamp(text: &str) -> bool {
    parse(text).is_some()
}

fn parse(text: &str) -> Option<()> {
    let mut rest = text;
    let year = number(&mut rest, 4, 4)?;
    let month = number(skip(&mut rest, "-")?, 1, 2)?;
    let day = number(skip(&mut rest, "-")?, 1, 2)?;
    if !(1..=12).contains(&month) || day == 0 || day > days(year, month) {
        return None;
    }
    if rest.is_empty() {
        return Some(());
    }
    let zoned = !rest.starts_with(' ');
    rest = rest.strip_prefix(['T', 't', ' '])?;
    let hour = number(&mut rest, 1, 2)?;
    let minute = number(skip(&mut rest, ":")?, 1, 2)?;
    let second = number(skip(&mut rest, ":")?, 1, 2)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let end = fraction
            .bytes()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(fraction.len());
        if end == 0 {
            return None;
        }
        rest = &fraction[end..];
    }
    if zoned && rest != "Z" {
        rest = rest.strip_prefix(['+', '-'])?;
        let hours = number(&mut rest, 2, 2)?;
        let minutes = number(skip(&mut rest, ":")?, 2, 2)?;
        if hours > 24 || minutes > 60 {
            return None;
        }
    } else if zoned {
        rest = "";
    }
    rest.is_empty().then_some(())
}

fn skip<'a, 'b>(rest: &'a mut &'b str, text: &str) -> Option<&'a mut &'b str> {
    *rest = rest.strip_prefix(text)?;
    Some(rest)
}

fn number(rest: &mut &str, min: usize, max: usize) -> Option<u32> {
    let digits = rest.bytes().take(max).take_while(u8::is_ascii_digit).count();
    if digits < min {
        return None;
    }
    let (number, after) = rest.split_at(digits);
    *rest = after;
    number.parse().ok()
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for good in [
            "2001-12-14",
            "2001-1-1",
            "2024-02-29",
            "2001-12-14 21:59:43",
            "2001-12-14 21:59:43.10",
            "2001-12-14T21:59:43Z",
            "2001-12-14t21:59:43.1-05:00",
        ] {
            assert!(is_timestamp(good), "{good}");
        }
        for bad in [
            "",
            "2001",
            "2001-13-01",
            "2023-02-29",
            "01-1-1",
            "2001-12-14 21:59:43 -5",
            "2001-12-14T21:59:43",
            "2001-12-14 21:59",
            "2001-12-14T21:59:43+5",
            "x",
        ] {
            assert!(!is_timestamp(bad), "{bad}");
        }
    }
}
