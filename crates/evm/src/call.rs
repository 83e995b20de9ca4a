//! Transactions that are in no block: calls, estimates, access lists, traces.

use crate::{Evm, Machine, StateSource, machine::machine, source::Watched};
use alloy_evm::{EvmEnv, eth::EthEvmContext};
use revm::{Inspector, database::State};

impl Evm {
    /// A machine over `state` for transactions outside a block. `env` is [`Evm::env`]'s with whatever the caller
    /// relaxes (base fee, nonce, gas caps); the inspector sees every step. A failure to read the
    /// state is the machine's database error.
    pub fn caller<DB, I>(&self, env: EvmEnv, state: DB, inspector: I) -> Machine<DB, I>
    where
        DB: StateSource,
        I: Inspector<EthEvmContext<State<Watched<DB>>>>,
    {
        machine(state, env, inspector, true).0
    }
}
