//! Signed transactions, accounts and pools for this crate's tests.

use crate::{
    Pool, PoolConfig,
    config::Origin,
    decode::Decoded,
    entry::{Entry, Sidecar},
    prepare,
    state::{Account, Accounts},
};
use alloy_consensus::{
    BlobTransactionSidecar, SidecarBuilder, SignableTransaction, SimpleCoder, TxEip1559, TxEip2930,
    TxEip4844, TxEip7702, TxLegacy,
};
use alloy_eips::{
    eip2718::Encodable2718, eip2930::AccessList, eip7702::Authorization, eip7702::SignedAuthorization,
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, map::AddressMap};
use alloy_rlp::{Encodable, Header};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use parking_lot::Mutex;
use proptest::prelude::*;
use std::sync::Arc;
use weft_chainspec::ChainSpec;
use weft_primitives::{PreparedTransaction, SealedHeader, Transaction};
use weft_storage::StorageError;

/// Blob hashes of a [`Kind::Eip4844`] transaction made without a sidecar.
pub(crate) const BLOB_HASHES: usize = 2;
/// Its bid for blob gas in wei.
pub(crate) const BLOB_FEE_CAP: u128 = 3;
/// The dev chain's.
pub(crate) const CHAIN_ID: u64 = 1337;
/// One ether in wei.
pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Legacy,
    /// Without chain id.
    PreEip155,
    Eip2930,
    Eip1559,
    Eip4844,
    Eip7702,
}

pub(crate) fn any_kind() -> impl Strategy<Value = Kind> {
    use Kind::*;
    prop::sample::select(vec![Legacy, PreEip155, Eip2930, Eip1559, Eip4844, Eip7702])
}

/// A transaction to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    kind: Kind,
    key: u64,
    nonce: u64,
    gas: u64,
    fees: (u128, u128),
    value: U256,
    input: Bytes,
    to: TxKind,
    chain_id: u64,
    authorizations: Option<Vec<SignedAuthorization>>,
    access_list: AccessList,
}

pub(crate) fn signer(key: u64) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::from(U256::from(key))).expect("a small positive number is a key")
}

pub(crate) fn address(key: u64) -> Address {
    signer(key).address()
}

/// From key 1, nonce 0, plenty of gas, 100 gwei fee cap, 1 gwei tip.
pub(crate) fn transaction(kind: Kind) -> Draft {
    Draft {
        kind,
        key: 1,
        nonce: 0,
        gas: 1_000_000,
        fees: (100_000_000_000, 1_000_000_000),
        value: U256::from(1),
        input: Bytes::new(),
        to: TxKind::Call(Address::repeat_byte(0xaa)),
        chain_id: CHAIN_ID,
        authorizations: None,
        access_list: AccessList::default(),
    }
}

/// A plain EIP-1559 transfer.
pub(crate) fn transfer(key: u64, nonce: u64) -> Draft {
    transaction(Kind::Eip1559).key(key).nonce(nonce).gas(21_000)
}

pub(crate) fn authorization(key: u64) -> SignedAuthorization {
    let authorization =
        Authorization { chain_id: U256::from(CHAIN_ID), address: Address::repeat_byte(0xbb), nonce: 0 };
    let signature = signer(key).sign_hash_sync(&authorization.signature_hash()).expect("local key");
    authorization.into_signed(signature)
}

