//! How far a stage has come, and whether it has to go back first.

use super::{Malformed, Reader, Value};
use crate::StageCheckpoint;
use alloy_primitives::BlockNumber;

/// A stage's checkpoint; with a pending unwind, its output above that block is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StageRecord {
    pub(crate) checkpoint: StageCheckpoint,
    pub(crate) unwind_to: Option<BlockNumber>,
}

impl Value for StageRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        self.checkpoint.encode(out);
        if let Some(target) = self.unwind_to {
            out.extend_from_slice(&target.to_be_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let checkpoint = StageCheckpoint { number: reader.u64()?, hash: reader.b256()? };
        let unwind_to = if reader.0.is_empty() { None } else { Some(reader.u64()?) };
        reader.finish()?;
        Ok(Self { checkpoint, unwind_to })
    }
}
