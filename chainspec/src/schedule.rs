//! When each fork activates and which blob parameters hold from when; made from a genesis file's `config`.
//!
//! Fork order is checked as geth does: a fork must not activate before the one that it builds on.

use crate::ChainSpecError;
use alloy_eips::{
    eip7594::MAX_BLOBS_PER_TX_FUSAKA,
    eip7840::{BLOB_BASE_COST, BlobParams},
};
use alloy_genesis::ChainConfig;
use alloy_hardforks::{EthereumChainHardforks, EthereumHardfork as Fork, EthereumHardforks, ForkCondition};
use alloy_primitives::U256;

/// Fork activations and blob parameters of one chain.
#[derive(Clone, Debug)]
pub struct Schedule {
    forks: EthereumChainHardforks,
    /// (active from this timestamp, parameters), ascending.
    blobs: Vec<(u64, BlobParams)>,
    terminal_total_difficulty: Option<U256>,
}

impl Schedule {
    /// Reads and checks `config`.
    pub(crate) fn new(config: &ChainConfig) -> Result<Self, ChainSpecError> {
        let blocks = block_forks(config);
        let times = time_forks(config);
        check_unsupported(config)?;
        check_order("Block", &blocks)?;
        check_order("Time", &times)?;
        check_eras(config, &blocks, &times)?;

        let block = |activation: Option<u64>| activation.map_or(ForkCondition::Never, ForkCondition::Block);
        let time =
            |activation: Option<u64>| activation.map_or(ForkCondition::Never, ForkCondition::Timestamp);
        let mut forks = vec![(Fork::Frontier, ForkCondition::ZERO_BLOCK), (Fork::Paris, paris(config))];
        if config.dao_fork_support {
            forks.push((Fork::Dao, block(config.dao_fork_block)));
        }
        forks.extend(blocks.iter().map(|step| (step.fork, block(step.activation))));
        forks.extend(times.iter().map(|step| (step.fork, time(step.activation))));
        Ok(Self {
            forks: EthereumChainHardforks::new(forks),
            blobs: blob_schedule(config, &times)?,
            terminal_total_difficulty: config.terminal_total_difficulty,
        })
    }

    /// Blob parameters that hold at a timestamp; `None` before Cancun.
    pub fn blob_params_at(&self, timestamp: u64) -> Option<BlobParams> {
        self.blobs.iter().rev().find(|(from, _)| timestamp >= *from).map(|(_, params)| *params)
    }

    /// Total difficulty from which on blocks are proof of stake.
    pub fn terminal_total_difficulty(&self) -> Option<U256> {
        self.terminal_total_difficulty
    }
}

impl EthereumHardforks for Schedule {
    fn ethereum_fork_activation(&self, fork: Fork) -> ForkCondition {
        self.forks.ethereum_fork_activation(fork)
    }
}

/// One fork of an era, in activation order.
struct Step {
    fork: Fork,
    /// Field name in `config` without its suffix.
    name: &'static str,
    activation: Option<u64>,
    /// May be left out although a later fork is set.
    optional: bool,
}

const fn step(fork: Fork, name: &'static str, activation: Option<u64>, optional: bool) -> Step {
    Step { fork, name, activation, optional }
}

fn block_forks(config: &ChainConfig) -> Vec<Step> {
    // A chain that names Constantinople alone means both: geth reads it so.
    let petersburg = config.petersburg_block.or(config.constantinople_block);
    vec![
        step(Fork::Homestead, "homestead", config.homestead_block, false),
        step(Fork::Tangerine, "eip150", config.eip150_block, false),
        step(Fork::SpuriousDragon, "eip158", config.eip158_block, false),
        step(Fork::Byzantium, "byzantium", config.byzantium_block, false),
        step(Fork::Constantinople, "constantinople", config.constantinople_block, false),
        step(Fork::Petersburg, "petersburg", petersburg, false),
        step(Fork::Istanbul, "istanbul", config.istanbul_block, false),
        step(Fork::MuirGlacier, "muirGlacier", config.muir_glacier_block, true),
        step(Fork::Berlin, "berlin", config.berlin_block, false),
        step(Fork::London, "london", config.london_block, false),
        step(Fork::ArrowGlacier, "arrowGlacier", config.arrow_glacier_block, true),
        step(Fork::GrayGlacier, "grayGlacier", config.gray_glacier_block, true),
    ]
}

