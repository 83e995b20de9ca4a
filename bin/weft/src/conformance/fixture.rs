//! The files of Ethereum's blockchain test suites, as they come: one JSON object per file, one case per key.
//!
//! Lenient where the suites' generations differ (quantities with leading zeros or none at all, fields that only newer
//! ones have), strict where leniency would hide a failure: a case that cannot be read fails.

use alloy_primitives::{Address, B64, B256, Bytes, U256};
use eyre::Context;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny},
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// One case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// Name of the fork schedule.
    pub network: String,
    /// Chain id and blob schedule; older suites have none.
    #[serde(default)]
    pub config: Config,
    /// Header of block 0.
    pub genesis_block_header: Header,
    /// State of block 0.
    pub pre: BTreeMap<Address, Account>,
    /// Blocks in the order in which they are given to the node.
    pub blocks: Vec<Block>,
    /// Hash of the head when all is done.
    pub lastblockhash: B256,
    /// The head's state.
    pub post_state: Option<BTreeMap<Address, Account>>,
    /// Its root, where the state itself is left out.
    pub post_state_hash: Option<B256>,
}

/// What a case says of its chain besides the network.
#[derive(Debug, Default, Deserialize)]
pub struct Config {
    /// EIP-155 chain id.
    #[serde(default, deserialize_with = "option")]
    pub chainid: Option<U256>,
    /// By fork name, as the suites write it (`Cancun`, `BPO1`).
    #[serde(default, rename = "blobSchedule")]
    pub blob_schedule: BTreeMap<String, BlobParams>,
}

/// Blob parameters of one fork.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobParams {
    #[serde(deserialize_with = "quantity")]
    pub target: U256,
    #[serde(deserialize_with = "quantity")]
    pub max: U256,
    #[serde(deserialize_with = "quantity")]
    pub base_fee_update_fraction: U256,
}

/// Fields of a genesis header.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub hash: B256,
    pub parent_hash: B256,
    pub coinbase: Address,
    pub mix_hash: B256,
    pub nonce: B64,
    pub extra_data: Bytes,
    #[serde(deserialize_with = "quantity")]
    pub difficulty: U256,
    #[serde(deserialize_with = "quantity")]
    pub gas_limit: U256,
    #[serde(deserialize_with = "quantity")]
    pub number: U256,
    #[serde(deserialize_with = "quantity")]
    pub timestamp: U256,
    #[serde(default, deserialize_with = "option")]
    pub base_fee_per_gas: Option<U256>,
    #[serde(default, deserialize_with = "option")]
    pub blob_gas_used: Option<U256>,
    #[serde(default, deserialize_with = "option")]
    pub excess_blob_gas: Option<U256>,
}

/// A block as it goes over the wire, and what shall become of it.
#[derive(Debug, Deserialize)]
pub struct Block {
    /// RLP; some blocks that must be refused are no RLP at all.
    pub rlp: String,
    /// Every other field: the ones that matter are `expectException…`; the rest repeats the RLP.
    #[serde(flatten)]
    rest: BTreeMap<String, IgnoredAny>,
}

impl Block {
    /// Whether the block must be refused.
    pub fn must_fail(&self) -> bool {
        self.rest.keys().any(|key| key.starts_with("expectException"))
    }
}

/// An account of a state.
#[derive(Debug, Deserialize)]
pub struct Account {
    #[serde(deserialize_with = "quantity")]
    pub balance: U256,
    #[serde(deserialize_with = "quantity")]
    pub nonce: U256,
    #[serde(default)]
    pub code: Bytes,
    #[serde(default, deserialize_with = "slots")]
    pub storage: BTreeMap<U256, U256>,
}

/// A file's cases in the order of their names. Other kinds of tests (state tests, Engine API tests) are left out.
pub fn parse(json: &str) -> eyre::Result<BTreeMap<String, Case>> {
    /// What tells a blockchain test from other objects.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        blocks: Option<IgnoredAny>,
        genesis_block_header: Option<IgnoredAny>,
    }
    let Ok(entries) = serde_json::from_str::<BTreeMap<String, &RawValue>>(json) else {
        // A list, say. That it is JSON at all is asked for.
        serde_json::from_str::<IgnoredAny>(json)?;
        return Ok(BTreeMap::new());
    };
    let mut cases = BTreeMap::new();
    for (name, entry) in entries {
        let kind = serde_json::from_str::<Kind>(entry.get());
        if kind.is_ok_and(|kind| kind.blocks.is_some() && kind.genesis_block_header.is_some()) {
            let case = serde_json::from_str(entry.get()).wrap_err_with(|| name.clone())?;
            cases.insert(name, case);
        }
    }
    Ok(cases)
}

fn number(text: &str) -> Option<U256> {
    match text.strip_prefix("0x") {
        Some("") => Some(U256::ZERO),
        Some(hex) => U256::from_str_radix(hex, 16).ok(),
        None => U256::from_str_radix(text, 10).ok(),
    }
}

fn quantity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
    let text = String::deserialize(deserializer)?;
    number(&text).ok_or_else(|| D::Error::custom(format!("not a quantity: {text}")))
}

fn option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<U256>, D::Error> {
    quantity(deserializer).map(Some)
}

fn slots<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<U256, U256>, D::Error> {
    let text = BTreeMap::<String, String>::deserialize(deserializer)?;
    text.iter()
        .map(|(slot, value)| number(slot).zip(number(value)))
        .collect::<Option<_>>()
        .ok_or_else(|| D::Error::custom("not a quantity in storage"))
}
