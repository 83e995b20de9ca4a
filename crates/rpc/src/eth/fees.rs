//! What gas costs: suggestions, history, base fees.

use crate::{Args, BlockDigest, Registrar, RpcContext, RpcError, chain};
use alloy_consensus::Transaction as _;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::FeeHistory;
use serde::Deserialize;
use weft_storage::View;

/// Blocks in one `eth_feeHistory`, as geth.
const HISTORY_BLOCKS_MAX: u64 = 1024;
/// Percentiles in one `eth_feeHistory`, as geth.
const PERCENTILES_MAX: usize = 100;
/// Newest blocks that the tip suggestion looks at.
const SUGGESTION_BLOCKS: u64 = 20;
/// Percentile of the cheapest included tips that is suggested, as geth.
const SUGGESTION_PERCENTILE: usize = 60;
/// Cheapest tips taken from each block.
const SUGGESTION_SAMPLES: usize = 3;
/// Suggested when the newest blocks are empty: 1 gwei, as geth on a fresh chain.
const TIP_DEFAULT_WEI: u128 = 1_000_000_000;
/// Never suggest more than 500 gwei, as geth.
const TIP_MAX_WEI: u128 = 500_000_000_000;

/// Registers the methods.
pub fn register(registrar: &mut Registrar) {
    registrar.read("eth_gasPrice", 0, |context, _| gas_price(context).map(U256::from));
    registrar.read("eth_maxPriorityFeePerGas", 0, |context, _| suggest_tip(context).map(U256::from));
    registrar
        .quick("eth_blobBaseFee", 0, |context, _| Ok(U256::from(next_blob_fee(context).unwrap_or_default())));
    registrar.quick("eth_baseFee", 0, |context, _| Ok(next_base_fee(context).map(U64::from)));
    registrar.read("eth_feeHistory", 3, fee_history);
}

/// Base fee of the block after the head; `None` before London.
pub fn next_base_fee(context: &RpcContext) -> Option<u64> {
    let head = context.head.header();
    context.spec().next_base_fee(head.header())
}

/// Price of blob gas in the block after the head; `None` before Cancun.
pub fn next_blob_fee(context: &RpcContext) -> Option<u128> {
    let head = context.head.header();
    let params = context.spec().blob_params_at(head.timestamp)?;
    head.next_block_blob_fee(params)
}

/// Suggested tip and next base fee together: what a legacy transaction should offer.
pub fn gas_price(context: &RpcContext) -> Result<u128, RpcError> {
    Ok(suggest_tip(context)? + u128::from(next_base_fee(context).unwrap_or_default()))
}

/// The 60th percentile of the cheapest tips that were included lately.
pub fn suggest_tip(context: &RpcContext) -> Result<u128, RpcError> {
    let view = context.view();
    let head = view.head()?.number;
    let mut tips = Vec::new();
    for number in (head.saturating_sub(SUGGESTION_BLOCKS - 1)..=head).rev() {
        let block = match context.digest(&view, number) {
            Ok(Some(block)) => block,
            Ok(None) => continue,
            // A restored chain that is still short: what there is has to do.
            Err(RpcError::PrunedHistory(_)) => break,
            Err(error) => return Err(error),
        };
        let mut own = tips_of(&view, &block)?;
        own.sort_unstable();
        tips.extend(own.into_iter().take(SUGGESTION_SAMPLES));
    }
    tips.sort_unstable();
    let at = tips.len().saturating_sub(1) * SUGGESTION_PERCENTILE / 100;
    Ok(tips.get(at).copied().unwrap_or(TIP_DEFAULT_WEI).min(TIP_MAX_WEI))
}

fn tips_of(view: &View<'_>, block: &BlockDigest) -> Result<Vec<u128>, RpcError> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let tip =
        |digest: &crate::TransactionDigest| digest.tx.effective_tip_per_gas(base_fee).unwrap_or_default();
    Ok(block.all_transactions(view)?.iter().map(tip).collect())
}

/// A count as a number or a hex quantity; geth takes both.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u64),
    Quantity(U64),
}