fn time_forks(config: &ChainConfig) -> Vec<Step> {
    vec![
        step(Fork::Shanghai, "shanghai", config.shanghai_time, false),
        step(Fork::Cancun, "cancun", config.cancun_time, false),
        step(Fork::Prague, "prague", config.prague_time, false),
        step(Fork::Osaka, "osaka", config.osaka_time, false),
        step(Fork::Bpo1, "bpo1", config.bpo1_time, true),
        step(Fork::Bpo2, "bpo2", config.bpo2_time, true),
        step(Fork::Bpo3, "bpo3", config.bpo3_time, true),
        step(Fork::Bpo4, "bpo4", config.bpo4_time, true),
        step(Fork::Bpo5, "bpo5", config.bpo5_time, true),
    ]
}

/// Paris: from genesis when its difficulty is zero, else from `mergeNetsplitBlock` where that is known.
/// Where it is not, the block's own difficulty tells (EIP-3675): zero means proof of stake.
fn paris(config: &ChainConfig) -> ForkCondition {
    match config.terminal_total_difficulty {
        None => ForkCondition::Never,
        Some(difficulty) if difficulty.is_zero() => ForkCondition::Block(0),
        Some(total_difficulty) => ForkCondition::TTD {
            activation_block_number: config.merge_netsplit_block.unwrap_or(u64::MAX),
            fork_block: config.merge_netsplit_block,
            total_difficulty,
        },
    }
}

fn check_unsupported(config: &ChainConfig) -> Result<(), ChainSpecError> {
    for (name, set) in
        [("amsterdamTime", config.amsterdam_time.is_some()), ("bogotaTime", config.bogota_time.is_some())]
    {
        if set {
            return Err(ChainSpecError::field(format!("config.{name}"), "this fork is not supported"));
        }
    }
    if config.eip155_block.is_some() && config.eip155_block != config.eip158_block {
        return Err(ChainSpecError::field("config.eip155Block", "must equal eip158Block"));
    }
    if config.petersburg_block > config.constantinople_block && config.constantinople_block.is_none() {
        return Err(ChainSpecError::missing("config.constantinopleBlock"));
    }
    if config.dao_fork_support && config.dao_fork_block.is_none() {
        return Err(ChainSpecError::field("config.daoForkBlock", "is missing, but daoForkSupport is set"));
    }
    Ok(())
}

fn check_order(suffix: &str, steps: &[Step]) -> Result<(), ChainSpecError> {
    let mut before: Option<&Step> = None;
    let mut absent: Option<&Step> = None;
    for step in steps {
        let Some(activation) = step.activation else {
            if !step.optional && absent.is_none() {
                absent = Some(step);
            }
            continue;
        };
        if let Some(absent) = absent {
            let field = format!("config.{}{suffix}", absent.name);
            return Err(ChainSpecError::field(
                field,
                format!("is missing, but {}{suffix} is set", step.name),
            ));
        }
        if let Some(before) = before.filter(|before| before.activation > Some(activation)) {
            let field = format!("config.{}{suffix}", step.name);
            return Err(ChainSpecError::field(
                field,
                format!("is {activation}, before {}{suffix}", before.name),
            ));
        }
        before = Some(step);
    }
    Ok(())
}

