//! SHA-256 (FIPS 180-4) of sixteen messages of one length side by side in AVX-512.
//!
//! The only module of this crate with `unsafe`. Its invariants: the function is handed out only after the
//! processor was asked for its features, and every load is of a whole 64-byte block reference.

use super::LANES;
use alloy_primitives::B256;
use std::arch::x86_64::*;

const BLOCK_BYTES: usize = 64;

/// First 32 bits of the fractional parts of the square roots of the first 8 primes.
const START: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// First 32 bits of the fractional parts of the cube roots of the first 64 primes.
#[rustfmt::skip]
const ROUND_CONSTANTS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// Hashes `0x00 ‖ item` of each of sixteen items of one length.
pub(super) type Hash = fn(&[&[u8]; LANES]) -> [B256; LANES];

/// The sixteen-lane hash, if this processor has it and items of this length fill a block.
pub(super) fn detect(item_bytes: usize) -> Option<Hash> {
    fn checked(items: &[&[u8]; LANES]) -> [B256; LANES] {
        // SAFETY: handed out below only after both features were detected.
        unsafe { hash(items) }
    }
    let fits = item_bytes >= BLOCK_BYTES - 1;
    (fits && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")).then_some(checked)
}

#[target_feature(enable = "avx512f,avx512bw")]
fn hash(items: &[&[u8]; LANES]) -> [B256; LANES] {
    let length = items[0].len();
    assert!(items.iter().all(|item| item.len() == length), "lanes hash items of one length");
    let mut state = START.map(|word| _mm512_set1_epi32(word.cast_signed()));

    // The leaf's prefix shifts everything by a byte: the first block is put together, ...
    let (heads, bodies): (Vec<_>, Vec<_>) = items.iter().map(|item| item.split_at(BLOCK_BYTES - 1)).unzip();
    let first: [[u8; BLOCK_BYTES]; LANES] = std::array::from_fn(|lane| {
        let mut block = [0; BLOCK_BYTES];
        block[1..].copy_from_slice(heads[lane]);
        block
    });
    compress(&mut state, &first.each_ref());
    // ... those in the middle are read where they are, ...
    let bodies: [(&[[u8; BLOCK_BYTES]], &[u8]); LANES] = std::array::from_fn(|lane| bodies[lane].as_chunks());
    for block in 0..bodies[0].0.len() {
        compress(&mut state, &std::array::from_fn(|lane| &bodies[lane].0[block]));
    }
    // ... and the rest is padded: a one bit, zeros, the length in bits.
    let rest = bodies[0].1.len();
    let padded = (rest + 9).div_ceil(BLOCK_BYTES) * BLOCK_BYTES;
    let bits = (length as u64 + 1) * 8;
    let last: [[u8; 2 * BLOCK_BYTES]; LANES] = std::array::from_fn(|lane| {
        let mut blocks = [0; 2 * BLOCK_BYTES];
        blocks[..rest].copy_from_slice(bodies[lane].1);
        blocks[rest] = 0x80;
        blocks[padded - 8..padded].copy_from_slice(&bits.to_be_bytes());
        blocks
    });
    for block in 0..padded / BLOCK_BYTES {
        compress(&mut state, &std::array::from_fn(|lane| &last[lane].as_chunks().0[block]));
    }

    // SAFETY: eight vectors of sixteen words are as large as their words; any bits are valid.
    let words = unsafe { std::mem::transmute::<[__m512i; 8], [[u32; LANES]; 8]>(state) };
    std::array::from_fn(|lane| {
        let mut digest = B256::ZERO;
        for (bytes, word) in digest.0.as_chunks_mut::<4>().0.iter_mut().zip(&words) {
            *bytes = word[lane].to_be_bytes();
        }
        digest
    })
}

/// One block of each lane; word `i` of all lanes is in `state[i]`.
#[target_feature(enable = "avx512f,avx512bw")]
fn compress(state: &mut [__m512i; 8], blocks: &[&[u8; BLOCK_BYTES]; LANES]) {
    let mut w = message(blocks);
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    macro_rules! round {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $i:literal, $sixteen:ident) => {{
            if $sixteen > 0 {
                w[$i] = schedule(w[$i], w[($i + 1) % 16], w[($i + 9) % 16], w[($i + 14) % 16]);
            }
            let constant = _mm512_set1_epi32(ROUND_CONSTANTS[16 * $sixteen + $i].cast_signed());
            let sigma1 = xor3(rotr::<6>($e), rotr::<11>($e), rotr::<25>($e));
            // Truth tables: 0xCA is (e & f) ^ (!e & g), 0xE8 the majority.
            let choice = _mm512_ternarylogic_epi32::<0xCA>($e, $f, $g);
            let t1 = add(add(add($h, constant), add(choice, sigma1)), w[$i]);
            let sigma0 = xor3(rotr::<2>($a), rotr::<13>($a), rotr::<22>($a));
            let majority = _mm512_ternarylogic_epi32::<0xE8>($a, $b, $c);
            $d = add($d, t1);
            $h = add(t1, add(sigma0, majority));
        }};
    }
    for sixteen in 0..4 {
        round!(a b c d e f g h, 0, sixteen);
        round!(h a b c d e f g, 1, sixteen);
        round!(g h a b c d e f, 2, sixteen);
        round!(f g h a b c d e, 3, sixteen);
        round!(e f g h a b c d, 4, sixteen);
        round!(d e f g h a b c, 5, sixteen);
        round!(c d e f g h a b, 6, sixteen);
        round!(b c d e f g h a, 7, sixteen);
        round!(a b c d e f g h, 8, sixteen);
        round!(h a b c d e f g, 9, sixteen);
        round!(g h a b c d e f, 10, sixteen);
        round!(f g h a b c d e, 11, sixteen);
        round!(e f g h a b c d, 12, sixteen);
        round!(d e f g h a b c, 13, sixteen);
        round!(c d e f g h a b, 14, sixteen);
        round!(b c d e f g h a, 15, sixteen);
    }
    for (word, out) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = add(*word, out);
    }
}

