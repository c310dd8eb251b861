//! MD5 (RFC 1321), for one purpose: to find it. No crate of the workspace has it, and none should.

const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The MD5 hash of some bytes.
pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    let mut text = bytes.to_vec();
    text.push(0x80);
    while text.len() % 64 != 56 {
        text.push(0);
    }
    text.extend_from_slice(&(bytes.len() as u64 * 8).to_le_bytes());

    let sines = sines();
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in text.chunks_exact(64) {
        let words: Vec<u32> = block
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")))
            .collect();
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64 {
            let (mixed, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            let sum = a
                .wrapping_add(mixed)
                .wrapping_add(sines[step])
                .wrapping_add(words[word % 16]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (part, change) in state.iter_mut().zip([a, b, c, d]) {
            *part = part.wrapping_add(change);
        }
    }
    let mut hash = [0; 16];
    for (bytes, part) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&part.to_le_bytes());
    }
    hash
}

/// `floor(2^32 × |sin(i + 1)|)`, as the RFC defines its constants.
fn sines() -> [u32; 64] {
    std::array::from_fn(|step| {
        let sine = f64::from(u32::try_from(step + 1).expect("small")).sin().abs();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below 2^32, not negative
        let word = (sine * 4_294_967_296.0) as u32;
        word
    })
}

#[test]
fn the_vectors_of_the_rfc() {
    let hex = |text: &str| {
        use std::fmt::Write;
        md5(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    };
    assert_eq!(hex(""), "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    assert_eq!(
        hex("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
        "57edf4a22be3c955ac49da2e2107b67a"
    );
}
