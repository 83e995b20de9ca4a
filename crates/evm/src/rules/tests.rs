//! Each rule is broken once; the chains are those of the test suites' network names.

use super::*;
use alloy_consensus::{Header, SignableTransaction, TxLegacy, constants::EMPTY_OMMER_ROOT_HASH};
use alloy_eips::eip4895::Withdrawals;
use alloy_genesis::Genesis;
use alloy_primitives::{B64, B256, Bytes, Signature, U256};
use proptest::prelude::*;
use std::sync::Arc;
use weft_chainspec::{ChainSpec, network_config};
use weft_primitives::{PreparedBlock, PreparedTransaction, SealedHeader, Transaction};

fn network(name: &str) -> ChainSpec {
    let config = network_config(name, 1).unwrap();
    ChainSpec::from_genesis(Genesis { config, gas_limit: 30_000_000, ..Default::default() }).unwrap()
}

/// A child of genesis that breaks no rule of its header.
fn child(spec: &ChainSpec) -> Header {
    let parent = spec.genesis_header();
    let mut header = Header {
        parent_hash: parent.hash(),
        number: 1,
        timestamp: parent.timestamp + 12,
        gas_limit: parent.gas_limit,
        base_fee_per_gas: spec.next_base_fee(parent.header()),
        withdrawals_root: parent.withdrawals_root,
        blob_gas_used: parent.blob_gas_used,
        parent_beacon_block_root: parent.parent_beacon_block_root,
        requests_hash: parent.requests_hash,
        ..Default::default()
    };
    header.excess_blob_gas = next_excess_blob_gas(spec, parent.header(), header.timestamp);
    if spec.terminal_total_difficulty().is_none() {
        header.difficulty = difficulty(spec, header.timestamp, parent.header());
    }
    header
}

fn verdict(spec: &ChainSpec, edit: impl FnOnce(&mut Header)) -> Result<(), RuleError> {
    let mut header = child(spec);
    edit(&mut header);
    check_header(spec, &SealedHeader::seal_slow(header), spec.genesis_header())
}

#[test]
fn a_child_as_it_should_be_passes_in_every_fork() {
    for name in
        ["Frontier", "Homestead", "Byzantium", "Istanbul", "London", "Paris", "Cancun", "Prague", "BPO2"]
    {
        assert_eq!(verdict(&network(name), |_| ()), Ok(()), "{name}");
    }
}

#[test]
fn each_broken_header_rule_is_named() {
    let osaka = network("Osaka");
    let broken = |edit: fn(&mut Header)| verdict(&osaka, edit).unwrap_err();
    assert!(matches!(broken(|h| h.parent_hash = B256::ZERO), RuleError::ParentHash { .. }));
    assert!(matches!(broken(|h| h.number = 2), RuleError::Number { have: 2, want: 1 }));
    assert!(matches!(broken(|h| h.timestamp = 0), RuleError::Timestamp { have: 0, parent: 0 }));
    assert_eq!(broken(|h| h.extra_data = Bytes::from(vec![0; 33])), RuleError::ExtraDataTooLong(33));
    assert_eq!(broken(|h| h.gas_limit = 1 << 63), RuleError::GasLimitTooHigh(1 << 63));
    assert!(matches!(broken(|h| h.gas_used = h.gas_limit + 1), RuleError::GasUsedAboveLimit { .. }));
    assert!(matches!(broken(|h| h.gas_limit += 30_000_000 / 1024), RuleError::GasLimitStep { .. }));
    assert!(matches!(broken(|h| h.gas_limit -= 30_000_000 / 1024), RuleError::GasLimitStep { .. }));
    assert!(verdict(&osaka, |h| h.gas_limit += 30_000_000 / 1024 - 1).is_ok());
    assert!(matches!(broken(|h| h.difficulty = U256::ONE), RuleError::Difficulty { .. }));
    assert_eq!(broken(|h| h.nonce = B64::with_last_byte(1)), RuleError::Nonce);
    assert_eq!(broken(|h| h.ommers_hash = B256::ZERO), RuleError::OmmersAfterMerge);
    assert!(matches!(broken(|h| h.base_fee_per_gas = Some(1)), RuleError::BaseFee { have: 1, .. }));
    assert_eq!(broken(|h| h.base_fee_per_gas = None), RuleError::FieldMissing("baseFee"));
    assert_eq!(broken(|h| h.withdrawals_root = None), RuleError::FieldMissing("withdrawalsRoot"));
    assert_eq!(broken(|h| h.requests_hash = None), RuleError::FieldMissing("requestsHash"));
    assert_eq!(broken(|h| h.slot_number = Some(1)), RuleError::FieldUnexpected("slotNumber"));
    assert_eq!(broken(|h| h.blob_gas_used = Some(1)), RuleError::BlobGasMultiple(1));
    let (used, max) = (131_072 * 10, 131_072 * 9);
    assert_eq!(broken(|h| h.blob_gas_used = Some(131_072 * 10)), RuleError::BlobGasAboveMax { used, max });
    assert!(matches!(broken(|h| h.excess_blob_gas = Some(1)), RuleError::ExcessBlobGas { have: 1, want: 0 }));

    let paris = network("Paris");
    for edit in [
        (|h: &mut Header| h.withdrawals_root = Some(B256::ZERO)) as fn(&mut Header),
        |h| h.blob_gas_used = Some(0),
        |h| h.parent_beacon_block_root = Some(B256::ZERO),
        |h| h.requests_hash = Some(B256::ZERO),
    ] {
        assert!(matches!(verdict(&paris, edit), Err(RuleError::FieldUnexpected(_))));
    }
    let unexpected = verdict(&network("Berlin"), |h| h.base_fee_per_gas = Some(7));
    assert_eq!(unexpected, Err(RuleError::FieldUnexpected("baseFee")));
}

