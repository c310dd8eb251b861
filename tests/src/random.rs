//! Numbers that look random and can be had again: a test that chooses by them prints its seed.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

/// Sets the seed, to have a run again.
const SEED: &str = "SIGNET_SEED";

/// A stream of numbers (SplitMix64, public domain, by Sebastiano Vigna).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From the seed in the environment, or else from the clock. The seed is printed with the test's name.
    #[allow(clippy::print_stderr)]
    pub fn begin(test: &str) -> Self {
        let seed = std::env::var(SEED).map_or_else(
            |_| {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                now.map_or(1, |now| now.as_secs() * 1000 + u64::from(now.subsec_millis()))
            },
            |seed| {
                seed.parse()
                    .unwrap_or_else(|_| panic!("{SEED}={seed}: not a number"))
            },
        );
        eprintln!("{test}: {SEED}={seed}");
        Self::new(seed)
    }

    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of a range that is not empty.
    pub fn within(&mut self, range: Range<usize>) -> usize {
        let span = (range.end - range.start) as u64;
        range.start + usize::try_from(self.number() % span).expect("a part of a usize")
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.within(0..n) == 0
    }
}