fn fee_history(context: &RpcContext, args: &Args<'_>) -> Result<FeeHistory, RpcError> {
    let count = match args.required::<Count>(0)? {
        Count::Number(count) => count,
        Count::Quantity(count) => count.to(),
    };
    let newest: BlockNumberOrTag = args.required(1)?;
    let percentiles: Vec<f64> = args.optional(2)?.unwrap_or_default();
    check_percentiles(&percentiles)?;
    let view = context.view();
    let newest = chain::tag_number(&view, newest)?
        .ok_or_else(|| RpcError::Rejected("request beyond head block".to_owned()))?;
    let count = count.min(HISTORY_BLOCKS_MAX).min(newest + 1);
    if count == 0 {
        return Ok(FeeHistory::default());
    }
    let oldest = newest + 1 - count;
    let mut history = FeeHistory {
        oldest_block: oldest,
        reward: (!percentiles.is_empty()).then(Vec::new),
        ..FeeHistory::default()
    };
    for number in oldest..=newest {
        let header = chain::header(&view, number)?;
        append_header(context, &mut history, header.header());
        if let Some(rewards) = &mut history.reward {
            rewards.push(match blocks_digest(context, &view, number) {
                Ok(block) => rewards_of(&view, &block, &percentiles)?,
                // As for a block without transactions: wallets ask for the newest blocks, restored or not.
                Err(RpcError::PrunedHistory(_)) => vec![0; percentiles.len()],
                Err(error) => return Err(error),
            });
        }
        if number == newest {
            let next = context.spec().next_base_fee(header.header()).unwrap_or_default();
            history.base_fee_per_gas.push(u128::from(next));
            let params = context.spec().blob_params_at(header.timestamp);
            history
                .base_fee_per_blob_gas
                .push(params.and_then(|params| header.next_block_blob_fee(params)).unwrap_or_default());
        }
    }
    Ok(history)
}

fn blocks_digest(
    context: &RpcContext,
    view: &View<'_>,
    number: u64,
) -> Result<std::sync::Arc<BlockDigest>, RpcError> {
    context.digest(view, number)?.ok_or(RpcError::HeaderNotFound)
}

fn append_header(context: &RpcContext, history: &mut FeeHistory, header: &weft_primitives::Header) {
    let ratio = |used: u64, of: u64| if of == 0 { 0.0 } else { used as f64 / of as f64 };
    history.base_fee_per_gas.push(u128::from(header.base_fee_per_gas.unwrap_or_default()));
    history.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit));
    let params = context.spec().blob_params_at(header.timestamp);
    let fee = params.zip(header.excess_blob_gas).map(|(params, excess)| params.calc_blob_fee(excess));
    history.base_fee_per_blob_gas.push(fee.unwrap_or_default());
    let most = params.map_or(0, |params| params.max_blob_gas_per_block());
    history.blob_gas_used_ratio.push(ratio(header.blob_gas_used.unwrap_or_default(), most));
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), RpcError> {
    if percentiles.len() > PERCENTILES_MAX {
        return Err(RpcError::Rejected(format!(
            "invalid reward percentile: over the query limit {PERCENTILES_MAX}"
        )));
    }
    for (index, percentile) in percentiles.iter().enumerate() {
        if !(0.0..=100.0).contains(percentile) {
            return Err(RpcError::Rejected(format!("invalid reward percentile: {percentile}")));
        }
        if index > 0 && *percentile <= percentiles[index - 1] {
            let (before, at) = (percentiles[index - 1], index - 1);
            return Err(RpcError::Rejected(format!(
                "invalid reward percentile: #{at}:{before} >= #{index}:{percentile}"
            )));
        }
    }
    Ok(())
}

/// Tips at percentiles of the block's gas, cheapest first.
fn rewards_of(view: &View<'_>, block: &BlockDigest, percentiles: &[f64]) -> Result<Vec<u128>, RpcError> {
    let mut tips: Vec<(u128, u64)> = tips_of(view, block)?
        .into_iter()
        .enumerate()
        .map(|(index, tip)| (tip, block.gas_used(index)))
        .collect();
    if tips.is_empty() {
        return Ok(vec![0; percentiles.len()]);
    }
    tips.sort_unstable_by_key(|(tip, _)| *tip);
    let total = block.header.gas_used as f64;
    let (mut at, mut gas) = (0, tips[0].1);
    let mut reward = |percentile: &f64| {
        let threshold = (total * percentile / 100.0) as u64;
        while gas < threshold && at + 1 < tips.len() {
            at += 1;
            gas += tips[at].1;
        }
        tips[at].0
    };
    Ok(percentiles.iter().map(&mut reward).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_must_rise_within_a_hundred() {
        assert!(check_percentiles(&[0.0, 50.0, 100.0]).is_ok());
        for wrong in
            [vec![-1.0], vec![100.5], vec![50.0, 50.0], vec![50.0, 10.0], vec![f64::NAN], vec![1.0; 101]]
        {
            assert_eq!(check_percentiles(&wrong).unwrap_err().code(), -32000);
        }
    }
}
