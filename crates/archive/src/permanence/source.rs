//! Checkpoint items from Arweave, for a restore.
//!
//! Which lies are possible here: other bytes, another's manifest, no answer. The first manifest is named by its id alone: its
//! signature is verified, and its owner compared where one is pinned. Everything else is named by id and SHA-256 in a
//! manifest that was checked before, so bytes with that hash are the ones, whoever gave them; gateways that give others
//! are passed over.

use super::bridge::Bridge;
use crate::{
    checkpoint::{ItemRef, ItemSource, TransportError},
    weave::Weave,
};
use alloy_primitives::Bytes;
use std::{sync::Arc, time::Duration};
use weft_arweave::{Address, Error, Id};

/// For one item of at most 56 MiB, its turn and all gateways included.
const DEADLINE: Duration = Duration::from_secs(600);

/// Items from Arweave.
#[derive(Clone, Debug)]
pub struct ArweaveSource {
    weave: Arc<dyn Weave>,
    owner: Option<Address>,
    bridge: Bridge,
}

/// Why an item does not come.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No gateway gives it.
    #[error(transparent)]
    Network(Box<Error>),
    /// Somebody else signed it.
    #[error("it was signed by {found}, not by {expected}")]
    Owner {
        /// Pinned by the operator.
        expected: Address,
        /// Of the item.
        found: Address,
    },
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        Self::Network(Box::new(error))
    }
}

impl ArweaveSource {
    /// With `owner`, a manifest that somebody else signed is refused. At most `parallel` items are fetched at a time. To be made
    /// within a tokio runtime; [`ItemSource::get`] blocks, and is called outside of its threads.
    pub fn new(weave: Arc<dyn Weave>, owner: Option<Address>, parallel: usize) -> Self {
        Self { weave, owner, bridge: Bridge::new(parallel, DEADLINE) }
    }

    fn fetch(&self, item: &ItemRef) -> Result<Bytes, SourceError> {
        let id = Id(item.id.0.0);
        if let Some(sha256) = item.sha256 {
            return Ok(self.bridge.wait(self.weave.content(id, sha256, item.bytes_max))?);
        }
        let fetched = self.bridge.wait(self.weave.item(id, item.bytes_max))?;
        let found = fetched.item.header().address();
        match self.owner.filter(|expected| *expected != found) {
            Some(expected) => Err(SourceError::Owner { expected, found }),
            None => Ok(Bytes(fetched.item.data())),
        }
    }
}

impl ItemSource for ArweaveSource {
    fn get(&self, item: &ItemRef) -> Result<Bytes, TransportError> {
        Ok(self.fetch(item)?)
    }
}