impl Draft {
    pub(crate) fn key(self, key: u64) -> Self {
        Self { key, ..self }
    }
    pub(crate) fn nonce(self, nonce: u64) -> Self {
        Self { nonce, ..self }
    }
    pub(crate) fn gas(self, gas: u64) -> Self {
        Self { gas, ..self }
    }
    pub(crate) fn fees(self, fee_cap: u128, tip_cap: u128) -> Self {
        Self { fees: (fee_cap, tip_cap), ..self }
    }
    pub(crate) fn gwei(self, fee_cap: u128, tip_cap: u128) -> Self {
        self.fees(fee_cap * 1_000_000_000, tip_cap * 1_000_000_000)
    }
    pub(crate) fn value(self, value: u128) -> Self {
        Self { value: U256::from(value), ..self }
    }
    pub(crate) fn create(self) -> Self {
        Self { to: TxKind::Create, ..self }
    }
    pub(crate) fn chain_id(self, chain_id: u64) -> Self {
        Self { chain_id, ..self }
    }
    pub(crate) fn authorizations(self, list: Vec<SignedAuthorization>) -> Self {
        Self { authorizations: Some(list), ..self }
    }
    /// Non-zero bytes that differ from place to place.
    pub(crate) fn input_len(self, len: usize) -> Self {
        let input = (0..len).map(|at| (at % 251 + 1) as u8).collect::<Vec<_>>();
        Self { input: input.into(), ..self }
    }

    fn to_address(&self) -> Address {
        self.to.to().copied().unwrap_or_default()
    }

    pub(crate) fn sign(&self) -> Transaction {
        let Self { nonce, gas: gas_limit, value, chain_id, .. } = *self;
        let (max_fee_per_gas, max_priority_fee_per_gas) = self.fees;
        let (input, to, access_list) = (self.input.clone(), self.to, self.access_list.clone());
        match self.kind {
            Kind::Legacy => self.signed(TxLegacy {
                chain_id: Some(chain_id),
                nonce,
                gas_price: max_fee_per_gas,
                gas_limit,
                to,
                value,
                input,
            }),
            Kind::PreEip155 => self.signed(TxLegacy {
                chain_id: None,
                nonce,
                gas_price: max_fee_per_gas,
                gas_limit,
                to,
                value,
                input,
            }),
            Kind::Eip2930 => self.signed(TxEip2930 {
                chain_id,
                nonce,
                gas_price: max_fee_per_gas,
                gas_limit,
                to,
                value,
                access_list,
                input,
            }),
            Kind::Eip1559 => self.signed(TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to,
                value,
                access_list,
                input,
            }),
            Kind::Eip4844 => self.blob(vec![B256::repeat_byte(1); BLOB_HASHES]),
            Kind::Eip7702 => self.signed(TxEip7702 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: self.to_address(),
                value,
                access_list,
                authorization_list: self.authorizations.clone().unwrap_or_else(|| vec![authorization(9)]),
                input,
            }),
        }
    }

    fn blob(&self, blob_versioned_hashes: Vec<B256>) -> Transaction {
        self.signed(TxEip4844 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas,
            max_fee_per_gas: self.fees.0,
            max_priority_fee_per_gas: self.fees.1,
            to: self.to_address(),
            value: self.value,
            access_list: self.access_list.clone(),
            blob_versioned_hashes,
            max_fee_per_blob_gas: BLOB_FEE_CAP,
            input: self.input.clone(),
        })
    }

    fn signed<T>(&self, tx: T) -> Transaction
    where
        Transaction: From<alloy_consensus::Signed<T>>,
        T: SignableTransaction<Signature> + alloy_consensus::transaction::RlpEcdsaEncodableTx,
    {
        let signature = signer(self.key).sign_hash_sync(&tx.signature_hash()).expect("local key");
        let signed = tx.into_signed(signature);
        signed.hash();
        signed.into()
    }

    pub(crate) fn raw(&self) -> Bytes {
        self.sign().encoded_2718().into()
    }

    /// With its sidecar, in network form.
    pub(crate) fn raw_with(&self, sidecar: &Sidecar) -> (Bytes, Transaction) {
        let tx = self.blob(sidecar.versioned_hashes().collect());
        let consensus = tx.encoded_2718();
        let mut payload = consensus[1..].to_vec();
        if sidecar.is_eip7594() {
            payload.push(1);
        }
        match sidecar {
            Sidecar::Eip4844(v0) => {
                v0.blobs.encode(&mut payload);
                v0.commitments.encode(&mut payload);
                v0.proofs.encode(&mut payload);
            }
            Sidecar::Eip7594(v1) => {
                v1.blobs.encode(&mut payload);
                v1.commitments.encode(&mut payload);
                v1.cell_proofs.encode(&mut payload);
            }
        }
        let mut raw = vec![3];
        Header { list: true, payload_length: payload.len() }.encode(&mut raw);
        raw.extend(payload);
        (raw.into(), tx)
    }

    pub(crate) fn prepared(&self) -> Arc<PreparedTransaction> {
        let tx = self.sign();
        let encoded = tx.encoded_2718().into();
        Arc::new(PreparedTransaction::new(tx, address(self.key), encoded))
    }

    pub(crate) fn entry(&self) -> Entry {
        Entry::new(self.prepared(), None, Origin::External)
    }
}

