//! `weft cost`: what a megabyte costs on Arweave, checkpointed and permanent, with the arithmetic.
//!
//! The price comes from a gateway or from an option; what a byte of calldata puts on Arweave comes from a database's own
//! checkpoints, from two options, or is estimated from the format. Floating point: estimates for people, nothing is paid by
//! them.

use super::{db, keeper};
use crate::settings::{
    ByteSize,
    resolve::{Sources, db_folder},
};
use clap::Args;
use eyre::{Result, bail, ensure};
use std::fmt::Write;
use weft_archive::{
    Weave,
    permanence::{CostInput, QUOTED_BYTES, WINSTON_PER_AR, cost, measure},
};
use weft_arweave::Winston;

/// US dollars per MB of throughput that Weft aims at.
const TARGET_USD_PER_MB: f64 = 0.001;
const MIB: u64 = 1 << 20;
/// Checkpoints that are measured.
const MEASURED_MAX: usize = 256;

/// RLP of a header of this chain, and its record's key.
const HEADER_BYTES: u64 = 660;
/// Eleven column roots of 33 bytes in RLP.
const COLUMN_ROOT_BYTES: u64 = 11 * 33;
/// A blob in a commitment: hash, index, length.
const BLOB_ENTRY_BYTES: u64 = 44;
/// An account: key, nonce, balance; hashes do not compress.
const ACCOUNT_BYTES: u64 = 58;

/// Options of `weft cost`.
#[derive(Args, Clone, Debug)]
pub struct CostArgs {
    /// Gateways that are asked for the price, separated by commas
    #[arg(long, value_name = "URL[,…]", required_unless_present = "winston_per_mib")]
    pub gateway: Option<String>,
    /// The price instead, in winston per MiB; nobody is asked
    #[arg(long, value_name = "WINSTON", conflicts_with = "gateway")]
    pub winston_per_mib: Option<u64>,
    /// US dollars per AR [default: --arweave.ar-price-usd; without it costs are in winston only]
    #[arg(long, value_name = "USD")]
    pub ar_usd: Option<f64>,
    /// Calldata per second that the costs of a day are for
    #[arg(long, default_value = "100MB", value_name = "SIZE")]
    pub throughput: ByteSize,
    /// Measure what checkpoints hold per byte of calldata in the database, instead of estimating it
    #[arg(long, conflicts_with_all = ["archived", "calldata"])]
    pub measure: bool,
    /// Bytes that checkpoints of some blocks put on Arweave, measured elsewhere
    #[arg(long, value_name = "SIZE", requires = "calldata")]
    pub archived: Option<ByteSize>,
    /// Bytes of calldata in the same blocks
    #[arg(long, value_name = "SIZE", requires = "archived")]
    pub calldata: Option<ByteSize>,
    /// For the estimate: calldata per transaction
    #[arg(long, default_value = "1MiB", value_name = "SIZE")]
    pub blob_size: ByteSize,
    /// For the estimate: seconds between blocks
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    pub block_seconds: f64,
    #[command(flatten)]
    pub sources: Sources,
}

/// Bytes on Arweave, bytes of calldata, and where the two are from.
struct Ratio {
    archived: u64,
    calldata: u64,
    from: String,
}

/// Prints the costs.
pub fn run(args: &CostArgs) -> Result<()> {
    let usd_per_ar = args.ar_usd.or(args.sources.effective()?.arweave_ar_price_usd);
    if let Some(usd) = usd_per_ar {
        ensure!(usd.is_finite() && usd >= 0.0, "--ar-usd: {usd} is not a price");
    }
    ensure!(
        args.throughput.0 > 0 && args.blob_size.0 > 0,
        "--throughput and --blob-size are at least one byte"
    );
    ensure!(
        args.block_seconds.is_finite() && args.block_seconds > 0.0,
        "--block-seconds: {} is no time between blocks",
        args.block_seconds
    );
    let (quoted, quoted_bytes, from) = quote(args)?;
    let ratio = ratio(args)?;
    let input = CostInput {
        quoted,
        quoted_bytes,
        usd_per_ar: usd_per_ar.unwrap_or(0.0),
        archived_bytes: ratio.archived,
        calldata_bytes: ratio.calldata,
        throughput: args.throughput.0 as u64,
    };
    print!("{}", report(&input, usd_per_ar.is_some(), &from, &ratio.from));
    Ok(())
}

fn quote(args: &CostArgs) -> Result<(Winston, u64, String)> {
    if let Some(price) = args.winston_per_mib {
        return Ok((Winston(price.into()), MIB, "--winston-per-mib".to_owned()));
    }
    let Some(gateway) = &args.gateway else { bail!("give --gateway or --winston-per-mib") };
    let weave = keeper::weave(keeper::gateways(gateway)?)?;
    let price = keeper::runtime()?.block_on(weave.price(QUOTED_BYTES))?;
    Ok((price, QUOTED_BYTES, gateway.clone()))
}

fn ratio(args: &CostArgs) -> Result<Ratio> {
    if let (Some(archived), Some(calldata)) = (args.archived, args.calldata) {
        ensure!(calldata.0 > 0, "--calldata is at least one byte");
        let from = "given".to_owned();
        return Ok(Ratio { archived: archived.0 as u64, calldata: calldata.0 as u64, from });
    }
    if args.measure {
        return measured(args);
    }
    Ok(estimated(args.throughput.0 as u64, args.blob_size.0 as u64, args.block_seconds))
}

