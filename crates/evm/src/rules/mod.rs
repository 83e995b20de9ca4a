//! What must be true of a block, per fork. Seals of proof-of-work blocks are not checked.
//!
//! Order of use: [`check_header`] and [`check_body`] before execution, [`check_ommers`] before Paris,
//! [`check_output`] after execution. The engine compares the state root and, on a Weft chain, extraData with the daRoot.

mod body;
mod difficulty;
mod error;
mod header;
mod merge;
mod ommers;
mod output;
#[cfg(test)]
mod tests;

pub use body::{BlockBytes, check_body, check_transaction};
pub use difficulty::difficulty;
pub use error::RuleError;
pub use header::{check_header, next_excess_blob_gas};
pub use merge::check_terminal_difficulty;
pub use ommers::{OMMER_ANCESTORS, check_ommers};
pub use output::check_output;
pub(crate) use output::with_bloom;