fn blobs(count: usize) -> Vec<u8> {
    vec![0x17; (count - 1) * 130_000 + 1000]
}

pub(crate) fn sidecar_v0(count: usize) -> Sidecar {
    let sidecar: BlobTransactionSidecar =
        SidecarBuilder::<SimpleCoder>::from_slice(&blobs(count)).build_4844().expect("valid blobs");
    Sidecar::Eip4844(sidecar)
}

pub(crate) fn sidecar_v1(count: usize) -> Sidecar {
    Sidecar::Eip7594(
        SidecarBuilder::<SimpleCoder>::from_slice(&blobs(count)).build_7594().expect("valid blobs"),
    )
}

/// A type-3 transaction of key 1 in network form, and without its sidecar.
pub(crate) fn blob_transaction(sidecar: &Sidecar, nonce: u64) -> (Bytes, Transaction) {
    transaction(Kind::Eip4844).nonce(nonce).raw_with(sidecar)
}

/// Accounts that tests change at will. Cheap to clone; clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    accounts: Arc<Mutex<AddressMap<Account>>>,
    /// Addresses read so far.
    pub reads: Arc<Mutex<Vec<Address>>>,
}

impl Accounts for World {
    fn accounts(&self, addresses: &[Address]) -> Result<Vec<Account>, StorageError> {
        self.reads.lock().extend(addresses);
        let accounts = self.accounts.lock();
        Ok(addresses.iter().map(|address| accounts.get(address).copied().unwrap_or_default()).collect())
    }
}

impl World {
    /// Keys 1 to 40 with 1000 ether each.
    pub(crate) fn rich() -> Self {
        let world = Self::default();
        for key in 1..=40 {
            world.set(key, 0, 1000 * ETHER);
        }
        world
    }

    pub(crate) fn set(&self, key: u64, nonce: u64, balance: u128) {
        self.put(key, Account { nonce, balance: U256::from(balance), ..Default::default() });
    }

    pub(crate) fn put(&self, key: u64, account: Account) {
        self.accounts.lock().insert(address(key), account);
    }

    /// As a block does that includes these transactions: nonces go up, costs are paid.
    pub(crate) fn include(&self, transactions: &[Arc<PreparedTransaction>]) {
        let mut accounts = self.accounts.lock();
        for tx in transactions {
            let account = accounts.entry(tx.sender).or_default();
            assert_eq!(account.nonce, alloy_consensus::Transaction::nonce(&tx.tx), "included out of order");
            account.nonce += 1;
        }
    }

    pub(crate) fn pool(&self, config: PoolConfig) -> Pool {
        let spec = Arc::new(ChainSpec::dev());
        let head = spec.genesis_header().clone();
        Pool::with_accounts(spec, Box::new(self.clone()), &head, config).expect("threads start")
    }
}

/// The header after `parent`, with nothing in it.
pub(crate) fn next_head(parent: &SealedHeader) -> SealedHeader {
    let mut header = parent.header().clone();
    header.number += 1;
    header.timestamp += 1;
    header.parent_hash = parent.hash();
    SealedHeader::seal_slow(header)
}

/// The hash that the sender signed, by this crate's hashing.
pub(crate) fn signing_hash(decoded: &Decoded) -> B256 {
    prepare::hash_all(&[decoded])[0].signing
}