#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[target_feature(enable = "avx512f")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(a, b, c)
}

#[target_feature(enable = "avx512f")]
fn rotr<const N: i32>(v: __m512i) -> __m512i {
    _mm512_ror_epi32::<N>(v)
}

/// `w[t] = σ1(w[t-2]) + w[t-7] + σ0(w[t-15]) + w[t-16]`.
#[target_feature(enable = "avx512f")]
fn schedule(w16: __m512i, w15: __m512i, w7: __m512i, w2: __m512i) -> __m512i {
    let sigma0 = xor3(rotr::<7>(w15), rotr::<18>(w15), _mm512_srli_epi32::<3>(w15));
    let sigma1 = xor3(rotr::<17>(w2), rotr::<19>(w2), _mm512_srli_epi32::<10>(w2));
    add(add(w16, sigma0), add(w7, sigma1))
}

/// The big-endian words of sixteen blocks, transposed: word `i` of all lanes in vector `i`.
#[target_feature(enable = "avx512f,avx512bw")]
fn message(blocks: &[&[u8; BLOCK_BYTES]; LANES]) -> [__m512i; 16] {
    let swap = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0C0D_0E0F_0809_0A0B, 0x0405_0607_0001_0203));
    let rows: [__m512i; 16] = std::array::from_fn(|lane| {
        // SAFETY: a block is 64 bytes; the load is unaligned.
        let row = unsafe { _mm512_loadu_si512(blocks[lane].as_ptr().cast()) };
        _mm512_shuffle_epi8(row, swap)
    });
    // Within each quarter of four words: pairs of rows, then fours.
    let fours: [[__m512i; 4]; 4] = std::array::from_fn(|i| {
        let low01 = _mm512_unpacklo_epi32(rows[4 * i], rows[4 * i + 1]);
        let high01 = _mm512_unpackhi_epi32(rows[4 * i], rows[4 * i + 1]);
        let low23 = _mm512_unpacklo_epi32(rows[4 * i + 2], rows[4 * i + 3]);
        let high23 = _mm512_unpackhi_epi32(rows[4 * i + 2], rows[4 * i + 3]);
        [
            _mm512_unpacklo_epi64(low01, low23),
            _mm512_unpackhi_epi64(low01, low23),
            _mm512_unpacklo_epi64(high01, high23),
            _mm512_unpackhi_epi64(high01, high23),
        ]
    });
    // Then the quarters: vector 4·q + i holds quarter q of `fours[..][i]`.
    let mut words = [_mm512_setzero_si512(); 16];
    for i in 0..4 {
        let low = _mm512_shuffle_i32x4::<0x44>(fours[0][i], fours[1][i]);
        let high = _mm512_shuffle_i32x4::<0xEE>(fours[0][i], fours[1][i]);
        let low2 = _mm512_shuffle_i32x4::<0x44>(fours[2][i], fours[3][i]);
        let high2 = _mm512_shuffle_i32x4::<0xEE>(fours[2][i], fours[3][i]);
        words[i] = _mm512_shuffle_i32x4::<0x88>(low, low2);
        words[4 + i] = _mm512_shuffle_i32x4::<0xDD>(low, low2);
        words[8 + i] = _mm512_shuffle_i32x4::<0x88>(high, high2);
        words[12 + i] = _mm512_shuffle_i32x4::<0xDD>(high, high2);
    }
    words
}