fn measured(args: &CostArgs) -> Result<Ratio> {
    let folder = db_folder(&args.sources.effective()?)?;
    let store = db::open_read_only(&folder)?;
    let found = measure(&store.view(), u64::MAX, MEASURED_MAX)?;
    ensure!(
        found.calldata_bytes > 0,
        "{} has no two checkpoints with calldata between them: there is nothing to measure yet",
        folder.display()
    );
    let from = format!("measured: {} checkpoints of {} blocks", found.checkpoints, found.blocks);
    Ok(Ratio { archived: found.archived_bytes, calldata: found.calldata_bytes, from })
}

/// From the format: a header with its commitment per block, an entry and a changed account per blob, without compression.
fn estimated(throughput: u64, blob_bytes: u64, block_seconds: f64) -> Ratio {
    // Far below 2^53 for any throughput that exists.
    let calldata = (throughput as f64 * block_seconds) as u64;
    let blobs = calldata.div_ceil(blob_bytes);
    let per_blob = BLOB_ENTRY_BYTES + ACCOUNT_BYTES;
    let archived = HEADER_BYTES + COLUMN_ROOT_BYTES + blobs * per_blob;
    let from = format!(
        "estimated, not measured: a header with its commitment ({} bytes) a block, {per_blob} bytes for each of {blobs} blobs of {blob_bytes} bytes",
        HEADER_BYTES + COLUMN_ROOT_BYTES
    );
    Ratio { archived, calldata: calldata.max(1), from }
}

fn report(input: &CostInput, in_usd: bool, price_from: &str, ratio_from: &str) -> String {
    let cost = cost(input);
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<18} {value}");
    };
    line("price", format!("{} winston for {} bytes ({price_from})", input.quoted, input.quoted_bytes));
    line(
        "permanent MB",
        format!(
            "{} / {} · 10^6 = {:.0} winston = {:.9} AR",
            input.quoted, input.quoted_bytes, cost.winston_per_mb, cost.ar_per_mb
        ),
    );
    if in_usd {
        let usd = cost.usd_per_permanent_mb;
        line("", format!("{:.9} AR · {} $/AR = ${usd:.9}", cost.ar_per_mb, input.usd_per_ar));
        line("", compared(usd));
    }
    if let (Some(ratio), Some(winston)) = (cost.archived_per_calldata, cost.winston_per_checkpointed_mb) {
        line(
            "on Arweave",
            format!("{} bytes per {} of calldata = {ratio:.3e}", input.archived_bytes, input.calldata_bytes),
        );
        line("", format!("({ratio_from})"));
        line(
            "checkpointed MB",
            format!("{:.0} winston · {ratio:.3e} = {winston:.1} winston", cost.winston_per_mb),
        );
        if let (true, Some(usd)) = (in_usd, cost.usd_per_checkpointed_mb) {
            line("", format!("${:.9} · {ratio:.3e} = ${usd:.12}", cost.usd_per_permanent_mb));
            line("", compared(usd));
        }
    }
    line("throughput", format!("{} bytes/s · 86,400 s = {:.0} MB a day", input.throughput, cost.mb_per_day));
    if in_usd {
        line("a day, permanent", format!("${:.2}", cost.usd_per_day_permanent));
        if let Some(usd) = cost.usd_per_day_checkpointed {
            line("a day, checkpoints", format!("${usd:.2}"));
        }
    }
    for (name, winston) in
        [("permanent", Some(cost.winston_per_mb)), ("checkpointed", cost.winston_per_checkpointed_mb)]
    {
        if let Some(bound) = winston.and_then(usd_per_ar_at_target) {
            line(
                "target",
                format!("${TARGET_USD_PER_MB} per {name} MB holds while an AR is below ${bound:.2}"),
            );
        }
    }
    text
}

fn compared(usd: f64) -> String {
    if usd > TARGET_USD_PER_MB {
        return format!("{:.1} times the target of ${TARGET_USD_PER_MB} per MB", usd / TARGET_USD_PER_MB);
    }
    format!("{:.4} % of the target of ${TARGET_USD_PER_MB} per MB", usd / TARGET_USD_PER_MB * 100.0)
}

/// The price of an AR at which an MB of so much winston costs what is aimed at.
fn usd_per_ar_at_target(winston_per_mb: f64) -> Option<f64> {
    (winston_per_mb > 0.0).then(|| TARGET_USD_PER_MB / (winston_per_mb / WINSTON_PER_AR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_by_hand() {
        // 100 MB in a second are 96 blobs of a MiB: 1023 + 96 · 102 bytes.
        let ratio = estimated(100_000_000, 1 << 20, 1.0);
        assert_eq!((ratio.archived, ratio.calldata), (1023 + 96 * 102, 100_000_000));
    }

    #[test]
    fn the_report_shows_its_steps() {
        // 4 winston a byte at $10: $0.00004 per MB; of it a thousandth is archived.
        let input = CostInput {
            quoted: Winston(4 << 20),
            quoted_bytes: 1 << 20,
            usd_per_ar: 10.0,
            archived_bytes: 1,
            calldata_bytes: 1000,
            throughput: 100_000_000,
        };
        let text = report(&input, true, "here", "there");
        for part in [
            "= 4000000 winston = 0.000004000 AR",
            "= $0.000040000",
            "4.0000 % of the target",
            "= 4000.0 winston",
            "= $0.000000040000",
            "= 8640000 MB a day",
            "$345.60",
            "$0.35",
            "permanent MB holds while an AR is below $250.00",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!report(&input, false, "here", "there").contains("times the target"));
    }
}
