//! What a Sync owns, as it is stored: the uids and field sets that its own applies returned.
//!
//! Records are spread over shards by a hash of their key, each shard authenticated with a keyed MAC over its place and
//! content. A shard that does not verify is treated as lost: losing one costs verification, never an object.

use crate::key::{GroupKind, Key};
use crate::managed::FieldSet;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

/// Records in one shard before their number doubles; about 600 bytes each at worst keeps a shard under 600 kB.
const RECORDS_PER_SHARD: usize = 1000;
/// The most shards that are ever written or read.
const MAX_SHARDS: usize = 1024;
const MAGIC: &[u8; 8] = b"signet\x00\x04";
/// The form before it: without what is not ours, and without the keys that values were opened with.
const MAGIC_3: &[u8; 8] = b"signet\x00\x03";
/// The second form: without rounds.
const MAGIC_2: &[u8; 8] = b"signet\x00\x02";
/// The first form: without wave and mark.
const MAGIC_1: &[u8; 8] = b"signet\x00\x01";
const MAC_LENGTH: usize = 32;

/// A keyed digest of what an object was made from. Keyed, because a plain hash of a low-entropy value is the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InputDigest(pub [u8; 16]);

impl InputDigest {
    /// HMAC-SHA-256 over the parts, each with its length, cut to 128 bits.
    #[must_use]
    pub fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> Self {
        let mut mac = keyed(key);
        mac.update(b"input");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let full = mac.finalize().into_bytes();
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        Self(short)
    }
}

/// What is recorded of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The uid that our apply returned; none while an intended create has not been answered.
    pub uid: Option<Box<str>>,
    /// Our field set, as our apply returned it.
    pub owned: Option<FieldSet>,
    /// What the object was made from.
    pub digest: InputDigest,
    /// Where it stood in the walk when it was applied: it is deleted in the reverse of that.
    pub wave: Wave,
    /// A secret variable's value was put into it: what is said of it is not quoted, even when it has left Git.
    pub secret: bool,
    /// It was about to be made anew, and that was not answered: an object of another uid may be ours as well.
    pub anew: bool,
    /// The uid of another object that stood under this name when ours was about to be made, as far as that was seen: whatever became
    /// of our request, that one is not ours before an answer says so.
    pub but: Option<Box<str>>,
    /// It came while objects that had left Git were still there. How much of a Sync's objects left is measured without it: a path that
    /// is exchanged for another would make half of all what is all of the old one.
    pub beside: bool,
    /// The sealing keys that its values were opened with, by their ids, and how many with each: what has to be known before a key is
    /// retired. Empty: it has none, or was applied by a controller that did not write it down.
    pub opened: OpenedBy,
}

/// Ids of sealing keys, and how many values each has opened. Most objects have none: then it is a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenedBy(Option<Box<OpenedKeys>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct OpenedKeys(Box<[(Arc<str>, u16)]>);

impl FromIterator<(Arc<str>, u16)> for OpenedBy {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, u16)>>(keys: I) -> Self {
        let keys: Box<[_]> = keys.into_iter().collect();
        Self((!keys.is_empty()).then(|| Box::new(OpenedKeys(keys))))
    }
}

impl Deref for OpenedBy {
    type Target = [(Arc<str>, u16)];

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().map_or(&[], |keys| &*keys.0)
    }
}

impl Record {
    /// Of an object that is about to be made of this, and of which nothing is known.
    #[must_use]
    pub fn intended(digest: InputDigest, wave: Wave) -> Self {
        Self {
            uid: None,
            owned: None,
            digest,
            wave,
            secret: false,
            anew: false,
            but: None,
            beside: false,
            opened: OpenedBy::default(),
        }
    }

    /// The uid that an object has to have to be ours; none where another one may be.
    #[must_use]
    pub fn only_uid(&self) -> Option<&str> {
        self.uid.as_deref().filter(|_| !self.anew)
    }

    /// Whether an object with this uid is ours, if our manager owns fields of it: an apply of ours returned its uid, or it was not
    /// there before one that was not answered.
    #[must_use]
    pub fn may_be(&self, uid: &str) -> bool {
        match self.only_uid() {
            Some(only) => only == uid,
            None => self.but.as_deref() != Some(uid),
        }
    }

