use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::prelude::*;

use super::Scales;
use crate::transport::Operation;
use crate::url::Target;
use crate::{Remote, SourceError};

fn operation(object: u64, unpacked: u64) -> Operation {
    let mut remote = Remote::new("http://git.example/r");
    (remote.limits.object_bytes, remote.limits.unpacked_bytes) = (object, Some(unpacked));
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
    let far = blob(b"hello").len() + blob(&long).len();
    let (high, low) = ((far >> 7) - 1, far & 0x7f);
    let far = [u8::try_from(high).unwrap() | 0x80, u8::try_from(low).unwrap()];
    let delta = object(6, 3, &far, &[5, 0xac, 0x02]);
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
        ("no sizes", object(7, 1, &[1; 20], &[0x80]), false),
        ("a size without end", object(7, 21, &[1; 20], &[0x80; 21]), false),
        (
            "a large result",
            object(7, 5, &[1; 20], &sizes(&[1], &[0x80, 0x80, 0x80, 1])),
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

#[test]
fn a_base_is_an_object_that_came_before() {
    let limits = operation(1 << 20, 1 << 30);
    let first = blob(b"hello");
    let start = u8::try_from(first.len()).unwrap();
    let weighed = |back: &[u8]| {
        let all = pack(&[first.clone(), object(6, 3, back, &[5, 0xac, 0x02])]);
        weigh(&packets(&all, 7), 3, &limits)
    };
    assert_eq!(weighed(&[start]), Ok(()));
    let huge = [0xff; 12];
    for back in [&[start - 1][..], &[start + 1], &[0], &[1], &[0x80, 0], &huge] {
        let answer = weighed(back);
        assert!(
            matches!(answer, Err(SourceError::NotGit(_))),
            "{back:?}: {answer:?}"
        );
    }
}

#[test]
fn a_pack_that_has_begun_is_alone_and_ends() {
    let limits = operation(1 << 20, 1 << 30);
    let whole = pack(&[blob(b"hello")]);
    let alone = packets(&whole, 7);
    // Keep-alives and words of the server are none of it.
    let (nak, rest) = alone.split_at(8);
    let between = [nak, b"0005\x01", b"000a\x02hello", rest].concat();
    assert_eq!(weigh(&between, 4, &limits), Ok(()));
    let (inside, end) = alone.split_at(alone.len() - 4);
    for (what, bytes) in [
        ("an acknowledgement", [inside, b"0008NAK\n", end].concat()),
        ("more than the end", [&alone[..], b"0008NAK\n"].concat()),
        ("another pack", [&alone[..], &alone].concat()),
        ("another pack, bare", [inside, &whole].concat()),
        ("a byte more", packets(&[&whole[..], b"x"].concat(), 7)),
        ("a byte more, bare", [b"0008NAK\n", &whole[..], b"x"].concat()),
    ] {
        for step in [1, 1 << 20] {
            let answer = weigh(&bytes, step, &limits);
            assert!(
                matches!(answer, Err(SourceError::NotGit(_))),
                "{what}: {answer:?}"
            );
        }
    }
}

#[test]
fn objects_are_counted() {
    let mut remote = Remote::new("http://git.example/r");
    remote.limits.objects = 3;
    let operation = Operation::new(Target::parse(&remote).unwrap(), &remote).unwrap();
    let two = packets(&pack(&[blob(b"a"), blob(b"b")]), 7);
    assert_eq!(weigh(&two, 100, &operation), Ok(()));
    let more = weigh(&two, 100, &operation);
    assert_eq!(more, Err(SourceError::TooLarge("over 3 objects".into())));
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
