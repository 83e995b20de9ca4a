//! The bound on parity that is kept in memory with prepared transactions.
//!
//! Parity is m/k of the calldata (1.75 times on the dev chain), and only the stage that stores it needs it, after
//! the block. So it is kept as long as all parity alive in the process fits a bound, counted from coding to the
//! moment its last holder drops it, wherever that is; above the bound a blob keeps its cell hashes only, and
//! `weft-erasure` codes it again when it is stored. Coding is a tenth of the cost of hashing the cells.

use alloy_primitives::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use weft_primitives::EncodedBlob;

/// Counts parity bytes alive and says when to keep no more. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ParityBudget {
    live: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// Gives its bytes back to the budget when the last slice is dropped.
#[derive(Debug)]
struct Charge {
    live: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.live.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// One column of parity with its share in the blob's charge.
struct Charged {
    bytes: Bytes,
    _charge: Arc<Charge>,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl ParityBudget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { live: Arc::new(AtomicUsize::new(0)), bytes_max }
    }

    /// Parity bytes alive.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Keeps the blob's parity if there is room for it, drops it otherwise.
    pub(crate) fn admit(&self, mut blob: EncodedBlob) -> EncodedBlob {
        let bytes = blob.parity_bytes();
        let before = self.live.fetch_add(bytes, Ordering::Relaxed);
        let charge = Arc::new(Charge { live: self.live.clone(), bytes });
        if before.saturating_add(bytes) > self.bytes_max {
            blob.parity = Vec::new();
            return blob;
        }
        for parity in &mut blob.parity {
            let charged = Charged { bytes: std::mem::take(parity), _charge: charge.clone() };
            *parity = bytes::Bytes::from_owner(charged).into();
        }
        blob
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_primitives::Geometry;

    fn blob(bytes: usize) -> EncodedBlob {
        weft_erasure::encode_blob(Geometry::DEV, &vec![7; bytes])
    }

    #[test]
    fn parity_is_counted_until_its_last_slice_is_gone() {
        let budget = ParityBudget::new(usize::MAX);
        let whole = blob(300_000);
        let expected = whole.parity_bytes();
        let kept = budget.admit(whole.clone());
        assert_eq!(kept, whole, "content is untouched");
        assert_eq!(budget.live(), expected);
        let slice = kept.parity[1].slice(10..20);
        drop(kept);
        assert_eq!(budget.live(), expected, "one slice keeps the blob's parity alive");
        drop(slice);
        assert_eq!(budget.live(), 0);
    }

    #[test]
    fn above_the_bound_only_hashes_are_kept() {
        let one = blob(131_072).parity_bytes();
        let budget = ParityBudget::new(one + one / 2);
        let first = budget.admit(blob(131_072));
        let second = budget.admit(blob(131_072));
        assert!(first.has_parity());
        assert!(!second.has_parity());
        assert_eq!(second.cell_hashes, first.cell_hashes);
        assert_eq!(budget.live(), one, "what was dropped is not counted");
        drop(first);
        assert!(budget.admit(blob(131_072)).has_parity());
    }
}
