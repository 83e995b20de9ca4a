#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod da;
mod engine;
mod error;
mod forkchoice;
mod genesis;
mod handle;
mod import;
mod invalid;
mod metrics;
mod overlay;
mod payload;
mod post_state;
mod receipt_roots;
mod reverted;
mod tree;
mod types;

pub use engine::Engine;
pub use error::EngineError;
pub use genesis::init_genesis;
pub use handle::EngineHandle;
pub use post_state::{BlockState, hash_bundle};
pub use receipt_roots::root_after_head;
pub use types::{
    CanonicalBlock, CanonicalEvent, EngineConfig, ForkchoiceState, PayloadAttributes, PayloadStatus,
};
