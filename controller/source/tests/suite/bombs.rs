//! Packs that are small and hold much: refused before they are unpacked.

use source::{Remote, SourceError};

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{fetch, store};

/// What a server answers that has this pack ready.
fn answer(pack: &[u8]) -> Vec<u8> {
    let mut all =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\n\r\n00000008NAK\n"
            .to_vec();
    for part in pack.chunks(60_000) {
        all.extend_from_slice(format!("{:04x}\x01", part.len() + 5).as_bytes());
        all.extend_from_slice(part);
    }
    all.extend_from_slice(b"0000");
    all
}

fn refused(remote: &Remote) -> SourceError {
    let dir = tempfile::tempdir().unwrap();
    let error = fetch(&store(dir.path()), remote).unwrap_err();
    assert!(matches!(error, SourceError::TooLarge(_)), "{error:?}");
    error
}

/// A gigabyte of zeros is a megabyte of pack, as real git makes it.
fn zeros(repo: &Repo, megabytes: u64) {
    let file = std::fs::File::create(repo.work().join("zeros")).unwrap();
    file.set_len(megabytes << 20).unwrap();
    repo.commit("zeros", &[]);
    repo.push();
}

#[test]
fn a_file_that_is_large_unpacked_is_refused_by_its_header() {
    assert_eq!(source::RemoteLimits::default().object_bytes, 100 << 20);
    let repo = Repo::with(&[("a", "1")]);
    zeros(&repo, 21);
    let server = Server::start(repo.root(), Mode::Good);
    let mut remote = server.remote();
    remote.limits.object_bytes = 20 << 20;
    let error = refused(&remote).to_string();
    assert!(error.ends_with("an object over 20971520 bytes"), "{error}");
    // All together is a bound of its own.
    remote.limits.object_bytes = 30 << 20;
    remote.limits.unpacked_bytes = 10 << 20;
    let error = refused(&remote).to_string();
    assert!(error.ends_with("packs that hold over 10485760 bytes"), "{error}");
    // The packs themselves are tens of kilobytes.
    remote.limits.unpacked_bytes = 4 << 30;
    remote.limits.pack_bytes = 100_000;
    let dir = tempfile::tempdir().unwrap();
    assert!(fetch(&store(dir.path()), &remote).is_ok());
}

#[test]
fn a_delta_that_copies_its_base_without_end_is_refused_by_its_sizes() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let base = vec![0; 65_536];
    // 50,000 copies of the base: 3.3 GB out of 50 kB (gitformat-pack(5), "Deltified representation").
    let sizes = [&[0x80, 0x80, 0x04][..], &[0x80, 0x80, 0xc0, 0x9a, 0xc]].concat();
    let copies = [0x80].repeat(50_000);
    let delta = [sizes, copies].concat();
    // By where the base is, and by its name.
    let there = zlib_object(3, &[], &base);
    for delta in [
        zlib_object(6, &[0x80, 0x05], &delta),
        zlib_object(7, &[7; 20], &delta),
    ] {
        let pack = [&b"PACK\0\0\0\x02\0\0\0\x02"[..], &there, &delta].concat();
        server.set(Mode::CannedPost(answer(&pack)));
        let error = refused(&server.remote()).to_string();
        assert!(error.ends_with("an object over 104857600 bytes"), "{error}");
    }
}

#[test]
fn an_object_that_is_larger_than_it_says_is_refused() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let mut bytes = zlib_object(3, &[], &vec![0; 8 << 20]);
    // Its size, in the first four bytes: of 9 bytes.
    let lie = [&[0x39][..], &bytes.split_off(4)].concat();
    let pack = [&b"PACK\0\0\0\x02\0\0\0\x01"[..], &lie].concat();
    server.set(Mode::CannedPost(answer(&pack)));
    let dir = tempfile::tempdir().unwrap();
    let error = fetch(&store(dir.path()), &server.remote()).unwrap_err();
    assert_eq!(error, SourceError::NotGit("a pack with a bad size".into()));
}

#[test]
fn deltas_without_a_base_and_in_a_circle_end() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    // Of five bytes, a copy of which makes the same five.
    let copy = [5, 5, 0x90, 5];
    let nowhere = zlib_object(7, &[7; 20], &copy);
    let before_all = zlib_object(6, &[0xff, 0xff, 0x7f], &copy);
    let itself = zlib_object(6, &[0], &copy);
    for delta in [nowhere, before_all, itself] {
        let pack = [&b"PACK\0\0\0\x02\0\0\0\x01"[..], &delta].concat();
        let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &pack);
        server.set(Mode::CannedPost(answer(&[&pack, sum.as_ref()].concat())));
        let error = fetch(&store, &server.remote()).unwrap_err();
        assert!(
            matches!(error, SourceError::NotGit(_) | SourceError::Store(_)),
            "{error:?}"
        );
    }
    server.set(Mode::Good);
    assert!(fetch(&store, &server.remote()).is_ok());
}

/// An object as it stands in a pack.
fn zlib_object(kind: u8, base: &[u8], data: &[u8]) -> Vec<u8> {
    let (mut size, mut bytes) = (data.len() >> 4, Vec::new());
    let mut byte = kind << 4 | u8::try_from(data.len() & 15).unwrap();
    while size > 0 {
        bytes.push(byte | 0x80);
        (byte, size) = (u8::try_from(size & 0x7f).unwrap(), size >> 7);
    }
    bytes.push(byte);
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(data, 6);
    [&bytes, base, &packed].concat()
}
