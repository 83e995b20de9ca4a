//! Chains from genesis files: what is read, what is refused, and the hashes that follow.

use super::*;
use proptest::prelude::*;

/// The dev file with one edit. Plain chains and their hashes are covered by the block suites.
fn dev_with(edit: impl FnOnce(&mut Value)) -> Result<ChainSpec, ChainSpecError> {
    let mut value: Value = serde_json::from_str(ChainSpec::dev_json()).unwrap();
    edit(&mut value);
    ChainSpec::from_json(&value.to_string())
}

fn refusal(edit: impl FnOnce(&mut Value)) -> String {
    dev_with(edit).unwrap_err().to_string()
}

#[test]
fn each_malformed_field_is_named() {
    let account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let cases: &[(&str, Value, &str)] = &[
        ("/gasLimit", "0xzz".into(), "gasLimit: is \"0xzz\", must be a whole number below 2^64"),
        ("/gasLimit", Value::Null, "gasLimit: is missing"),
        ("/coinbase", "0x00".into(), "coinbase: is \"0x00\", must be 0x and 20 bytes in hex"),
        ("/mixHash", "00".into(), "mixHash: "),
        ("/extraData", "0x123".into(), "extraData: is \"0x123\", must be 0x and bytes in hex"),
        ("/alloc", Value::Array(vec![]), "alloc: is [], must be an object"),
        ("/config", 3.into(), "config: is 3, must be an object"),
        ("/config/chainId", "one".into(), "config.chainId: "),
        ("/config/chainId", Value::Null, "config.chainId: is missing"),
        ("/config/londonBlock", (-1).into(), "config.londonBlock: is -1, must be a whole number below 2^64"),
        ("/config/osakaTime", 1.5.into(), "config.osakaTime: is 1.5"),
        ("/config/osakaTime", Value::Null, "config.osakaTime: "),
        ("/config/depositContractAddress", "0x".into(), "config.depositContractAddress: "),
        ("/config/blobSchedule/prague", 6.into(), "config.blobSchedule.prague: must be an object"),
        ("/config/blobSchedule/prague/max", "".into(), "config.blobSchedule.prague.max: is \"\""),
        ("/config/blobSchedule/prague/max", Value::Null, "config.blobSchedule.prague.max: is missing"),
        ("/config/terminalTotalDifficulty", 1.into(), "config."),
        ("/config/weft/chunkBytes", 1.into(), "config.weft.chunkBytes: "),
        ("/config/weft", "on".into(), "config.weft: must be an object"),
    ];
    for (pointer, wrong, expected) in cases {
        let message = refusal(|v| *v.pointer_mut(pointer).unwrap() = wrong.clone());
        assert!(message.starts_with(&format!("genesis: {expected}")), "{pointer}: {message}");
    }
    let message = refusal(|v| v["alloc"][account]["balance"] = "lots".into());
    assert!(message.contains(&format!("alloc.{account}.balance: is \"lots\"")), "{message}");
    let message = refusal(|v| v["alloc"]["0x12"] = serde_json::json!({"balance": "0x1"}));
    assert!(message.contains("alloc.0x12: is not an address"), "{message}");
    let message = refusal(|v| v["alloc"][account]["storage"] = serde_json::json!({"0x01": "0xgg"}));
    assert!(message.contains("storage.0x01: is \"0xgg\""), "{message}");
    assert!(ChainSpec::from_json("{").unwrap_err().to_string().starts_with("genesis: EOF"));
    assert!(ChainSpec::from_json("[]").unwrap_err().to_string().contains("must be an object"));
}

#[test]
fn a_weft_chain_has_no_proof_of_work() {
    let message = refusal(|v| v["config"]["terminalTotalDifficulty"] = Value::String("0x1000".into()));
    assert!(message.contains("config.terminalTotalDifficulty"), "{message}");
}

#[test]
fn without_config_weft_it_is_plain_ethereum() {
    let plain = dev_with(|v| drop(v["config"].as_object_mut().unwrap().remove("weft"))).unwrap();
    assert!(plain.weft().is_none());
    assert_eq!(plain.genesis_hash(), ChainSpec::dev().genesis_hash(), "config is not part of the header");
}

#[test]
fn mainnet_genesis_of_an_empty_alloc_has_the_fields_of_its_forks() {
    let frontier =
        ChainSpec::from_json(r#"{"config":{"chainId":1},"alloc":{},"gasLimit":"0x1388"}"#).unwrap();
    let header = frontier.genesis_header();
    assert_eq!((header.base_fee_per_gas, header.withdrawals_root, header.requests_hash), (None, None, None));
    assert_eq!(header.state_root, EMPTY_ROOT_HASH);
    assert_eq!(frontier.next_base_fee(header.header()), None);
    let dev = ChainSpec::dev();
    let header = dev.genesis_header();
    assert_eq!(header.base_fee_per_gas, Some(1_000_000_000));
    assert_eq!(header.requests_hash, Some(EMPTY_REQUESTS_HASH));
    assert_eq!((header.blob_gas_used, header.excess_blob_gas), (Some(0), Some(0)));
}

#[test]
fn london_begins_with_one_gwei() {
    let spec = ChainSpec::from_json(
        r#"{"config":{"chainId":1,"homesteadBlock":0,"eip150Block":0,"eip158Block":0,"byzantiumBlock":0,
        "constantinopleBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":5},"alloc":{},"gasLimit":5000}"#,
    )
    .unwrap();
    let parent = Header { number: 4, ..Default::default() };
    assert_eq!(spec.next_base_fee(&parent), Some(INITIAL_BASE_FEE));
    assert_eq!(spec.next_base_fee(&Header { number: 3, ..parent }), None);
}

proptest! {
    /// Whatever stands in a field, the answer is a chain or an error, never a panic.
    #[test]
    fn arbitrary_values_never_panic(field in "config/[a-z]{3,12}(Block|Time)|gasLimit|difficulty|timestamp|config/weft/[a-zA-Z]{3,14}", text in "\\PC{0,40}", number in any::<u64>(), pick in 0..4u8) {
        let value = match pick {
            0 => Value::String(text),
            1 => Value::from(number),
            2 => Value::Null,
            _ => Value::String(format!("0x{number:x}")),
        };
        let _ = dev_with(|genesis| {
            let mut at = genesis;
            for part in field.split('/') {
                at = &mut at[part];
            }
            *at = value;
        });
    }
}
