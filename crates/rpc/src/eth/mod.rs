//! `eth_`: the methods that wallets and tools use, one module per kind.

mod accounts;
mod blocks;
pub mod call;
mod config;
mod fees;
mod filters;
mod logs;
mod proof;
pub mod pubsub;
mod simulate;
mod state;
pub mod submit;
mod transactions;

use crate::Registrar;

/// Registers the namespace.
pub fn register(registrar: &mut Registrar) {
    accounts::register(registrar);
    blocks::register(registrar);
    call::register(registrar);
    config::register(registrar);
    fees::register(registrar);
    filters::register(registrar);
    logs::register(registrar);
    proof::register(registrar);
    pubsub::register(registrar);
    simulate::register(registrar);
    state::register(registrar);
    submit::register(registrar);
    transactions::register(registrar);
}