/// Forks by time build on Paris, and Paris on London.
fn check_eras(config: &ChainConfig, blocks: &[Step], times: &[Step]) -> Result<(), ChainSpecError> {
    let first_time = times.iter().find(|step| step.activation.is_some());
    if let Some(step) = first_time.filter(|_| config.terminal_total_difficulty.is_none()) {
        let reason = format!("is missing, but {}Time is set", step.name);
        return Err(ChainSpecError::field("config.terminalTotalDifficulty", reason));
    }
    let london = blocks.iter().find(|step| step.fork == Fork::London).and_then(|step| step.activation);
    if config.terminal_total_difficulty.is_some_and(|ttd| ttd.is_zero()) && london != Some(0) {
        return Err(ChainSpecError::field(
            "config.londonBlock",
            "must be 0 on a chain that begins after Paris",
        ));
    }
    if first_time.is_some() && london.is_none() {
        return Err(ChainSpecError::missing("config.londonBlock"));
    }
    Ok(())
}

/// The parameters of every fork that sets any, the file's before those that Ethereum gave the fork.
fn blob_schedule(config: &ChainConfig, times: &[Step]) -> Result<Vec<(u64, BlobParams)>, ChainSpecError> {
    for name in config.blob_schedule.keys() {
        if !times.iter().any(|step| step.fork >= Fork::Cancun && step.name == name) {
            let reason =
                "is not a fork that sets blob parameters; those are cancun, prague, osaka, bpo1 to bpo5";
            return Err(ChainSpecError::field(format!("config.blobSchedule.{name}"), reason));
        }
    }
    let mut schedule = Vec::new();
    for step in times.iter().filter(|step| step.fork >= Fork::Cancun) {
        let Some(from) = step.activation else { continue };
        let path = format!("config.blobSchedule.{}", step.name);
        let params = match config.blob_schedule.get(step.name) {
            Some(params) => *params,
            None => ethereum_blob_params(step.fork).ok_or_else(|| ChainSpecError::missing(path.clone()))?,
        };
        if params.target_blob_count > params.max_blob_count {
            return Err(ChainSpecError::field(path, "target is larger than max"));
        }
        if params.update_fraction == 0 || params.max_blob_count == 0 || params.max_blob_count > BLOBS_MAX {
            let reason = format!("baseFeeUpdateFraction must be positive and max 1 to {BLOBS_MAX}");
            return Err(ChainSpecError::field(path, reason));
        }
        schedule.push((from, with_fork_rules(step.fork, params)));
    }
    Ok(schedule)
}

/// Bound of `max`, so that blob gas (131,072 a blob) and what is computed from it stay far below 2^64.
const BLOBS_MAX: u64 = 1 << 20;

fn ethereum_blob_params(fork: Fork) -> Option<BlobParams> {
    match fork {
        Fork::Cancun => Some(BlobParams::cancun()),
        Fork::Prague => Some(BlobParams::prague()),
        Fork::Osaka => Some(BlobParams::osaka()),
        Fork::Bpo1 => Some(BlobParams::bpo1()),
        Fork::Bpo2 => Some(BlobParams::bpo2()),
        _ => None,
    }
}

