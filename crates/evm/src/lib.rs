#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod block_machine;
mod block_spec;
mod build;
mod call;
mod env;
mod error;
mod execute;
pub mod gas;
mod machine;
mod receipts;
pub mod rules;
mod simulate;
mod source;
mod words;

pub use build::{BlockBuilder, NextBlock, PushError};
pub use env::Evm;
pub use error::EvmError;
pub use execute::ExecutionOutput;
pub use machine::{Machine, WarmPrecompiles};
pub use receipts::RootAfter;
pub use rules::RuleError;
pub use simulate::{SimulatedState, Simulation};
pub use source::{StateFailure, StateSource, Watched};
pub use words::TransactionError;
