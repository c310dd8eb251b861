//! Files left out of what is asked for ("filter" of gitprotocol-pack(5)). libgit2 does not know of it, so its request is changed on the way.

/// What a server says that can do it.
pub(super) const OFFER: &[u8] = b" filter";
/// The wish for it, behind the first commit that is wanted.
const CAPABILITY: &[u8] = b" filter\n";
/// Commits and directories, and no file.
const LINE: &[u8] = b"0015filter blob:none\n";

/// The request without files. `None` until all of its first part is there: what is wanted, to the first empty packet.
pub(super) fn without_files(request: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    let mut first_ends = None;
    loop {
        let length = request.get(at..at + 4)?;
        match std::str::from_utf8(length)
            .ok()
            .and_then(|text| usize::from_str_radix(text, 16).ok())
        {
            Some(0) => break,
            Some(length) if length > 4 => {
                at += length;
                first_ends.get_or_insert(at);
            }
            // Not libgit2's.
            _ => return Some(request.to_vec()),
        }
    }
    let Some(first_ends) = first_ends.filter(|_| request[4..].starts_with(b"want ")) else {
        // Nothing is wanted.
        return Some(request.to_vec());
    };
    let first = &request[4..first_ends];
    let first = first.strip_suffix(b"\n").unwrap_or(first);
    let length = format!("{:04x}", 4 + first.len() + CAPABILITY.len());
    let parts = [
        length.as_bytes(),
        first,
        CAPABILITY,
        &request[first_ends..at],
        LINE,
        &request[at..],
    ];
    Some(parts.concat())
}

#[cfg(test)]
mod tests {
    use super::without_files;

    const WANT: &str = "0046want 1111111111111111111111111111111111111111 side-band-64k ofs-d\n";

    #[test]
    fn the_wish_stands_behind_all_that_is_wanted() {
        let request = format!("{WANT}000ddeepen 1\n00000009done\n");
        let changed = without_files(request.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(changed).unwrap(),
            "004dwant 1111111111111111111111111111111111111111 side-band-64k ofs-d filter\n000ddeepen 1\n\
             0015filter blob:none\n00000009done\n"
        );
    }

    #[test]
    fn it_waits_for_all_of_it_and_leaves_alone_what_wants_nothing() {
        assert_eq!(without_files(WANT.as_bytes()), None);
        assert_eq!(without_files(b"00"), None);
        assert_eq!(without_files(b"0000").unwrap(), b"0000");
        assert_eq!(without_files(b"00000009done\n").unwrap(), b"00000009done\n");
        assert_eq!(without_files(b"zzzz").unwrap(), b"zzzz");
    }
}
