//! Weighs packs on their way to libgit2 (gitprotocol-pack(5), gitformat-pack(5)): what they hold, before it is unpacked.
//!
//! A pack may be small and hold much: zeros shrink a thousandfold, and a delta of some bytes copies its base over and over.
//! libgit2 unpacks the base of a delta whole before it compares any size. So the sizes are read here: of each object in its
//! header, of what a delta makes in its first bytes. And since a header may lie, the data is inflated here, too, into nothing.

mod objects;

use objects::Objects;

use super::offer::Offer;
use super::{Operation, Version, filter};
use crate::SourceError;

/// All that one connection to an upload-pack receives: packets, some of which carry a pack; or, at the end, a pack as it is,
/// where the remote has no side-band.
///
/// libgit2 has one buffer for a connection, and goes on in the middle of it: what stands behind the list of refs is the beginning
/// of the answer to the first request. So the list is read here, too. What belongs to the pack is known to libgit2 alone, which
/// skips packets before the last acknowledgement. So a pack that has begun is alone from there on.
pub(super) struct Scales {
    frame: Frame,
    /// Whether a packet of the pack has come.
    begun: bool,
    objects: Objects,
    /// What the server can do, as it says behind the first ref: deltas that name their base by where it is, and leaving files out.
    by_place: Offer,
    filter: Offer,
}

enum Frame {
    /// Four digits: how long the packet is.
    Length {
        digits: [u8; 4],
        have: usize,
    },
    /// The packet's first byte says what the others are.
    First {
        left: usize,
    },
    Rest {
        left: usize,
        is_pack: bool,
    },
    /// No more packets.
    Bare,
    /// Nothing more at all.
    Over,
}

impl Default for Scales {
    fn default() -> Self {
        Self {
            frame: Frame::default(),
            begun: false,
            objects: Objects::default(),
            by_place: Offer::of(b"ofs-delta"),
            filter: Offer::of(filter::OFFER),
        }
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::Length {
            digits: [0; 4],
            have: 0,
        }
    }
}

impl Scales {
    /// Those for what a server says in this version. In the second one all of them name bases by where they are, if asked to.
    pub(super) fn of(version: Version) -> Self {
        let mut scales = Self::default();
        scales.objects.by_place = version == Version::Two;
        scales
    }

    /// Weighs what has come next, before anybody else sees it.
    pub(super) fn weigh(&mut self, mut bytes: &[u8], operation: &Operation) -> Result<(), SourceError> {
        while let [first, rest @ ..] = bytes {
            match &mut self.frame {
                Frame::Bare => return self.objects.weigh(bytes, operation),
                Frame::Over => return Err(strange()),
                Frame::Length { digits, have } => {
                    digits[*have] = *first;
                    *have += 1;
                    bytes = rest;
                    if *have == digits.len() {
                        let digits = *digits;
                        self.frame = begin(digits, self.begun)?;
                        if matches!(self.frame, Frame::Bare) {
                            self.objects.weigh(&digits, operation)?;
                        }
                    }
                }
                Frame::First { left } => {
                    let is_pack = *first == 1;
                    // Data, progress and errors (gitprotocol-pack(5), "Packfile Data").
                    if self.begun && !(1..=3).contains(first) {
                        return Err(strange());
                    }
                    self.begun |= is_pack;
                    self.frame = Frame::Rest {
                        left: *left - 1,
                        is_pack,
                    };
                    bytes = rest;
                }
                Frame::Rest { left, is_pack } => {
                    let (here, later) = bytes.split_at(bytes.len().min(*left));
                    *left -= here.len();
                    if *is_pack {
                        self.objects.weigh(here, operation)?;
                    } else if !self.begun {
                        // libgit2 asks for it where it is offered.
                        for byte in here {
                            self.objects.by_place |= self.by_place.ends_with(*byte);
                            if self.filter.ends_with(*byte) {
                                operation.offers_filter();
                            }
                        }
                    }
                    bytes = later;
                }
            }
            if matches!(self.frame, Frame::Rest { left: 0, .. }) {
                self.frame = Frame::default();
            }
        }
        Ok(())
    }
}

/// As libgit2 reads it: what it takes for a packet is one here, and what it refuses is refused. `begun`: the pack has.
fn begin(digits: [u8; 4], begun: bool) -> Result<Frame, SourceError> {
    if digits == *b"PACK" {
        return if begun { Err(strange()) } else { Ok(Frame::Bare) };
    }
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(&digits).ok().filter(|_| is_hex);
    match text.and_then(|text| usize::from_str_radix(text, 16).ok()) {
        Some(0) if begun => Ok(Frame::Over),
        Some(0) => Ok(Frame::default()),
        Some(length) if length > 4 => Ok(Frame::First { left: length - 4 }),
        _ => Err(SourceError::NotGit("bad packet length".into())),
    }
}

fn strange() -> SourceError {
    SourceError::NotGit("a pack with something else in it".into())
}

#[cfg(test)]
mod tests;