    /// Which objects [may be ours](Self::may_be), in words that differ where those do.
    #[must_use]
    pub fn whose(&self) -> String {
        match (self.only_uid(), &self.but) {
            (Some(only), _) => only.to_owned(),
            (None, None) => format!("{} or another", self.uid.as_deref().unwrap_or_default()),
            (None, Some(but)) => format!(
                "{} or another than {but}",
                self.uid.as_deref().unwrap_or_default()
            ),
        }
    }
}

/// Bits of a record's last byte. What read it before there were two took any for a secret, which is the careful reading.
const SECRET: u8 = 1;
const ANEW: u8 = 2;
const BESIDE: u8 = 4;

/// A place in the walk; greater is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wave {
    /// The wave's number.
    pub number: i32,
    /// How many others of the wave had to be there before, each because the next one depends on it. What depends on
    /// nothing has 0.
    pub round: u16,
}

impl Wave {
    /// Before all waves: definitions, namespaces and classes that name none.
    pub const EARLY: Self = Self::of(i32::MIN);

    /// The first round of a wave.
    #[must_use]
    pub const fn of(number: i32) -> Self {
        Self { number, round: 0 }
    }
}

/// How many shards hold `records` records.
#[must_use]
pub fn shard_count(records: usize) -> usize {
    records
        .div_ceil(RECORDS_PER_SHARD)
        .next_power_of_two()
        .clamp(1, MAX_SHARDS)
}

/// The shard of a key among `count`: by FNV-1a, which is the same for ever and cheap. Every write of a shard asks for that
/// of all keys.
#[must_use]
pub fn shard_of(key: &Key, count: usize) -> usize {
    let parts = [
        &*key.kind.group,
        &*key.kind.kind,
        key.namespace.as_deref().unwrap_or_default(),
        &*key.name,
    ];
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // The high half is mixed best.
    usize::try_from(hash >> 32).unwrap_or_default() % count.max(1)
}

/// Writes one shard. `place` names Sync and shard, so that a shard cannot be moved.
#[must_use]
pub fn encode<'a>(
    mac_key: &[u8; 32],
    place: &str,
    records: impl Iterator<Item = (&'a Key, &'a Record)>,
) -> Vec<u8> {
    let mut sorted: Vec<_> = records.collect();
    sorted.sort_by(|a, b| a.0.cmp(b.0));
    let mut out = MAGIC.to_vec();
    for (key, record) in sorted {
        for text in [
            &*key.kind.group,
            &*key.kind.kind,
            key.namespace.as_deref().unwrap_or_default(),
            &*key.name,
        ] {
            put(&mut out, text.as_bytes());
        }
        put(&mut out, record.uid.as_deref().unwrap_or_default().as_bytes());
        put(&mut out, record.but.as_deref().unwrap_or_default().as_bytes());
        put(&mut out, record.owned.as_ref().map_or(&[][..], |owned| &owned.0));
        out.extend_from_slice(&record.digest.0);
        out.extend_from_slice(&record.wave.number.to_be_bytes());
        out.extend_from_slice(&record.wave.round.to_be_bytes());
        out.push(marks(record));
        let opened = &record.opened[..record.opened.len().min(usize::from(u8::MAX))];
        out.push(u8::try_from(opened.len()).unwrap_or(u8::MAX));
        for (key, values) in opened {
            put(&mut out, key.as_bytes());
            out.extend_from_slice(&values.to_be_bytes());
        }
    }
    seal(mac_key, place, out)
}

/// Authenticates `content` as standing at `place`.
#[must_use]
pub fn seal(mac_key: &[u8; 32], place: &str, mut content: Vec<u8>) -> Vec<u8> {
    let tag = tag(mac_key, place, &content);
    content.extend_from_slice(&tag);
    content
}

/// The content of what [`seal`] made for `place`, or none where it is damaged, forged or of another place.
#[must_use]
pub fn unseal<'a>(mac_key: &[u8; 32], place: &str, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (content, tag) = bytes.split_at_checked(bytes.len().checked_sub(MAC_LENGTH)?)?;
    let mut mac = keyed(mac_key);
    authenticated(&mut mac, place, content);
    mac.verify_slice(tag).ok()?;
    Some(content)
}