#[test]
fn extra_data_is_a_da_root_on_a_weft_chain_only() {
    let dev = ChainSpec::dev();
    assert_eq!(verdict(&dev, |h| h.extra_data = Bytes::from(vec![1; 32])), Ok(()));
    assert_eq!(verdict(&dev, |_| ()), Err(RuleError::ExtraDataLength(0)));
    assert_eq!(
        verdict(&dev, |h| h.extra_data = Bytes::from(vec![1; 31])),
        Err(RuleError::ExtraDataLength(31))
    );
    assert_eq!(verdict(&network("Osaka"), |h| h.extra_data = Bytes::from(vec![1; 5])), Ok(()));
}

#[test]
fn the_ten_blocks_of_the_dao_fork_carry_its_name() {
    let spec = network("HomesteadToDaoAt5");
    let at = |number: u64, extra: &'static [u8]| {
        let parent = SealedHeader::seal_slow(Header {
            number: number - 1,
            gas_limit: 10_000_000,
            ..Default::default()
        });
        let header = Header {
            parent_hash: parent.hash(),
            number,
            timestamp: 10,
            gas_limit: 10_000_000,
            difficulty: difficulty(&spec, 10, parent.header()),
            extra_data: Bytes::from_static(extra),
            ..Default::default()
        };
        check_header(&spec, &SealedHeader::seal_slow(header), &parent)
    };
    assert!(matches!(at(5, b""), Err(RuleError::DaoExtraData(_))));
    assert!(matches!(at(14, b"dao-hard-forc"), Err(RuleError::DaoExtraData(_))));
    assert_eq!((at(4, b""), at(5, b"dao-hard-fork"), at(15, b"")), (Ok(()), Ok(()), Ok(())));
}

/// Values of mainnet: each block's difficulty from its parent's.
#[test]
fn difficulties_are_mainnets() {
    let cases = [
        // (schedule, parent number, parent difficulty, seconds, parent has ommers, difficulty)
        ("Frontier", 0, 17_179_869_184_u64, 1_438_269_988_u64, false, 17_171_480_576_u64),
        ("Frontier", 1, 17_171_480_576, 29, false, 17_163_096_064),
        ("Frontier", 200_000, 1 << 30, 5, false, (1 << 30) + (1 << 19) + 1),
        ("Homestead", 10, 1 << 30, 10, false, 1 << 30),
        ("Homestead", 10, 1 << 30, 9, false, (1 << 30) + (1 << 19)),
        ("Homestead", 10, 1 << 30, 100_000, false, (1 << 30) - 99 * (1 << 19)),
        ("Byzantium", 10, 1 << 30, 9, false, 1 << 30),
        ("Byzantium", 10, 1 << 30, 9, true, (1 << 30) + (1 << 19)),
        ("Byzantium", 3_199_999, 1 << 30, 9, false, (1 << 30) + 1),
        ("Byzantium", 3_199_998, 1 << 30, 9, false, 1 << 30),
        ("Istanbul", 5_199_999, 1 << 30, 9, false, (1 << 30) + 1),
        ("Berlin", 9_199_999, 1 << 30, 9, false, (1 << 30) + 1),
        ("London", 9_899_999, 1 << 30, 9, false, (1 << 30) + 1),
        ("ArrowGlacier", 10_899_999, 1 << 30, 9, false, (1 << 30) + 1),
        ("GrayGlacier", 11_599_999, 1 << 30, 9, false, (1 << 30) + 1),
        ("GrayGlacier", 5, 131_072, 5_000, false, 131_072),
    ];
    for (name, number, parent, seconds, ommers, want) in cases {
        let ommers_hash = if ommers { B256::ZERO } else { EMPTY_OMMER_ROOT_HASH };
        let parent = Header { number, difficulty: U256::from(parent), ommers_hash, ..Default::default() };
        assert_eq!(difficulty(&network(name), seconds, &parent), U256::from(want), "{name} {number}");
    }
}

