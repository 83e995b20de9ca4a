//! Blocks built and executed over small states on the dev chain: what a proposer pushes, everyone else can repeat.
//! Ethereum's own rules are proven by its block suites (`weft ef-tests`).

use crate::{
    BlockBuilder, Evm, EvmError, NextBlock, PushError, RuleError, StateFailure, TransactionError, rules,
};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Signature, TxKind, U256, address, keccak256};
use revm::{
    DatabaseRef,
    context_interface::result::InvalidTransaction,
    database::{CacheDB, EmptyDB, TransitionState},
    database_interface::DBErrorMarker,
    state::{AccountInfo, Bytecode},
};
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_primitives::{PreparedBlock, PreparedTransaction, SealedHeader, Transaction};

const SENDER: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
const OTHER: Address = address!("00000000000000000000000000000000000000aa");

fn evm() -> Evm {
    Evm::new(Arc::new(ChainSpec::dev()))
}

/// The state of the dev chain's block 0.
fn genesis(evm: &Evm) -> CacheDB<EmptyDB> {
    let mut state = CacheDB::new(EmptyDB::new());
    for (address, account) in &evm.spec().genesis().alloc {
        let code = account.code.clone().unwrap_or_default();
        let info = AccountInfo {
            balance: account.balance,
            nonce: account.nonce.unwrap_or_default(),
            code_hash: if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) },
            code: Some(Bytecode::new_raw(code)),
            account_id: None,
        };
        state.insert_account_info(*address, info);
    }
    state
}

fn next() -> NextBlock {
    NextBlock {
        timestamp: 12,
        gas_limit: 30_000_000_000,
        parent_beacon_block_root: Some(B256::ZERO),
        extra_data: Bytes::from(vec![0; 32]),
        ..Default::default()
    }
}

fn transaction(nonce: u64, to: TxKind, gas_limit: u64, input: Bytes) -> Arc<PreparedTransaction> {
    let max_fee_per_gas = 2_000_000_000;
    let tx = TxEip1559 { chain_id: 1337, nonce, gas_limit, max_fee_per_gas, to, input, ..Default::default() };
    let tx = Transaction::Eip1559(tx.into_signed(Signature::new(U256::ONE, U256::ONE, false)));
    let encoded = tx.encoded_2718().into();
    Arc::new(PreparedTransaction::new(tx, SENDER, encoded))
}

/// The dev chain is past Byzantium from its first block on: nobody asks for roots after transactions.
fn never(_: &TransitionState) -> Result<B256, StateFailure> {
    panic!("asked for the state root after a transaction")
}

/// What the engine adds to a finished header.
fn seal(
    builder: BlockBuilder<'_, CacheDB<EmptyDB>>,
    transactions: Vec<Arc<PreparedTransaction>>,
) -> PreparedBlock {
    let (mut header, _) = builder.finish().unwrap();
    let encoded: Vec<&[u8]> = transactions.iter().map(|tx| &tx.encoded[..]).collect();
    header.transactions_root = weft_primitives::keccak::ordered_root(&encoded);
    let withdrawals = Some(Default::default());
    PreparedBlock { header: SealedHeader::seal_slow(header), transactions, ommers: Vec::new(), withdrawals }
}

#[test]
fn a_built_block_is_valid_and_executes_to_the_same() {
    let evm = evm();
    let (next, parent) = (next(), evm.spec().genesis_header().clone());
    let mut builder = evm.build(&parent, &next, genesis(&evm), Box::new(never)).unwrap();
    let blob = transaction(0, OTHER.into(), 10_000_000, Bytes::from(vec![0xff; 1 << 20]));
    let create = transaction(1, TxKind::Create, 1_000_000, Bytes::from_static(&[0x60, 0, 0x60, 0, 0xf3]));
    let used = builder.push(&blob).unwrap() + builder.push(&create).unwrap();
    assert_eq!(builder.gas_left(), next.gas_limit - used);
    let block = seal(builder, vec![blob, create]);

    rules::check_header(evm.spec(), &block.header, &parent).unwrap();
    rules::check_body(evm.spec(), &block).unwrap();
    let output = evm.execute(&block, genesis(&evm), Box::new(never)).unwrap();
    rules::check_output(&block.header, &output).unwrap();
    assert_eq!(output.gas_used, used);
    assert!(output.receipts.iter().all(|receipt| receipt.outcome == true.into()));
    assert_eq!(output.bundle.state[&SENDER].info.as_ref().unwrap().nonce, 2);
}

#[test]
fn calldata_costs_what_config_weft_says() {
    let evm = evm();
    let next = next();
    let cost = |input: Vec<u8>| {
        let mut builder =
            evm.build(evm.spec().genesis_header(), &next, genesis(&evm), Box::new(never)).unwrap();
        builder.push(&transaction(0, OTHER.into(), 20_000_000, input.into())).unwrap()
    };
    assert_eq!(cost(vec![0; 1000]), 21_000 + 2 * 1000);
    assert_eq!(cost(vec![1; 1000]), 21_000 + 8 * 1000);
    // Above EIP-7825's cap of 2^24 gas, which a Weft chain does not have.
    assert_eq!(cost(vec![1; 2_000_000]), 21_000 + 8 * 2_000_000);
}