/// Reads one shard, or none where it is damaged, forged or of another place.
#[must_use]
pub fn decode(mac_key: &[u8; 32], place: &str, bytes: &[u8]) -> Option<HashMap<Key, Record>> {
    let content = unseal(mac_key, place, bytes)?;
    let (magic, mut rest) = content.split_first_chunk::<8>()?;
    let form = [MAGIC_1, MAGIC_2, MAGIC_3, MAGIC]
        .iter()
        .position(|known| *known == magic)?;
    let mut kinds: HashMap<GroupKind, Arc<GroupKind>> = HashMap::new();
    // Namespaces and ids of sealing keys, each once.
    let mut texts: HashMap<String, Arc<str>> = HashMap::new();
    let mut records = HashMap::new();
    while !rest.is_empty() {
        let mut text = || take(&mut rest).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let (group, kind, namespace, name, uid) = (text()?, text()?, text()?, text()?, text()?);
        let but = if form > 2 { text()? } else { "" };
        let owned = take(&mut rest)?;
        let (digest, after) = rest.split_first_chunk::<16>()?;
        rest = after;
        let (mut wave, mut marks) = (Wave::of(0), SECRET);
        // Not written down in the first form: what could hold a secret is taken to.
        if form > 0 {
            let (number, after) = rest.split_first_chunk::<4>()?;
            (wave.number, rest) = (i32::from_be_bytes(*number), after);
            if form > 1 {
                let (round, after) = rest.split_first_chunk::<2>()?;
                (wave.round, rest) = (u16::from_be_bytes(*round), after);
            }
            let (mark, after) = rest.split_first()?;
            (marks, rest) = (*mark, after);
        }
        let mut opened = Vec::new();
        if form > 2 {
            let (count, after) = rest.split_first()?;
            rest = after;
            for _ in 0..*count {
                let key = std::str::from_utf8(take(&mut rest)?).ok()?;
                let (values, after) = rest.split_first_chunk::<2>()?;
                rest = after;
                opened.push((shared(&mut texts, key), u16::from_be_bytes(*values)));
            }
        }
        let kind = GroupKind::new(group, kind);
        let key = Key {
            kind: Arc::clone(kinds.entry(kind.clone()).or_insert_with(|| Arc::new(kind))),
            namespace: (!namespace.is_empty()).then(|| shared(&mut texts, namespace)),
            name: name.into(),
        };
        let record = Record {
            uid: (!uid.is_empty()).then(|| uid.into()),
            owned: owned.try_into().ok().map(FieldSet),
            digest: InputDigest(*digest),
            wave,
            secret: marks & SECRET != 0,
            anew: marks & ANEW != 0,
            but: (!but.is_empty()).then(|| but.into()),
            beside: marks & BESIDE != 0,
            opened: opened.into_iter().collect(),
        };
        records.insert(key, record);
    }
    Some(records)
}

fn shared(texts: &mut HashMap<String, Arc<str>>, text: &str) -> Arc<str> {
    let entry = texts.entry(text.to_owned());
    Arc::clone(entry.or_insert_with(|| text.into()))
}

fn marks(record: &Record) -> u8 {
    let mark = |is: bool, bit: u8| if is { bit } else { 0 };
    mark(record.secret, SECRET) | mark(record.anew, ANEW) | mark(record.beside, BESIDE)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    // Names are at most 253 bytes by the API server's rules; anything longer cannot have been applied.
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&bytes[..usize::from(length)]);
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (bytes, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = after;
    Some(bytes)
}

fn tag(mac_key: &[u8; 32], place: &str, content: &[u8]) -> [u8; MAC_LENGTH] {
    let mut mac = keyed(mac_key);
    authenticated(&mut mac, place, content);
    mac.finalize().into_bytes().into()
}

