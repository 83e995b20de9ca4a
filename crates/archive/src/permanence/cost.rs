//! What permanence costs: the arithmetic, every step of it. Pure.
//!
//! A **permanent** MB is on Arweave whole. A **checkpointed** MB is not: of it only the state that it led to, the headers and what
//! their `daRoot`s commit to are, and the MB itself stays with the peers. MB is 10^6 bytes. The figures are floating
//! point: they are estimates for people, nothing is paid by them.

use weft_arweave::Winston;
use weft_primitives::BlockNumber;
use weft_storage::{StorageError, View};

/// Bytes that a gateway is asked the price of: so many that what a transaction costs by itself does not count.
pub const QUOTED_BYTES: u64 = 1 << 30;
/// Winston in an AR.
pub const WINSTON_PER_AR: f64 = 1e12;
const BYTES_PER_MB: f64 = 1e6;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// What the arithmetic starts from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostInput {
    /// Winston that a gateway asks for a transaction of `quoted_bytes`.
    pub quoted: Winston,
    /// Bytes of the quote; large, so that what a transaction costs by itself does not count.
    pub quoted_bytes: u64,
    /// US dollars per AR, as configured.
    pub usd_per_ar: f64,
    /// Bytes that checkpoints of some blocks put on Arweave.
    pub archived_bytes: u64,
    /// Bytes of calldata in the same blocks.
    pub calldata_bytes: u64,
    /// Bytes of calldata per second that the costs per day are for.
    pub throughput: u64,
}

/// The arithmetic. What a division by nothing would give is absent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// `quoted / quoted_bytes · 10^6`
    pub winston_per_mb: f64,
    /// `winston_per_mb / 10^12`
    pub ar_per_mb: f64,
    /// `ar_per_mb · usd_per_ar`: a permanent MB.
    pub usd_per_permanent_mb: f64,
    /// `archived_bytes / calldata_bytes`: what one byte of calldata puts on Arweave by checkpoints.
    pub archived_per_calldata: Option<f64>,
    /// `winston_per_mb · archived_per_calldata`
    pub winston_per_checkpointed_mb: Option<f64>,
    /// `usd_per_permanent_mb · archived_per_calldata`: a checkpointed MB.
    pub usd_per_checkpointed_mb: Option<f64>,
    /// `throughput · 86,400 / 10^6`: MB of calldata in a day.
    pub mb_per_day: f64,
    /// `usd_per_permanent_mb · mb_per_day`
    pub usd_per_day_permanent: f64,
    /// `usd_per_checkpointed_mb · mb_per_day`
    pub usd_per_day_checkpointed: Option<f64>,
}

/// Works the cost out. A quote of no bytes counts as one of one byte.
pub fn cost(input: &CostInput) -> Cost {
    // Exact up to 2^53, far beyond any price or size here.
    let winston_per_mb = input.quoted.0 as f64 / input.quoted_bytes.max(1) as f64 * BYTES_PER_MB;
    let ar_per_mb = winston_per_mb / WINSTON_PER_AR;
    let usd_per_permanent_mb = ar_per_mb * input.usd_per_ar;
    let archived_per_calldata =
        (input.calldata_bytes > 0).then(|| input.archived_bytes as f64 / input.calldata_bytes as f64);
    let mb_per_day = input.throughput as f64 * SECONDS_PER_DAY / BYTES_PER_MB;
    let usd_per_checkpointed_mb = archived_per_calldata.map(|ratio| usd_per_permanent_mb * ratio);
    Cost {
        winston_per_mb,
        ar_per_mb,
        usd_per_permanent_mb,
        archived_per_calldata,
        winston_per_checkpointed_mb: archived_per_calldata.map(|ratio| winston_per_mb * ratio),
        usd_per_checkpointed_mb,
        mb_per_day,
        usd_per_day_permanent: usd_per_permanent_mb * mb_per_day,
        usd_per_day_checkpointed: usd_per_checkpointed_mb.map(|usd| usd * mb_per_day),
    }
}

/// Bytes of some checkpoints, and of the calldata in the blocks that they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Checkpoints that were looked at.
    pub checkpoints: u64,
    /// Blocks that they are for.
    pub blocks: u64,
    /// Bytes of their items. An item that an older checkpoint has too was paid then and is counted again: an upper bound.
    pub archived_bytes: u64,
    /// Bytes of the blobs in their blocks.
    pub calldata_bytes: u64,
}

/// Measures the newest `count` checkpoints at or below block `from` that have one below them.
pub fn measure(view: &View<'_>, from: BlockNumber, count: usize) -> Result<Measured, StorageError> {
    let records = view.checkpoints_down(from, count.saturating_add(1))?;
    let mut measured = Measured::default();
    for pair in records.windows(2) {
        let (newer, older) = (&pair[0], &pair[1]);
        measured.checkpoints += 1;
        measured.archived_bytes += newer.bytes;
        for number in older.block.number + 1..=newer.block.number {
            measured.blocks += 1;
            let blobs = view.da_summary(number)?.map(|summary| summary.blobs).unwrap_or_default();
            measured.calldata_bytes += blobs.iter().map(|blob| blob.length).sum::<u64>();
        }
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() <= expected.abs() * 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn the_arithmetic_by_hand() {
        // 4 AR per GiB at 7.5 dollars; 100 MB/s of calldata of which 1 in 10,000 is archived.
        let cost = cost(&CostInput {
            quoted: Winston(4_000_000_000_000),
            quoted_bytes: 1 << 30,
            usd_per_ar: 7.5,
            archived_bytes: 5_000_000,
            calldata_bytes: 50_000_000_000,
            throughput: 100_000_000,
        });
        near(cost.winston_per_mb, 4e12 / 1_073.741824);
        near(cost.ar_per_mb, 0.003_725_290_298_461_914);
        near(cost.usd_per_permanent_mb, 0.027_939_677_238_464_355);
        near(cost.archived_per_calldata.unwrap(), 0.0001);
        near(cost.winston_per_checkpointed_mb.unwrap(), 372_529.029_846_191_4);
        near(cost.usd_per_checkpointed_mb.unwrap(), 0.000_002_793_967_723_846_435_5);
        near(cost.mb_per_day, 8_640_000.0);
        near(cost.usd_per_day_permanent, 241_398.811_340_332_03);
        near(cost.usd_per_day_checkpointed.unwrap(), 24.139_881_134_033_203);
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        let none = cost(&CostInput {
            quoted: Winston(7),
            quoted_bytes: 0,
            usd_per_ar: 0.0,
            archived_bytes: 1,
            calldata_bytes: 0,
            throughput: 0,
        });
        near(none.winston_per_mb, 7e6);
        assert_eq!((none.archived_per_calldata, none.usd_per_checkpointed_mb), (None, None));
        assert_eq!((none.mb_per_day, none.usd_per_day_permanent), (0.0, 0.0));
    }
}
