//! `da_price`: what a permanent and a checkpointed MB cost, with the arithmetic.

use super::Quantity;
use crate::{Args, RpcContext, RpcError};
use alloy_primitives::U256;
use jsonrpsee::types::Params;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::timeout;
use weft_archive::permanence::{CostInput, Measured, QUOTED_BYTES, cost, measure};
use weft_arweave::Winston;

/// Checkpoints that are measured, unless told otherwise.
const CHECKPOINTS: u64 = 16;
/// Most checkpoints that are measured.
const CHECKPOINTS_MAX: u64 = 256;
/// Bytes of calldata per second that costs per day are for, unless told otherwise.
const THROUGHPUT: u64 = 100_000_000;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct PriceOptions {
    /// US dollars per AR, instead of the configured ones.
    usd_per_ar: Option<f64>,
    /// Bytes of calldata per second that the costs per day are for; 100 MB/s.
    throughput: Option<Quantity>,
    /// Newest checkpoints that are measured; 16, at most 256.
    checkpoints: Option<Quantity>,
}

/// Numbers are quantities where they are counted, JSON numbers where they are worked out. MB is 10^6 bytes, an AR is
/// 10^12 winston. What cannot be worked out (no checkpoints yet, no AR price) is `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// Winston that the gateway asks for `quotedBytes`.
    quoted_winston: U256,
    quoted_bytes: Quantity,
    usd_per_ar: Option<f64>,
    /// Checkpoints and blocks that were measured.
    checkpoints: Quantity,
    blocks: Quantity,
    /// Bytes that these checkpoints have on Arweave, an upper bound.
    archived_bytes: Quantity,
    /// Bytes of calldata in these blocks.
    calldata_bytes: Quantity,
    throughput: Quantity,
    /// `quotedWinston / quotedBytes · 10^6`
    winston_per_permanent_mb: f64,
    /// `winstonPerPermanentMb / 10^12`
    ar_per_permanent_mb: f64,
    /// `arPerPermanentMb · usdPerAr`
    usd_per_permanent_mb: Option<f64>,
    /// `archivedBytes / calldataBytes`
    archived_per_calldata: Option<f64>,
    /// `winstonPerPermanentMb · archivedPerCalldata`
    winston_per_checkpointed_mb: Option<f64>,
    /// `usdPerPermanentMb · archivedPerCalldata`
    usd_per_checkpointed_mb: Option<f64>,
    /// `throughput · 86400 / 10^6`
    mb_per_day: f64,
    /// `usdPerPermanentMb · mbPerDay`
    usd_per_day_permanent: Option<f64>,
    /// `usdPerCheckpointedMb · mbPerDay`
    usd_per_day_checkpointed: Option<f64>,
}

/// `da_price({usdPerAr?, throughput?, checkpoints?})`.
pub async fn price(context: Arc<RpcContext>, params: Params<'static>) -> Result<Price, RpcError> {
    let options = Args::parse(params.as_str(), 1)?.optional::<PriceOptions>(0)?.unwrap_or_default();
    let checkpoints = options.checkpoints.map_or(CHECKPOINTS, |count| count.0);
    if !(1..=CHECKPOINTS_MAX).contains(&checkpoints) {
        return Err(RpcError::InvalidParams(format!("checkpoints must be between 1 and {CHECKPOINTS_MAX}")));
    }
    if options.usd_per_ar.is_some_and(|usd| !usd.is_finite() || usd < 0.0) {
        return Err(RpcError::InvalidParams("usdPerAr must be a price".to_owned()));
    }
    let usd_per_ar = options.usd_per_ar.or(context.parts.permanence.usd_per_ar);
    let throughput = options.throughput.map_or(THROUGHPUT, |bytes| bytes.0);
    let Some(weave) = context.parts.permanence.weave.clone() else {
        return Err(RpcError::Rejected("nobody can be asked: --arweave.gateway is not set".to_owned()));
    };
    let quoted = timeout(context.config.call_timeout, weave.price(QUOTED_BYTES))
        .await
        .map_err(|_| RpcError::Timeout)?
        .map_err(|error| RpcError::Rejected(format!("no gateway says a price: {error}")))?;
    let reader = Arc::clone(&context);
    let measured = crate::registrar::run_blocking(Arc::clone(&context.execute_permits), move || {
        Ok(measure(&reader.view(), u64::MAX, checkpoints as usize)?)
    })
    .await?;
    Ok(worked_out(quoted, usd_per_ar, measured, throughput))
}

