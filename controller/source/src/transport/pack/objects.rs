//! The objects of a pack (gitformat-pack(5)), counted and thrown away.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::transport::Operation;
use crate::{SourceError, ration};

/// Inflated at a time, in bytes.
const CHUNK: usize = 32 << 10;
/// `PACK`, version, number of objects.
const HEADER: usize = 12;
/// The checksum at the end, which libgit2 compares.
const TRAILER: usize = 20;
/// A delta that names its base by its id.
const NAMED: u8 = 7;
/// How a delta begins: two sizes of at most ten bytes.
const SIZES: usize = 20;

/// A pack, as far as it has come.
#[derive(Default)]
pub(super) struct Objects {
    at: At,
    /// Objects that are still to begin.
    left: u32,
    /// Bytes before those that are being weighed.
    before: u64,
    /// Where objects begin, in order.
    starts: Vec<u64>,
    inflater: Option<Inflater>,
    /// Whether every base in the pack has to be named by where it is.
    pub(super) by_place: bool,
}

/// What comes next.
enum At {
    Header(Vec<u8>),
    /// The object's kind and size.
    Size {
        kind: u8,
        size: u64,
        /// Bits that are there.
        bits: u32,
    },
    /// How far back the base of a delta is, as far as it has been read.
    Offset(Option<u64>, Data),
    /// Bytes of the id of the base of a delta.
    Base(u8, Data),
    Data(Data),
    /// Bytes of the trailer. libgit2 takes more than that for an object, if there was a delta.
    End(usize),
}

impl Default for At {
    fn default() -> Self {
        Self::Header(Vec::with_capacity(HEADER))
    }
}

/// An object's data.
struct Data {
    /// As its header says, and as far as it has come, in bytes.
    size: u64,
    done: u64,
    /// The first bytes of a delta, until its sizes are known.
    delta: Option<Vec<u8>>,
}

struct Inflater {
    state: Box<InflateState>,
    into: Vec<u8>,
}

impl Objects {
    pub(super) fn weigh(&mut self, mut bytes: &[u8], operation: &Operation) -> Result<(), SourceError> {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        operation.keep(more)?;
        let end = self.before.saturating_add(more);
        self.before = end;
        while let [first, rest @ ..] = bytes {
            let here = end - u64::try_from(bytes.len()).unwrap_or(end);
            let more = *first & 0x80 != 0;
            match std::mem::replace(&mut self.at, At::End(0)) {
                At::End(left) => {
                    let left = left.checked_sub(bytes.len()).ok_or_else(|| broken("end"))?;
                    self.at = At::End(left);
                    return Ok(());
                }
                At::Header(mut header) => {
                    header.push(*first);
                    bytes = rest;
                    match header[..] {
                        [b'P', b'A', b'C', b'K', _, _, _, _, a, b, c, d] => {
                            self.left = u32::from_be_bytes([a, b, c, d]);
                            operation.count_objects(self.left)?;
                            self.next();
                        }
                        _ if header.len() == HEADER => return Err(broken("header")),
                        _ => self.at = At::Header(header),
                    }
                }
                At::Size {
                    mut kind,
                    mut size,
                    bits,
                } => {
                    // Four bits beside the kind, then seven a byte.
                    let (value, new) = if bits == 0 {
                        self.starts.push(here);
                        kind = *first >> 4 & 7;
                        (*first & 0x0f, 4)
                    } else {
                        (*first & 0x7f, 7)
                    };
                    if bits > 56 {
                        return Err(broken("size"));
                    }
                    size |= u64::from(value) << bits;
                    bytes = rest;
                    if more {
                        self.at = At::Size {
                            kind,
                            size,
                            bits: bits + new,
                        };
                        continue;
                    }
                    // A server that can do otherwise has no reason to: nothing outside of the pack is asked to be a base.
                    if kind == NAMED && self.by_place {
                        return Err(broken("base: a name"));
                    }
                    operation.admit_object(size)?;
                    ration::object(kind);
                    self.at = Data::begin(kind, size)?;
                }
                At::Offset(before, data) => {
                    let back = offset(before, *first & 0x7f)?;
                    bytes = rest;
                    self.at = if more {
                        At::Offset(Some(back), data)
                    } else {
                        self.find_base(back)?;
                        At::Data(data)
                    };
                }
                At::Base(left, data) => {
                    bytes = rest;
                    self.at = if left > 1 {
                        At::Base(left - 1, data)
                    } else {
                        At::Data(data)
                    };
                }
                At::Data(mut data) => {
                    let inflater = self.inflater.get_or_insert_with(Inflater::new);
                    let (used, ended) = inflater.run(bytes, &mut data, operation)?;
                    bytes = &bytes[used..];
                    if ended {
                        data.end()?;
                        inflater.state.reset(DataFormat::Zlib);
                        self.next();
                    } else {
                        self.at = At::Data(data);
                    }
                }
            }
        }
        Ok(())
    }

