//! The fork digest of PROTOCOL §6: four bytes that keep strangers apart.

use alloy_primitives::{B256, hex};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};
use weft_chainspec::ChainSpec;

/// First four bytes of `H(genesis hash ‖ canonical JSON of config.weft)`; on a chain without `config.weft` the JSON is empty.
///
/// Canonical: object keys in byte order, no white space, numbers as serde_json prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ForkDigest(pub [u8; 4]);

impl ForkDigest {
    /// Of a chain.
    pub fn of(spec: &ChainSpec) -> Self {
        let weft = spec.genesis().config.extra_fields.get("weft");
        Self::new(spec.genesis_hash(), &weft.map(canonical).unwrap_or_default())
    }

    /// Of a genesis hash and the canonical JSON.
    pub fn new(genesis_hash: B256, canonical_json: &str) -> Self {
        let hash = weft_erasure::sha256(&[genesis_hash.as_slice(), canonical_json.as_bytes()].concat());
        Self([hash[0], hash[1], hash[2], hash[3]])
    }
}

impl fmt::Display for ForkDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            let fields: Vec<String> = sorted
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::String(name.clone()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_nothing_is_spaced() {
        let value: Value =
            serde_json::from_str(r#"{ "b": [1, {"y": true, "x": null}], "a": "q\"" }"#).unwrap();
        assert_eq!(canonical(&value), r#"{"a":"q\"","b":[1,{"x":null,"y":true}]}"#);
    }

    /// From PROTOCOL §6 with Python's hashlib.
    #[test]
    fn vectors() {
        let genesis = B256::repeat_byte(0x11);
        assert_eq!(ForkDigest::new(genesis, r#"{"a":1}"#).to_string(), "1e54f235");
        assert_eq!(ForkDigest::new(genesis, "").to_string(), "02d449a3");
    }

    #[test]
    fn the_dev_chain_has_one() {
        let spec = ChainSpec::dev();
        let json = concat!(
            r#"{"blobThresholdBytes":4096,"calldataGas":{"floorPerToken":2,"nonZeroTokenMultiplier":4,"tokenCost":2},"#,
            r#""chunkBytes":131072,"dataShards":4,"maxBlockBytes":268435456,"maxTxBytes":16777216,"#,
            r#""parityShards":7,"version":1}"#,
        );
        assert_eq!(ForkDigest::of(&spec), ForkDigest::new(spec.genesis_hash(), json));
    }
}
