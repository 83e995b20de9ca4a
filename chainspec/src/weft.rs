//! `config.weft` of a genesis file: PROTOCOL §1, checked and typed. Called by [`ChainSpec`](crate::ChainSpec).
//!
//! Fields that are unknown, missing, of the wrong type or out of range are refused by name.

use crate::ChainSpecError;
use serde_json::{Map, Value};
use weft_primitives::Geometry;

/// Where the fields are in the file; errors begin with it.
const PATH: &str = "config.weft";
/// Bound of `maxBlockBytes`: 1 GiB. Offsets and chunk counts of a block then fit `u32` with room to spare.
const BLOCK_BYTES_MAX: u64 = 1 << 30;
/// Bound of each calldata price. Gas of a whole block (2^30 bytes · price · multiplier) then stays below 2^63.
const CALLDATA_PRICE_MAX: u64 = 65_535;
/// No transaction costs less (yellow paper, `G_transaction`).
const TX_GAS_MIN: u64 = 21_000;

/// What a Weft chain adds to Ethereum's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeftParams {
    /// The erasure code and the size of a chunk.
    pub geometry: Geometry,
    /// A transaction whose input has at least this many bytes carries a blob.
    pub blob_threshold_bytes: usize,
    /// Limit of one transaction's EIP-2718 encoding in bytes.
    pub max_tx_bytes: usize,
    /// Limit of the RLP of a block's transactions in bytes; EIP-7934's cap gives way to it.
    pub max_block_bytes: usize,
    /// Overrides of the fork's gas table; absent = Ethereum's own prices.
    pub calldata_gas: Option<CalldataGas>,
    /// Overrides EIP-7825's cap in gas; absent = the block gas limit.
    pub tx_gas_limit_cap: Option<u64>,
}

/// Calldata prices in gas, in the terms of EIP-7623.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalldataGas {
    /// Price of a token (a zero byte is one token).
    pub token_cost: u64,
    /// Tokens of a non-zero byte.
    pub non_zero_token_multiplier: u64,
    /// Floor price of a token.
    pub floor_per_token: u64,
}

impl WeftParams {
    /// Reads the value of `config.weft`.
    pub(crate) fn from_value(value: &Value) -> Result<Self, ChainSpecError> {
        let object = Object::new(PATH.to_owned(), value)?;
        object.only(&[
            "version",
            "blobThresholdBytes",
            "dataShards",
            "parityShards",
            "chunkBytes",
            "maxTxBytes",
            "maxBlockBytes",
            "calldataGas",
            "txGasLimitCap",
        ])?;
        let geometry = Geometry::new(
            object.narrow("version", 0)?,
            object.narrow("dataShards", 1)?,
            object.narrow("parityShards", 1)?,
            object.narrow("chunkBytes", 1)?,
        )
        .map_err(|error| ChainSpecError::field(geometry_field(error), error.to_string()))?;
        let max_block = object.required("maxBlockBytes", 1, BLOCK_BYTES_MAX)?;
        let max_tx = object.required("maxTxBytes", 1, max_block)?;
        let threshold = object.required("blobThresholdBytes", 1, max_tx)?;
        Ok(Self {
            geometry,
            blob_threshold_bytes: to_usize(threshold),
            max_tx_bytes: to_usize(max_tx),
            max_block_bytes: to_usize(max_block),
            calldata_gas: object.get("calldataGas").map(CalldataGas::from_value).transpose()?,
            tx_gas_limit_cap: object.optional("txGasLimitCap", TX_GAS_MIN, u64::MAX)?,
        })
    }
}

impl CalldataGas {
    fn from_value(value: &Value) -> Result<Self, ChainSpecError> {
        let object = Object::new(format!("{PATH}.calldataGas"), value)?;
        object.only(&["tokenCost", "nonZeroTokenMultiplier", "floorPerToken"])?;
        Ok(Self {
            token_cost: object.required("tokenCost", 1, CALLDATA_PRICE_MAX)?,
            non_zero_token_multiplier: object.required("nonZeroTokenMultiplier", 1, CALLDATA_PRICE_MAX)?,
            floor_per_token: object.required("floorPerToken", 0, CALLDATA_PRICE_MAX)?,
        })
    }
}

/// Which field a geometry's refusal is about.
fn geometry_field(error: weft_primitives::GeometryError) -> String {
    use weft_primitives::GeometryError::{ChunkBytes, NoShards, TooManyColumns, Version};
    let name = match error {
        Version(_) => "version",
        NoShards { .. } | TooManyColumns { .. } => "dataShards",
        ChunkBytes { .. } => "chunkBytes",
    };
    format!("{PATH}.{name}")
}

