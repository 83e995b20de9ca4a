#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod backlog;
mod banner;
mod columns;
mod config;
mod follow;
mod health;
mod monitoring;
mod network;
mod node;
mod operations;
mod permanence;
mod process;
mod serve;

pub use banner::DEV_MNEMONIC;
pub use columns::{ColumnsConfig, ColumnsNode, ColumnsWork};
pub use config::{DB_FOLDER, NodeConfig, Passphrase, PermanenceConfig, RetentionSettings, WalletFile};
pub use health::free_bytes;
pub use node::{Node, Stopped};
pub use operations::{Recorder, install_recorder};
