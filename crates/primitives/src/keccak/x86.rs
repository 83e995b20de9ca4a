//! Keccak-f[1600] on eight states in AVX-512 and on four in AVX2 (FIPS 202 §3).
//!
//! The only module of this crate with `unsafe`. Two invariants carry it: a function with a
//! `target_feature` is handed out only after the processor was asked for that feature, and all memory
//! is reached through references whose size the types state ([`States`] is 25 full vectors, 64-byte
//! aligned; a block is `RATE_BYTES`, read with unaligned loads).

use super::lanes::{Absorb, RATE_BYTES, States};
use std::arch::x86_64::*;

/// Words of a block.
const RATE_WORDS: usize = RATE_BYTES / 8;

/// Round constants of ι.
const ROUND_CONSTANTS: [u64; 24] = [
    0x0000000000000001,
    0x0000000000008082,
    0x800000000000808a,
    0x8000000080008000,
    0x000000000000808b,
    0x0000000080000001,
    0x8000000080008081,
    0x8000000000008009,
    0x000000000000008a,
    0x0000000000000088,
    0x0000000080008009,
    0x000000008000000a,
    0x000000008000808b,
    0x800000000000008b,
    0x8000000000008089,
    0x8000000000008003,
    0x8000000000008002,
    0x8000000000000080,
    0x000000000000800a,
    0x800000008000000a,
    0x8000000080008081,
    0x8000000000008080,
    0x0000000080000001,
    0x8000000080008008,
];

/// Eight lanes, if this processor has AVX-512F.
pub(super) fn absorb_avx512() -> Option<Absorb<8>> {
    fn checked(states: &mut States<8>, inputs: &[&[u8]; 8]) {
        // SAFETY: handed out below only after AVX-512F was detected.
        unsafe { absorb8(states, inputs) }
    }
    is_x86_feature_detected!("avx512f").then_some(checked)
}

/// Four lanes, if this processor has AVX2.
pub(super) fn absorb_avx2() -> Option<Absorb<4>> {
    fn checked(states: &mut States<4>, inputs: &[&[u8]; 4]) {
        // SAFETY: handed out below only after AVX2 was detected.
        unsafe { absorb4(states, inputs) }
    }
    is_x86_feature_detected!("avx2").then_some(checked)
}

/// The 24 rounds on an array of 25 vectors, in place. `$chi(a, b, c)` is `a ^ (!b & c)`, `$rol!(v, n)`
/// rotates each word left, `$xor3`/`$xor` xor, `$splat` fills a vector. Word (x, y) is at `x + 5·y`.
macro_rules! keccak_f {
    ($a:ident, $xor:ident, $xor3:ident, $chi:ident, $rol:ident, $splat:ident) => {
        for constant in ROUND_CONSTANTS {
            // θ
            let c0 = $xor3($xor3($a[0], $a[5], $a[10]), $a[15], $a[20]);
            let c1 = $xor3($xor3($a[1], $a[6], $a[11]), $a[16], $a[21]);
            let c2 = $xor3($xor3($a[2], $a[7], $a[12]), $a[17], $a[22]);
            let c3 = $xor3($xor3($a[3], $a[8], $a[13]), $a[18], $a[23]);
            let c4 = $xor3($xor3($a[4], $a[9], $a[14]), $a[19], $a[24]);
            let d0 = $xor(c4, $rol!(c1, 1));
            let d1 = $xor(c0, $rol!(c2, 1));
            let d2 = $xor(c1, $rol!(c3, 1));
            let d3 = $xor(c2, $rol!(c4, 1));
            let d4 = $xor(c3, $rol!(c0, 1));
            // θ's xor, ρ and π: b[y + 5·((2x + 3y) mod 5)] = rol(a[x + 5y] ^ d[x])
            let b0 = $xor($a[0], d0);
            let b1 = $rol!($xor($a[6], d1), 44);
            let b2 = $rol!($xor($a[12], d2), 43);
            let b3 = $rol!($xor($a[18], d3), 21);
            let b4 = $rol!($xor($a[24], d4), 14);
            let b5 = $rol!($xor($a[3], d3), 28);
            let b6 = $rol!($xor($a[9], d4), 20);
            let b7 = $rol!($xor($a[10], d0), 3);
            let b8 = $rol!($xor($a[16], d1), 45);
            let b9 = $rol!($xor($a[22], d2), 61);
            let b10 = $rol!($xor($a[1], d1), 1);
            let b11 = $rol!($xor($a[7], d2), 6);
            let b12 = $rol!($xor($a[13], d3), 25);
            let b13 = $rol!($xor($a[19], d4), 8);
            let b14 = $rol!($xor($a[20], d0), 18);
            let b15 = $rol!($xor($a[4], d4), 27);
            let b16 = $rol!($xor($a[5], d0), 36);
            let b17 = $rol!($xor($a[11], d1), 10);
            let b18 = $rol!($xor($a[17], d2), 15);
            let b19 = $rol!($xor($a[23], d3), 56);
            let b20 = $rol!($xor($a[2], d2), 62);
            let b21 = $rol!($xor($a[8], d3), 55);
            let b22 = $rol!($xor($a[14], d4), 39);
            let b23 = $rol!($xor($a[15], d0), 41);
            let b24 = $rol!($xor($a[21], d1), 2);
            // χ and ι
            $a[0] = $xor($chi(b0, b1, b2), $splat(constant.cast_signed()));
            $a[1] = $chi(b1, b2, b3);
            $a[2] = $chi(b2, b3, b4);
            $a[3] = $chi(b3, b4, b0);
            $a[4] = $chi(b4, b0, b1);
            $a[5] = $chi(b5, b6, b7);
            $a[6] = $chi(b6, b7, b8);
            $a[7] = $chi(b7, b8, b9);
            $a[8] = $chi(b8, b9, b5);
            $a[9] = $chi(b9, b5, b6);
            $a[10] = $chi(b10, b11, b12);
            $a[11] = $chi(b11, b12, b13);
            $a[12] = $chi(b12, b13, b14);
            $a[13] = $chi(b13, b14, b10);
            $a[14] = $chi(b14, b10, b11);
            $a[15] = $chi(b15, b16, b17);
            $a[16] = $chi(b16, b17, b18);
            $a[17] = $chi(b17, b18, b19);
            $a[18] = $chi(b18, b19, b15);
            $a[19] = $chi(b19, b15, b16);
            $a[20] = $chi(b20, b21, b22);
            $a[21] = $chi(b21, b22, b23);
            $a[22] = $chi(b22, b23, b24);
            $a[23] = $chi(b23, b24, b20);
            $a[24] = $chi(b24, b20, b21);
        }
    };
}