/// At most [`BLOCK_BYTES_MAX`].
fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A JSON object whose fields are read with their path in the error.
struct Object<'a> {
    path: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    fn new(path: String, value: &'a Value) -> Result<Self, ChainSpecError> {
        match value.as_object() {
            Some(fields) => Ok(Self { path, fields }),
            None => Err(ChainSpecError::field(path, "must be an object")),
        }
    }

    fn only(&self, known: &[&str]) -> Result<(), ChainSpecError> {
        match self.fields.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(ChainSpecError::field(
                format!("{}.{key}", self.path),
                format!("is not a known field; known are {}", known.join(", ")),
            )),
            None => Ok(()),
        }
    }

    /// The value, `null` counting as absent.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn optional(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, ChainSpecError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let refuse = |reason| Err(ChainSpecError::field(format!("{}.{name}", self.path), reason));
        match value.as_u64() {
            Some(number) if (min..=max).contains(&number) => Ok(Some(number)),
            Some(number) => refuse(format!("is {number}, must be {min} to {max}")),
            None => refuse(format!("is {value}, must be a whole number")),
        }
    }

    fn required(&self, name: &str, min: u64, max: u64) -> Result<u64, ChainSpecError> {
        self.optional(name, min, max)?.ok_or_else(|| ChainSpecError::missing(format!("{}.{name}", self.path)))
    }

    /// A required number that fits a narrower type.
    fn narrow<T: TryFrom<u64> + Bounded>(&self, name: &str, min: u64) -> Result<T, ChainSpecError> {
        let number = self.required(name, min, T::MAX)?;
        T::try_from(number)
            .map_err(|_| ChainSpecError::field(format!("{}.{name}", self.path), "is too large"))
    }
}

trait Bounded {
    const MAX: u64;
}

impl Bounded for u16 {
    const MAX: u64 = 0xffff;
}

impl Bounded for u32 {
    const MAX: u64 = 0xffff_ffff;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dev() -> Value {
        json!({
            "version": 1, "blobThresholdBytes": 4096, "dataShards": 4, "parityShards": 7, "chunkBytes": 131072,
            "maxTxBytes": 16 << 20, "maxBlockBytes": 256 << 20,
            "calldataGas": {"tokenCost": 2, "nonZeroTokenMultiplier": 4, "floorPerToken": 2}
        })
    }

    fn refusal(edit: impl FnOnce(&mut Value)) -> String {
        let mut value = dev();
        edit(&mut value);
        WeftParams::from_value(&value).unwrap_err().to_string()
    }

    #[test]
    fn reads_every_field() {
        let mut value = dev();
        value["txGasLimitCap"] = json!(1_000_000);
        let params = WeftParams::from_value(&value).unwrap();
        assert_eq!(params.geometry, Geometry::DEV);
        assert_eq!((params.blob_threshold_bytes, params.max_tx_bytes), (4096, 16 << 20));
        assert_eq!(params.max_block_bytes, 256 << 20);
        assert_eq!(params.tx_gas_limit_cap, Some(1_000_000));
        let gas = params.calldata_gas.unwrap();
        assert_eq!((gas.token_cost, gas.non_zero_token_multiplier, gas.floor_per_token), (2, 4, 2));
    }

    #[test]
    fn each_refusal_names_its_field() {
        for name in dev().as_object().unwrap().keys().filter(|name| *name != "calldataGas") {
            let missing = refusal(|v| drop(v.as_object_mut().unwrap().remove(name)));
            assert_eq!(missing, format!("genesis: config.weft.{name}: is missing"));
            for wrong in [json!("4096"), json!(-1), json!(1.5), json!([]), json!(u64::MAX)] {
                let refused = refusal(|v| v[name] = wrong.clone());
                assert!(
                    refused.starts_with(&format!("genesis: config.weft.{name}: is {wrong}")),
                    "{refused}"
                );
            }
        }
        assert!(refusal(|v| v["treshold"] = json!(1)).contains("config.weft.treshold: is not a known field"));
        assert!(refusal(|v| v["calldataGas"]["x"] = json!(1)).contains("config.weft.calldataGas.x"));
        assert!(refusal(|v| v["calldataGas"] = json!(8)).contains("calldataGas: must be an object"));
        assert!(refusal(|v| v["calldataGas"] = json!({"tokenCost": 2})).contains("Multiplier: is missing"));
        assert!(
            refusal(|v| v["chunkBytes"] = json!(100)).contains("config.weft.chunkBytes: chunkBytes (100)")
        );
        assert!(refusal(|v| v["dataShards"] = json!(300)).contains("config.weft.dataShards"));
        assert!(refusal(|v| v["version"] = json!(2)).contains("config.weft.version: protocol version 2"));
        assert!(refusal(|v| v["blobThresholdBytes"] = json!(0)).contains("must be 1 to 16777216"));
        assert!(refusal(|v| v["maxTxBytes"] = json!(1u64 << 29)).contains("config.weft.maxTxBytes"));
        assert!(refusal(|v| v["txGasLimitCap"] = json!(20_999)).contains("config.weft.txGasLimitCap"));
    }
}
