//! The fuzz targets on any compiler: inputs are made by changing good ones, for as long as `SIGNET_FUZZ_SECONDS` says (2 in
//! all, unless it is set; CI gives more). Each run tries other inputs, unless `SIGNET_FUZZ_SEED` says which; a failure says how
//! to get the same input again.

#[path = "../../fuzz/targets.rs"]
#[allow(unreachable_pub)]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};

use crate::support::{CERTIFICATE, PKCS1, PKCS8};

/// Longer than any input may take on a busy machine.
const HANG: Duration = Duration::from_secs(30);
/// More than the whole test binary ever needs.
const MOST_MEMORY_KIB: u64 = 1 << 20;

type Target = fn(&[u8]);

#[test]
fn no_input_makes_a_parser_panic_hang_or_talk() {
    let seconds = std::env::var("SIGNET_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let object = targets::object_with("{{ .pw }}").to_string();
    let deprecated = object.replace("\"spec\":{", "\"spec\":{\"data\":\"AgA=\",");
    let native = targets::native_object();
    let [identity, recipient] = targets::native_keys();
    let targets: [(&str, Target, Vec<Vec<u8>>); 8] = [
        (
            "envelope",
            targets::envelope,
            seeds(&[targets::sealed(), "", "AgA=", "AAAA", "////"]),
        ),
        (
            "object",
            targets::object,
            seeds(&[&object, &deprecated, "{}", "[]", "null"]),
        ),
        ("template", targets::template, seeds(TEMPLATES)),
        (
            "keys",
            targets::keys,
            seeds(&[CERTIFICATE, PKCS1, PKCS8, &identity, &recipient]),
        ),
        ("native", targets::native, seeds(&[&native, "{}", "[]"])),
        ("age_file", targets::age_file, vec![targets::native_age_file()]),
        (
            "native_template",
            targets::native_template,
            seeds(NATIVE_TEMPLATES),
        ),
        (
            "key_set",
            targets::key_set,
            seeds(&[targets::signed_key_set(), "{}"]),
        ),
    ];
    let each = Duration::from_secs_f64(seconds.unwrap_or(2.0) / 8.0);
    let seed = seed();
    println!("SIGNET_FUZZ_SEED={seed:#x}");
    for (name, target, seeds) in targets {
        let mut random = Random(seed);
        let began = Instant::now();
        let mut count = 0_u64;
        while began.elapsed() < each {
            let state = random.0;
            let input = random.input(&seeds);
            let started = Instant::now();
            let ended = catch_unwind(AssertUnwindSafe(|| target(&input)));
            let again = || {
                format!(
                    "{name}: input {count}, the first one with SIGNET_FUZZ_SEED={state:#x}: {}",
                    input.escape_ascii()
                )
            };
            assert!(ended.is_ok(), "{}", again());
            assert!(started.elapsed() < HANG, "{}", again());
            count += 1;
        }
        println!("{name}: {count} inputs in {:?}", began.elapsed());
        assert!(count > 10, "{name}: only {count} inputs");
        let peak = peak_memory_kib();
        assert!(peak < MOST_MEMORY_KIB, "{name}: {peak} KiB of memory");
    }
}

/// What was asked for, or another one each time.
fn seed() -> u64 {
    let Ok(text) = std::env::var("SIGNET_FUZZ_SEED") else {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        return u64::try_from(since.unwrap().as_nanos() & u128::from(u64::MAX)).unwrap();
    };
    let seed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    seed.unwrap_or_else(|_| panic!("SIGNET_FUZZ_SEED={text} is no number"))
}

const TEMPLATES: &[&str] = &[
    "{{ .pw }}",
    "{{ printf \"%-5s|%05d|%q\" .pw 7 .text | b64enc }}",
    "{{ range $i, $x := splitList \",\" .pw }}{{ $i }}{{ $x | quote }}{{ else }}none{{ end }}",
    "{{ if and .pw (eq .text \"x\") }}a{{ else if not .missing }}b{{ else }}c{{ end }}",
    "{{ with $x := .pw }}{{ . | indent 2 | replace \"\\n\" \"\" }}{{ end }}{{- /* c */ -}}",
    "{{ dict \"a\" (list .pw 1 true) | toPrettyJson }}{{ toJson . }}{{ `raw` | upper | trunc -3 }}",
    "{{ $x := 1 }}{{ range list 1 2 }}{{ $x = add $x 1 }}{{ end }}{{ $x }}{{ b64dec .pw }}",
];

const NATIVE_TEMPLATES: &[&str] = &[
    "postgres://x:${pw}@db",
    "$${pw} ${pw}${pw} ${empty} $",
    "${",
    "${other}",
    "line\n\tline ${pw}\n",
];

/// What inputs are made of, beside pieces of other inputs.
const WORDS: &[&str] = &[
    "{{",
    "}}",
    "{{-",
    "-}}",
    "{{ end }}",
    "{{ else }}",
    "{{ range . }}",
    "{{ if .pw }}",
    "| ",
    "(",
    ")",
    "$",
    ".pw",
    "\"",
    "`",
    "\\",
    "/*",
    "*/",
    "999999999",
    "-1",
    ":=",
    "=",
    "\n",
    "\0",
    "\u{1b}",
    "\u{202e}",
    "é",
    "null",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "true",
    "1e999",
    "\\u0000",
    "-----BEGIN X-----",
    "-----END X-----",
    "AAAA",
    "repeat 99999 ",
    "toJson ",
    "fail ",
    "keys .",
    "${pw}",
    "${",
    "$$",
    "-> X25519 ",
    "\n--- ",
    "age-encryption.org/v1\n",
];

fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.next() % end).unwrap()
    }

    /// A good input, changed in a few places.
    fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..self.below(6) {
            let at = self.below(input.len() + 1);
            let end = at + self.below(input.len() - at + 1).min(64);
            match self.below(7) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 => drop(input.drain(at..end)),
                2 => {
                    let piece = input[at..end].to_vec();
                    let times = 1 + self.below(40);
                    input.splice(at..at, piece.repeat(times));
                }
                3 => input.truncate(end),
                4 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len() + 1);
                    let piece = other[from..].to_vec();
                    input.splice(at..end, piece);
                }
                _ => {
                    let word = WORDS[self.below(WORDS.len())];
                    input.splice(at..at, word.bytes());
                }
            }
        }
        input
    }
}

/// The most memory that this process ever had.
fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    number.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
