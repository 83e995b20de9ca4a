//! The count gives what revm's own two passes over the input give, to the gas.

use super::*;
use crate::gas::gas_params;
use alloy_primitives::{B256, TxKind, U256};
use proptest::prelude::*;
use revm::{
    MainBuilder, MainContext,
    context::{
        either::Either,
        transaction::{
            AccessList, AccessListItem, Authorization, RecoveredAuthority, RecoveredAuthorization,
        },
    },
    context_interface::cfg::{GasId, GasParams},
    database::EmptyDB,
};
use std::convert::Infallible;
use weft_chainspec::ChainSpec;

type Answer = Result<InitialAndFloorGas, EVMError<Infallible>>;

/// Both handlers' verdict on a transaction.
fn both(fork: SpecId, params: GasParams, tx: TxEnv) -> (Answer, Answer) {
    let mut cfg = CfgEnv::new_with_spec(fork);
    cfg.set_gas_params(params);
    let input = InputBytes::count(&tx.data);
    let mut evm = Context::mainnet().with_db(EmptyDB::new()).with_cfg(cfg).with_tx(tx).build_mainnet();
    let ours = CountedHandler::new(input).validate_initial_tx_gas(&mut evm);
    (ours, MainnetHandler::default().validate_initial_tx_gas(&mut evm))
}

fn forks() -> impl Strategy<Value = SpecId> {
    (0u8..=SpecId::AMSTERDAM as u8).prop_filter_map("no such fork", SpecId::try_from_u8)
}

/// A fork's own prices, the dev chain's, or any.
fn params(fork: SpecId) -> impl Strategy<Value = GasParams> {
    let any_price = (0u64..100, 0u64..10, 0u64..100).prop_map(move |(token, multiplier, floor)| {
        let mut params = GasParams::new_spec(fork);
        params.override_gas([
            (GasId::tx_token_cost(), token),
            (GasId::tx_token_non_zero_byte_multiplier(), multiplier),
            (GasId::tx_floor_cost_per_token(), floor),
        ]);
        params
    });
    prop_oneof![Just(GasParams::new_spec(fork)), Just(gas_params(&ChainSpec::dev(), fork)), any_price]
}

fn access_list() -> impl Strategy<Value = AccessList> {
    let slots = 0usize..5;
    prop::collection::vec(slots, 0..5).prop_map(|items| {
        let item = |slots| AccessListItem { address: Address::ZERO, storage_keys: vec![B256::ZERO; slots] };
        AccessList(items.into_iter().map(item).collect())
    })
}

fn transactions() -> impl Strategy<Value = TxEnv> {
    let input = (0usize..9_000, 0usize..9_000).prop_map(|(zeros, others)| {
        let mut input = vec![0; zeros];
        input.resize(zeros + others, 7);
        input
    });
    let gas_limit = prop_oneof![0u64..100_000, 0u64..2_000_000, Just(u64::MAX)];
    (0u8..=4, input, any::<bool>(), access_list(), 0usize..5, gas_limit).prop_map(
        |(tx_type, data, is_create, access_list, authorizations, gas_limit)| {
            let authorization = Authorization { chain_id: U256::ZERO, address: Address::ZERO, nonce: 0 };
            let authorization =
                RecoveredAuthorization::new_unchecked(authorization, RecoveredAuthority::Invalid);
            TxEnv {
                tx_type,
                kind: if is_create { TxKind::Create } else { TxKind::Call(Address::ZERO) },
                data: data.into(),
                access_list,
                authorization_list: vec![Either::Right(authorization); authorizations],
                gas_limit,
                ..Default::default()
            }
        },
    )
}

fn scenario() -> impl Strategy<Value = (SpecId, GasParams, TxEnv)> {
    forks().prop_flat_map(|fork| (Just(fork), params(fork), transactions()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..Default::default() })]

    #[test]
    fn intrinsic_gas_is_revms((fork, params, tx) in scenario()) {
        let (ours, theirs) = both(fork, params.clone(), tx.clone());
        prop_assert_eq!(&ours, &theirs);
        // At the limit itself, and one below it.
        let Ok(gas) = theirs else { return Ok(()) };
        let needed = gas.initial_total_gas().max(gas.floor_gas());
        for gas_limit in [needed, needed.saturating_sub(1)] {
            let (ours, theirs) = both(fork, params.clone(), TxEnv { gas_limit, ..tx.clone() });
            prop_assert_eq!(ours, theirs);
        }
    }
}
