//! Every lane width against alloy's keccak, at every length around a block of the sponge.

use super::{lanes::hash_all, *};
use alloy_primitives::keccak256;
use proptest::prelude::*;

/// What every implementation must agree on: the lanes of this machine, the other width, and the scalar path.
fn assert_all_widths(messages: &[Vec<&[u8]>]) {
    let parts: Vec<&Parts<'_>> = messages.iter().map(Vec::as_slice).collect();
    let expected: Vec<B256> = parts.iter().map(|parts| keccak256(parts.concat())).collect();
    assert_eq!(keccak256_many(&parts), expected);
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(absorb) = x86::absorb_avx512() {
            assert_eq!(hash_all::<8>(&parts, absorb), expected, "AVX-512");
        }
        if let Some(absorb) = x86::absorb_avx2() {
            assert_eq!(hash_all::<4>(&parts, absorb), expected, "AVX2");
        }
    }
}

fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(31) ^ seed.wrapping_mul(197) ^ (i >> 8)) as u8).collect()
}

#[test]
fn every_length_around_the_rate_in_every_number_of_lanes() {
    let messages: Vec<Vec<u8>> = (0..=420).map(|length| bytes(length, length)).collect();
    for count in 0..=17 {
        for first in (0..=420 - count).step_by(17) {
            assert_all_widths(
                &messages[first..first + count].iter().map(|m| vec![m.as_slice()]).collect::<Vec<_>>(),
            );
        }
    }
    assert_all_widths(&messages.iter().map(|m| vec![m.as_slice()]).collect::<Vec<_>>());
}

#[test]
fn every_split_of_a_message_into_three_parts_is_the_same_message() {
    let message = bytes(300, 1);
    for (first, second) in (0..=300).step_by(7).flat_map(|a| (a..=300).step_by(11).map(move |b| (a, b))) {
        let split = vec![&message[..first], &message[first..second], &message[second..]];
        assert_all_widths(&[split, vec![&message], vec![&message[..first]]]);
    }
}

#[test]
fn long_and_short_messages_share_lanes() {
    let messages: Vec<Vec<u8>> =
        [1 << 20, 5, 136 * 1000, 136 * 1000 - 1, 0, 70_000, 1 << 20, 272, 3, 99_999, 1]
            .iter()
            .enumerate()
            .map(|(seed, &length)| bytes(length, seed))
            .collect();
    assert_all_widths(&messages.iter().map(|m| vec![m.as_slice()]).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn any_messages_in_any_parts(messages in prop::collection::vec(
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..5), 0..20)) {
        let parts: Vec<Vec<&[u8]>> = messages.iter().map(|m| m.iter().map(Vec::as_slice).collect()).collect();
        assert_all_widths(&parts);
    }

    #[test]
    fn ordered_root_of_any_items(items in prop::collection::vec(
        prop_oneof![prop::collection::vec(any::<u8>(), 1..40), prop::collection::vec(any::<u8>(), 1000..1100)], 0..40)) {
        prop_assert_eq!(ordered_root(&items), alloy_trie::root::ordered_trie_root_encoded(&items));
    }
}

#[test]
fn ordered_root_of_every_count_with_small_large_and_mixed_items() {
    let small: Vec<Vec<u8>> = (0..300).map(|i| bytes(1 + i % 45, i)).collect();
    let large: Vec<Vec<u8>> = (0..300).map(|i| bytes(1020 + i % 9, i)).collect();
    let mixed: Vec<Vec<u8>> =
        (0..300).map(|i| bytes(if i * i % 7 < 3 { 29 + i % 8 } else { 2000 + i }, i)).collect();
    for items in [&small, &large, &mixed] {
        for count in 0..=300 {
            let items = &items[..count];
            assert_eq!(
                ordered_root(items),
                alloy_trie::root::ordered_trie_root_encoded(items),
                "{count} items"
            );
        }
    }
}
