//! One story per rule, in geth's words, at the rule's edge.

use super::*;
use crate::testing::{self, Draft, Kind, transaction};
use serde_json::{Value, json};

fn rules() -> Rules {
    of(&ChainSpec::dev())
}

fn of(spec: &ChainSpec) -> Rules {
    Rules::after(spec, spec.genesis_header(), &PoolConfig { minimum_tip_wei: 1000, ..Default::default() })
}

/// A plain chain whose forks up to `last` are active from genesis.
fn plain(last: &str) -> ChainSpec {
    let blocks =
        ["homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg", "istanbul"];
    let mut config = json!({ "chainId": testing::CHAIN_ID });
    for fork in blocks {
        config[format!("{fork}Block")] = json!(0);
    }
    for fork in ["berlin", "london"] {
        config[format!("{fork}Block")] = json!(0);
        if fork == last {
            return genesis(config); // before the merge
        }
    }
    config["terminalTotalDifficulty"] = json!(0);
    config["blobSchedule"] = json!({
        "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3338477 },
        "prague": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5007716 },
        "osaka": { "target": 6, "max": 9, "baseFeeUpdateFraction": 5007716 },
    });
    for fork in ["shanghai", "cancun", "prague", "osaka"] {
        config[format!("{fork}Time")] = json!(0);
        if fork == last {
            break;
        }
    }
    genesis(config)
}

fn genesis(config: Value) -> ChainSpec {
    let genesis = json!({
        "config": config, "alloc": {}, "difficulty": "0x0", "gasLimit": "0x3938700", "nonce": "0x0",
        "timestamp": "0x0", "extraData": "0x", "coinbase": "0x0000000000000000000000000000000000000000",
        "mixHash": "0x0000000000000000000000000000000000000000000000000000000000000000",
    });
    ChainSpec::from_json(&genesis.to_string()).expect("a valid genesis")
}

fn complaint(rules: &Rules, draft: &Draft) -> Option<String> {
    let raw = draft.raw();
    let check = || {
        rules.check_bytes(&raw)?;
        rules.check(&Decoded::from_network(raw.clone())?, Origin::External)
    };
    check().err().map(|error: PoolError| error.to_string())
}

#[test]
fn every_kind_passes() {
    for kind in [Kind::Legacy, Kind::PreEip155, Kind::Eip2930, Kind::Eip1559, Kind::Eip7702] {
        assert_eq!(complaint(&rules(), &transaction(kind).input_len(100)), None, "{kind:?}");
    }
}

#[test]
fn gas_must_cover_the_intrinsic_cost_of_the_chain() {
    // The dev chain: 8 gas per non-zero byte in both schedules (PROTOCOL §1).
    let draft = transaction(Kind::Eip1559).input_len(1000);
    assert_eq!(complaint(&rules(), &draft.clone().gas(29_000)), None);
    assert_eq!(
        complaint(&rules(), &draft.clone().gas(28_999)).unwrap(),
        "intrinsic gas too low: gas 28999, minimum needed 29000"
    );
    // Ethereum: 16, and a floor of 40 from Prague on (EIP-7623).
    assert_eq!(complaint(&of(&plain("cancun")), &draft.clone().gas(37_000)), None);
    assert_eq!(
        complaint(&of(&plain("prague")), &draft.clone().gas(60_999)).unwrap(),
        "insufficient gas for floor data gas cost: gas 60999, minimum needed 61000"
    );
    assert_eq!(complaint(&of(&plain("prague")), &draft.gas(61_000)), None);
}

#[test]
fn creation_costs_more_and_its_code_is_limited() {
    let draft = transaction(Kind::Eip1559).create().gas(1_000_000);
    assert_eq!(complaint(&rules(), &draft.clone().input_len(49_152)), None);
    assert_eq!(
        complaint(&rules(), &draft.clone().input_len(49_153)).unwrap(),
        "max initcode size exceeded: code size 49153, limit 49152"
    );
    assert_eq!(
        complaint(&rules(), &draft.gas(52_999)).unwrap(),
        "intrinsic gas too low: gas 52999, minimum needed 53000"
    );
}

#[test]
fn gas_limits_of_block_and_transaction() {
    let spec = ChainSpec::dev();
    let limit = spec.genesis_header().gas_limit;
    let draft = transaction(Kind::Eip1559);
    assert_eq!(complaint(&rules(), &draft.clone().gas(limit)), None);
    assert_eq!(complaint(&rules(), &draft.clone().gas(limit + 1)).unwrap(), "exceeds block gas limit");
    let osaka = of(&plain("osaka"));
    assert_eq!(complaint(&osaka, &draft.clone().gas(1 << 24)), None);
    assert_eq!(
        complaint(&osaka, &draft.clone().gas((1 << 24) + 1)).unwrap(),
        "transaction gas limit too high (cap: 16777216, tx: 16777217)"
    );
    assert_eq!(complaint(&of(&plain("prague")), &draft.gas((1 << 24) + 1)), None);
}

