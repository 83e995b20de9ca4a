#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod admission;
mod backlog;
mod best;
mod book;
mod canonical;
mod config;
mod core;
mod decode;
mod entry;
mod error;
mod limbo;
mod metrics;
mod outline;
mod parity;
mod pool;
mod prepare;
mod rules;
mod state;
#[cfg(test)]
mod testing;

pub use best::{BestTransactions, Room};
pub use config::{Origin, PoolConfig};
pub use decode::DecodeError;
pub use entry::Sidecar;
pub use error::PoolError;
pub use outline::OutlineError;
pub use pool::{Pool, PoolStatus, SubPool};