/// What is not in a blob schedule: blobs per transaction (EIP-7594) and the reserve price (EIP-7918), from Osaka on.
fn with_fork_rules(fork: Fork, params: BlobParams) -> BlobParams {
    if fork >= Fork::Osaka {
        params.with_max_blobs_per_tx(MAX_BLOBS_PER_TX_FUSAKA).with_blob_base_cost(BLOB_BASE_COST)
    } else {
        params.with_max_blobs_per_tx(params.max_blob_count).with_blob_base_cost(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(edit: &str) -> Result<Schedule, ChainSpecError> {
        let base = r#"{"chainId":1,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
            "byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,
            "londonBlock":0,"terminalTotalDifficulty":0}"#;
        let mut value: serde_json::Value = serde_json::from_str(base).unwrap();
        let edit: serde_json::Value = serde_json::from_str(edit).unwrap();
        for (key, field) in edit.as_object().unwrap() {
            value[key] = field.clone();
        }
        Schedule::new(&serde_json::from_value(value).unwrap())
    }

    fn refusal(edit: &str) -> String {
        config(edit).unwrap_err().to_string()
    }

    #[test]
    fn forks_out_of_order_are_refused_by_name() {
        assert!(config("{}").is_ok());
        assert!(refusal(r#"{"berlinBlock":5}"#).contains("config.londonBlock: is 0, before berlinBlock"));
        assert!(
            refusal(r#"{"istanbulBlock":null}"#)
                .contains("config.istanbulBlock: is missing, but berlinBlock is set")
        );
        assert!(
            refusal(r#"{"cancunTime":0}"#).contains("config.shanghaiTime: is missing, but cancunTime is set")
        );
        assert!(
            refusal(r#"{"shanghaiTime":9,"cancunTime":8}"#)
                .contains("config.cancunTime: is 8, before shanghaiTime")
        );
        assert!(
            refusal(r#"{"shanghaiTime":0,"terminalTotalDifficulty":null}"#)
                .contains("terminalTotalDifficulty")
        );
        assert!(refusal(r#"{"londonBlock":1}"#).contains("config.londonBlock: must be 0"));
        assert!(
            refusal(r#"{"amsterdamTime":0}"#).contains("config.amsterdamTime: this fork is not supported")
        );
        assert!(refusal(r#"{"eip155Block":1}"#).contains("config.eip155Block"));
        assert!(refusal(r#"{"daoForkSupport":true}"#).contains("config.daoForkBlock"));
    }

    #[test]
    fn blob_parameters_follow_the_schedule() {
        let forks =
            r#""shanghaiTime":0,"cancunTime":10,"pragueTime":20,"osakaTime":30,"bpo1Time":40,"bpo2Time":50"#;
        let schedule = config(&format!("{{{forks}}}")).unwrap();
        let max = |time| schedule.blob_params_at(time).map(|params| params.max_blob_count);
        assert_eq!(
            [9, 10, 19, 20, 30, 40, 50, 99].map(max),
            [None, Some(6), Some(6), Some(9), Some(9), Some(15), Some(21), Some(21)]
        );
        let per_tx = |time| schedule.blob_params_at(time).unwrap().max_blobs_per_tx;
        assert_eq!([10, 20, 30, 50].map(per_tx), [6, 9, 6, 6]);
        assert_eq!(schedule.blob_params_at(20).unwrap().blob_base_cost, 0);
        assert_eq!(schedule.blob_params_at(40).unwrap().blob_base_cost, BLOB_BASE_COST);

        assert!(
            refusal(&format!(r#"{{{forks},"bpo3Time":60}}"#))
                .contains("config.blobSchedule.bpo3: is missing")
        );
        let own = |entry: &str| format!(r#"{{{forks},"blobSchedule":{{{entry}}}}}"#);
        assert!(
            refusal(&own(r#""pragu":{"target":1,"max":2,"baseFeeUpdateFraction":1}"#))
                .contains("blobSchedule.pragu: is not a fork")
        );
        assert!(
            refusal(&own(r#""prague":{"target":3,"max":2,"baseFeeUpdateFraction":1}"#))
                .contains("target is larger than max")
        );
        assert!(
            refusal(&own(r#""prague":{"target":1,"max":2,"baseFeeUpdateFraction":0}"#))
                .contains("must be positive")
        );
        let ours = config(&own(r#""osaka":{"target":1,"max":2,"baseFeeUpdateFraction":7}"#)).unwrap();
        let params = ours.blob_params_at(35).unwrap();
        assert_eq!(
            (
                params.target_blob_count,
                params.max_blob_count,
                params.update_fraction,
                params.max_blobs_per_tx
            ),
            (1, 2, 7, 6)
        );
    }

    #[test]
    fn paris_by_total_difficulty_waits_for_its_block() {
        let schedule = config(r#"{"terminalTotalDifficulty":786432}"#).unwrap();
        assert!(!schedule.is_paris_active_at_block(1_000_000));
        assert_eq!(schedule.terminal_total_difficulty(), Some(U256::from(786_432)));
        let known = config(r#"{"terminalTotalDifficulty":786432,"mergeNetsplitBlock":36}"#).unwrap();
        assert!(!known.is_paris_active_at_block(35) && known.is_paris_active_at_block(36));
    }
}
