//! Layer-1 transactions of formats 1 and 2: what is signed, how it travels as JSON, how it is checked.
//!
//! A value of [`Transaction`] is well formed, no more: whoever got it from elsewhere calls [`Transaction::verify`]. Then the
//! owner signed exactly these fields, and inline data, if there is any, has the signed root. Transactions with an
//! empty owner (keys on secp256k1) or in another denomination are refused as unsupported.

mod json;

use crate::{
    Address, Anchor, ChunkTree, DataRoot, FormatError, Id, Owner, Tag, Wallet, Winston,
    deep_hash::{Node, deep_hash},
    tag::{TRANSACTION_TAGS_BYTES_MAX, check_max},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How a transaction is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// The data itself is signed.
    One,
    /// The root of the data's chunks is signed.
    Two,
}

/// A signed transaction, well formed but not yet verified.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "json::Wire", into = "json::Wire")]
pub struct Transaction {
    /// How it is signed.
    pub format: Format,
    /// SHA-256 of the signature.
    pub id: Id,
    /// What bounds its age.
    pub last_tx: Anchor,
    /// Who signed and pays.
    pub owner: Owner,
    /// Names and values.
    pub tags: Vec<Tag>,
    /// Who receives `quantity`.
    pub target: Option<Address>,
    /// What is transferred.
    pub quantity: Winston,
    /// Inline data; empty where the data travels as chunks.
    pub data: Bytes,
    /// Bytes of the data.
    pub data_size: u64,
    /// Root of the data's chunks; none without data, and in format 1.
    pub data_root: Option<DataRoot>,
    /// What is paid for mining and storage.
    pub reward: Winston,
    /// RSA-PSS, 512 bytes.
    pub signature: Bytes,
}

/// A transaction to be signed.
#[derive(Clone, Debug, Default)]
pub struct TransactionDraft {
    /// What bounds its age: a recent block, from `tx_anchor`.
    pub last_tx: Anchor,
    /// Names and values, 2048 bytes in all.
    pub tags: Vec<Tag>,
    /// Who receives `quantity`.
    pub target: Option<Address>,
    /// What is transferred.
    pub quantity: Winston,
    /// What is paid, from `price`.
    pub reward: Winston,
    /// Size and root of the data.
    pub data: Option<(u64, DataRoot)>,
}

impl TransactionDraft {
    /// A draft that publishes the data of `tree`.
    pub fn publishing(tree: &ChunkTree) -> Self {
        let data = (tree.size() > 0).then(|| (tree.size(), tree.root()));
        Self { data, ..Self::default() }
    }

    /// A signed transaction of format 2, without inline data. Each call makes another signature and so another id: sign
    /// once, keep the bytes, post them as often as needed.
    pub fn sign(self, wallet: &Wallet) -> Result<Transaction, FormatError> {
        let mut transaction = Transaction {
            format: Format::Two,
            id: Id([0; 32]),
            last_tx: self.last_tx,
            owner: wallet.owner().clone(),
            tags: self.tags,
            target: self.target,
            quantity: self.quantity,
            data: Bytes::new(),
            data_size: self.data.map_or(0, |(size, _)| size),
            data_root: self.data.map(|(_, root)| root),
            reward: self.reward,
            signature: Bytes::new(),
        };
        transaction.check_shape()?;
        transaction.signature = wallet.sign(&transaction.signed_message());
        transaction.id = Id::of_signature(&transaction.signature);
        Ok(transaction)
    }
}

impl Transaction {
    /// Checks shape, id, signature, and inline data against the signed root and size.
    ///
    /// A transaction of format 1 signs its data, so it verifies only with the data inline.
    pub fn verify(&self) -> Result<(), FormatError> {
        self.check_shape()?;
        let expected = Id::of_signature(&self.signature);
        if self.id != expected {
            return Err(FormatError::WrongId { expected, found: self.id });
        }
        if self.format == Format::Two && !self.data.is_empty() {
            self.verify_data(&ChunkTree::of(&self.data))?;
        }
        self.owner.verify(&self.signed_message(), &self.signature)
    }

    /// Checks that `tree` is over the data that was signed. Only for data that was cut by the usual rule, which is all
    /// that this crate, arweave-js and its relatives write.
    pub fn verify_data(&self, tree: &ChunkTree) -> Result<(), FormatError> {
        if tree.size() != self.data_size {
            return Err(FormatError::WrongData("another size"));
        }
        match self.data_root {
            Some(root) if root != tree.root() => Err(FormatError::WrongData("another root")),
            None if tree.size() > 0 => Err(FormatError::WrongData("none was signed")),
            _ => Ok(()),
        }
    }

    /// The same transaction with its data inline, for data of one chunk. The signature does not change.
    pub fn with_data(&self, data: Bytes) -> Self {
        Self { data, ..self.clone() }
    }

    /// What the signature is over: a deep hash in format 2, all fields in a row in format 1.
    pub fn signed_message(&self) -> Vec<u8> {
        let target = self.target.map(|address| address.0);
        let target: &[u8] = target.as_ref().map_or(&[], |bytes| bytes);
        let (quantity, reward) = (self.quantity.to_string(), self.reward.to_string());
        let owner = self.owner.as_bytes();
        if self.format == Format::One {
            let head = [owner, target, &self.data, quantity.as_bytes(), reward.as_bytes()];
            let tags = self.tags.iter().flat_map(|tag| [tag.name.as_slice(), &tag.value]);
            let anchor = std::iter::once(self.last_tx.as_bytes());
            return head.into_iter().chain(anchor).chain(tags).flatten().copied().collect();
        }
        let tags =
            self.tags.iter().map(|tag| Node::List(vec![Node::Blob(&tag.name), Node::Blob(&tag.value)]));
        let size = self.data_size.to_string();
        let root = self.data_root.map(|root| root.0);
        deep_hash(&Node::List(vec![
            Node::Blob(b"2"),
            Node::Blob(owner),
            Node::Blob(target),
            Node::Blob(quantity.as_bytes()),
            Node::Blob(reward.as_bytes()),
            Node::Blob(self.last_tx.as_bytes()),
            Node::List(tags.collect()),
            Node::Blob(size.as_bytes()),
            Node::Blob(root.as_ref().map_or(&[], |bytes| bytes)),
        ]))
        .to_vec()
    }

    fn check_shape(&self) -> Result<(), FormatError> {
        let tags = self.tags.iter().map(|tag| tag.name.len() + tag.value.len()).sum();
        check_max("bytes of tags", tags, TRANSACTION_TAGS_BYTES_MAX)?;
        match self.format {
            Format::One if self.data.len() as u64 != self.data_size => {
                Err(FormatError::WrongData("format 1, and the data is not there or has another size"))
            }
            Format::Two if self.data_root.is_some() != (self.data_size > 0) => {
                Err(FormatError::Malformed { field: "data_root", reason: "does not go with data_size" })
            }
            _ => Ok(()),
        }
    }
}
