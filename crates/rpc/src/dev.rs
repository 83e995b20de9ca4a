//! Unlocked accounts of dev mode: what `eth_accounts`, `eth_sign` and `eth_sendTransaction` use.
//!
//! Empty outside dev mode; nothing else in the node holds a private key.

use crate::RpcError;
use alloy_consensus::{EthereumTypedTransaction, SignableTransaction, TxEip4844};
use alloy_dyn_abi::TypedData;
use alloy_primitives::Bytes;
use alloy_primitives::{Address, B256, Signature, eip191_hash_message, map::AddressMap};
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};
use weft_primitives::Transaction;

/// Keys by address, in the order given.
#[derive(Clone, Debug, Default)]
pub struct DevAccounts {
    addresses: Vec<Address>,
    keys: AddressMap<B256>,
    turn: Arc<Mutex<()>>,
}

impl DevAccounts {
    /// Refuses what is not a secp256k1 key.
    pub fn new(keys: &[B256]) -> Result<Self, RpcError> {
        let mut accounts = Self::default();
        for key in keys {
            // The address is that of the signer of anything this key signs.
            let probe = B256::repeat_byte(1);
            let signature = sign_hash(*key, probe)?;
            let address = signature.recover_address_from_prehash(&probe).map_err(RpcError::internal)?;
            accounts.addresses.push(address);
            accounts.keys.insert(address, *key);
        }
        Ok(accounts)
    }

    /// Unlocked addresses.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Held while a transaction of an unlocked account is prepared and submitted.
    pub async fn sending(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// `eth_sign`: EIP-191 personal message.
    pub fn sign_message(&self, address: Address, message: &[u8]) -> Result<Bytes, RpcError> {
        let signature = sign_hash(self.key(address)?, eip191_hash_message(message))?;
        Ok(signature.as_bytes().to_vec().into())
    }

    /// `eth_signTypedData_v4`: EIP-712.
    pub fn sign_typed(&self, address: Address, data: &TypedData) -> Result<Bytes, RpcError> {
        let key = self.key(address)?;
        let hash = data.eip712_signing_hash().map_err(|error| RpcError::argument(1, error))?;
        Ok(sign_hash(key, hash)?.as_bytes().to_vec().into())
    }

    /// Signs a complete transaction.
    pub fn sign_transaction(
        &self,
        address: Address,
        tx: EthereumTypedTransaction<TxEip4844>,
    ) -> Result<Transaction, RpcError> {
        let signature = sign_hash(self.key(address)?, tx.signature_hash())?;
        Ok(tx.into_signed(signature).into())
    }

    fn key(&self, address: Address) -> Result<B256, RpcError> {
        self.keys.get(&address).copied().ok_or_else(|| RpcError::Rejected("unknown account".to_owned()))
    }
}

fn sign_hash(key: B256, hash: B256) -> Result<Signature, RpcError> {
    alloy_consensus::crypto::secp256k1::sign_message(key, hash).map_err(RpcError::internal)
}