/// EIP-7918: while execution gas is dear, blobs above target move the excess by a third of what they did.
#[test]
fn the_reserve_price_holds_from_osaka_on() {
    let parent = |fee| Header {
        excess_blob_gas: Some(0),
        blob_gas_used: Some(9 * 131_072),
        base_fee_per_gas: Some(fee),
        ..Default::default()
    };
    let (prague, osaka) = (network("Prague"), network("Osaka"));
    assert_eq!(next_excess_blob_gas(&prague, &parent(1_000_000_000), 1), Some(3 * 131_072));
    assert_eq!(next_excess_blob_gas(&osaka, &parent(1_000_000_000), 1), Some(9 * 131_072 / 3));
    assert_eq!(next_excess_blob_gas(&osaka, &parent(1), 1), Some(3 * 131_072));
    let idle = Header { blob_gas_used: Some(131_072), ..parent(1_000_000_000) };
    assert_eq!(next_excess_blob_gas(&osaka, &idle, 1), Some(0));
    assert_eq!(next_excess_blob_gas(&network("Shanghai"), &idle, 1), None);
}

#[test]
fn the_merge_happens_at_its_difficulty() {
    let spec = network("ArrowGlacierToParisAtDiffC0000");
    let work = Header { difficulty: U256::from(131_072), ..Default::default() };
    let stake = Header::default();
    let (before, reached) = (U256::from(0xBFFFF), U256::from(0xC0000));
    assert_eq!(check_terminal_difficulty(&spec, &work, before), Ok(()));
    assert_eq!(check_terminal_difficulty(&spec, &stake, reached), Ok(()));
    let early = check_terminal_difficulty(&spec, &stake, before);
    assert_eq!(early, Err(RuleError::ProofOfStakeBeforeMerge));
    assert_eq!(check_terminal_difficulty(&spec, &work, reached), Err(RuleError::ProofOfWorkAfterMerge));
}

fn prepared(chain_id: Option<u64>, input: usize, high_s: bool) -> Arc<PreparedTransaction> {
    let tx = TxLegacy { chain_id, input: vec![1; input].into(), ..Default::default() };
    let half =
        U256::from_str_radix("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0", 16).unwrap();
    let s = if high_s { half + U256::ONE } else { half };
    let tx = Transaction::Legacy(tx.into_signed(Signature::new(U256::ONE, s, false)));
    let encoded = alloy_eips::eip2718::Encodable2718::encoded_2718(&tx).into();
    Arc::new(PreparedTransaction::new(tx, Default::default(), encoded))
}

#[test]
fn each_broken_transaction_rule_is_named() {
    let verdict = |spec: &ChainSpec, tx: &PreparedTransaction| check_transaction(spec, &child(spec), 3, tx);
    let (frontier, homestead, istanbul) = (network("Frontier"), network("Homestead"), network("Istanbul"));
    assert_eq!(verdict(&frontier, &prepared(None, 0, true)), Ok(()));
    assert_eq!(verdict(&homestead, &prepared(None, 0, true)), Err(RuleError::Signature { index: 3 }));
    assert_eq!(verdict(&homestead, &prepared(None, 0, false)), Ok(()));
    assert_eq!(
        verdict(&homestead, &prepared(Some(1), 0, false)),
        Err(RuleError::ReplayProtected { index: 3 })
    );
    assert_eq!(verdict(&istanbul, &prepared(Some(1), 0, false)), Ok(()));
    let foreign = verdict(&istanbul, &prepared(Some(5), 0, false));
    assert_eq!(foreign, Err(RuleError::ChainId { index: 3, have: 5, want: 1 }));
    let dev = ChainSpec::dev();
    let max = dev.weft().unwrap().max_tx_bytes;
    let large = verdict(&dev, &prepared(Some(1337), max, false));
    assert!(matches!(large, Err(RuleError::TransactionTooLarge { index: 3, .. })), "{large:?}");
    assert_eq!(verdict(&istanbul, &prepared(Some(1), max, false)), Ok(()), "no such limit on a plain chain");
}

