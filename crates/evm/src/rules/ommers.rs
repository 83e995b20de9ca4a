//! Rules of ommers (yellow paper, section 11.1). Only proof-of-work blocks have any.

use super::{RuleError, check_header};
use alloy_consensus::Header;
use alloy_primitives::B256;
use weft_chainspec::ChainSpec;
use weft_primitives::{PreparedBlock, SealedHeader};

/// Ancestors that a block's ommers are checked against: its parent and six generations before it.
pub const OMMER_ANCESTORS: usize = 7;
/// Ommers of one block.
const OMMERS_MAX: usize = 2;

/// Ommers against up to [`OMMER_ANCESTORS`] ancestors, newest first, each with its own ommers.
pub fn check_ommers(
    spec: &ChainSpec,
    block: &PreparedBlock,
    ancestors: &[(SealedHeader, Vec<Header>)],
) -> Result<(), RuleError> {
    if block.ommers.is_empty() {
        return Ok(());
    }
    if block.ommers.len() > OMMERS_MAX {
        return Err(RuleError::OmmerCount(block.ommers.len()));
    }
    let ancestors = &ancestors[..ancestors.len().min(OMMER_ANCESTORS)];
    let mut seen: Vec<B256> =
        ancestors.iter().flat_map(|(_, ommers)| ommers.iter().map(Header::hash_slow)).collect();
    seen.push(block.header.hash());
    for ommer in &block.ommers {
        let ommer = SealedHeader::seal_slow(ommer.clone());
        let hash = ommer.hash();
        if seen.contains(&hash) {
            return Err(RuleError::OmmerDuplicate(hash));
        }
        seen.push(hash);
        if ancestors.iter().any(|(ancestor, _)| ancestor.hash() == hash) {
            return Err(RuleError::OmmerIsAncestor(hash));
        }
        // A sibling of the block itself is no ommer of it.
        let parent = ancestors
            .iter()
            .skip(1)
            .find(|(ancestor, _)| ancestor.hash() == ommer.parent_hash)
            .ok_or(RuleError::OmmerDangling(hash))?;
        check_header(spec, &ommer, &parent.0)
            .map_err(|reason| RuleError::OmmerHeader { hash, reason: Box::new(reason) })?;
    }
    Ok(())
}