#[target_feature(enable = "avx512f")]
fn absorb8(states: &mut States<8>, inputs: &[&[u8]; 8]) {
    #[target_feature(enable = "avx512f")]
    fn xor(a: __m512i, b: __m512i) -> __m512i {
        _mm512_xor_si512(a, b)
    }
    #[target_feature(enable = "avx512f")]
    fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        _mm512_ternarylogic_epi64::<0x96>(a, b, c)
    }
    /// Truth table of `a ^ (!b & c)`.
    #[target_feature(enable = "avx512f")]
    fn chi(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        _mm512_ternarylogic_epi64::<0xD2>(a, b, c)
    }
    #[target_feature(enable = "avx512f")]
    fn splat(word: i64) -> __m512i {
        _mm512_set1_epi64(word)
    }
    macro_rules! rol {
        ($v:expr, $n:literal) => {
            _mm512_rol_epi64::<$n>($v)
        };
    }

    // SAFETY: `States<8>` is 25 × 64 bytes, aligned to 64; any bits are a valid vector.
    let words = unsafe { &mut *(&raw mut states.0).cast::<[__m512i; 25]>() };
    let mut a = *words;
    for block in 0..inputs[0].len() / RATE_BYTES {
        let blocks: [&[u8; RATE_BYTES]; 8] = std::array::from_fn(|lane| block_of(inputs[lane], block));
        absorb_words8(&mut a, &blocks);
        keccak_f!(a, xor, xor3, chi, rol, splat);
    }
    *words = a;
}

/// Xors the 17 words of each lane's block into the first 17 vectors: two 8×8 transpositions and a word.
#[target_feature(enable = "avx512f")]
fn absorb_words8(a: &mut [__m512i; 25], blocks: &[&[u8; RATE_BYTES]; 8]) {
    for half in 0..2 {
        let rows: [__m512i; 8] = std::array::from_fn(|lane| {
            // SAFETY: bytes 64·half .. 64·half + 64 are inside the block of 136; the load is unaligned.
            unsafe { _mm512_loadu_si512(blocks[lane].as_ptr().add(64 * half).cast()) }
        });
        for (word, column) in a[8 * half..8 * half + 8].iter_mut().zip(transpose8(rows)) {
            *word = _mm512_xor_si512(*word, column);
        }
    }
    let last: [i64; 8] = std::array::from_fn(|lane| word_of(blocks[lane], RATE_WORDS - 1));
    let [w0, w1, w2, w3, w4, w5, w6, w7] = last;
    a[RATE_WORDS - 1] =
        _mm512_xor_si512(a[RATE_WORDS - 1], _mm512_setr_epi64(w0, w1, w2, w3, w4, w5, w6, w7));
}