#[test]
fn what_is_not_taken_leaves_the_block_as_it_was() {
    let evm = evm();
    let next = NextBlock { gas_limit: 1_000_000, ..next() };
    let mut builder = evm.build(evm.spec().genesis_header(), &next, genesis(&evm), Box::new(never)).unwrap();
    let too_much = transaction(0, OTHER.into(), 1_000_001, Bytes::new());
    assert!(matches!(builder.push(&too_much), Err(PushError::DoesNotFit)));
    let future = builder.push(&transaction(1, OTHER.into(), 21_000, Bytes::new())).unwrap_err();
    let PushError::Invalid(RuleError::Transaction { index: 0, reason, .. }) = future else {
        panic!("{future}")
    };
    assert_eq!(reason, TransactionError(InvalidTransaction::NonceTooHigh { tx: 1, state: 0 }));
    assert_eq!(reason.to_string(), "nonce too high: tx: 1 state: 0");
    let poor = builder.push(&transaction(0, OTHER.into(), 20_999, Bytes::new())).unwrap_err();
    assert!(poor.to_string().contains("intrinsic gas too low: have 20999, want 21000"), "{poor}");
    assert_eq!(builder.push(&transaction(0, OTHER.into(), 21_000, Bytes::new())).unwrap(), 21_000);
    let again = builder.push(&transaction(0, OTHER.into(), 21_000, Bytes::new())).unwrap_err();
    assert!(again.to_string().contains("nonce too low: tx: 0 state: 1"), "{again}");
    assert_eq!(builder.finish().unwrap().1.receipts.len(), 1);
}

#[test]
fn no_block_is_built_for_proof_of_work() {
    let spec = ChainSpec::from_json(r#"{"config":{"chainId":1},"alloc":{},"gasLimit":5000}"#).unwrap();
    let evm = Evm::new(Arc::new(spec));
    let refused = evm
        .build(evm.spec().genesis_header(), &next(), CacheDB::new(EmptyDB::new()), Box::new(never))
        .unwrap_err();
    assert!(matches!(refused, EvmError::Invalid(RuleError::ProofOfWork)));
}

/// EIP-7610: CREATE2 to an address that has storage, but neither code nor nonce, fails; EXTCODEHASH of it is still
/// that of an account without code.
#[test]
fn storage_without_code_blocks_creation_and_hides_its_mark() {
    let evm = evm();
    // PUSH1 0, PUSH1 0, PUSH1 0, PUSH1 0, CREATE2; PUSH1 0, SSTORE: keeps in slot 0 what was created.
    let creator =
        Bytecode::new_raw(Bytes::from_static(&[0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0xf5, 0x60, 0, 0x55]));
    let target = OTHER.create2(B256::ZERO, KECCAK256_EMPTY);
    // PUSH20 target, EXTCODEHASH, PUSH1 0, SSTORE
    let mut asking = vec![0x73];
    asking.extend(target);
    asking.extend([0x3f, 0x60, 0, 0x55]);

    let slot_after = |code: Bytecode, marked: bool| {
        let mut state = genesis(&evm);
        let code_hash = code.hash_slow();
        state.insert_account_info(
            OTHER,
            AccountInfo { nonce: 1, code_hash, code: Some(code), ..Default::default() },
        );
        let code_hash = if marked { B256::ZERO } else { KECCAK256_EMPTY };
        state.cache.accounts.entry(target).or_default().info =
            AccountInfo { balance: U256::ONE, code_hash, ..Default::default() };
        state.cache.accounts.entry(target).or_default().account_state = revm::database::AccountState::None;
        let next = next();
        let mut builder = evm.build(evm.spec().genesis_header(), &next, state, Box::new(never)).unwrap();
        builder.push(&transaction(0, OTHER.into(), 1_000_000, Bytes::new())).unwrap();
        let (_, output) = builder.finish().unwrap();
        output.bundle.state[&OTHER].storage.get(&U256::ZERO).map(|slot| slot.present_value)
    };
    assert_eq!(
        slot_after(creator.clone(), false),
        Some(target.into_word().into()),
        "an empty account is no obstacle"
    );
    assert_eq!(slot_after(creator, true), None, "creation fails, zero is stored over zero");
    let asking = Bytecode::new_raw(asking.into());
    let no_code = Some(U256::from_be_bytes(KECCAK256_EMPTY.0));
    assert_eq!((slot_after(asking.clone(), false), slot_after(asking, true)), (no_code, no_code));
}

/// A state whose storage cannot be read.
#[derive(Debug)]
struct BrokenDisk(CacheDB<EmptyDB>);

#[derive(Debug, thiserror::Error)]
#[error("bad sector")]
struct BadSector;

impl DBErrorMarker for BadSector {}

impl DatabaseRef for BrokenDisk {
    type Error = BadSector;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, BadSector> {
        self.0.basic_ref(address).map_err(|_| BadSector)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, BadSector> {
        self.0.code_by_hash_ref(code_hash).map_err(|_| BadSector)
    }

    fn storage_ref(&self, _: Address, _: U256) -> Result<U256, BadSector> {
        Err(BadSector)
    }

    fn block_hash_ref(&self, _: u64) -> Result<B256, BadSector> {
        Err(BadSector)
    }
}

#[test]
fn a_disk_that_fails_does_not_make_a_block_invalid() {
    let evm = evm();
    let next = next();
    // The first system call of a block reads storage; alloy-evm calls its failure an invalid block.
    let failed = evm
        .build(evm.spec().genesis_header(), &next, BrokenDisk(genesis(&evm)), Box::new(never))
        .unwrap_err();
    assert!(matches!(failed, EvmError::State(_)), "{failed:?}");
    assert_eq!(failed.to_string(), "state: bad sector");
}
