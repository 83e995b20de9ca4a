//! The Reed–Solomon code of a geometry (PROTOCOL §2); the only place that names the crate behind it.
//!
//! Called by `encode` and `decode`. Building a code inverts a k×k matrix, so the last few are kept.

use reed_solomon_erasure::galois_8::ReedSolomon;
use std::sync::{Arc, PoisonError, RwLock};
use weft_primitives::Geometry;

/// Codes kept: a node has one geometry, a test a handful. Worst case 16 · (256 · 256) bytes = 1 MiB.
const CODES_MAX: usize = 16;

static CODES: RwLock<Vec<Arc<ReedSolomon>>> = RwLock::new(Vec::new());

/// The code with k data and m parity shards.
pub(crate) fn code(geometry: Geometry) -> Arc<ReedSolomon> {
    let (k, m) = (geometry.data_shards(), geometry.parity_shards());
    let wanted = |code: &&Arc<ReedSolomon>| code.data_shard_count() == k && code.parity_shard_count() == m;
    // A panic elsewhere cannot leave the list half-written: entries are pushed whole.
    if let Some(code) = CODES.read().unwrap_or_else(PoisonError::into_inner).iter().find(wanted) {
        return code.clone();
    }
    let made = Arc::new(ReedSolomon::new(k, m).expect("Geometry allows only 1 ≤ k, 1 ≤ m, k + m ≤ 256"));
    let mut codes = CODES.write().unwrap_or_else(PoisonError::into_inner);
    if codes.len() == CODES_MAX {
        codes.remove(0);
    }
    codes.push(made.clone());
    made
}