/// Transposes an 8×8 matrix of 64-bit words.
#[target_feature(enable = "avx512f")]
fn transpose8(r: [__m512i; 8]) -> [__m512i; 8] {
    // Pairs of words: columns (0, 2, 4, 6) and (1, 3, 5, 7) of two rows each.
    let even: [__m512i; 4] = [
        _mm512_unpacklo_epi64(r[0], r[1]),
        _mm512_unpacklo_epi64(r[2], r[3]),
        _mm512_unpacklo_epi64(r[4], r[5]),
        _mm512_unpacklo_epi64(r[6], r[7]),
    ];
    let odd: [__m512i; 4] = [
        _mm512_unpackhi_epi64(r[0], r[1]),
        _mm512_unpackhi_epi64(r[2], r[3]),
        _mm512_unpackhi_epi64(r[4], r[5]),
        _mm512_unpackhi_epi64(r[6], r[7]),
    ];
    let [c0, c2, c4, c6] = quarters(even);
    let [c1, c3, c5, c7] = quarters(odd);
    [c0, c1, c2, c3, c4, c5, c6, c7]
}

/// Transposes a 4×4 matrix of 128-bit quarters.
#[target_feature(enable = "avx512f")]
fn quarters(r: [__m512i; 4]) -> [__m512i; 4] {
    let low01 = _mm512_shuffle_i64x2::<0x44>(r[0], r[1]);
    let high01 = _mm512_shuffle_i64x2::<0xEE>(r[0], r[1]);
    let low23 = _mm512_shuffle_i64x2::<0x44>(r[2], r[3]);
    let high23 = _mm512_shuffle_i64x2::<0xEE>(r[2], r[3]);
    [
        _mm512_shuffle_i64x2::<0x88>(low01, low23),
        _mm512_shuffle_i64x2::<0xDD>(low01, low23),
        _mm512_shuffle_i64x2::<0x88>(high01, high23),
        _mm512_shuffle_i64x2::<0xDD>(high01, high23),
    ]
}

#[target_feature(enable = "avx2")]
fn absorb4(states: &mut States<4>, inputs: &[&[u8]; 4]) {
    #[target_feature(enable = "avx2")]
    fn xor(a: __m256i, b: __m256i) -> __m256i {
        _mm256_xor_si256(a, b)
    }
    #[target_feature(enable = "avx2")]
    fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        xor(xor(a, b), c)
    }
    #[target_feature(enable = "avx2")]
    fn chi(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        xor(a, _mm256_andnot_si256(b, c))
    }
    #[target_feature(enable = "avx2")]
    fn splat(word: i64) -> __m256i {
        _mm256_set1_epi64x(word)
    }
    macro_rules! rol {
        ($v:expr, $n:literal) => {{
            let v = $v;
            _mm256_or_si256(_mm256_slli_epi64::<$n>(v), _mm256_srli_epi64::<{ 64 - $n }>(v))
        }};
    }

    // SAFETY: `States<4>` is 25 × 32 bytes, aligned to 64; any bits are a valid vector.
    let words = unsafe { &mut *(&raw mut states.0).cast::<[__m256i; 25]>() };
    let mut a = *words;
    for block in 0..inputs[0].len() / RATE_BYTES {
        let [b0, b1, b2, b3] = std::array::from_fn(|lane| block_of(inputs[lane], block));
        for (word, state) in a[..RATE_WORDS].iter_mut().enumerate() {
            let (w0, w1, w2, w3) =
                (word_of(b0, word), word_of(b1, word), word_of(b2, word), word_of(b3, word));
            *state = xor(*state, _mm256_setr_epi64x(w0, w1, w2, w3));
        }
        keccak_f!(a, xor, xor3, chi, rol, splat);
    }
    *words = a;
}

fn block_of(input: &[u8], block: usize) -> &[u8; RATE_BYTES] {
    input[block * RATE_BYTES..][..RATE_BYTES].try_into().expect("the slice is RATE_BYTES long")
}

fn word_of(block: &[u8; RATE_BYTES], word: usize) -> i64 {
    i64::from_le_bytes(block[8 * word..][..8].try_into().expect("the slice is 8 bytes long"))
}
