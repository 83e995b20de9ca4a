//! Network names of Ethereum's test suites, made into a genesis configuration.
//!
//! Grammar: `Fork`, or `FromToToAtN` with N a block (`5`), a time (`Time15k`) or a total difficulty (`DiffC0000`, hex).
//! All forks up to `From` are active at genesis, those up to `To` from that point on.

use alloy_genesis::ChainConfig;
use alloy_primitives::U256;

/// A network name that no schedule is known for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not one of the suites' names.
    #[error("unknown network {0}")]
    Unknown(String),
    /// A fork that the EVM here does not run.
    #[error("network {0} is not supported")]
    Unsupported(String),
}

/// Setter of one fork's activation.
type Activate = fn(&mut ChainConfig, At);

/// Forks in order with the names that the suites use for them.
const FORKS: &[(&[&str], Activate)] = &[
    (&["Frontier"], |_, _| ()),
    (&["Homestead"], |config, at| config.homestead_block = at.block()),
    (&["Dao"], |_, _| ()),
    (&["EIP150", "TangerineWhistle"], |config, at| config.eip150_block = at.block()),
    (&["EIP158", "SpuriousDragon"], |config, at| {
        config.eip155_block = at.block();
        config.eip158_block = at.block();
    }),
    (&["Byzantium"], |config, at| config.byzantium_block = at.block()),
    (&["ConstantinopleFix", "Petersburg"], |config, at| {
        config.constantinople_block = at.block();
        config.petersburg_block = at.block();
    }),
    (&["Istanbul"], |config, at| config.istanbul_block = at.block()),
    (&["MuirGlacier"], |config, at| config.muir_glacier_block = at.block()),
    (&["Berlin"], |config, at| config.berlin_block = at.block()),
    (&["London"], |config, at| config.london_block = at.block()),
    (&["ArrowGlacier"], |config, at| config.arrow_glacier_block = at.block()),
    (&["GrayGlacier"], |config, at| config.gray_glacier_block = at.block()),
    (&["Paris", "Merge"], |config, at| config.terminal_total_difficulty = Some(at.difficulty())),
    (&["Shanghai"], |config, at| config.shanghai_time = at.time()),
    (&["Cancun"], |config, at| config.cancun_time = at.time()),
    (&["Prague"], |config, at| config.prague_time = at.time()),
    (&["Osaka"], |config, at| config.osaka_time = at.time()),
    (&["BPO1"], |config, at| config.bpo1_time = at.time()),
    (&["BPO2"], |config, at| config.bpo2_time = at.time()),
    (&["BPO3"], |config, at| config.bpo3_time = at.time()),
    (&["BPO4"], |config, at| config.bpo4_time = at.time()),
    (&["BPO5"], |config, at| config.bpo5_time = at.time()),
];

/// Where a transition happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Genesis,
    Block(u64),
    Time(u64),
    Difficulty(U256),
}

impl At {
    fn block(self) -> Option<u64> {
        match self {
            Self::Block(number) => Some(number),
            _ => Some(0),
        }
    }

    fn time(self) -> Option<u64> {
        match self {
            Self::Time(seconds) => Some(seconds),
            _ => Some(0),
        }
    }

    fn difficulty(self) -> U256 {
        match self {
            Self::Difficulty(total) => total,
            _ => U256::ZERO,
        }
    }

    /// `5`, `Time15k`, `DiffC0000`.
    fn parse(text: &str) -> Option<Self> {
        if let Some(hex) = text.strip_prefix("Diff") {
            return U256::from_str_radix(hex, 16).ok().map(Self::Difficulty);
        }
        if let Some(time) = text.strip_prefix("Time") {
            let (digits, unit) = time.strip_suffix('k').map_or((time, 1), |digits| (digits, 1000));
            return digits.parse::<u64>().ok()?.checked_mul(unit).map(Self::Time);
        }
        text.parse().ok().map(Self::Block)
    }
}

