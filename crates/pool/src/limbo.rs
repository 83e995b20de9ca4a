//! Sidecars of included type-3 transactions, for when their block is reorganised out: blocks do not carry them.

use crate::entry::Sidecar;
use alloy_primitives::{TxHash, map::B256Map};
use std::{collections::VecDeque, sync::Arc};

/// Bounded by bytes; forgets the oldest first.
#[derive(Debug)]
pub(crate) struct Limbo {
    sidecars: B256Map<Arc<Sidecar>>,
    order: VecDeque<TxHash>,
    bytes: usize,
    bytes_max: usize,
}

impl Limbo {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { sidecars: B256Map::default(), order: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(crate) fn put(&mut self, hash: TxHash, sidecar: Arc<Sidecar>) {
        self.bytes += sidecar.size();
        if let Some(old) = self.sidecars.insert(hash, sidecar) {
            self.bytes -= old.size();
        } else {
            self.order.push_back(hash);
        }
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(sidecar) = self.sidecars.remove(&oldest) {
                self.bytes -= sidecar.size();
            }
        }
    }

    pub(crate) fn take(&mut self, hash: &TxHash) -> Option<Arc<Sidecar>> {
        let sidecar = self.sidecars.remove(hash)?;
        self.bytes -= sidecar.size();
        self.order.retain(|other| other != hash);
        Some(sidecar)
    }

    pub(crate) fn get(&self, hash: &TxHash) -> Option<Arc<Sidecar>> {
        self.sidecars.get(hash).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_oldest_are_forgotten_beyond_the_bound() {
        let sidecar = Arc::new(testing::sidecar_v1(1));
        let mut limbo = Limbo::new(2 * sidecar.size());
        let hash = |byte| TxHash::repeat_byte(byte);
        for byte in 1..=3 {
            limbo.put(hash(byte), sidecar.clone());
        }
        assert!(limbo.get(&hash(1)).is_none());
        assert!(limbo.take(&hash(2)).is_some());
        assert!(limbo.take(&hash(2)).is_none(), "taken once");
        limbo.put(hash(4), sidecar.clone());
        assert!(limbo.get(&hash(3)).is_some() && limbo.get(&hash(4)).is_some());
        assert_eq!((limbo.bytes, limbo.order.len()), (2 * sidecar.size(), 2));
    }
}
