//! Packs that are small and hold much: refused before they are unpacked.

use source::{Remote, SourceError};

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{fetch, store};

/// What a server answers that has this pack ready.
fn answer(pack: &[u8]) -> Vec<u8> {
    after(b"00000008NAK\n", pack)
}

/// The same with this before the pack.
fn after(start: &[u8], pack: &[u8]) -> Vec<u8> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\n\r\n";
    [head, start, &packets(pack), b"0000"].concat()
}

/// A pack in the side-band.
fn packets(pack: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in pack.chunks(60_000) {
        all.extend_from_slice(format!("{:04x}\x01", part.len() + 5).as_bytes());
        all.extend_from_slice(part);
    }
    all
}

/// A pack of these objects.
fn pack(objects: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(objects.len()).unwrap().to_be_bytes();
    let pack = [b"PACK\0\0\0\x02", &count[..], &objects.concat()].concat();
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &pack);
    [&pack, sum.as_ref()].concat()
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
    remote.limits.unpacked_bytes = Some(10 << 20);
    let error = refused(&remote).to_string();
    assert!(error.ends_with("packs that hold over 10485760 bytes"), "{error}");
    // The packs themselves are tens of kilobytes.
    remote.limits.unpacked_bytes = Some(4 << 30);
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
        zlib_object(6, &back(there.len()), &delta),
        zlib_object(7, &[7; 20], &delta),
    ] {
        server.set(Mode::CannedNamed(answer(&pack(&[there.clone(), delta]))));
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
    server.set(Mode::CannedPost(answer(&pack(&[lie]))));
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
        server.set(Mode::CannedNamed(answer(&pack(&[delta]))));
        let error = fetch(&store, &server.remote()).unwrap_err();
        assert!(
            matches!(error, SourceError::NotGit(_) | SourceError::Store(_)),
            "{error:?}"
        );
    }
    server.set(Mode::Good);
    assert!(fetch(&store, &server.remote()).is_ok());
}

/// Two megabytes, in two kilobytes.
fn bomb() -> Vec<u8> {
    zlib_object(3, &[], &vec![0; 2 << 20])
}

/// Where a bomb gets by, another error comes of it later.
fn small(server: &Server) -> Remote {
    let mut remote = server.remote();
    remote.limits.object_bytes = 1 << 20;
    remote
}

fn not_git(remote: &Remote, words: &str) {
    let dir = tempfile::tempdir().unwrap();
    let error = fetch(&store(dir.path()), remote).unwrap_err();
    assert_eq!(error, SourceError::NotGit(words.into()));
}

#[test]
fn what_stands_behind_the_list_of_refs_is_the_beginning_of_the_answer() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    // A packet that is cut off after five bytes. To whoever begins to read at the answer, a packet begins there that has the pack
    // in it; to libgit2 it is eleven bytes of progress.
    let behind = b"00000008NAK\n0010\x02".to_vec();
    let post = after(b"ffff\x02worked", &pack(&[bomb()]));
    server.set(Mode::CannedBehind(behind, post));
    assert!(
        refused(&small(&server))
            .to_string()
            .ends_with("an object over 1048576 bytes")
    );
}

#[test]
fn a_pack_before_the_acknowledgement_hides_none_behind_it() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let innocent = [&b"0000"[..], &packets(&pack(&[])), b"0008NAK\n"].concat();
    server.set(Mode::CannedPost(after(&innocent, &pack(&[bomb()]))));
    not_git(&small(&server), "a pack with something else in it");
    let ended = [&b"0000"[..], &packets(&pack(&[])), b"00000008NAK\n"].concat();
    server.set(Mode::CannedPost(after(&ended, &pack(&[bomb()]))));
    not_git(&small(&server), "a pack with something else in it");
}

#[test]
fn objects_behind_the_last_one_are_not_taken() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    // Deltas do not count for libgit2 until it has their bases, so that it goes on reading.
    let delta = zlib_object(7, &[7; 20], &[5, 5, 0x90, 5]);
    let mut pack = pack(&[delta]);
    pack.splice(pack.len() - 20..pack.len() - 20, bomb());
    server.set(Mode::CannedNamed(answer(&pack)));
    not_git(&small(&server), "a pack with a bad end");
}

#[test]
fn a_delta_has_an_object_for_its_base_and_nothing_inside_of_one() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    // An object that is not compressed, and has another one inside.
    let inner = bomb();
    let length = u16::try_from(inner.len()).unwrap();
    let stored = [
        &[0x78, 0x01, 0x01],
        &length.to_le_bytes()[..],
        &(!length).to_le_bytes(),
        &inner,
        &adler32(&inner).to_be_bytes(),
    ]
    .concat();
    let outer = [&header(3, inner.len())[..], &stored].concat();
    let into = outer.len() - inner.len() - 4;
    let sizes = [&[0x80, 0x80, 0x80, 0x01][..], &[5, 0x90, 5]].concat();
    let hidden = zlib_object(6, &back(outer.len() - into), &sizes);
    server.set(Mode::CannedPost(answer(&pack(&[outer.clone(), hidden]))));
    not_git(&server.remote(), "a pack with a bad base");
}

