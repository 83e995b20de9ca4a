//! `web3_`, and `rpc_modules`.

use crate::{Args, Registrar, RpcContext, RpcError};
use alloy_primitives::{B256, Bytes, keccak256};
use std::collections::BTreeMap;

/// Registers the namespace.
pub fn register(registrar: &mut Registrar) {
    registrar.quick("web3_clientVersion", 0, |context, _| Ok(context.parts.client_version.clone()));
    registrar
        .read("web3_sha3", 1, |_, args| -> Result<B256, _> { Ok(keccak256(args.required::<Bytes>(0)?)) });
    registrar.quick("rpc_modules", 0, modules);
}

/// Served namespaces, each with its version: `{"eth": "1.0", …}`.
fn modules(context: &RpcContext, _: &Args<'_>) -> Result<BTreeMap<String, &'static str>, RpcError> {
    Ok(context.config.namespaces.iter().map(|name| (name.clone(), "1.0")).collect())
}