#[test]
fn fees_nonce_and_chain() {
    let draft = transaction(Kind::Eip1559);
    assert_eq!(
        complaint(&rules(), &draft.clone().fees(2000, 2001)).unwrap(),
        "max priority fee per gas higher than max fee per gas"
    );
    assert_eq!(
        complaint(&rules(), &draft.clone().fees(2000, 999)).unwrap(),
        "transaction gas price below minimum: gas tip cap 999, minimum needed 1000"
    );
    assert_eq!(complaint(&rules(), &draft.clone().nonce(u64::MAX)).unwrap(), "nonce has max value");
    assert_eq!(
        complaint(&rules(), &draft.clone().chain_id(7)).unwrap(),
        "invalid sender: invalid chain id for signer: have 7 want 1337"
    );
    let cheap = Decoded::from_network(draft.fees(2000, 0).raw()).unwrap();
    assert!(rules().check(&cheap, Origin::Local).is_ok(), "this node's own need not tip");
}

#[test]
fn types_wait_for_their_fork() {
    let cases = [
        ("berlin", Kind::Eip1559, "type 2 rejected, pool not yet in London"),
        ("london", Kind::Eip4844, "type 3 rejected, pool not yet in Cancun"),
        ("cancun", Kind::Eip7702, "type 4 rejected, pool not yet in Prague"),
    ];
    for (last, kind, words) in cases {
        let want = format!("transaction type not supported: {words}");
        assert_eq!(complaint(&of(&plain(last)), &transaction(kind)).unwrap(), want);
    }
}

#[test]
fn set_code_needs_an_authorization() {
    let draft = transaction(Kind::Eip7702).authorizations(Vec::new());
    assert_eq!(
        complaint(&rules(), &draft).unwrap(),
        "set code tx must have at least one authorization tuple"
    );
}

#[test]
fn size_limits_come_from_the_chain_or_from_geth() {
    let spec = ChainSpec::dev();
    let max = spec.weft().unwrap().max_tx_bytes;
    let rules = rules();
    assert!(rules.check_bytes(&vec![2; max]).is_ok());
    let error = rules.check_bytes(&vec![2; max + 1]).unwrap_err().to_string();
    assert_eq!(error, format!("oversized data: transaction size {}, limit {max}", max + 1));
    let plain = of(&plain("osaka"));
    assert!(plain.check_bytes(&vec![2; 131_072]).is_ok());
    assert!(plain.check_bytes(&vec![2; 131_073]).is_err());
    assert!(plain.check_bytes(&vec![3; 131_073]).is_ok(), "type 3 has room for its blobs");
    assert!(plain.check_bytes(&vec![3; 1 << 20]).is_err());
}

fn blob_complaint(rules: &Rules, sidecar: &Sidecar) -> Option<String> {
    let (raw, _) = testing::blob_transaction(sidecar, 0);
    let check = || {
        rules.check_bytes(&raw)?;
        let decoded = Decoded::from_network(raw.clone())?;
        rules.check(&decoded, Origin::External)?;
        check_sidecar(&decoded)
    };
    check().err().map(|error: PoolError| error.to_string())
}

#[test]
fn sidecars_have_the_forks_version_and_verify() {
    let (v0, v1) = (testing::sidecar_v0(1), testing::sidecar_v1(2));
    assert_eq!(blob_complaint(&rules(), &v1), None);
    assert_eq!(blob_complaint(&rules(), &v0).unwrap(), "unexpected sidecar version, want: 1, got: 0");
    let cancun = of(&plain("cancun"));
    assert_eq!(blob_complaint(&cancun, &v0), None);
    assert_eq!(blob_complaint(&cancun, &v1).unwrap(), "unexpected sidecar version, want: 0, got: 1");
    assert_eq!(
        complaint(&rules(), &transaction(Kind::Eip4844)).unwrap(),
        "missing sidecar in blob transaction"
    );
    assert_eq!(
        blob_complaint(&rules(), &testing::sidecar_v1(7)).unwrap(),
        "too many blobs in transaction: have 7, permitted 6"
    );
}

#[test]
fn a_sidecar_with_one_wrong_byte_is_refused() {
    let honest = testing::sidecar_v1(1);
    let tx = transaction(Kind::Eip4844);
    let (_, consensus) = tx.raw_with(&honest);
    let Sidecar::Eip7594(v1) = &honest else { unreachable!("built as v1") };
    let mut blob = v1.clone();
    blob.blobs[0][40] ^= 1;
    let mut proof = v1.clone();
    proof.cell_proofs.swap(0, 1);
    let mut fewer = v1.clone();
    fewer.cell_proofs.pop();
    for forged in [blob, proof, fewer] {
        let decoded = Decoded::from_network(tx.raw_with(&Sidecar::Eip7594(forged)).0).unwrap();
        let hashes: Vec<_> = honest.versioned_hashes().collect();
        assert_eq!(decoded.tx.blob_versioned_hashes(), Some(&hashes[..]));
        assert!(matches!(check_sidecar(&decoded), Err(PoolError::Kzg(_))));
    }
    assert_eq!(
        testing::signing_hash(&Decoded::from_network(tx.raw_with(&honest).0).unwrap()),
        consensus.signature_hash()
    );
}
