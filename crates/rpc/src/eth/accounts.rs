//! Unlocked accounts of dev mode.

use crate::{Args, Registrar, RpcContext, RpcError};
use alloy_primitives::{Address, Bytes};

/// Registers the methods.
pub fn register(registrar: &mut Registrar) {
    registrar.quick("eth_accounts", 0, |context, _| Ok(context.accounts.addresses().to_vec()));
    registrar.read("eth_coinbase", 0, |context, _| Ok(context.head.header().beneficiary));
    registrar.read("eth_sign", 2, |context, args| sign(context, args, 0, 1));
    registrar.read("personal_sign", 2, |context, args| sign(context, args, 1, 0));
}

fn sign(context: &RpcContext, args: &Args<'_>, address: usize, message: usize) -> Result<Bytes, RpcError> {
    let (address, message): (Address, Bytes) = (args.required(address)?, args.required(message)?);
    context.accounts.sign_message(address, &message)
}