/// Configuration of a network by its name in the test suites; blob parameters are left to the caller.
///
/// The DAO fork is part of no later network: only `HomesteadToDaoAt5` and its kind have it.
pub fn network_config(name: &str, chain_id: u64) -> Result<ChainConfig, NetworkError> {
    let unknown = || NetworkError::Unknown(name.to_owned());
    if name.replace("ConstantinopleFix", "").contains("Constantinople") {
        return Err(NetworkError::Unsupported(name.to_owned()));
    }
    let mut config = ChainConfig { chain_id, ..Default::default() };
    if let Some(index) = fork_index(name) {
        activate(&mut config, 0..=index, At::Genesis);
        return Ok(config);
    }
    let (from, rest) = name.split_once("To").ok_or_else(unknown)?;
    let (to, at) = rest.rsplit_once("At").ok_or_else(unknown)?;
    let (from, to_index) = (fork_index(from).ok_or_else(unknown)?, fork_index(to).ok_or_else(unknown)?);
    let at = At::parse(at).filter(|_| from < to_index).ok_or_else(unknown)?;
    activate(&mut config, 0..=from, At::Genesis);
    activate(&mut config, from + 1..=to_index, at);
    if let (true, At::Block(number)) = (to == "Dao", at) {
        config.dao_fork_support = true;
        config.dao_fork_block = Some(number);
    }
    Ok(config)
}

fn fork_index(name: &str) -> Option<usize> {
    FORKS.iter().position(|(names, _)| names.contains(&name))
}

fn activate(config: &mut ChainConfig, range: std::ops::RangeInclusive<usize>, at: At) {
    for (_, activate) in &FORKS[range] {
        activate(config, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schedule;
    use alloy_hardforks::{EthereumHardfork as Fork, EthereumHardforks, ForkCondition};

    fn activation(network: &str, fork: Fork) -> ForkCondition {
        let mut config = network_config(network, 1).unwrap();
        for name in ["bpo3", "bpo4", "bpo5"] {
            config.blob_schedule.insert(name.to_owned(), alloy_eips::eip7840::BlobParams::bpo2());
        }
        Schedule::new(&config).unwrap().ethereum_fork_activation(fork)
    }

    #[test]
    fn plain_names_activate_all_forks_before_them() {
        assert_eq!(activation("Frontier", Fork::Homestead), ForkCondition::Never);
        assert_eq!(activation("EIP158", Fork::Tangerine), ForkCondition::Block(0));
        assert_eq!(activation("EIP158", Fork::Byzantium), ForkCondition::Never);
        assert_eq!(activation("Merge", Fork::Paris), ForkCondition::Block(0));
        assert_eq!(activation("Osaka", Fork::Prague), ForkCondition::Timestamp(0));
        assert_eq!(activation("BPO4", Fork::Bpo4), ForkCondition::Timestamp(0));
        assert_eq!(activation("Cancun", Fork::Dao), ForkCondition::Never);
    }

    #[test]
    fn transitions_activate_at_their_point() {
        assert_eq!(activation("FrontierToHomesteadAt5", Fork::Homestead), ForkCondition::Block(5));
        assert_eq!(activation("HomesteadToDaoAt5", Fork::Dao), ForkCondition::Block(5));
        assert_eq!(activation("EIP158ToByzantiumAt5", Fork::Byzantium), ForkCondition::Block(5));
        assert_eq!(activation("ByzantiumToConstantinopleFixAt5", Fork::Petersburg), ForkCondition::Block(5));
        assert_eq!(activation("BerlinToLondonAt5", Fork::London), ForkCondition::Block(5));
        assert_eq!(activation("ParisToShanghaiAtTime15k", Fork::Shanghai), ForkCondition::Timestamp(15_000));
        assert_eq!(activation("BPO2ToBPO3AtTime15k", Fork::Bpo3), ForkCondition::Timestamp(15_000));
        assert_eq!(activation("BPO2ToBPO3AtTime15k", Fork::Bpo2), ForkCondition::Timestamp(0));
        let merge = activation("ArrowGlacierToParisAtDiffC0000", Fork::Paris);
        assert_eq!(merge.ttd(), Some(U256::from(0xC0000)));
    }

    #[test]
    fn other_names_are_refused() {
        for name in
            ["", "Paname", "HomesteadToFrontierAt5", "LondonToParis", "ShanghaiToCancunAtTimeX", "ToAt"]
        {
            assert_eq!(network_config(name, 1).unwrap_err(), NetworkError::Unknown(name.to_owned()));
        }
        for name in ["Constantinople", "ByzantiumToConstantinopleAt5"] {
            assert_eq!(network_config(name, 1).unwrap_err(), NetworkError::Unsupported(name.to_owned()));
        }
    }
}