    fn next(&mut self) {
        self.at = if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            At::Size {
                kind: 0,
                size: 0,
                bits: 0,
            }
        } else {
            ration::whole();
            At::End(TRAILER)
        };
    }

    /// libgit2 unpacks whatever it finds that far back, also in the middle of another object's data.
    fn find_base(&self, back: u64) -> Result<(), SourceError> {
        let found = self.starts.split_last().is_some_and(|(start, others)| {
            let base = start.checked_sub(back);
            base.is_some_and(|base| others.binary_search(&base).is_ok())
        });
        if found { Ok(()) } else { Err(broken("base")) }
    }
}

/// The next seven bits of an offset (gitformat-pack(5), "offset encoding").
fn offset(before: Option<u64>, bits: u8) -> Result<u64, SourceError> {
    let Some(before) = before else {
        return Ok(u64::from(bits));
    };
    let moved = before.checked_add(1).and_then(|n| n.checked_mul(128));
    moved
        .map(|moved| moved | u64::from(bits))
        .ok_or_else(|| broken("base"))
}

impl Data {
    fn begin(kind: u8, size: u64) -> Result<At, SourceError> {
        let data = |delta| Self { size, done: 0, delta };
        match kind {
            1..=4 => Ok(At::Data(data(None))),
            6 => Ok(At::Offset(None, data(Some(Vec::new())))),
            NAMED => Ok(At::Base(20, data(Some(Vec::new())))),
            _ => Err(broken("kind of object")),
        }
    }

    /// Takes in what was inflated.
    fn count(&mut self, bytes: &[u8], operation: &Operation) -> Result<(), SourceError> {
        let new = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.done = self.done.saturating_add(new);
        if self.done > self.size {
            return Err(broken("size"));
        }
        operation.count_unpacked(new)?;
        let Some(start) = &mut self.delta else {
            return Ok(());
        };
        let wanted = bytes.len().min(SIZES - start.len());
        start.extend_from_slice(&bytes[..wanted]);
        let mut rest = &start[..];
        if let (Some(base), Some(result)) = (number(&mut rest), number(&mut rest)) {
            operation.admit_object(base)?;
            operation.admit_object(result)?;
            operation.count_unpacked(result)?;
            self.delta = None;
        } else if start.len() == SIZES {
            return Err(broken("delta"));
        }
        Ok(())
    }

    fn end(&self) -> Result<(), SourceError> {
        if self.done != self.size {
            return Err(broken("size"));
        }
        if self.delta.is_some() {
            return Err(broken("delta"));
        }
        Ok(())
    }
}

/// A number of a delta: seven bits a byte, the lowest first. `None` where it is not all there.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let length = 1 + bytes.iter().position(|byte| byte & 0x80 == 0)?;
    let (digits, rest) = bytes.split_at(length);
    *bytes = rest;
    // One that does not fit is larger than anything that is admitted.
    let fits = length <= 9;
    let value = |sum, digit: &u8| sum << 7 | u64::from(digit & 0x7f);
    Some(if fits {
        digits.iter().rev().fold(0, value)
    } else {
        u64::MAX
    })
}

impl Inflater {
    fn new() -> Self {
        Self {
            state: InflateState::new_boxed(DataFormat::Zlib),
            into: vec![0; CHUNK],
        }
    }

    /// Inflates what is there: how many bytes were used, and whether the data has ended.
    fn run(
        &mut self,
        bytes: &[u8],
        data: &mut Data,
        operation: &Operation,
    ) -> Result<(usize, bool), SourceError> {
        let mut used = 0;
        loop {
            let step = inflate(&mut self.state, &bytes[used..], &mut self.into, MZFlush::None);
            used += step.bytes_consumed;
            data.count(&self.into[..step.bytes_written], operation)?;
            match step.status {
                Ok(MZStatus::StreamEnd) => return Ok((used, true)),
                // There may be more to come of what was used.
                Ok(MZStatus::Ok) if step.bytes_written == CHUNK || used < bytes.len() => {
                    operation.remaining()?;
                }
                Ok(MZStatus::Ok) | Err(MZError::Buf) if used == bytes.len() => return Ok((used, false)),
                _ => return Err(broken("data")),
            }
        }
    }
}

fn broken(what: &str) -> SourceError {
    SourceError::NotGit(format!("a pack with a bad {what}"))
}