/// What is made of a base of so many bytes by copying all of it: the same (gitformat-pack(5), "Deltified representation").
fn identity(length: usize) -> Vec<u8> {
    let mut size = Vec::new();
    let mut rest = length;
    while rest > 0x7f {
        size.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    size.push(u8::try_from(rest).unwrap());
    let [one, two, three, ..] = u32::try_from(length).unwrap().to_le_bytes();
    [&size[..], &size, &[0xf0, one, two, three]].concat()
}

fn id_of(blob: &[u8]) -> Vec<u8> {
    let object = [format!("blob {}\0", blob.len()).as_bytes(), blob].concat();
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &object);
    sum.as_ref().to_vec()
}

/// Fetches on a thread that is left behind where it does not end.
fn ends(server: &Server) -> SourceError {
    let remote = server.remote();
    let (told, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let dir = tempfile::tempdir().unwrap();
        told.send(fetch(&store(dir.path()), &remote).unwrap_err())
    });
    // The remote's own time ends before.
    ended.recv_timeout(std::time::Duration::from_mins(1)).unwrap()
}

/// What this process has of memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes << 10
}

#[test]
fn a_delta_that_makes_its_base_again_ends() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let blob = b"again and again".to_vec();
    let again = zlib_object(7, &id_of(&blob), &identity(blob.len()));
    let twice = answer(&pack(&[zlib_object(3, &[], &blob), again]));
    // Nobody had to name the base so.
    server.set(Mode::CannedPost(twice.clone()));
    let error = ends(&server);
    assert_eq!(
        error,
        SourceError::NotGit("a pack with a bad base: a name".into())
    );
    // libgit2 would go on for ever, and call nobody.
    server.set(Mode::CannedNamed(twice));
    let error = ends(&server);
    assert!(matches!(error, SourceError::TooLarge(_)), "{error:?}");
    let dir = tempfile::tempdir().unwrap();
    server.set(Mode::Good);
    assert!(fetch(&store(dir.path()), &server.remote()).is_ok());
}

#[test]
fn what_is_made_over_and_over_takes_no_memory_that_stays() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let before = resident();
    let grown = || resident().saturating_sub(before) >> 20;
    // A gigabyte and a half out of some kilobytes.
    let blob = vec![7; 1 << 20];
    let there = zlib_object(3, &[], &blob);
    let copy = |at: usize| zlib_object(6, &back(at), &identity(blob.len()));
    let mut objects = vec![there.clone()];
    let mut distance = there.len();
    for _ in 0..1_500 {
        objects.push(copy(distance));
        distance += objects[objects.len() - 1].len();
    }
    server.set(Mode::CannedPost(answer(&pack(&objects))));
    let error = ends(&server);
    assert!(matches!(error, SourceError::TooLarge(_)), "{error:?}");
    assert!(grown() < 300, "{} MiB", grown());
    // Larger ones, by their names, again and again.
    let large = vec![7; 2 << 20];
    let again = zlib_object(7, &id_of(&large), &identity(large.len()));
    server.set(Mode::CannedNamed(answer(&pack(&[
        zlib_object(3, &[], &large),
        again,
    ]))));
    for _ in 0..15 {
        let error = ends(&server);
        assert!(matches!(error, SourceError::TooLarge(_)), "{error:?}");
    }
    assert!(grown() < 300, "{} MiB", grown());
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}

/// How far back a base is, as a delta says it.
fn back(mut distance: usize) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(distance & 0x7f).unwrap()];
    while distance > 0x7f {
        distance = (distance >> 7) - 1;
        bytes.insert(0, u8::try_from(distance & 0x7f).unwrap() | 0x80);
    }
    bytes
}

/// An object as it stands in a pack.
fn zlib_object(kind: u8, base: &[u8], data: &[u8]) -> Vec<u8> {
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(data, 6);
    [&header(kind, data.len()), base, &packed].concat()
}

/// Its kind and size.
fn header(kind: u8, length: usize) -> Vec<u8> {
    let (mut size, mut bytes) = (length >> 4, Vec::new());
    let mut byte = kind << 4 | u8::try_from(length & 15).unwrap();
    while size > 0 {
        bytes.push(byte | 0x80);
        (byte, size) = (u8::try_from(size & 0x7f).unwrap(), size >> 7);
    }
    bytes.push(byte);
    bytes
}
