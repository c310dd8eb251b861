//! Objects asked for by their names, with version 2 of Git's protocol (gitprotocol-v2(5), "fetch"): under version 0 servers need not
//! give any but what refs lead to.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use git2::Oid;

use super::pack::Scales;
use super::{Operation, Version, http, ssh};
use crate::SourceError;

const SERVICE: &str = "git-upload-pack";
/// The longest packet (gitprotocol-common(5)).
const LONGEST: usize = 65_520;
/// Ends the command, and what comes with it.
const DELIMITER: &[u8] = b"0001";
const FLUSH: &[u8] = b"0000";

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Has a pack of these objects sent, and hands on its bytes, until `take` takes no more. What is behind them is not sent.
///
/// # Errors
/// [`SourceError::NoPart`] where the server says that it does not do that, and will not the next time.
pub(crate) fn objects(
    operation: &Arc<Operation>,
    wanted: &[Oid],
    take: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<(), SourceError> {
    let mut talk = || {
        let mut stream = open(operation)?;
        stream
            .write_all(&request(wanted))
            .map_err(|_| operation.take_failure().unwrap_or_else(closed))?;
        answer(operation, &mut stream, take)
    };
    talk().map_err(|error| operation.fail(error))
}

fn open(operation: &Arc<Operation>) -> Result<Box<dyn Stream>, SourceError> {
    let shared = Arc::clone(operation);
    if !operation.is_ssh() {
        let scales = Arc::new(Mutex::new(Scales::of(Version::Two)));
        return Ok(Box::new(http::exchange(
            shared,
            SERVICE,
            Version::Two,
            Some(scales),
        )));
    }
    let mut stream = ssh::open(shared, SERVICE, Version::Two)?;
    // It says what it can do before it is asked.
    let mut next = || packet(operation, &mut stream).map_err(|why| why.unwrap_or_else(closed));
    let mut first = next()?;
    if !first.as_ref().is_some_and(|line| line.starts_with(b"version 2")) {
        return Err(SourceError::NoPart(
            "it does not speak version 2 of the protocol".into(),
        ));
    }
    while first.is_some() {
        first = next()?;
    }
    Ok(Box::new(stream))
}

fn request(wanted: &[Oid]) -> Vec<u8> {
    let line = |text: &str| format!("{:04x}{text}\n", text.len() + 5).into_bytes();
    let mut request = line("command=fetch");
    request.extend_from_slice(DELIMITER);
    for text in ["no-progress", "ofs-delta"] {
        request.extend(line(text));
    }
    for id in wanted {
        request.extend(line(&format!("want {id}")));
    }
    request.extend(line("done"));
    request.extend_from_slice(FLUSH);
    request
}

fn answer(
    operation: &Operation,
    stream: &mut dyn Stream,
    take: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<(), SourceError> {
    let begun = match packet(operation, stream) {
        Ok(line) => line.is_some_and(|line| line.trim_ascii_end() == b"packfile"),
        // git's own, where it is asked in a version that it does not know: not a word, and HTTP's 200.
        Err(None) if !operation.is_ssh() => false,
        Err(Some(SourceError::Status(status))) if status < 500 && !matches!(status, 408 | 429) => false,
        Err(why) => return Err(why.unwrap_or_else(closed)),
    };
    if !begun {
        return Err(SourceError::NoPart("it refuses".into()));
    }
    let mut next = || packet(operation, stream).map_err(|why| why.unwrap_or_else(closed));
    while let Some(packet) = next()? {
        match packet.split_first() {
            Some((1, data)) if take(data) => {}
            Some((1, _)) => return Err(SourceError::NotGit("a pack that cannot be read".into())),
            Some((2, _)) => {}
            _ => {
                return Err(SourceError::NotGit(
                    "the server fails in the middle of a pack".into(),
                ));
            }
        }
    }
    Ok(())
}

/// The next packet; `None` for an empty one, which ends a part. An error that is none: what is read has just ended.
fn packet(operation: &Operation, stream: &mut dyn Stream) -> Result<Option<Vec<u8>>, Option<SourceError>> {
    let mut read = |buffer: &mut [u8]| stream.read_exact(buffer).map_err(|_| operation.take_failure());
    let mut digits = [0; 4];
    read(&mut digits)?;
    let text = std::str::from_utf8(&digits).ok();
    match text.and_then(|text| usize::from_str_radix(text, 16).ok()) {
        Some(0) => Ok(None),
        Some(length) if (5..=LONGEST).contains(&length) => {
            let mut packet = vec![0; length - 4];
            read(&mut packet)?;
            Ok(Some(packet))
        }
        _ => Err(Some(SourceError::NotGit("bad packet length".into()))),
    }
}

fn closed() -> SourceError {
    SourceError::Unreachable("the connection was closed".into())
}

#[cfg(test)]
mod tests {
    use super::request;

    #[test]
    fn a_request_is_as_the_protocol_says() {
        let id = git2::Oid::from_bytes(&[0x11; 20]).unwrap();
        assert_eq!(
            String::from_utf8(request(&[id])).unwrap(),
            format!(
                "0012command=fetch\n00010010no-progress\n000eofs-delta\n0032want {}\n0009done\n0000",
                "1".repeat(40)
            )
        );
    }
}
