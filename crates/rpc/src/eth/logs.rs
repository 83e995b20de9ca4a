//! `eth_getLogs`: logs of a range of blocks.
//!
//! Headers first: a block whose 2048-bit bloom excludes the filter is never opened. Of the others
//! receipts are read. Bounds: [`RpcConfig::log_blocks_max`](crate::RpcConfig) blocks,
//! [`RpcConfig::logs_max`](crate::RpcConfig) results; both say what to ask instead.

use crate::{Args, BlockDigest, Registrar, RpcContext, RpcError, chain, types::log_at};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::Bloom;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use serde_json::value::RawValue;
use weft_storage::View;

/// Headers read in one go.
const HEADERS_STEP: u64 = 4096;

/// Registers the method.
pub fn register(registrar: &mut Registrar) {
    registrar.execute("eth_getLogs", 1, |context, args| {
        let filter = parse_filter(context, args, 0)?;
        query(context, &context.view(), &filter)
    });
}

/// The filter at argument `index`, within the limits, with geth's words for what it refuses.
pub fn parse_filter(context: &RpcContext, args: &Args<'_>, index: usize) -> Result<Filter, RpcError> {
    let raw: &RawValue = args.required(index)?;
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(raw.get()).map_err(|error| RpcError::argument(index, error))?;
    let given = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
    if given("blockHash") && (given("fromBlock") || given("toBlock")) {
        return Err(RpcError::argument(
            index,
            "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
        ));
    }
    let filter: Filter = serde_json::from_str(raw.get()).map_err(|error| RpcError::argument(index, error))?;
    let most = context.config.filter_terms_max;
    if filter.address.len() > most || filter.topics.iter().any(|topic| topic.len() > most) {
        return Err(RpcError::InvalidParams(format!(
            "exceed max addresses or topics per search position ({most})"
        )));
    }
    Ok(filter)
}

/// Logs that match.
pub fn query(context: &RpcContext, view: &View<'_>, filter: &Filter) -> Result<Vec<Log>, RpcError> {
    let mut logs = Vec::new();
    match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let number =
                view.block_number(hash)?.ok_or_else(|| RpcError::Rejected("unknown block".to_owned()))?;
            append_number(context, view, number, filter, &mut logs)?;
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let (from, to) = range(view, from_block, to_block)?;
            check_span(context, from, to)?;
            let mut at = from;
            while at <= to {
                let end = to.min(at + HEADERS_STEP - 1);
                for header in view.headers(at..=end)? {
                    if matches_bloom(filter, header.logs_bloom) {
                        append_number(context, view, header.number, filter, &mut logs)?;
                    }
                }
                at = end + 1;
            }
        }
    }
    Ok(logs)
}

/// Both ends as numbers. geth: a range beyond the head, or reversed, is an error.
fn range(
    view: &View<'_>,
    from: Option<BlockNumberOrTag>,
    to: Option<BlockNumberOrTag>,
) -> Result<(u64, u64), RpcError> {
    let head = view.head()?.number;
    let resolve = |tag: Option<BlockNumberOrTag>| match tag.unwrap_or_default() {
        BlockNumberOrTag::Number(number) => Ok(number),
        tag => chain::tag_number(view, tag)?.ok_or(RpcError::HeaderNotFound),
    };
    let (from, to) = (resolve(from)?, resolve(to)?);
    if from > to {
        return Err(RpcError::InvalidParams("invalid block range params".to_owned()));
    }
    if to > head {
        return Err(RpcError::InvalidParams("block range extends beyond current head block".to_owned()));
    }
    Ok((from, to))
}

fn check_span(context: &RpcContext, from: u64, to: u64) -> Result<(), RpcError> {
    let most = context.config.log_blocks_max;
    if to - from >= most {
        return Err(RpcError::Limit(format!("query exceeds max block range {most}")));
    }
    Ok(())
}

fn append_number(
    context: &RpcContext,
    view: &View<'_>,
    number: u64,
    filter: &Filter,
    logs: &mut Vec<Log>,
) -> Result<(), RpcError> {
    if let Some(block) = context.digest(view, number)? {
        append(context, &block, filter, false, logs)?;
    }
    Ok(())
}

/// Adds the block's matching logs, within the limit.
pub fn append(
    context: &RpcContext,
    block: &BlockDigest,
    filter: &Filter,
    removed: bool,
    logs: &mut Vec<Log>,
) -> Result<(), RpcError> {
    let mut log_index = 0;
    for (index, receipt) in block.receipts.iter().enumerate() {
        for log in &receipt.logs {
            if matches(filter, log) {
                if logs.len() == context.config.logs_max {
                    return Err(too_many(context, block.header.number));
                }
                logs.push(log_at(
                    &block.header,
                    (index, block.transactions[index].0),
                    log,
                    log_index,
                    removed,
                ));
            }
            log_index += 1;
        }
    }
    Ok(())
}

fn too_many(context: &RpcContext, number: u64) -> RpcError {
    RpcError::Limit(format!(
        "query returned more than {} results; try a range that ends before block {number:#x}",
        context.config.logs_max
    ))
}

/// Whether a block with this bloom can hold a match.
pub fn matches_bloom(filter: &Filter, bloom: Bloom) -> bool {
    filter.matches_bloom(bloom)
}

/// Whether a log matches: its address is asked for, and its topics at each position.
pub fn matches(filter: &Filter, log: &alloy_primitives::Log) -> bool {
    filter.matches_address(log.address) && filter.matches_topics(log.topics())
}