fn authenticated(mac: &mut Hmac<Sha256>, place: &str, content: &[u8]) {
    mac.update(b"checkpoint");
    mac.update(&(place.len() as u64).to_be_bytes());
    mac.update(place.as_bytes());
    mac.update(content);
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: usize) -> HashMap<Key, Record> {
        (0..n)
            .map(|i| {
                let key = Key {
                    kind: Arc::new(GroupKind::new("apps", "Deployment")),
                    namespace: (i % 3 > 0).then(|| "shop".into()),
                    name: format!("web-{i}").into(),
                };
                let applied = i % 2 == 0;
                let record = Record {
                    uid: applied.then(|| format!("uid-{i}").into()),
                    owned: applied.then_some(FieldSet([3; 16])),
                    digest: InputDigest([u8::try_from(i % 256).unwrap(); 16]),
                    wave: Wave {
                        number: i32::try_from(i).unwrap() - 10,
                        round: u16::try_from(i % 3).unwrap(),
                    },
                    secret: i % 5 == 0,
                    anew: i % 7 == 0,
                    but: (i % 13 == 0).then(|| format!("other-{i}").into()),
                    beside: i % 11 == 0,
                    opened: [("SHA256:a".into(), 2), ("key-b".into(), 300)]
                        .into_iter()
                        .filter(|_| i % 13 == 0)
                        .collect(),
                };
                (key, record)
            })
            .collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let records = sample(50);
        let bytes = encode(&[1; 32], "shop/web#0", records.iter());
        assert_eq!(decode(&[1; 32], "shop/web#0", &bytes), Some(records.clone()));
        assert_eq!(
            bytes,
            encode(&[1; 32], "shop/web#0", records.iter()),
            "the same records are the same bytes"
        );
    }

    #[test]
    fn the_forms_before_are_read() {
        let form = |magic: &[u8], texts: &[&str], more: &[u8]| {
            let mut content = magic.to_vec();
            for _ in 0..2 {
                for text in ["", "ConfigMap", "shop", "a", "uid"].iter().chain(texts) {
                    put(&mut content, text.as_bytes());
                }
                content.extend_from_slice(&[7; 16]);
                content.extend_from_slice(more);
            }
            let records = decode(&[1; 32], "p", &seal(&[1; 32], "p", content)).unwrap();
            let record = records.into_values().next().unwrap();
            assert_eq!((record.uid.as_deref(), record.digest.0), (Some("uid"), [7; 16]));
            (record.wave, record.secret, record.but)
        };
        assert_eq!(form(MAGIC_1, &[""], &[]), (Wave::of(0), true, None));
        assert_eq!(form(MAGIC_2, &[""], &[0, 0, 0, 5, 0]), (Wave::of(5), false, None));
        let wave = Wave {
            number: 5,
            round: 258,
        };
        let marked = [0, 0, 0, 5, 1, 2, 1];
        assert_eq!(form(MAGIC_3, &[""], &marked), (wave, true, None));
        assert_eq!(
            form(MAGIC, &["other", ""], &[&marked[..], &[0]].concat()),
            (wave, true, Some("other".into()))
        );
    }

    #[test]
    fn only_what_an_apply_returned_or_may_have_made_is_ours() {
        let record = |uid: Option<&str>, anew, but: Option<&str>| Record {
            uid: uid.map(Into::into),
            anew,
            but: but.map(Into::into),
            ..sample(1).into_values().next().unwrap()
        };
        let known = record(Some("a"), false, None);
        assert!(known.may_be("a") && !known.may_be("b"));
        let made_anew = record(Some("a"), true, None);
        assert!(made_anew.may_be("a") && made_anew.may_be("b"));
        let unanswered = record(None, false, None);
        assert!(unanswered.may_be("a"));
        for beside in [record(Some("a"), true, Some("b")), record(None, false, Some("b"))] {
            assert!(!beside.may_be("b"), "it was there before");
            assert!(beside.may_be("c"), "it was not");
        }
        let whose = [known, made_anew, unanswered, record(Some("a"), true, Some("b"))].map(|one| one.whose());
        assert_eq!(whose, ["a", "a or another", " or another", "a or another than b"]);
    }

    #[test]
    fn a_shard_that_was_changed_or_moved_is_refused() {
        let bytes = encode(&[1; 32], "shop/web#0", sample(5).iter());
        assert_eq!(decode(&[1; 32], "shop/web#1", &bytes), None);
        assert_eq!(decode(&[2; 32], "shop/web#0", &bytes), None);
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            assert_eq!(decode(&[1; 32], "shop/web#0", &bad), None, "byte {i}");
            assert_eq!(decode(&[1; 32], "shop/web#0", &bytes[..i]), None, "cut at {i}");
        }
    }

    #[test]
    fn keys_spread_over_shards() {
        assert_eq!([0, 1, 1000, 1001, 10_000].map(shard_count), [1, 1, 1, 2, 16]);
        let mut sizes = [0; 16];
        for key in sample(10_000).keys() {
            sizes[shard_of(key, 16)] += 1;
        }
        assert!(sizes.iter().all(|&n| (400..900).contains(&n)), "{sizes:?}");
    }
}
