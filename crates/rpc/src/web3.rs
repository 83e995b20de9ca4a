//! `web3_`.

use crate::Registrar;
use alloy_primitives::{B256, Bytes, keccak256};

/// Registers the namespace.
pub fn register(registrar: &mut Registrar) {
    registrar.quick("web3_clientVersion", 0, |context, _| Ok(context.parts.client_version.clone()));
    registrar
        .read("web3_sha3", 1, |_, args| -> Result<B256, _> { Ok(keccak256(args.required::<Bytes>(0)?)) });
}
