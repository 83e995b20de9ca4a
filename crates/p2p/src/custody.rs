//! Which columns a peer keeps (PROTOCOL §5). Pure.

use libp2p::PeerId;
use weft_primitives::ColumnIndex;

/// Begins the hashed text.
const DOMAIN: &[u8] = b"weft-custody";

/// The first `count` distinct values of `u64(H("weft-custody" ‖ peerId ‖ u32(i))[0..8]) mod columns`, in the order in
/// which they come. `count` above `columns` is `columns`: a peer cannot keep more than there are.
pub fn columns_of(peer: &PeerId, count: u16, columns: u16) -> Vec<ColumnIndex> {
    let wanted = usize::from(count.min(columns));
    let mut text = [DOMAIN, &peer.to_bytes(), &[0; 4]].concat();
    let at = text.len() - 4;
    let mut kept = Vec::with_capacity(wanted);
    let mut seen = vec![false; usize::from(columns)];
    let mut i = 0_u32;
    // Ends: the values are those of a hash, and n ≤ 256 of them are all met long before 2^32 draws.
    while kept.len() < wanted {
        text[at..].copy_from_slice(&i.to_be_bytes());
        let hash = weft_erasure::sha256(&text);
        let value = u64::from_be_bytes(hash[..8].try_into().expect("eight of 32 bytes")) % u64::from(columns);
        let column = u16::try_from(value).expect("less than a u16");
        if !std::mem::replace(&mut seen[usize::from(column)], true) {
            kept.push(ColumnIndex(column));
        }
        i = i.wrapping_add(1);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    /// From PROTOCOL §5 with Python's hashlib: ed25519 ids of 32 equal bytes, and a hashed id.
    #[test]
    fn vectors() {
        let ed25519 = |byte: u8| [&hex!("002408011220")[..], &[byte; 32]].concat();
        let hashed = hex!("1220f5f69168bba3cfa1e2a80dff839b48db36df36fa876c1cd9d7d508f3ab308744").to_vec();
        let vectors: [(Vec<u8>, [u16; 11], [u16; 6]); 4] = [
            (ed25519(0x01), [3, 9, 8, 5, 1, 7, 10, 2, 4, 6, 0], [217, 57, 9, 32, 60, 66]),
            (ed25519(0x7f), [4, 1, 6, 7, 0, 5, 9, 3, 2, 8, 10], [39, 222, 234, 162, 52, 8]),
            (ed25519(0xfe), [6, 5, 3, 1, 9, 2, 0, 10, 8, 7, 4], [248, 179, 102, 253, 162, 50]),
            (hashed, [8, 9, 4, 1, 7, 10, 6, 5, 2, 0, 3], [222, 79, 251, 29, 33, 102]),
        ];
        for (peer, of_eleven, of_many) in vectors {
            let peer = PeerId::from_bytes(&peer).unwrap();
            let columns =
                |count, n| columns_of(&peer, count, n).into_iter().map(|one| one.0).collect::<Vec<_>>();
            for count in 0..=11 {
                assert_eq!(
                    columns(count, 11),
                    of_eleven[..usize::from(count)],
                    "more keeps more of the same"
                );
            }
            assert_eq!(columns(u16::MAX, 11), of_eleven, "no more than there are");
            assert_eq!(columns(6, 256), of_many);
            assert_eq!(columns(4, 0), [0; 0]);
            assert_eq!(columns_of(&peer, 256, 256).len(), 256);
        }
    }
}
