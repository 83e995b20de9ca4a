#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod base64url;
pub mod bundle;
pub mod chunk;
pub mod client;
pub mod deep_hash;
mod error;
pub mod gateway;
mod id;
pub mod item;
pub mod merkle;
pub mod owner;
pub mod tag;
mod transaction;
mod wallet;

pub use bundle::Bundle;
pub use client::{Client, ClientConfig, install_tls_provider};
pub use error::{Error, FormatError, WalletError};
pub use gateway::{Gateway, GatewayConfig, GatewayError, GatewayHandle};
pub use id::{Address, Anchor, DataRoot, Id, Winston};
pub use item::{DataItem, EthereumKey, ItemDraft, Signer};
pub use merkle::{Chunk, ChunkTree, ChunkTreeBuilder};
pub use owner::Owner;
pub use tag::Tag;
pub use transaction::{Format, Transaction, TransactionDraft};
pub use wallet::Wallet;
