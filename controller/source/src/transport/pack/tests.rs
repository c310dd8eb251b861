use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::prelude::*;

use super::Scales;
use crate::transport::Operation;
use crate::url::Target;
use crate::{Remote, SourceError};

fn operation(object: u64, unpacked: u64) -> Operation {
    let mut remote = Remote::new("http://git.example/r");
    (remote.limits.object_bytes, remote.limits.unpacked_bytes) = (object, unpacked);
    Operation::new(Target::parse(&remote).unwrap(), &remote).unwrap()
}

/// An object as it stands in a pack, of a size that it claims.
fn object(kind: u8, claimed: usize, base: &[u8], data: &[u8]) -> Vec<u8> {
    let (mut size, mut bytes) = (claimed >> 4, Vec::new());
    let mut byte = kind << 4 | u8::try_from(claimed & 15).unwrap();
    while size > 0 {
        bytes.push(byte | 0x80);
        (byte, size) = (u8::try_from(size & 0x7f).unwrap(), size >> 7);
    }
    bytes.push(byte);
    [&bytes, base, &compress_to_vec_zlib(data, 6)].concat()
}

fn blob(data: &[u8]) -> Vec<u8> {
    object(3, data.len(), &[], data)
}

fn pack(objects: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(objects.len()).unwrap();
    [
        b"PACK\0\0\0\x02",
        &count.to_be_bytes()[..],
        &objects.concat(),
        &[9; 20],
    ]
    .concat()
}

/// In packets of the side-band, between others.
fn packets(pack: &[u8], length: usize) -> Vec<u8> {
    let mut all = b"0008NAK\n000b\x02hello\n".to_vec();
    for part in pack.chunks(length) {
        all.extend_from_slice(format!("{:04x}\x01", part.len() + 5).as_bytes());
        all.extend_from_slice(part);
    }
    all.extend_from_slice(b"0000");
    all
}

fn weigh(bytes: &[u8], step: usize, operation: &Operation) -> Result<(), SourceError> {
    let mut scales = Scales::default();
    bytes
        .chunks(step)
        .try_for_each(|part| scales.weigh(part, operation))
}

#[test]
fn what_fits_passes_however_it_comes() {
    let long: Vec<u8> = (0..70_000).map(|n| u8::try_from(n % 251).unwrap()).collect();
    // A delta of nothing but its sizes, 5 and 300: as good as any here.
    let delta = object(6, 3, &[0x81, 0x05], &[5, 0xac, 0x02]);
    let other = object(7, 3, &[7; 20], &[5, 0xac, 0x02]);
    let pack = pack(&[
        blob(b""),
        blob(b"hello"),
        blob(&long),
        delta,
        other,
        blob(&[0; 99]),
    ]);
    let whole = 5 + 70_000 + 2 * 303 + 99;
    for step in [1, 3, 1000, 1 << 20] {
        for bytes in [
            packets(&pack, 7),
            packets(&pack, 60_000),
            [b"0008NAK\n", &pack[..]].concat(),
        ] {
            assert_eq!(weigh(&bytes, step, &operation(70_000, whole)), Ok(()), "{step}");
            let little = weigh(&bytes, step, &operation(70_000, whole - 1));
            assert!(matches!(little, Err(SourceError::TooLarge(_))), "{little:?}");
            let small = weigh(&bytes, step, &operation(69_999, whole));
            assert!(matches!(small, Err(SourceError::TooLarge(_))), "{small:?}");
        }
    }
}

#[test]
fn what_lies_or_is_no_pack_is_refused() {
    let limits = operation(1 << 20, 1 << 30);
    let sizes = |base: &[u8], result: &[u8]| [base, result].concat();
    let huge = [0xff; 9];
    let huge = [&huge[..], &[1]].concat();
    for (what, bad, too_large) in [
        ("more than it says", object(3, 10, &[], &vec![0; 100_000]), false),
        ("less than it says", object(3, 10, &[], &[0; 9]), false),
        ("a kind that is none", object(5, 1, &[], b"x"), false),
        ("no sizes", object(6, 1, &[1], &[0x80]), false),
        ("a size without end", object(6, 21, &[1], &[0x80; 21]), false),
        (
            "a large result",
            object(6, 5, &[1], &sizes(&[1], &[0x80, 0x80, 0x80, 1])),
            true,
        ),
        (
            "a large base",
            object(7, 5, &[1; 20], &sizes(&[0x80, 0x80, 0x80, 1], &[1])),
            true,
        ),
        (
            "a number over all",
            object(7, 11, &[1; 20], &sizes(&huge, &[1])),
            true,
        ),
        ("a large object", object(3, usize::MAX >> 8, &[], b""), true),
    ] {
        for step in [1, 1 << 20] {
            let answer = weigh(&packets(&pack(std::slice::from_ref(&bad)), 100), step, &limits);
            let right = match answer {
                Err(SourceError::TooLarge(_)) => too_large,
                Err(SourceError::NotGit(_)) => !too_large,
                _ => false,
            };
            assert!(right, "{what}: {answer:?}");
        }
    }
    for bytes in [
        &b"0003"[..],
        b"0004",
        b"+00a",
        b"PACX",
        b"0011\x01PICK\0\0\0\x02\0\0\0\x01",
        b"0013\x01PACK\0\0\0\x02\0\0\0\x01\xff\xff",
    ] {
        let padded = [bytes, &[0xff; 40][..]].concat();
        let answer = weigh(&padded, 5, &limits);
        assert!(
            matches!(answer, Err(SourceError::NotGit(_))),
            "{bytes:?}: {answer:?}"
        );
    }
}

proptest! {
    #[test]
    fn garbage_does_not_panic(
        data in proptest::collection::vec(any::<u8>(), 0..200),
        step in 1..20_usize,
        flip in 0..400_usize,
    ) {
        let limits = operation(1 << 10, 1 << 12);
        let _ = weigh(&data, step, &limits);
        let mut bytes = packets(&pack(&[blob(&data), object(6, 3, &[1], &[5, 0xac, 2])]), 50);
        let at = flip % bytes.len();
        bytes[at] ^= 1 << (flip % 8);
        let _ = weigh(&bytes, step, &limits);
    }
}