fn block(spec: &ChainSpec, transactions: Vec<Arc<PreparedTransaction>>) -> PreparedBlock {
    let mut header = child(spec);
    let encoded: Vec<&[u8]> = transactions.iter().map(|tx| &tx.encoded[..]).collect();
    header.transactions_root = weft_primitives::keccak::ordered_root(&encoded);
    let withdrawals = header.withdrawals_root.map(|_| Withdrawals::default());
    PreparedBlock { header: SealedHeader::seal_slow(header), transactions, ommers: Vec::new(), withdrawals }
}

#[test]
fn each_broken_body_rule_is_named() {
    let osaka = network("Osaka");
    let good = || block(&osaka, vec![prepared(Some(1), 0, false)]);
    let verdict = |edit: fn(&mut PreparedBlock)| {
        let mut block = good();
        edit(&mut block);
        check_body(&osaka, &block)
    };
    assert_eq!(verdict(|_| ()), Ok(()));
    assert!(matches!(verdict(|b| b.transactions.clear()), Err(RuleError::TransactionsRoot { .. })));
    assert!(matches!(verdict(|b| b.ommers.push(Header::default())), Err(RuleError::OmmersHash { .. })));
    assert_eq!(verdict(|b| b.withdrawals = None), Err(RuleError::WithdrawalsMissing));
    let extra = verdict(|b| b.withdrawals = Some(Withdrawals::new(vec![Default::default()])));
    assert!(matches!(extra, Err(RuleError::WithdrawalsRoot { .. })));
    let blob = verdict(|b| {
        let mut header = b.header.header().clone();
        header.blob_gas_used = Some(131_072);
        b.header = SealedHeader::seal_slow(header);
    });
    assert_eq!(blob, Err(RuleError::BlobGasUsed { header: 131_072, body: 0 }));

    let paris = network("Paris");
    let mut early = block(&paris, Vec::new());
    early.withdrawals = Some(Withdrawals::default());
    assert_eq!(check_body(&paris, &early), Err(RuleError::WithdrawalsUnexpected));
}

#[test]
fn blocks_have_a_size_limit_from_osaka_on_and_weft_has_its_own() {
    let eight_mib = vec![prepared(Some(1), 8 << 20, false)];
    let osaka = network("Osaka");
    let verdict = check_body(&osaka, &block(&osaka, eight_mib.clone()));
    assert!(matches!(verdict, Err(RuleError::BlockTooLarge { max: 8_388_608, .. })), "{verdict:?}");
    let prague = network("Prague");
    assert_eq!(check_body(&prague, &block(&prague, eight_mib)), Ok(()));

    let dev = ChainSpec::dev();
    let full: Vec<_> = std::iter::repeat_n(prepared(Some(1337), 15 << 20, false), 18).collect();
    let mut bytes = BlockBytes::new(&dev, &child(&dev), None);
    full[..17].iter().for_each(|tx| bytes.add(tx));
    assert!(!bytes.fits(&full[17]), "18 times 15 MiB is above 256 MiB");
    let mut large = block(&dev, full[..2].to_vec());
    assert_eq!(check_body(&dev, &large), Ok(()));
    large.transactions = full;
    assert!(matches!(check_body(&dev, &large), Err(RuleError::TransactionsTooLarge { .. })));
}

#[test]
fn what_is_longer_than_what_is_left_does_not_fit() {
    for (spec, chain_id) in [(network("Osaka"), 1), (ChainSpec::dev(), 1337)] {
        let mut bytes = BlockBytes::new(&spec, &child(&spec), None);
        let large = prepared(Some(chain_id), 3 << 20, false);
        while bytes.fits(&large) {
            let (before, left) = (bytes.transactions(), bytes.left());
            bytes.add(&large);
            assert!(bytes.transactions() - before >= large.encoded.len());
            assert!(left - bytes.left() >= large.encoded.len());
        }
        // By bisection the longest input that fits.
        let fits = |length| bytes.fits(&prepared(Some(chain_id), length, false));
        let (mut fit, mut misfit) = (0, 3 << 20);
        while misfit - fit > 1 {
            let middle = (fit + misfit) / 2;
            if fits(middle) { fit = middle } else { misfit = middle }
        }
        let encoded = |length| prepared(Some(chain_id), length, false).encoded.len();
        assert!(encoded(fit) <= bytes.left());
        // What is left is not much more than that: room for later header fields, and RLP around the transaction.
        assert!(bytes.left() - encoded(fit) < 300, "{} of {}", encoded(fit), bytes.left());
    }
    let unlimited = network("Prague");
    assert_eq!(BlockBytes::new(&unlimited, &child(&unlimited), None).left(), usize::MAX);
}