fn worked_out(quoted: Winston, usd_per_ar: Option<f64>, measured: Measured, throughput: u64) -> Price {
    let cost = cost(&CostInput {
        quoted,
        quoted_bytes: QUOTED_BYTES,
        usd_per_ar: usd_per_ar.unwrap_or_default(),
        archived_bytes: measured.archived_bytes,
        calldata_bytes: measured.calldata_bytes,
        throughput,
    });
    let in_usd = |value: Option<f64>| value.filter(|_| usd_per_ar.is_some());
    Price {
        quoted_winston: U256::from(quoted.0),
        quoted_bytes: Quantity(QUOTED_BYTES),
        usd_per_ar,
        checkpoints: Quantity(measured.checkpoints),
        blocks: Quantity(measured.blocks),
        archived_bytes: Quantity(measured.archived_bytes),
        calldata_bytes: Quantity(measured.calldata_bytes),
        throughput: Quantity(throughput),
        winston_per_permanent_mb: cost.winston_per_mb,
        ar_per_permanent_mb: cost.ar_per_mb,
        usd_per_permanent_mb: in_usd(Some(cost.usd_per_permanent_mb)),
        archived_per_calldata: cost.archived_per_calldata,
        winston_per_checkpointed_mb: cost.winston_per_checkpointed_mb,
        usd_per_checkpointed_mb: in_usd(cost.usd_per_checkpointed_mb),
        mb_per_day: cost.mb_per_day,
        usd_per_day_permanent: in_usd(Some(cost.usd_per_day_permanent)),
        usd_per_day_checkpointed: in_usd(cost.usd_per_day_checkpointed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_price_of_ar_there_are_no_dollars_and_without_calldata_no_ratio() {
        let measured = Measured { checkpoints: 1, blocks: 10, archived_bytes: 5, calldata_bytes: 0 };
        let price = worked_out(Winston(4_000_000_000_000), None, measured, 1_000_000);
        let json = serde_json::to_value(&price).unwrap();
        for absent in [
            "usdPerAr",
            "usdPerPermanentMb",
            "archivedPerCalldata",
            "usdPerCheckpointedMb",
            "usdPerDayPermanent",
            "usdPerDayCheckpointed",
        ] {
            assert!(json[absent].is_null(), "{absent}: {json}");
        }
        assert_eq!((&json["quotedWinston"], &json["blocks"]), (&"0x3a352944000".into(), &"0xa".into()));
        assert_eq!(json["mbPerDay"], 86_400.0);
    }

    #[test]
    fn dollars_follow_from_winston_by_the_fields_that_are_told() {
        let measured =
            Measured { checkpoints: 2, blocks: 10, archived_bytes: 1_000, calldata_bytes: 1_000_000 };
        let json =
            serde_json::to_value(worked_out(Winston(1 << 40), Some(8.0), measured, 2_000_000)).unwrap();
        let number = |name: &str| json[name].as_f64().expect(name);
        assert_eq!(number("winstonPerPermanentMb"), 1_024_000_000.0);
        assert_eq!(number("usdPerPermanentMb"), number("arPerPermanentMb") * 8.0);
        assert_eq!(number("archivedPerCalldata"), 0.001);
        assert_eq!(number("usdPerCheckpointedMb"), number("usdPerPermanentMb") * 0.001);
        assert_eq!(number("usdPerDayCheckpointed"), number("usdPerCheckpointedMb") * 172_800.0);
    }
}
