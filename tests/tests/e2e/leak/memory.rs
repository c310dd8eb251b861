//! The controller's memory, where we may read it: whoever may trace any process may.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// Everything that the process can write to. None without the right to look.
pub(crate) fn writable(id: i32) -> Option<Vec<Vec<u8>>> {
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).ok()?;
    let memory = File::open(format!("/proc/{id}/mem")).ok()?;
    let mut regions = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        let Some((from, to)) = range.split_once('-') else {
            continue;
        };
        let (Ok(from), Ok(to)) = (u64::from_str_radix(from, 16), u64::from_str_radix(to, 16)) else {
            continue;
        };
        if rights.starts_with("rw") {
            regions.push(read(&memory, from, to));
        }
    }
    regions.iter().any(|region| !region.is_empty()).then_some(regions)
}

fn read(memory: &File, from: u64, to: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(to - from).expect("it fits the address space")];
    let mut read = 0;
    while read < bytes.len() {
        match memory.read_at(&mut bytes[read..], from + read as u64) {
            Ok(0) | Err(_) => break,
            Ok(count) => read += count,
        }
    }
    bytes.truncate(read);
    bytes
}