/// Eight generations, each with room for an ommer that shares its parent.
struct Ommers {
    spec: ChainSpec,
    /// Newest first.
    chain: Vec<(SealedHeader, Vec<Header>)>,
}

impl Ommers {
    fn new() -> Self {
        let spec = network("Homestead");
        let mut chain = vec![(spec.genesis_header().clone(), Vec::new())];
        for _ in 0..9 {
            let header = Self::on(&spec, &chain[0].0, 10);
            chain.insert(0, (SealedHeader::seal_slow(header), Vec::new()));
        }
        Self { spec, chain }
    }

    fn on(spec: &ChainSpec, parent: &SealedHeader, seconds: u64) -> Header {
        let timestamp = parent.timestamp + seconds;
        Header {
            parent_hash: parent.hash(),
            number: parent.number + 1,
            timestamp,
            gas_limit: parent.gas_limit,
            difficulty: difficulty(spec, timestamp, parent.header()),
            ..Default::default()
        }
    }

    /// An ommer whose parent is that many generations before the block.
    fn ommer(&self, generations: usize) -> Header {
        Self::on(&self.spec, &self.chain[generations - 1].0, 20)
    }

    fn verdict(&self, ommers: Vec<Header>) -> Result<(), RuleError> {
        let header = SealedHeader::seal_slow(Self::on(&self.spec, &self.chain[0].0, 10));
        let block = PreparedBlock { header, transactions: Vec::new(), ommers, withdrawals: None };
        check_ommers(&self.spec, &block, &self.chain)
    }
}

#[test]
fn ommers_are_young_distinct_and_valid() {
    let mut chain = Ommers::new();
    for generations in 2..=7 {
        assert_eq!(chain.verdict(vec![chain.ommer(generations)]), Ok(()), "{generations}");
    }
    assert!(matches!(chain.verdict(vec![chain.ommer(1)]), Err(RuleError::OmmerDangling(_))), "a sibling");
    assert!(matches!(chain.verdict(vec![chain.ommer(8)]), Err(RuleError::OmmerDangling(_))), "too old");
    let one = chain.ommer(3);
    let twice = chain.verdict(vec![one.clone(), one.clone()]);
    assert!(matches!(twice, Err(RuleError::OmmerDuplicate(_))));
    assert_eq!(
        chain.verdict(vec![chain.ommer(2), chain.ommer(3), chain.ommer(4)]),
        Err(RuleError::OmmerCount(3))
    );
    let ancestor = chain.chain[1].0.header().clone();
    assert!(matches!(chain.verdict(vec![ancestor]), Err(RuleError::OmmerIsAncestor(_))));
    let broken = Header { gas_limit: 1, ..chain.ommer(2) };
    assert!(matches!(chain.verdict(vec![broken]), Err(RuleError::OmmerHeader { .. })));
    chain.chain[4].1.push(one.clone());
    assert!(matches!(chain.verdict(vec![one]), Err(RuleError::OmmerDuplicate(_))), "an ancestor has it");
}

proptest! {
    /// No header makes a check panic or overflow, whatever its numbers.
    #[test]
    fn arbitrary_headers_never_panic(
        numbers in prop::array::uniform8(any::<u64>()),
        difficulty_bytes in any::<[u8; 32]>(),
        fork in prop::sample::select(vec!["Frontier", "Homestead", "Byzantium", "London", "Paris", "Cancun", "Osaka"]),
    ) {
        let [number, timestamp, gas_limit, gas_used, fee, parent_limit, parent_time, parent_number] = numbers;
        let spec = network(fork);
        let parent = Header {
            number: parent_number,
            timestamp: parent_time,
            gas_limit: parent_limit,
            gas_used: gas_used.min(parent_limit),
            difficulty: U256::from_be_bytes(difficulty_bytes) >> 64,
            base_fee_per_gas: Some(fee >> 8),
            ..Default::default()
        };
        let parent = SealedHeader::seal_slow(parent);
        for number in [number, parent_number.saturating_add(1)] {
            let header = Header {
                parent_hash: parent.hash(), number, timestamp, gas_limit, gas_used,
                base_fee_per_gas: Some(fee), ..Default::default()
            };
            let _ = check_header(&spec, &SealedHeader::seal_slow(header), &parent);
            let _ = difficulty(&spec, timestamp, parent.header());
        }
    }
}
