#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod alloc;
mod dev;
mod error;
mod fields;
mod network;
mod schedule;
mod spec;
mod weft;

pub use alloc::GenesisState;
pub use error::ChainSpecError;
pub use network::{NetworkError, network_config};
pub use schedule::Schedule;
pub use spec::ChainSpec;
pub use weft::{CalldataGas, WeftParams};
